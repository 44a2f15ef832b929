"""Are predicted votes true? Probability integral transforms, coverage, reliability, noise floors.

Everything is judged on pairs of a galaxy and an answer that volunteers were asked about. The votes
k of N for an answer are beta-binomial under the model; the randomised PIT (Czado, Gneiting & Held
2009, "Predictive Model Assessment for Count Data", Sec. 2) is

    u = P(fewer than k) + v P(exactly k),   v uniform in [0, 1),

which is uniform whatever N if the model is true, while intervals of whole votes hold more than they
claim when N is small. v depends on the seed and the galaxy's id alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hoag.posteriors import check_shape, tail_of, vote_pmfs
from hoag.randomness import key_tensor, uniform
from hoag.schema import Schema

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEVELS = (0.5, 0.8, 0.9)
PIT_BINS, RELIABILITY_BINS = 20, 10
_STREAM = 1 << 8  # of randomness, away from those of training
_CHUNK = 1 << 18  # pairs


@dataclass(frozen=True)
class Pairs:
    """Galaxies and answers that volunteers were asked about, and what the model made of them.

    Attributes
    ----------
    galaxy, answer
        (pairs,) row of the galaxy, and place of the answer in the schema.
    votes, asked
        (pairs,) votes for the answer, k, and for all answers to its question, N >= 1.
    fraction, whole
        (pairs,) expected fraction a / A, and A, the question's whole concentration.
    pit
        (pairs,) randomised PIT in [0, 1].
    inside, claimed
        (levels, pairs): whether k lies in the interval of whole votes, and the probability that
        the model gives to it.
    schema
        Names the answers.
    """

    galaxy: Ints
    answer: Ints
    votes: Ints
    asked: Ints
    fraction: Floats
    whole: Floats
    pit: Floats
    inside: NDArray[np.bool_]
    claimed: Floats
    schema: Schema

    def __len__(self) -> int:
        return len(self.galaxy)

    @property
    def question(self) -> Ints:
        """Number of the question of each pair."""
        return np.asarray(self.schema.question_index[self.answer])

    def where(self, chosen: NDArray[np.bool_]) -> "Pairs":
        """Keep some pairs."""
        one = {name: getattr(self, name)[chosen] for name in _PER_PAIR}
        return Pairs(
            **one, inside=self.inside[:, chosen], claimed=self.claimed[:, chosen],
            schema=self.schema,
        )  # fmt: skip


_PER_PAIR = ("galaxy", "answer", "votes", "asked", "fraction", "whole", "pit")


def make_pairs(
    votes: NDArray[np.integer],
    concentration: NDArray[np.floating],
    keys: NDArray[np.uint64],
    schema: Schema,
    *,
    seed: int = 0,
) -> Pairs:
    """Compare votes with what was predicted for them.

    Parameters
    ----------
    votes
        (galaxies, answers) whole numbers.
    concentration
        (galaxies, answers), > 0.
    keys
        (galaxies,) hashes of the ids, which the randomisation of the PIT rests on.
    schema
        Says which answers belong to which question.
    seed
        Seed of the randomisation.

    Raises
    ------
    HoagError
        If a shape does not fit the schema.
    """
    check_shape("votes", votes, schema)
    alpha = np.asarray(concentration, np.float64)
    check_shape("concentrations", alpha, schema)
    totals = np.add.reduceat(votes, schema.starts, axis=1)
    galaxy, answer = np.nonzero(totals[:, schema.question_index] > 0)
    asked = totals[galaxy, schema.question_index[answer]].astype(np.int64)
    whole = np.add.reduceat(alpha, schema.starts, axis=1)
    whole = whole[galaxy, schema.question_index[answer]]
    this = alpha[galaxy, answer]
    drawn = uniform(seed, 0, key_tensor(keys), len(schema.columns), _STREAM).numpy()
    k = votes[galaxy, answer].astype(np.int64)
    pit, inside, claimed = _placed(k, asked, this, whole - this, drawn[galaxy, answer])
    return Pairs(galaxy, answer, k, asked, this / whole, whole, pit, inside, claimed, schema)


def _placed(
    votes: Ints, asked: Ints, this: Floats, rest: Floats, drawn: NDArray[Any]
) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """PIT, coverage and claimed coverage of pairs, those with alike N together."""
    pit = np.empty(len(votes))
    inside, claimed = np.empty((len(LEVELS), len(votes)), bool), np.empty((len(LEVELS), len(votes)))
    order = np.argsort(asked, kind="stable")
    for start in range(0, len(order), _CHUNK):
        own = order[start : start + _CHUNK]
        k, tails = votes[own], np.array([tail_of(level) for level in LEVELS])[:, None]
        below, equal, upto = np.zeros(len(own)), np.zeros(len(own)), np.zeros(len(own))
        held = np.zeros((len(LEVELS), len(own)))
        for n, pmf in enumerate(vote_pmfs(asked[own], this[own], rest[own])):
            # n lies in the interval if enough lies at or below it and enough at or above it.
            held += np.where((upto + pmf > tails) & (upto < 1 - tails), pmf, 0.0)
            upto = upto + pmf
            below += np.where(n < k, pmf, 0.0)
            equal = np.where(n == k, pmf, equal)
        pit[own] = np.clip(below + drawn[own] * equal, 0.0, 1.0)
        inside[:, own] = (below + equal > tails) & (below < 1 - tails)
        claimed[:, own] = np.minimum(held, 1.0)
    return pit, inside, claimed


def summary(pairs: Pairs) -> dict[str, Any]:
    """Judge some pairs in numbers, ready for JSON.

    Returns
    -------
    dict
        ``pairs``, ``galaxies``; ``pit_90``, the share of PIT values in the central 90 %, and
        ``pit_90_error``, its standard error with all pairs of a galaxy moving together; ``pit``,
        counts in 20 bins; ``coverage`` and ``claimed`` of the intervals of whole votes by level;
        ``rms``, of the votes' fraction around the expected one, ``rms_claimed``, what the model
        says it is, and ``rms_floor``, what binomial counting alone would leave if the expected
        fraction were exactly each galaxy's own.
    """
    number = len(pairs)
    if number == 0:
        return {"pairs": 0, "galaxies": 0}
    middle = (pairs.pit >= 0.05) & (pairs.pit <= 0.95)
    share = float(middle.mean())
    _, places = np.unique(pairs.galaxy, return_inverse=True)
    by_galaxy = np.bincount(places, middle - share)
    off = pairs.votes / pairs.asked - pairs.fraction
    binomial = pairs.fraction * (1 - pairs.fraction) / pairs.asked
    spread = binomial * (pairs.whole + pairs.asked) / (pairs.whole + 1)
    return {
        "pairs": number,
        "galaxies": len(by_galaxy),
        "pit_90": share,
        "pit_90_error": float(np.sqrt((by_galaxy**2).sum()) / number),
        "pit": np.histogram(pairs.pit, PIT_BINS, (0, 1))[0].tolist(),
        "coverage": _by_level(pairs.inside),
        "claimed": _by_level(pairs.claimed),
        "rms": float(np.sqrt((off**2).mean())),
        "rms_claimed": float(np.sqrt(spread.mean())),
        "rms_floor": float(np.sqrt(binomial.mean())),
    }


def _by_level(values: NDArray[Any]) -> dict[str, float]:
    return {f"{level:g}": float(row.mean()) for level, row in zip(LEVELS, values, strict=True)}


def reliability(pairs: Pairs, bins: int = RELIABILITY_BINS) -> list[dict[str, float]]:
    """Compare expected with observed fractions in bins of the expected one.

    Returns
    -------
    list of dict
        For each bin that is not empty: ``pairs``; ``expected`` and ``observed``, mean fractions;
        ``floor``, the standard error of the observed mean by binomial counting alone; ``error``,
        the one that the scatter of the pairs shows.
    """
    place = np.minimum((pairs.fraction * bins).astype(int), bins - 1)
    seen = pairs.votes / pairs.asked
    rows = []
    for number in np.unique(place):
        own = place == number
        count, expected = int(own.sum()), pairs.fraction[own]
        binomial = (expected * (1 - expected) / pairs.asked[own]).sum()
        rows.append(
            {
                "pairs": count,
                "expected": float(expected.mean()),
                "observed": float(seen[own].mean()),
                "floor": float(np.sqrt(binomial) / count),
                "error": float(np.sqrt(((seen[own] - expected) ** 2).sum()) / count),
            }
        )
    return rows


def biases(pairs: Pairs) -> list[dict[str, Any]]:
    """See how far the expected fraction of each answer is off on average.

    A question's answers share its votes, so that what one gains the others lose: in a reliability
    diagram of all of them a bias cancels, and here it does not.

    Returns
    -------
    list of dict
        For each answer that there is: its ``answer``, the number of ``galaxies``, mean ``expected``
        and ``observed`` fractions, ``off``, the first less the second, and the ``error`` of that.
    """
    off = pairs.fraction - pairs.votes / pairs.asked
    rows = []
    for answer in np.unique(pairs.answer):
        own = pairs.answer == answer
        count, expected, mean = int(own.sum()), pairs.fraction[own].mean(), off[own].mean()
        rows.append(
            {
                "answer": pairs.schema.columns[answer],
                "galaxies": count,
                "expected": float(expected),
                "observed": float(expected - mean),
                "off": float(mean),
                "error": float(off[own].std() / np.sqrt(count)),
            }
        )
    return rows


def groups_of(
    pairs: Pairs, columns: Mapping[str, Sequence[Any]]
) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Cut pairs into groups: by question, by campaign, and by columns of the galaxies.

    Parameters
    ----------
    pairs
        What is cut.
    columns
        By name, a value for each galaxy: text makes a group of each value, numbers make bins of
        equal numbers of galaxies.

    Yields
    ------
    str, str, ndarray
        What it is cut by ("question", "campaign" or a column), the group's name, and (pairs,) bool.
    """
    schema, question = pairs.schema, pairs.question
    for number, each in enumerate(schema.questions):
        yield "question", each.name, question == number
    campaign = np.array(schema.campaign_of_question)
    for name in schema.campaigns:
        yield "campaign", name, (campaign == name)[question]
    for column, values in columns.items():
        for name, members in _members(values):
            yield column, name, members[pairs.galaxy]


_MOST_VALUES, _BINS = 12, 5


def _members(values: Sequence[Any]) -> list[tuple[str, NDArray[np.bool_]]]:
    """Groups of galaxies by a column: its commonest values, or bins of its numbers."""
    missing = np.array([value is None or value != value for value in values])
    present = np.array(
        [value for value, gone in zip(values, missing, strict=True) if not gone], dtype=object
    )
    is_number = all(isinstance(v, int | float) and not isinstance(v, bool) for v in present)
    if is_number and len(set(present)) > _MOST_VALUES:
        numbers = np.full(len(values), np.nan)
        numbers[~missing] = present.astype(float)
        edges = np.unique(np.quantile(numbers[~missing], np.linspace(0, 1, _BINS + 1)))
        place = np.clip(np.searchsorted(edges, numbers, "right") - 1, 0, len(edges) - 2)
        groups = [
            (f"{edges[n]:.3g} to {edges[n + 1]:.3g}", ~missing & (place == n))
            for n in range(len(edges) - 1)
        ]
    else:
        texts = np.array(["" if gone else str(v) for v, gone in zip(values, missing, strict=True)])
        names, counts = np.unique(texts[~missing], return_counts=True)
        commonest = sorted(names[np.argsort(-counts, kind="stable")[:_MOST_VALUES]])
        groups = [(str(name), ~missing & (texts == name)) for name in commonest]
    return [*groups, *([("missing", missing)] if missing.any() else [])]

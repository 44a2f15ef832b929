"""Calibration judged on votes drawn from the model itself, and on models that are wrong."""

import numpy as np
import pytest
from scipy import stats

from hoag import HoagError
from hoag.calibration import LEVELS, biases, groups_of, make_pairs, reliability, summary
from hoag.campaigns import Question
from hoag.hashes import hashes_of
from hoag.schema import Schema

SCHEMA = Schema(
    "two",
    (
        Question("kind-x", "x", ("_smooth", "_disc", "_star")),
        Question("edge-x", "x", ("_yes", "_no"), ("kind-x_disc",)),
    ),
)
N = 6000
KEYS = hashes_of(f"galaxy {n}" for n in range(N))


def drawn(n=N, seed=0, most=12):
    """Concentrations, and votes of few volunteers who follow them."""
    random = np.random.default_rng(seed)
    alpha = np.exp(random.uniform(-1.5, 3, (n, 5)))
    votes = np.zeros((n, 5), np.int64)
    asked = random.integers(1, most, n)
    for row in range(n):
        votes[row, :3] = random.multinomial(asked[row], random.dirichlet(alpha[row, :3]))
        votes[row, 3:] = random.multinomial(votes[row, 1], random.dirichlet(alpha[row, 3:]))
    return votes, alpha


VOTES, ALPHA = drawn()
PAIRS = make_pairs(VOTES, ALPHA, KEYS, SCHEMA)


def test_pairs_are_those_that_were_asked():
    asked = np.stack([VOTES[:, :3].sum(1)] * 3 + [VOTES[:, 3:].sum(1)] * 2, axis=1)
    assert len(PAIRS) == (asked > 0).sum()
    assert (PAIRS.asked == asked[PAIRS.galaxy, PAIRS.answer]).all()
    assert (PAIRS.votes == VOTES[PAIRS.galaxy, PAIRS.answer]).all()


@pytest.mark.parametrize("answer", range(5))
def test_pit_of_a_true_model_is_uniform_however_few_volunteers(answer):
    pit = PAIRS.pit[PAIRS.answer == answer]
    assert stats.kstest(pit, "uniform").pvalue > 1e-3
    assert abs(((pit > 0.05) & (pit < 0.95)).mean() - 0.9) < 4 * np.sqrt(0.09 / len(pit))


def test_pit_is_scipys_between_its_two_ends():
    this = ALPHA[PAIRS.galaxy, PAIRS.answer]
    law = stats.betabinom(PAIRS.asked, this, PAIRS.whole - this)
    lower, upper = law.cdf(PAIRS.votes - 1), law.cdf(PAIRS.votes)
    assert (PAIRS.pit >= lower - 1e-9).all() and (PAIRS.pit <= upper + 1e-9).all()
    low, high = law.ppf(0.05), law.ppf(0.95)
    inside = (PAIRS.votes >= low) & (PAIRS.votes <= high)
    assert (inside != PAIRS.inside[LEVELS.index(0.9)]).mean() < 1e-4
    claimed = law.cdf(high) - law.cdf(low - 1)
    np.testing.assert_allclose(PAIRS.claimed[LEVELS.index(0.9)], claimed, atol=1e-7)


def test_whole_intervals_hold_more_than_they_should_and_as_much_as_they_claim():
    found = summary(PAIRS)
    assert found["coverage"]["0.9"] > 0.93
    for level, share in found["coverage"].items():
        assert share == pytest.approx(found["claimed"][level], abs=0.01)
    assert found["pit_90"] == pytest.approx(0.9, abs=4 * found["pit_90_error"])
    assert found["rms"] == pytest.approx(found["rms_claimed"], rel=0.02)
    assert found["rms"] > found["rms_floor"]
    assert sum(found["pit"]) == found["pairs"] == len(PAIRS)


def test_binomial_votes_scatter_by_the_floor():
    random = np.random.default_rng(1)
    chance = random.uniform(0.1, 0.9, N)
    votes = np.zeros((N, 5), np.int64)
    votes[:, 3] = random.binomial(20, chance)
    votes[:, 4] = 20 - votes[:, 3]
    alpha = np.full((N, 5), 1e5)
    alpha[:, 3], alpha[:, 4] = 1e7 * chance, 1e7 * (1 - chance)
    found = summary(make_pairs(votes, alpha, KEYS, SCHEMA))
    assert found["rms"] == pytest.approx(found["rms_floor"], rel=0.02)
    assert found["rms_claimed"] == pytest.approx(found["rms_floor"], rel=1e-3)


def test_too_sure_and_too_shy_models_are_told_apart():
    sure = summary(make_pairs(VOTES, 20 * ALPHA, KEYS, SCHEMA))
    shy = summary(make_pairs(VOTES, ALPHA / 20, KEYS, SCHEMA))
    assert sure["pit_90"] < 0.85 < 0.92 < shy["pit_90"]
    assert sure["rms_claimed"] < sure["rms"] < shy["rms_claimed"]


def test_the_randomisation_is_the_galaxys_own():
    order = np.random.default_rng(0).permutation(N)
    other = make_pairs(VOTES[order], ALPHA[order], KEYS[order], SCHEMA)
    place = {(g, a): u for g, a, u in zip(order[other.galaxy], other.answer, other.pit)}  # noqa: B905
    ours = {(g, a): u for g, a, u in zip(PAIRS.galaxy, PAIRS.answer, PAIRS.pit)}  # noqa: B905
    assert place == ours
    assert (make_pairs(VOTES, ALPHA, KEYS, SCHEMA, seed=1).pit != PAIRS.pit).mean() > 0.9


def test_reliability_lies_on_the_diagonal_for_a_true_model():
    rows = reliability(PAIRS)
    assert sum(row["pairs"] for row in rows) == len(PAIRS)
    for row in rows:
        assert abs(row["observed"] - row["expected"]) < 4 * row["error"]
        assert row["floor"] < row["error"]


def test_a_bias_that_cancels_among_the_answers_to_a_question_is_seen_answer_by_answer():
    for row in biases(PAIRS):
        assert abs(row["off"]) < 4 * row["error"]
        assert row["expected"] - row["observed"] == pytest.approx(row["off"], abs=1e-12)
    shifted = ALPHA.copy()
    shifted[:, 3] += 0.2 * ALPHA[:, 4]
    shifted[:, 4] *= 0.8
    found = {row["answer"]: row for row in biases(make_pairs(VOTES, shifted, KEYS, SCHEMA))}
    yes, no = found["edge-x_yes"], found["edge-x_no"]
    assert yes["off"] == pytest.approx(-no["off"], abs=1e-12)
    assert yes["off"] > 8 * yes["error"]
    assert abs(found["kind-x_disc"]["off"]) < 4 * found["kind-x_disc"]["error"]


def test_groups_cut_every_pair_once():
    values = np.random.default_rng(0).normal(size=N).tolist()
    values[7] = None
    source = ["a" if n % 3 else "b" for n in range(N)]
    cuts = {}
    for cut, name, chosen in groups_of(PAIRS, {"size": values, "source": source}):
        cuts.setdefault(cut, {})[name] = chosen
    assert set(cuts) == {"question", "campaign", "size", "source"}
    for parts in cuts.values():
        assert (np.sum(list(parts.values()), axis=0) == 1).all()
    assert set(cuts["source"]) == {"a", "b"} and len(cuts["size"]) == 6
    galaxies = PAIRS.galaxy[cuts["size"]["missing"]]
    assert set(galaxies) == {7}


def test_shapes_are_checked():
    with pytest.raises(HoagError, match="votes have shape"):
        make_pairs(VOTES[:, :4], ALPHA, KEYS, SCHEMA)

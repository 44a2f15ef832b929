"""Volunteers: they read what can be seen of a galaxy and walk their campaign's decision tree.

Each kind of question (its name without the campaign) has one rule that weighs every answer any
campaign offers to it; a question takes the answers it has and normalises. Volunteers of one galaxy
share a draw from a Dirichlet around these chances, so their counts are Dirichlet-multinomial.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hoag.errors import HoagError
from hoag.simulator.perception import Perception, ring_probability
from hoag.simulator.structure import Truth

if TYPE_CHECKING:
    from hoag.schema import Question, Schema

Weights = dict[str, float]
Rule = Callable[[Truth, Perception], Weights]

RING_VOLUNTEERS = 10
# How closely the volunteers of one galaxy follow the chances: the sum of Dirichlet concentrations.
_AGREEMENT = 14.0
# Volunteers a galaxy gets: chances and ranges, by campaign (retired early or asked in full).
_NUMBERS: dict[str, tuple[tuple[float, int, int], ...]] = {
    "gz2": ((1.0, 28, 40),),
    "dr12": ((1.0, 20, 40),),
    "dr5": ((0.6, 5, 8), (0.4, 30, 40)),
    "dr8": ((0.5, 5, 12), (0.5, 25, 40)),
    "hubble": ((1.0, 25, 40),),
    "candels": ((0.3, 15, 30), (0.7, 30, 40)),
}


def number_of_volunteers(rng: np.random.Generator, campaign: str) -> int:
    """Draw how many volunteers see a galaxy, 5 to 40."""
    ranges = _NUMBERS.get(campaign, ((1.0, 5, 40),))
    place = min(
        int(np.searchsorted(np.cumsum([r[0] for r in ranges]), rng.random())), len(ranges) - 1
    )
    return int(rng.integers(ranges[place][1], ranges[place][2] + 1))


def answer_probabilities(
    question: "Question", truth: Truth, sight: Perception
) -> NDArray[np.float64]:
    """Chance of each answer to a question: (answers,), sums to 1.

    Raises
    ------
    HoagError
        If no rule knows the question or one of its answers.
    """
    stem = question.short
    if stem not in RULES:
        raise HoagError(f"question {question.name!r}: the simulated volunteers have no rule for it")
    weights = RULES[stem](truth, sight)
    missing = [answer for answer in question.answers if answer not in weights]
    if missing:
        raise HoagError(
            f"answer {question.name}{missing[0]}: the simulated volunteers do not know it"
        )
    chances = np.array([max(weights[answer], 0.0) for answer in question.answers]) + 1e-3
    chances /= chances.sum()
    return (1 - sight.confusion) * chances + sight.confusion / len(chances)


def vote(
    schema: "Schema", campaign: str, truth: Truth, sight: Perception, rng: np.random.Generator
) -> NDArray[np.int16]:
    """Give the votes of a galaxy's volunteers: (answers,) int16, 0 where not asked.

    A question gets exactly the votes that were given to the answers it is asked after.
    """
    votes = np.zeros(len(schema.columns), np.int16)
    place = {column: index for index, column in enumerate(schema.columns)}
    everyone = number_of_volunteers(rng, campaign)
    waiting = [question for question in schema.questions if question.campaign == campaign]
    done: set[str] = set()
    asked_of = {column: q.name for q in waiting for column in q.columns}
    while waiting:
        ready = [q for q in waiting if all(asked_of[a] in done for a in q.asked_after)]
        for question in ready:
            parents = [place[answer] for answer in question.asked_after]
            number = int(votes[parents].sum()) if parents else everyone
            if number:
                chances = answer_probabilities(question, truth, sight)
                shared = rng.dirichlet(_AGREEMENT * chances + 0.02)
                votes[question.start : question.stop] = rng.multinomial(number, shared)
            done.add(question.name)
        waiting = [q for q in waiting if q.name not in done]
    return votes


def vote_on_ring(truth: Truth, sight: Perception, rng: np.random.Generator) -> int:
    """Give how many of the 10 volunteers call the galaxy ringed."""
    chance = ring_probability(truth, sight)
    shared = rng.beta(30 * chance + 0.02, 30 * (1 - chance) + 0.02)
    return int(rng.binomial(RING_VOLUNTEERS, shared))


def _near(value: float, places: Weights, width: float) -> Weights:
    return {a: float(np.exp(-0.5 * ((value - place) / width) ** 2)) for a, place in places.items()}


def _logistic(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))


def _smooth_or_featured(truth: Truth, sight: Perception) -> Weights:
    unseen = (1 - 0.95 * sight.arms) * (1 - 0.85 * sight.bar) * (1 - 0.9 * sight.ring)
    unseen *= (1 - 0.9 * sight.clumps) * (1 - 0.4 * sight.debris)
    flat = _logistic((0.36 - sight.elongation) * 16) if truth.kind != "smooth" else 0.0
    unseen *= 1 - 0.9 * flat
    if truth.kind == "disc":
        unseen *= 1 - 0.35 * sight.disc * (1 - truth.bulge_fraction)
    featured = (1 - unseen) * (1 - sight.artefact)
    smooth = unseen * (1 - sight.artefact)
    return {
        "_smooth": smooth, "_featured-or-disk": featured, "_features": featured,
        "_artifact": sight.artefact,
    }  # fmt: skip


def _edge_on(truth: Truth, sight: Perception) -> Weights:
    yes = _logistic((0.30 - sight.elongation) * 22)
    if truth.kind == "edge-on":
        yes = max(yes, 0.75)
    return {"_yes": yes, "_no": 1 - yes}


def _spiral(truth: Truth, sight: Perception) -> Weights:
    mistaken = 0.12 * sight.ring + 0.25 * sight.debris
    yes = 1 - (1 - sight.arms) * (1 - mistaken)
    return {"_yes": yes, "_no": 1 - yes}


def _bar(truth: Truth, sight: Perception) -> Weights:
    yes = sight.bar
    strong = _logistic((truth.bar_strength - 0.5) * 9)
    return {"_yes": yes, "_no": 1 - yes, "_strong": yes * strong, "_weak": yes * (1 - strong)}


def _bulge_size(truth: Truth, sight: Perception) -> Weights:
    size = (0.25 + 0.75 * sight.bulge) * float(np.sqrt(truth.bulge_fraction))
    places = {
        "_dominant": 0.85, "_large": 0.66, "_obvious": 0.55, "_moderate": 0.46, "_small": 0.26,
        "_just-noticeable": 0.26, "_none": 0.04, "_no": 0.04,
    }  # fmt: skip
    return _near(size, places, 0.13)


def _how_rounded(truth: Truth, sight: Perception) -> Weights:
    q = sight.elongation
    cigar, round_ = _logistic((0.40 - q) * 14), _logistic((q - 0.80) * 14)
    between = (1 - cigar) * (1 - round_)
    return {
        "_completely": round_, "_round": round_, "_in-between": between,
        "_cigar-shaped": cigar, "_cigar": cigar,
    }  # fmt: skip


def _edge_on_bulge(truth: Truth, sight: Perception) -> Weights:
    there = sight.bulge * min(1.0, 5 * truth.bulge_fraction) if truth.kind == "edge-on" else 0.0
    if truth.kind == "disc":
        there = sight.bulge * min(1.0, 3 * truth.bulge_fraction)
    boxy = 0.75 * sight.bulge + 0.1 if truth.bulge_shape == "boxy" else 0.07
    none, rounded, box = 1 - there, there * (1 - boxy), there * boxy
    return {
        "_boxy": box, "_none": none, "_no-bulge": none, "_rounded": rounded, "_round": rounded,
        "_yes": there, "_no": none,
    }  # fmt: skip


def _winding(truth: Truth, sight: Perception) -> Weights:
    if not truth.arm_number:
        return {"_tight": 0.5, "_medium": 0.3, "_loose": 0.2}
    places = {"_tight": np.log(9.0), "_medium": np.log(17.0), "_loose": np.log(31.0)}
    return _near(float(np.log(np.degrees(truth.arm_pitch))), places, 0.36)


def _arm_count(truth: Truth, sight: Perception) -> Weights:
    unclear = 0.08 + 0.7 * (1 - sight.arms) + 0.5 * truth.flocculence
    weights = _near(float(truth.arm_number or 2), {f"_{k}": float(k) for k in range(1, 5)}, 0.55)
    many = 1.0 if truth.arm_number > 4 else 0.15 * truth.flocculence
    return {**weights, "_more-than-4": many, "_5-plus": many, "_cant-tell": unclear}


def _merging(truth: Truth, sight: Perception) -> Weights:
    close = sight.companion
    neither = (1 - close) * (1 - sight.debris) + 0.02
    merger, debris, both = (
        close * (1 - sight.debris),
        (1 - close) * sight.debris,
        close * sight.debris,
    )
    major = debris * _logistic((truth.tail_strength + 0.5 * truth.lopsided - 0.35) * 9)
    return {
        "_neither": neither, "_none": neither, "_merger": merger + (both if close else 0.0) * 0.5,
        "_tidal-debris": debris, "_both": both, "_minor-disturbance": debris - major,
        "_major-disturbance": major + 0.5 * both,
    }  # fmt: skip


def _odd(truth: Truth, sight: Perception) -> Weights:
    dust = 0.4 * truth.dust if truth.kind == "edge-on" else 0.0
    calm = (1 - 0.8 * sight.debris) * (1 - 0.85 * sight.companion) * (1 - dust)
    yes = 1 - 0.96 * calm * (1 - 0.3 * sight.clumps)
    return {"_yes": yes, "_no": 1 - yes}


def _clumpy(truth: Truth, sight: Perception) -> Weights:
    yes = 1 - (1 - sight.clumps) * (1 - 0.2 * sight.arms * truth.flocculence)
    return {"_yes": yes, "_no": 1 - yes}


def _clump_count(truth: Truth, sight: Perception) -> Weights:
    number = max(truth.clump_number, 1)
    weights = _near(float(number), {f"_{k}": float(k) for k in range(1, 5)}, 0.7)
    many = _logistic((number - 4.6) * 2.5)
    return {**weights, "_5-plus": many, "_cant-tell": 0.1 + 0.6 * (1 - sight.clumps)}


def _symmetrical(truth: Truth, sight: Perception) -> Weights:
    uneven = 0.45 * truth.lopsided + 0.5 * sight.debris + 0.5 * sight.companion
    yes = _logistic(0.4 * (truth.clump_number - 3)) * max(0.0, 1 - uneven)
    return {"_yes": yes, "_no": 1 - yes}


def _embedded(truth: Truth, sight: Perception) -> Weights:
    yes = _logistic((0.42 - truth.clump_fraction) * 12) * (0.4 + 0.6 * sight.disc)
    return {"_yes": yes, "_no": 1 - yes}


RULES: dict[str, Rule] = {
    "smooth-or-featured": _smooth_or_featured,
    "disk-edge-on": _edge_on,
    "has-spiral-arms": _spiral,
    "bar": _bar,
    "bulge-size": _bulge_size,
    "how-rounded": _how_rounded,
    "edge-on-bulge": _edge_on_bulge,
    "bulge-shape": _edge_on_bulge,
    "spiral-winding": _winding,
    "spiral-arm-count": _arm_count,
    "merging": _merging,
    "something-odd": _odd,
    "clumpy-appearance": _clumpy,
    "clump-count": _clump_count,
    "galaxy-symmetrical": _symmetrical,
    "clumps-embedded-larger-object": _embedded,
}

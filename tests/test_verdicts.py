"""The six claims: curves whose accuracies are known give the verdicts that they must."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from hoag.curves import combine

from .made_curves import known

SCIENCE = Path(__file__).parents[1] / "runs" / "science"
GALAXIES = 2000
FEW, SOME, MANY = 100, 1000, 10_000


@pytest.fixture
def science(monkeypatch):
    """Import a module of runs/science by name."""
    monkeypatch.syspath_prepend(str(SCIENCE))
    return importlib.import_module


def curve_of(accuracies):
    """{arm: {size: accuracy}}: galaxies are right in one order, so arms differ without noise."""
    rank = np.random.default_rng(0).permutation(GALAXIES)
    return combine(
        [
            known(rank < accuracy * GALAXIES, size, arm)
            for arm, own in accuracies.items()
            for size, accuracy in own.items()
        ]
    )


PAPERS = {
    "hybrid": {FEW: 0.85, SOME: 0.88, MANY: 0.90},
    "pretrained": {FEW: 0.79, SOME: 0.86, MANY: 0.90},
    "contrastive": {FEW: 0.79, SOME: 0.83, MANY: 0.84},
    "direct": {FEW: 0.60, SOME: 0.80, MANY: 0.86},
}


def losses(lower="contrastive"):
    return [
        {"arm": arm, "galaxies_seen": 100 * step, "accuracy": 0.6 + 0.01 * step,
         "contrastive": -0.1 * step - 0.05 * (arm == lower)}
        for arm in ("contrastive", "hybrid")
        for step in (1, 2, 3)
    ]  # fmt: skip


def judged(science, curve, **more):
    claims = science("claims")
    found = claims.judge(claims.Evidence(curve, more.pop("losses", losses()), **more))
    return {claim["number"]: claim for claim in found}


def verdicts_of(found):
    return {number: claim["verdict"] for number, claim in found.items()}


def changed(arm, **accuracies):
    sizes = {"few": FEW, "some": SOME, "many": MANY}
    own = PAPERS[arm] | {sizes[name]: value for name, value in accuracies.items()}
    return PAPERS | {arm: own}


def test_the_papers_own_numbers_show_its_claims(science):
    second = {
        "hybrid": {FEW: 0.84, SOME: 0.88, MANY: 0.90},
        "contrastive": {FEW: 0.70, SOME: 0.72, MANY: 0.75},
    }
    found = judged(science, curve_of(PAPERS), second=curve_of(second), second_losses=losses())
    assert set(verdicts_of(found).values()) == {"shown"}
    rows = {row["what"]: row["difference"] for row in found["2"]["rows"]}
    assert rows["gain over the better, at 100 less at 10,000 labels"] == pytest.approx(0.06)
    assert rows["gain over contrastive, at 100 less at 10,000 labels"] == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("accuracies", "number", "verdict"),
    [
        (changed("hybrid", some=0.83), "1", "contradicted"),
        (changed("hybrid", few=0.76, many=0.95), "2", "contradicted"),
        (changed("pretrained", many=0.85), "3", "contradicted"),
        (changed("direct", many=0.95), "4", "contradicted"),
        (changed("direct", few=0.95), "5", "contradicted"),
        (changed("contrastive", many=0.95), "6", "contradicted"),
        ({arm: PAPERS["hybrid"] for arm in PAPERS}, "1", "not shown"),
        ({arm: PAPERS["hybrid"] for arm in PAPERS}, "2", "not shown"),
        ({arm: PAPERS["hybrid"] for arm in PAPERS}, "4", "not shown"),
        ({arm: PAPERS["hybrid"] for arm in PAPERS}, "6", "not shown"),
    ],
)
def test_other_numbers_give_other_verdicts(science, accuracies, number, verdict):
    found = judged(science, curve_of(accuracies))
    assert found[number]["verdict"] == verdict, found[number]["because"]


def test_what_few_galaxies_cannot_decide_is_not_shown(science):
    rng = np.random.default_rng(1)
    few = combine(
        [known(rng.random(60) < 0.8, FEW, arm) for arm in ("hybrid", "pretrained", "contrastive")]
    )
    assert verdicts_of(judged(science, few))["1"] == "not shown"
    assert verdicts_of(judged(science, few))["3"] == "not shown"


def test_a_claim_about_an_arm_that_is_missing_is_not_tested(science):
    without = {arm: own for arm, own in PAPERS.items() if arm != "direct"}
    found = judged(science, curve_of(without))
    assert {n for n, v in verdicts_of(found).items() if v == "not tested"} == {"4", "5", "6b", "6c"}


def test_lower_loss_with_better_accuracy_contradicts_whichever_arm_has_it(science):
    found = judged(science, curve_of(PAPERS), losses=losses(lower="hybrid"))
    assert found["6"]["verdict"] == "contradicted"
    along = found["6"]["more"]["rank correlation along training"]
    assert {row["arm"]: row["spearman"] for row in along} == {"contrastive": -1, "hybrid": -1}


def test_the_crossing_is_on_a_straight_line_against_the_logarithm(science):
    accuracies = {
        "contrastive": {100: 0.80, 1000: 0.80, 10_000: 0.80},
        "direct": {100: 0.70, 1000: 0.75, 10_000: 0.85},
    }
    crossing = judged(science, curve_of(accuracies))["5"]["more"]["crossing"]
    assert crossing["labels"] == pytest.approx(10**3.5, rel=1e-6)
    assert crossing["low"] < crossing["labels"] < crossing["high"]
    below = {"contrastive": {100: 0.6, 1000: 0.6}, "direct": {100: 0.7, 1000: 0.8}}
    crossing = judged(science, curve_of(below))["5"]["more"]["crossing"]
    assert (crossing["labels"], crossing["place"]) == (None, "before")


def test_intervals_all_together_are_wider_and_equal_the_own_one_of_a_single_difference(science):
    comparing = science("comparing")
    curve = curve_of(PAPERS)
    rows = comparing.compared(
        curve,
        [
            comparing.Difference("", size, {("hybrid", size): 1.0, ("contrastive", size): -1.0})
            for size in (FEW, SOME, MANY)
        ],
    )
    for row in rows:
        assert row["low_all"] < row["low"] < row["difference"] < row["high"] < row["high_all"]
    [alone] = comparing.compared(
        curve, [comparing.Difference("", FEW, {("hybrid", FEW): 1.0, ("direct", FEW): -1.0})]
    )
    assert alone["low_all"] == pytest.approx(alone["low"], abs=0.002)
    assert alone["high_all"] == pytest.approx(alone["high"], abs=0.002)


def test_accuracies_that_follow_from_the_papers_numbers(science):
    told = science("paper").paper()
    assert told["others"]["value"] == pytest.approx(0.786, abs=0.0005)
    assert told["hybrid"]["value"] == pytest.approx(0.846, abs=0.0005)

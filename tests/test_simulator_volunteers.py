"""The simulated volunteers: votes obey the tree, read the truth, and scatter as they should."""

import numpy as np
import pytest

from hoag.errors import HoagError
from hoag.schema import load_schema
from hoag.simulator.perception import perceive, ring_probability
from hoag.simulator.structure import Truth, draw_truth
from hoag.simulator.surveys import load_surveys
from hoag.simulator.volunteers import RULES, answer_probabilities, vote, vote_on_ring

SCHEMA = load_schema("gz-evo")
SURVEYS = {"gz2": "sdss", "hubble": "hst-hubble", "candels": "hst-candels"}


def sample(campaign, number):
    survey = load_surveys()[SURVEYS.get(campaign, "decals")]
    for n in range(number):
        rng = np.random.default_rng([n, len(campaign)])
        truth = draw_truth(rng, survey)
        yield truth, vote(SCHEMA, campaign, truth, perceive(truth), rng)


@pytest.fixture(scope="module")
def votes():
    return {c: np.stack([v for _, v in sample(c, 250)]) for c in SCHEMA.campaigns}


def test_children_are_asked_exactly_of_their_parents_voters(votes):
    place = {column: k for k, column in enumerate(SCHEMA.columns)}
    for campaign, counts in votes.items():
        for question in SCHEMA.questions:
            total = counts[:, question.start : question.stop].sum(1)
            if question.campaign != campaign:
                assert (total == 0).all()
            elif question.asked_after:
                parents = counts[:, [place[a] for a in question.asked_after]].sum(1)
                assert (total == parents).all(), question.name
            else:
                assert total.min() >= 5 and total.max() <= 40


def test_every_question_and_answer_gets_votes(votes):
    everything = sum(counts.sum(0, dtype=np.int64) for counts in votes.values())
    assert (everything > 0).all()


def test_every_kind_of_question_has_a_rule_and_chances_sum_to_one():
    stems = {q.name.removesuffix(f"-{q.campaign}") for q in SCHEMA.questions}
    assert stems == set(RULES)
    for truth, _ in sample("dr5", 20):
        for question in SCHEMA.questions:
            chances = answer_probabilities(question, truth, perceive(truth))
            assert chances.sum() == pytest.approx(1) and (chances > 0).all()


def test_an_unknown_question_is_refused():
    from dataclasses import replace

    question = replace(SCHEMA.questions[0], name="favourite-colour-dr12")
    truth = Truth("decals")
    with pytest.raises(HoagError, match="no rule"):
        answer_probabilities(question, truth, perceive(truth))


def bright(**changes):
    base = {"radius": 20.0, "surface_brightness": 20.5, "redshift": 0.03}
    return Truth("decals", **(base | changes))


ARMS = {"arm_number": 2, "arm_strength": 1.5}
SMOOTH = {"kind": "smooth"}
EDGE_ON = {"kind": "edge-on", "bulge_fraction": 0.4}
CLUMPS = {"clump_number": 2, "clump_fraction": 0.5}
UNEVEN = {"lopsided": 0.7, "tail_strength": 0.7}


@pytest.mark.parametrize(
    ("question", "answer", "less", "more"),
    [
        ("smooth-or-featured-dr5", "_smooth", ARMS, SMOOTH),
        ("disk-edge-on-dr5", "_yes", {}, EDGE_ON | {"axis_ratio": 0.12}),
        ("has-spiral-arms-dr5", "_yes", {}, ARMS),
        ("bar-dr5", "_strong", {"bar_strength": 0.2}, {"bar_strength": 1.0}),
        ("bar-dr12", "_yes", {}, {"bar_strength": 1.0}),
        ("bulge-size-dr5", "_dominant", {"bulge_fraction": 0.1}, {"bulge_fraction": 0.75}),
        ("how-rounded-dr5", "_cigar-shaped", SMOOTH, SMOOTH | {"axis_ratio": 0.25}),
        ("merging-dr5", "_merger", {}, {"companion_ratio": 0.9, "companion_separation": 0.7}),
        ("spiral-winding-dr5", "_loose", ARMS | {"arm_pitch": 0.12}, ARMS | {"arm_pitch": 0.7}),
        ("spiral-arm-count-dr5", "_3", ARMS, ARMS | {"arm_number": 3}),
        ("edge-on-bulge-dr5", "_boxy", EDGE_ON, EDGE_ON | {"bulge_shape": "boxy"}),
        ("bulge-shape-gz2", "_boxy", EDGE_ON, EDGE_ON | {"bulge_shape": "boxy"}),
        ("something-odd-gz2", "_yes", {}, {"tail_strength": 0.7}),
        ("clumpy-appearance-hubble", "_yes", {}, CLUMPS),
        ("clump-count-hubble", "_5-plus", CLUMPS, CLUMPS | {"clump_number": 8}),
        ("clumps-embedded-larger-object-hubble", "_no", {"clump_fraction": 0.1}, CLUMPS),
        ("galaxy-symmetrical-hubble", "_yes", UNEVEN, {"clump_number": 6}),
        ("smooth-or-featured-gz2", "_artifact", {}, {"artefact": "star", "artefact_strength": 1.0}),
    ],
)
def test_answers_follow_the_truth(question, answer, less, more):
    asked = SCHEMA.question(question)
    k = asked.answers.index(answer)
    chances = [
        answer_probabilities(asked, t, perceive(t))[k] for t in (bright(**less), bright(**more))
    ]
    assert chances[1] > chances[0] + 0.2


def test_bad_images_leave_volunteers_guessing():
    asked = SCHEMA.question("has-spiral-arms-dr5")
    clear = bright(arm_number=2, arm_strength=1.5)
    blurred = bright(arm_number=2, arm_strength=1.5, radius=3.0, psf_scale=3.0, deeper=-5.0)
    yes = [answer_probabilities(asked, t, perceive(t))[0] for t in (clear, blurred)]
    assert yes[0] > 0.75 and yes[1] < 0.5


def test_counts_are_wider_than_multinomial():
    truth = bright(arm_number=2, arm_strength=0.5)
    asked = SCHEMA.question("has-spiral-arms-gz2")
    fractions, expected = [], []
    for n in range(300):
        counts = vote(SCHEMA, "gz2", truth, perceive(truth), np.random.default_rng(n))
        yes, no = counts[asked.start : asked.stop]
        if yes + no >= 10:
            fractions.append(yes / (yes + no))
            expected.append(1 / (yes + no))
    mean = np.mean(fractions)
    assert np.var(fractions) > 1.5 * mean * (1 - mean) * np.mean(expected)


def test_ring_votes_follow_the_chance_and_spirals_are_taken_for_rings():
    ringed = bright(ring_contrast=4.0, ring_radius=0.6, ring_width=0.08)
    tight = bright(arm_number=2, arm_strength=1.2, arm_pitch=0.12)
    chances = [ring_probability(t, perceive(t)) for t in (bright(), tight, ringed)]
    assert chances[0] < chances[1] < chances[2]
    counts = [vote_on_ring(ringed, perceive(ringed), np.random.default_rng(n)) for n in range(400)]
    assert np.mean(counts) / 10 == pytest.approx(chances[2], abs=0.03)


def test_edges_of_lenses_and_breaks_are_sometimes_taken_for_rings():
    lens, broken = bright(lens_strength=1.0), bright(break_strength=1.0, break_radius=0.7)
    for truth in (lens, broken):
        assert ring_probability(truth, perceive(truth)) > ring_probability(
            bright(), perceive(bright())
        )

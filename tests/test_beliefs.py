"""Beliefs against scipy, sums by hand down trees, and Monte Carlo of mixtures."""

import numpy as np
import pytest
from scipy import stats

from hoag import HoagError, load_schema
from hoag.beliefs import Beliefs
from hoag.campaigns import Question
from hoag.posteriors import fraction_interval, vote_interval
from hoag.schema import Schema

GZ2 = load_schema("gz2")
ONE = Schema("one", (Question("bar-x", "x", ("_yes", "_no", "_maybe")),))
TREE = Schema(
    "tree",
    (
        Question("kind-x", "x", ("_smooth", "_disc", "_star")),
        Question("edge-x", "x", ("_yes", "_no"), ("kind-x_disc",)),
        Question("odd-x", "x", ("_yes", "_no"), ("kind-x_smooth", "edge-x_yes", "edge-x_no")),
        Question("why-x", "x", ("_a", "_b"), ("odd-x_yes",)),
    ),
)


def random_alphas(models, n=40, schema=ONE, seed=0):
    random = np.random.default_rng(seed)
    return [np.exp(random.uniform(-3, 4, (n, len(schema.columns)))) for _ in range(models)]


def test_one_model_is_beta_and_beta_binomial():
    (alpha,) = random_alphas(1)
    beliefs, whole = Beliefs.of([alpha], ONE), alpha.sum(1, keepdims=True)
    marginal = stats.beta(alpha, whole - alpha)
    np.testing.assert_allclose(beliefs.fraction(), marginal.mean(), rtol=1e-12)
    np.testing.assert_allclose(beliefs.deviation(), marginal.std(), rtol=1e-9)
    low, high = beliefs.fraction_interval(0.9)
    np.testing.assert_allclose(low, marginal.ppf(0.05), rtol=1e-7, atol=1e-300)
    np.testing.assert_allclose(high, marginal.ppf(0.95), rtol=1e-7)
    fewest, most = beliefs.vote_interval(40, 0.9)
    counts = stats.betabinom(40, alpha, whole - alpha)
    np.testing.assert_array_equal(fewest, counts.ppf(0.05))
    np.testing.assert_array_equal(most, counts.ppf(0.95))


def test_the_two_ways_to_ask_agree():
    (alpha,) = random_alphas(1, schema=GZ2)
    beliefs = Beliefs.of([alpha], GZ2)
    for ours, theirs in zip(
        beliefs.fraction_interval(0.8) + beliefs.vote_interval(17, 0.8),
        fraction_interval(alpha, GZ2, 0.8) + vote_interval(alpha, GZ2, 17, 0.8),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_equal_models_are_one_model():
    (alpha,) = random_alphas(1)
    one, three = Beliefs.of([alpha], ONE), Beliefs.of([alpha] * 3, ONE)
    np.testing.assert_allclose(one.fraction_interval(), three.fraction_interval(), atol=1e-9)
    np.testing.assert_array_equal(one.vote_interval(30), three.vote_interval(30))
    np.testing.assert_allclose(one.deviation(), three.deviation(), rtol=1e-12)


def test_a_mixture_is_what_monte_carlo_says():
    # Two models that are each sure of something else: the mixture is wide, the means of their
    # intervals would be narrow.
    alphas = [np.array([[60.0, 30.0, 5.0]]), np.array([[5.0, 40.0, 60.0]])]
    beliefs, random = Beliefs.of(alphas, ONE), np.random.default_rng(0)
    draws = np.concatenate([random.dirichlet(a[0], 200_000) for a in alphas])
    np.testing.assert_allclose(beliefs.fraction()[0], draws.mean(0), atol=2e-3)
    np.testing.assert_allclose(beliefs.deviation()[0], draws.std(0), atol=2e-3)
    low, high = beliefs.fraction_interval(0.9)
    np.testing.assert_allclose(low[0], np.quantile(draws, 0.05, axis=0), atol=4e-3)
    np.testing.assert_allclose(high[0], np.quantile(draws, 0.95, axis=0), atol=4e-3)
    votes = random.binomial(20, draws)
    fewest, most = beliefs.vote_interval(20, 0.9)
    for answer in range(3):
        inside = (votes[:, answer] >= fewest[0, answer]) & (votes[:, answer] <= most[0, answer])
        assert inside.mean() >= 0.9 - 2e-3
        assert (votes[:, answer] < fewest[0, answer]).mean() <= 0.05 + 1e-3


def test_probability_asked_is_summed_over_parents_and_averaged_over_models():
    alphas = random_alphas(2, n=5, schema=TREE)
    expected = []
    for alpha in alphas:
        f = np.concatenate(
            [alpha[:, q.start : q.stop] / alpha[:, q.start : q.stop].sum(1, keepdims=True)
             for q in TREE.questions], axis=1
        )  # fmt: skip
        edge = f[:, 1]
        odd = f[:, 0] + edge * f[:, 3] + edge * f[:, 4]
        expected.append(np.stack([np.ones(5), edge, odd, odd * f[:, 5]], axis=1))
    beliefs = Beliefs.of(alphas, TREE)
    np.testing.assert_allclose(beliefs.probability_asked(), np.mean(expected, axis=0), rtol=1e-12)


def test_entropy_is_in_bits():
    even = Beliefs.of([np.array([[2.0, 2.0, 1e-12]])], ONE)
    assert even.entropy()[0, 0] == pytest.approx(1.0)
    assert Beliefs.of([np.full((1, 3), 7.0)], ONE).entropy()[0, 0] == pytest.approx(np.log2(3))
    assert Beliefs.of([np.array([[9.0, 1e-15, 1e-15]])], ONE).entropy()[0, 0] < 1e-12


def test_selecting_questions_changes_none_of_them():
    schema = load_schema()
    (alpha,) = random_alphas(1, n=3, schema=schema)
    whole, part = Beliefs.of([alpha], schema), Beliefs.of([alpha], schema).select(GZ2)
    places = [schema.columns.index(column) for column in GZ2.columns]
    np.testing.assert_array_equal(part.fraction(), whole.fraction()[:, places])
    questions = [q.campaign == "gz2" for q in schema.questions]
    np.testing.assert_allclose(
        part.probability_asked(), whole.probability_asked()[:, questions], rtol=1e-12
    )


def test_what_is_no_belief_is_said():
    with pytest.raises(HoagError, match="one model or more"):
        Beliefs.of([], ONE)
    with pytest.raises(HoagError, match="has 3 answers"):
        Beliefs.of([np.ones((2, 4))], ONE)
    with pytest.raises(HoagError, match="not a number above 0"):
        Beliefs.of([np.array([[1.0, 0.0, 1.0]])], ONE)
    with pytest.raises(HoagError, match="level = 1"):
        Beliefs.of([np.ones((1, 3))], ONE).fraction_interval(1)

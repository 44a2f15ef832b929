"""The likelihood and posteriors against scipy, integration by brute force and Monte Carlo."""

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from hoag import HoagError
from hoag.campaigns import Campaign, Question
from hoag.likelihood import Everywhere, WhereVoted
from hoag.schema import Schema, load_schema
from hoag.votes import (
    asked,
    expected_fraction,
    fraction_interval,
    masked_mean,
    negative_log_likelihood,
    probability_asked,
    vote_interval,
    vote_probabilities,
)

GZ_EVO = load_schema()
ONE = Schema("one", (Question("bar-x", "x", ("_yes", "_no")),), (Campaign("x"),))
THREE = Schema("three", (Question("size-x", "x", ("_a", "_b", "_c")),))


def random_case(n=16, most=12, top=101.0, seed=0):
    """Votes of whole galaxies, every question asked of about half of them."""
    random = torch.Generator().manual_seed(seed)
    votes = torch.randint(0, most, (n, 206), generator=random)
    was_asked = torch.rand(n, 65, generator=random) < 0.5
    votes = votes * was_asked[:, torch.tensor(GZ_EVO.question_index.copy())]
    return votes, 1 + (top - 1) * torch.rand(n, 206, generator=random)


def scipy_nll(votes, concentration, schema):
    votes, concentration = votes.numpy().astype(int), concentration.double().numpy()
    return np.stack(
        [
            -stats.dirichlet_multinomial.logpmf(
                votes[:, q.start : q.stop],
                concentration[:, q.start : q.stop],
                votes[:, q.start : q.stop].sum(axis=1),
            )
            for q in schema.questions
        ],
        axis=1,
    )


@pytest.mark.parametrize("top", [2.0, 9.0, 101.0, 1e4])
def test_likelihood_is_scipys(top):
    votes, concentration = random_case(top=top)
    ours = negative_log_likelihood(votes, concentration, GZ_EVO)
    assert ours.dtype == torch.float32
    assert ours.shape == (16, 65)
    np.testing.assert_allclose(ours, scipy_nll(votes, concentration, GZ_EVO), atol=2e-4, rtol=1e-5)


def test_likelihood_in_float64_is_scipys_to_many_digits():
    votes, concentration = random_case(top=101.0)
    ours = negative_log_likelihood(votes, concentration.double(), GZ_EVO)
    assert ours.dtype == torch.float64
    np.testing.assert_allclose(ours, scipy_nll(votes, concentration, GZ_EVO), atol=1e-10)


@pytest.mark.parametrize(("yes", "no"), [(0, 1), (2, 1), (3, 4), (0, 6)])
@pytest.mark.parametrize("alpha", [(1.0, 1.0), (2.5, 7.0), (0.6, 30.0)])
def test_likelihood_is_the_integral_of_equation_1_for_two_answers(yes, no, alpha):
    binomial, beta = stats.binom(yes + no, 0.5), stats.beta(*alpha)
    integral, _ = integrate.quad(
        lambda p: stats.binom.pmf(yes, binomial.args[0], p) * beta.pdf(p), 0, 1, limit=200
    )
    nll = negative_log_likelihood(torch.tensor([[yes, no]]), torch.tensor([alpha]), ONE)
    assert nll.item() == pytest.approx(-np.log(integral), rel=1e-4, abs=1e-6)


def test_likelihood_is_the_integral_of_equation_1_for_three_answers():
    votes, alpha = [2, 1, 3], [1.5, 4.0, 2.2]

    def inside(q, p):
        fractions = [p, q, 1 - p - q]
        multinomial = stats.multinomial.pmf(votes, sum(votes), fractions)
        return multinomial * stats.dirichlet.pdf(fractions, alpha)

    edge = 1e-9
    integral, _ = integrate.dblquad(
        inside, edge, 1 - 2 * edge, edge, lambda p: 1 - p - edge, epsabs=1e-7, epsrel=1e-5
    )
    nll = negative_log_likelihood(torch.tensor([votes]), torch.tensor([alpha]), THREE)
    assert nll.item() == pytest.approx(-np.log(integral), rel=1e-3)


def test_probabilities_of_all_outcomes_sum_to_one():
    outcomes = torch.tensor([[a, b, 7 - a - b] for a in range(8) for b in range(8 - a)])
    alpha = torch.tensor([[1.3, 20.0, 6.0]]).expand(len(outcomes), 3)
    assert (-negative_log_likelihood(outcomes, alpha, THREE)).exp().sum().item() == pytest.approx(
        1, abs=1e-5
    )


def test_thousands_of_votes_and_huge_concentrations_stay_exact():
    votes = torch.tensor([[3000, 9000], [700, 300], [1, 0]])
    alpha = torch.tensor([[30.0, 90.0], [1e6, 5e5], [1e8, 1e8]])
    ours = negative_log_likelihood(votes, alpha, ONE)
    exact = negative_log_likelihood(votes, alpha.double(), ONE)
    np.testing.assert_allclose(exact[:2], scipy_nll(votes, alpha, ONE)[:2], rtol=1e-6)
    assert exact[2].item() == pytest.approx(np.log(2), abs=1e-6)  # of lgammas of 2e9
    np.testing.assert_allclose(ours, exact, rtol=1e-6)


def test_small_concentrations_have_finite_gradients():
    alpha = torch.tensor([[1e-6, 1e-3]], requires_grad=True)
    negative_log_likelihood(torch.tensor([[3, 2]]), alpha, ONE).sum().backward()
    assert alpha.grad.isfinite().all()


def test_gradient_is_that_of_finite_differences():
    votes, concentration = random_case(n=3, top=20.0)
    alpha = concentration.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda a: negative_log_likelihood(votes, a, GZ_EVO), alpha)


def test_gradient_is_the_difference_of_digammas():
    votes, concentration = random_case()
    alpha = concentration.requires_grad_()
    negative_log_likelihood(votes, alpha, GZ_EVO).sum().backward()
    index, a, k = GZ_EVO.question_index, concentration.detach().double(), votes.double()
    total_a = torch.tensor(np.add.reduceat(a.numpy(), GZ_EVO.starts, axis=1)[:, index])
    total_k = torch.tensor(np.add.reduceat(k.numpy(), GZ_EVO.starts, axis=1)[:, index])
    by_hand = (total_a + total_k).digamma() - total_a.digamma() - (a + k).digamma() + a.digamma()
    np.testing.assert_allclose(alpha.grad, by_hand, atol=2e-6, rtol=1e-4)


@pytest.mark.parametrize("whole", [True, False])
def test_accelerators_find_what_processors_do(whole):
    votes, concentration = random_case(top=20.0)
    votes = votes if whole else votes / 2
    concentration[~asked(votes, GZ_EVO)[:, torch.tensor(GZ_EVO.question_index.copy())]] = torch.nan
    found = []
    for way in (WhereVoted, Everywhere):
        alpha = concentration.double().requires_grad_()
        nll = way.apply(votes, alpha, GZ_EVO)
        (nll * torch.arange(65)).sum().backward()
        found.append((nll.detach(), alpha.grad))
    for gathered, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, gathered, rtol=1e-10, atol=1e-10)
        assert torch.equal(ours == 0, gathered == 0)


def test_an_accelerator_is_given_few_operations():
    votes, concentration = random_case()
    Everywhere.apply(votes, concentration, GZ_EVO)  # makes its tables
    with torch.profiler.profile() as profile:
        alpha = concentration.requires_grad_()
        nll = Everywhere.apply(votes, alpha, GZ_EVO)
        nll.backward(nll)
    names = [event.name.removeprefix("aten::") for event in profile.events()]
    names = names[: names.index("mul") + 1]  # CUDA casts within the last
    kernels = ("_to_copy", "addmm", "addmm_", "mm", "where", "lgamma", "digamma", "sub",
               "index_select", "mul")  # fmt: skip
    assert sum(name in kernels for name in names) < 15, names


def test_there_is_no_second_derivative():
    votes, concentration = random_case()
    alpha = concentration.requires_grad_()
    nll = negative_log_likelihood(votes, alpha, GZ_EVO).square().sum()
    (gradient,) = torch.autograd.grad(nll, alpha, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_unasked_questions_have_exactly_zero_value_and_gradient():
    votes, concentration = random_case()
    alpha = concentration.requires_grad_()
    nll = negative_log_likelihood(votes, alpha, GZ_EVO)
    nll.sum().backward()
    was_asked = asked(votes, GZ_EVO)
    per_answer = was_asked[:, torch.tensor(GZ_EVO.question_index.copy())]
    assert (nll[~was_asked] == 0).all() and (nll[was_asked] > 0).all()
    assert (alpha.grad[~per_answer] == 0).all() and (alpha.grad[per_answer] != 0).all()


def test_nothing_predicted_for_an_unasked_question_can_spoil_the_batch():
    alpha = torch.tensor([[float("inf"), 2.0], [float("nan"), 0.0]], requires_grad=True)
    nll = negative_log_likelihood(torch.zeros(2, 2), alpha, ONE)
    nll.sum().backward()
    assert (nll == 0).all()
    assert (alpha.grad == 0).all()


def test_nan_in_what_was_asked_is_not_hidden():
    nan = float("nan")
    assert negative_log_likelihood(torch.ones(1, 2), torch.tensor([[nan, 2.0]]), ONE).isnan().all()
    assert negative_log_likelihood(torch.tensor([[nan, 2.0]]), torch.ones(1, 2), ONE).isnan().all()


def test_no_labelled_galaxy_gives_zero_loss_and_zero_gradient():
    _, concentration = random_case(n=4)
    alpha = concentration.requires_grad_()
    votes = torch.zeros(4, 206, dtype=torch.int32)
    total, pairs = masked_mean(negative_log_likelihood(votes, alpha, GZ_EVO), asked(votes, GZ_EVO))
    (total / pairs.clamp(min=1)).backward()
    assert total.item() == 0 and pairs.item() == 0
    assert (alpha.grad == 0).all()


def test_masked_mean_gives_sum_and_number_of_answered_pairs():
    nll = torch.tensor([[1.0, 2.0], [4.0, float("inf")]], requires_grad=True)
    total, pairs = masked_mean(nll, torch.tensor([[True, False], [True, False]]))
    total.backward()
    assert (total.item(), pairs.item()) == (5.0, 2.0)
    assert nll.grad.tolist() == [[1.0, 0.0], [1.0, 0.0]]


def test_bfloat16_autocast_changes_nothing():
    votes, concentration = random_case()
    plain = negative_log_likelihood(votes, concentration, GZ_EVO)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = negative_log_likelihood(votes, concentration, GZ_EVO)
        fraction = expected_fraction(concentration, GZ_EVO)
        reached = probability_asked(concentration, GZ_EVO)
    assert under.dtype == fraction.dtype == reached.dtype == torch.float32
    assert torch.equal(under, plain)
    assert torch.equal(fraction, expected_fraction(concentration, GZ_EVO))
    assert torch.equal(reached, probability_asked(concentration, GZ_EVO))


def test_bfloat16_concentrations_are_computed_in_float32():
    votes, concentration = random_case()
    rough = concentration.bfloat16()
    assert torch.equal(
        negative_log_likelihood(votes, rough, GZ_EVO),
        negative_log_likelihood(votes, rough.float(), GZ_EVO),
    )


def test_a_galaxy_does_not_depend_on_its_neighbours():
    votes, concentration = random_case()
    whole = negative_log_likelihood(votes, concentration, GZ_EVO)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    shuffled = negative_log_likelihood(votes[order], concentration[order], GZ_EVO)
    alone = negative_log_likelihood(votes[:1], concentration[:1], GZ_EVO)
    assert torch.equal(shuffled, whole[order])
    torch.testing.assert_close(alone, whole[:1], rtol=1e-5, atol=1e-5)


def test_order_of_answers_within_a_question_does_not_matter():
    votes, alpha = torch.tensor([[5, 0, 2]]), torch.tensor([[3.0, 9.0, 1.5]])
    torch.testing.assert_close(
        negative_log_likelihood(votes, alpha, THREE),
        negative_log_likelihood(votes.flip(1), alpha.flip(1), THREE),
    )


def test_fractional_votes_lie_between_whole_ones():
    alpha = torch.tensor([[4.0, 2.0]]).expand(3, 2)
    nll = negative_log_likelihood(torch.tensor([[0.0, 3.0], [0.5, 3.0], [1.0, 3.0]]), alpha, ONE)
    assert nll.isfinite().all()
    assert min(nll[0], nll[2]) < nll[1] < max(nll[0], nll[2])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_votes_may_have_any_integer_type(dtype):
    votes, concentration = random_case()
    expected = negative_log_likelihood(votes.float(), concentration, GZ_EVO)
    assert torch.equal(negative_log_likelihood(votes.to(dtype), concentration, GZ_EVO), expected)


def test_inputs_are_not_changed():
    votes, concentration = random_case()
    copies = votes.clone(), concentration.clone()
    negative_log_likelihood(votes, concentration, GZ_EVO)
    probability_asked(concentration, GZ_EVO)
    assert torch.equal(votes, copies[0]) and torch.equal(concentration, copies[1])


def test_an_empty_batch_is_no_special_case():
    nothing = torch.zeros(0, 206)
    assert negative_log_likelihood(nothing, nothing, GZ_EVO).shape == (0, 65)
    assert probability_asked(nothing, GZ_EVO).shape == (0, 65)
    assert fraction_interval(nothing, GZ_EVO)[0].shape == (0, 206)


def test_a_first_call_under_inference_mode_leaves_training_possible():
    first = Question("first-y", "y", ("_yes", "_no"))
    schema = Schema("fresh", (first, Question("then-y", "y", ("_a", "_b"), ("first-y_yes",))))
    alpha = torch.ones(1, 4, requires_grad=True)
    with torch.inference_mode():
        negative_log_likelihood(torch.ones(1, 4), alpha, schema)
        probability_asked(alpha, schema)
    negative_log_likelihood(torch.ones(1, 4), alpha, schema).sum().backward()
    probability_asked(alpha, schema).sum().backward()


@pytest.mark.parametrize("shape", [(4, 205), (4, 207), (206,)])
def test_wrong_number_of_columns_is_refused(shape):
    good, bad = torch.ones(4, 206), torch.ones(shape)
    with pytest.raises(HoagError, match="votes have shape .* schema gz-evo has 206 answers"):
        negative_log_likelihood(bad, good, GZ_EVO)
    with pytest.raises(HoagError, match="concentration"):
        negative_log_likelihood(good, bad, GZ_EVO)
    for function in (expected_fraction, probability_asked, fraction_interval):
        with pytest.raises(HoagError, match="columns in the order of schema.columns"):
            function(bad, GZ_EVO)
    with pytest.raises(HoagError, match="votes"):
        asked(bad, GZ_EVO)


def test_different_numbers_of_galaxies_are_refused():
    with pytest.raises(HoagError, match="of 3 galaxies and concentrations of 4"):
        negative_log_likelihood(torch.ones(3, 206), torch.ones(4, 206), GZ_EVO)


def test_expected_fractions_are_the_mean_of_the_dirichlet():
    alpha = torch.tensor([[2.0, 5.0, 3.0]])
    assert expected_fraction(alpha, THREE)[0].tolist() == pytest.approx([0.2, 0.5, 0.3])
    _, concentration = random_case()
    sums = np.add.reduceat(expected_fraction(concentration, GZ_EVO).numpy(), GZ_EVO.starts, axis=1)
    np.testing.assert_allclose(sums, 1, atol=1e-6)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_fraction_interval_holds_its_share_of_dirichlet_draws(level):
    alpha = np.array([[2.0, 5.0, 1.2]])
    low, high = fraction_interval(alpha, THREE, level)
    draws = np.random.default_rng(0).dirichlet(alpha[0], size=40_000)
    inside = ((draws > low) & (draws < high)).mean(axis=0)
    np.testing.assert_allclose(inside, level, atol=0.01)
    np.testing.assert_allclose((draws < low).mean(axis=0), (1 - level) / 2, atol=0.01)


def test_vote_probabilities_are_those_of_simulated_volunteers():
    alpha, volunteers = np.array([[2.0, 5.0, 1.2]]), 12
    random = np.random.default_rng(0)
    draws = random.multinomial(volunteers, random.dirichlet(alpha[0], size=60_000))
    seen = np.stack([(draws == n).mean(axis=0) for n in range(volunteers + 1)], axis=-1)
    pmf = vote_probabilities(alpha, THREE, volunteers)
    np.testing.assert_allclose(pmf.sum(axis=-1), 1, rtol=1e-12)
    np.testing.assert_allclose(pmf[0], seen, atol=0.006)


def test_vote_probabilities_agree_with_the_likelihood_of_two_answers():
    alpha = torch.tensor([[3.3, 8.0]])
    votes = torch.tensor([[n, 9 - n] for n in range(10)])
    nll = negative_log_likelihood(votes, alpha.expand(10, 2), ONE)
    np.testing.assert_allclose(
        vote_probabilities(alpha, ONE, 9)[0, 0], (-nll[:, 0]).exp(), rtol=1e-4
    )


@pytest.mark.parametrize("volunteers", [1, 7, 40])
def test_vote_interval_is_scipys_beta_binomial_quantiles(volunteers):
    alpha = 1 + 20 * np.random.default_rng(0).random((5, 3))
    low, high = vote_interval(alpha, THREE, volunteers, level=0.8)
    marginal = stats.betabinom(volunteers, alpha, alpha.sum(axis=1, keepdims=True) - alpha)
    assert (marginal.cdf(low - 1) <= 0.1).all() and (marginal.cdf(low) > 0.1).all()
    assert (marginal.cdf(high) >= 0.9).all() and (marginal.cdf(high - 1) < 0.9).all()


def test_vote_interval_takes_each_galaxys_own_volunteers():
    alpha = np.array([[2.0, 5.0, 1.2]] * 3)
    low, high = vote_interval(alpha, THREE, np.array([[0], [5], [30]]))
    assert low[0].tolist() == high[0].tolist() == [0, 0, 0]
    for row, volunteers in ((1, 5), (2, 30)):
        alone = vote_interval(alpha[:1], THREE, volunteers)
        assert (low[row] == alone[0]).all() and (high[row] == alone[1]).all()


@pytest.mark.parametrize("volunteers", [-1, 2.5, float("nan"), float("inf"), "many"])
def test_volunteers_must_be_whole_numbers(volunteers):
    with pytest.raises(HoagError, match="whole number, 0 or more"):
        vote_interval(np.ones((1, 3)), THREE, volunteers)


def test_volunteers_of_another_shape_and_odd_levels_are_refused():
    with pytest.raises(HoagError, match=r"volunteers have shape \(2,\)"):
        vote_interval(np.ones((1, 3)), THREE, [1, 2])
    for level in (0, 1, 90):
        with pytest.raises(HoagError, match=r"not between 0 and 1"):
            fraction_interval(np.ones((1, 3)), THREE, level)


def test_probability_asked_multiplies_down_the_tree_and_adds_parents():
    gz2 = load_schema("gz2")
    alpha = torch.ones(1, len(gz2.columns))
    column = gz2.columns.index
    alpha[0, column("smooth-or-featured-gz2_smooth")] = 2  # fractions 2/8, 5/8, 1/8
    alpha[0, column("smooth-or-featured-gz2_featured-or-disk")] = 5
    alpha[0, column("disk-edge-on-gz2_no")] = 3  # fractions 1/4, 3/4
    found = dict(zip(gz2.questions, probability_asked(alpha, gz2)[0].tolist(), strict=True))
    found = {question.short: probability for question, probability in found.items()}
    assert found["smooth-or-featured"] == 1
    assert found["how-rounded"] == pytest.approx(2 / 8)
    assert found["disk-edge-on"] == pytest.approx(5 / 8)
    assert found["bar"] == found["bulge-size"] == pytest.approx(5 / 8 * 3 / 4)
    assert found["spiral-winding"] == pytest.approx(5 / 8 * 3 / 4 / 2)
    assert found["bulge-shape"] == pytest.approx(5 / 8 / 4)
    assert found["something-odd"] == pytest.approx(7 / 8)


def test_probability_asked_is_that_of_simulated_volunteers():
    hubble = load_schema("hubble")
    random = np.random.default_rng(3)
    alpha = 1 + 5 * random.random(len(hubble.columns))
    draws, reached = 20_000, {}
    given: dict[str, np.ndarray] = {}
    for question in hubble.questions:
        reached[question.name] = np.any(
            [given[parent] for parent in question.asked_after] or [np.ones(draws, bool)], axis=0
        )
        fractions = random.dirichlet(alpha[question.start : question.stop], size=draws)
        chosen = (random.random((draws, 1)) > fractions.cumsum(axis=1)).sum(axis=1)
        for n, column in enumerate(question.columns):
            given[column] = reached[question.name] & (chosen == n)
    ours = probability_asked(torch.tensor(alpha)[None], hubble)[0]
    np.testing.assert_allclose(ours, [seen.mean() for seen in reached.values()], atol=0.015)


def test_probability_asked_does_not_need_parents_first_and_never_exceeds_one():
    tree = Schema(
        "odd",
        (
            Question("last-x", "x", ("_a", "_b"), ("mid-x_a", "first-x_a", "mid-x_b")),
            Question("mid-x", "x", ("_a", "_b"), ("first-x_a",)),
            Question("first-x", "x", ("_a", "_b")),
        ),
    )
    found = probability_asked(torch.tensor([[1.0, 1, 1, 1, 3, 1]]), tree)[0]
    assert found.tolist() == pytest.approx([1, 0.75, 1])

import math

import pytest
import torch

from hoag.errors import HoagError
from hoag.mixing import MIXINGS, make_mixing, mix

CASES = [(-0.6, 2.5, 0.7), (-0.02, 11.0, 2.0), (-0.97, 0.3, 0.1), (0.4, 4.0, 1.5)]


def gradients(name: str, c: float, s: float, weight: float):
    contrastive = torch.tensor(c, dtype=torch.float64, requires_grad=True)
    supervised = torch.tensor(s, dtype=torch.float64, requires_grad=True)
    loss = mix(name, contrastive, supervised, weight)
    return [loss.item(), *(g.item() for g in torch.autograd.grad(loss, (contrastive, supervised)))]


@pytest.mark.parametrize(("c", "s", "weight"), CASES)
def test_paper_by_hand(c, s, weight):
    by_hand = [c + weight * abs(c), 1.0, weight * abs(c) / s]
    assert gradients("paper", c, s, weight) == pytest.approx(by_hand)


@pytest.mark.parametrize(("c", "s", "weight"), CASES)
def test_paper_has_the_gradient_of_a_logarithm(c, s, weight):
    # With |c| held, d(c + lambda |c| log s) is the same (method notes).
    supervised = torch.tensor(s, dtype=torch.float64, requires_grad=True)
    (wanted,) = torch.autograd.grad(c + weight * abs(c) * supervised.log(), supervised)
    assert gradients("paper", c, s, weight)[2] == pytest.approx(wanted.item())


@pytest.mark.parametrize(("c", "s", "weight"), CASES)
def test_equation3_by_hand(c, s, weight):
    distance = 2 + 2 * c  # 2 - 2 cos
    by_hand = [
        distance + weight * s / distance,
        2 - 2 * weight * s / distance**2,
        weight / distance,
    ]
    assert gradients("equation3", c, s, weight) == pytest.approx(by_hand)


def test_equation3_diverges_but_stays_finite_as_views_align():
    closer = [gradients("equation3", c, 2.0, 1.0)[0] for c in (-0.5, -0.9, -0.99, -0.999)]
    assert closer == sorted(closer)
    assert all(math.isfinite(number) for number in gradients("equation3", -1.0, 2.0, 1.0))


@pytest.mark.parametrize(("c", "s", "weight"), CASES)
def test_fixed_by_hand(c, s, weight):
    assert gradients("fixed", c, s, weight) == pytest.approx([c + weight * s, 1.0, weight])


@pytest.mark.parametrize(("c", "s", "weight"), CASES)
def test_ema_norm_by_hand_on_its_first_batch(c, s, weight):
    # Corrected for their start at zero, both running means are the first value.
    by_hand = [math.copysign(1, c) + weight, 1 / abs(c), weight / s]
    assert gradients("ema_norm", c, s, weight) == pytest.approx(by_hand, rel=1e-6)


def test_ema_norm_divides_by_bias_corrected_running_means():
    rule = make_mixing("ema_norm")
    seen = [(-0.2, 3.0), (-0.5, 5.0), (-0.7, 1.0)]
    for c, s in seen:
        contrastive = torch.tensor(c, requires_grad=True)
        supervised = torch.tensor(s, requires_grad=True)
        loss = rule(contrastive, supervised, 0.5)
    powers = [0.99**2, 0.99, 1.0]
    mean_c = sum(p * abs(c) for p, (c, _) in zip(powers, seen, strict=True)) / sum(powers)
    mean_s = sum(p * s for p, (_, s) in zip(powers, seen, strict=True)) / sum(powers)
    loss.backward()
    assert loss.item() == pytest.approx(-0.7 / mean_c + 0.5 * 1.0 / mean_s, rel=1e-4)
    assert contrastive.grad.item() == pytest.approx(1 / mean_c, rel=1e-4)
    assert supervised.grad.item() == pytest.approx(0.5 / mean_s, rel=1e-4)


def test_ema_norm_moves_in_training_only_and_carries_its_means():
    rule = make_mixing("ema_norm")
    rule(torch.tensor(-0.5), torch.tensor(2.0), 1.0)
    kept = {name: value.clone() for name, value in rule.state_dict().items()}
    rule.eval()
    rule(torch.tensor(-0.9), torch.tensor(9.0), 1.0)
    assert all(torch.equal(kept[name], value) for name, value in rule.state_dict().items())
    resumed = make_mixing("ema_norm")
    resumed.load_state_dict(kept)
    rule.train()
    now = (torch.tensor(-0.3), torch.tensor(7.0), 1.0)
    assert torch.equal(rule(*now), resumed(*now))
    assert not list(rule.parameters())


def test_ema_norm_keeps_the_mean_of_votes_while_nothing_is_labelled():
    rule = make_mixing("ema_norm")
    rule(torch.tensor(-0.5), torch.tensor(2.0), 1.0)
    before = rule.sums[1] / rule.weights[1]
    for nothing in (None, torch.tensor(0.0)):
        rule(torch.tensor(-0.6), nothing, 1.0)
    assert torch.equal(rule.sums[1] / rule.weights[1], before)
    assert rule.weights[0] > rule.weights[1]


@pytest.mark.parametrize("name", MIXINGS)
@pytest.mark.parametrize("training", [True, False])
def test_without_votes_only_the_contrastive_term_is_left(name, training):
    results = []
    for given in ("none", "zero"):
        contrastive = torch.tensor(-0.4, requires_grad=True)
        theta = torch.tensor(1.0, requires_grad=True)
        supervised = None if given == "none" else theta * 0.0
        loss = make_mixing(name).train(training)(contrastive, supervised, 3.0)
        loss.backward()
        results.append((loss.item(), contrastive.grad.item()))
        assert theta.grad is None or theta.grad.item() == 0.0
    wanted = {"paper": -0.4, "fixed": -0.4, "equation3": 2 - 2 * 0.4, "ema_norm": -1.0}[name]
    slope = {"paper": 1.0, "fixed": 1.0, "equation3": 2.0, "ema_norm": 2.5}[name]
    assert results == [pytest.approx((wanted, slope))] * 2


@pytest.mark.parametrize("name", ["paper", "fixed"])
def test_without_votes_the_loss_is_c_to_the_bit(name):
    contrastive = torch.tensor(-0.4123)
    assert torch.equal(mix(name, contrastive, torch.tensor(0.0), 2.0), contrastive)


@pytest.mark.parametrize("name", MIXINGS)
def test_weight_zero_is_contrastive_alone(name):
    with_votes = mix(name, torch.tensor(-0.4), torch.tensor(5.0), 0.0)
    assert torch.equal(with_votes, mix(name, torch.tensor(-0.4), None, 0.0))


def test_curricula_are_opposite():
    # Weight of the votes relative to the contrastive loss, early (c = -0.1) and late (c = -0.9).
    def ratio(name, c):
        _, by_c, by_s = gradients(name, c, 2.0, 0.1)
        return abs(by_s / by_c)

    assert ratio("paper", -0.9) > 5 * ratio("paper", -0.1)
    assert ratio("fixed", -0.9) == ratio("fixed", -0.1)
    assert gradients("equation3", -0.9, 2.0, 0.1)[1] < 0  # views are pushed apart


def test_unknown_name_is_one_clear_sentence():
    with pytest.raises(HoagError, match="objective.mixing: 'papre' is unknown; choose paper"):
        make_mixing("papre")

import math

import pytest
import torch
from torch import nn

from hoag.errors import HoagError
from hoag.target import Target, tau_at


def networks(seed: int = 0) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(seed)
    encoder = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    return encoder, nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 5))


def pairs(target: Target, encoder: nn.Module, projector: nn.Module):
    mine = [*target.encoder.parameters(), *target.projector.parameters()]
    return list(zip(mine, [*encoder.parameters(), *projector.parameters()], strict=True))


def storages(module: nn.Module) -> set[int]:
    tensors = [*module.parameters(), *module.buffers()]
    return {tensor.untyped_storage().data_ptr() for tensor in tensors}


def test_starts_equal_and_shares_no_storage():
    encoder, projector = networks()
    target = Target(encoder, projector)
    assert all(torch.equal(mine, online) for mine, online in pairs(target, encoder, projector))
    assert not storages(target) & (storages(encoder) | storages(projector))
    target.update(encoder, projector, 0.5)
    assert not storages(target) & (storages(encoder) | storages(projector))


@pytest.mark.parametrize("tau", [0.0, 0.5, 0.99, 0.996, 1.0])
def test_moves_by_exactly_one_minus_tau(tau):
    encoder, projector = networks()
    target = Target(encoder, projector)
    with torch.no_grad():
        for parameter in [*encoder.parameters(), *projector.parameters()]:
            parameter.add_(torch.randn_like(parameter))
    before = [mine.clone() for mine, _ in pairs(target, encoder, projector)]
    online_before = [online.clone() for _, online in pairs(target, encoder, projector)]
    target.update(encoder, projector, tau)
    for (mine, online), old, old_online in zip(
        pairs(target, encoder, projector), before, online_before, strict=True
    ):
        assert torch.equal(online, old_online)
        exact = tau * old.double() + (1 - tau) * online.double()
        torch.testing.assert_close(mine.double(), exact, rtol=1e-6, atol=1e-7)
        moved, asked = (mine - old).double(), (1 - tau) * (online.double() - old.double())
        torch.testing.assert_close(moved, asked, rtol=1e-4, atol=3e-7)
        if tau == 1.0:
            assert torch.equal(mine, old)


def test_no_gradient_reaches_it():
    encoder, projector = networks()
    target = Target(encoder, projector)
    images = torch.rand(6, 3, 8, 8, requires_grad=True)
    assert not target(images).requires_grad
    assert not any(parameter.requires_grad for parameter in target.parameters())


def test_batchnorm_statistics_are_its_own():
    encoder, projector = networks()
    target = Target(encoder, projector)
    online_before = encoder[1].running_mean.clone()
    target.train()
    target(torch.rand(6, 3, 8, 8))
    assert torch.equal(encoder[1].running_mean, online_before)
    assert not torch.equal(target.encoder[1].running_mean, online_before)
    mine = target.encoder[1].running_mean.clone()
    encoder(torch.rand(6, 3, 8, 8) + 5.0)
    target.update(encoder, projector, 0.0)
    assert torch.equal(target.encoder[1].running_mean, mine)


def test_normalises_by_its_batch_in_training_and_not_in_evaluation():
    target = Target(*networks())
    images = torch.rand(6, 3, 8, 8)
    training = target.train()(images)
    evaluation = target.eval()(images)
    assert not torch.allclose(training, evaluation)
    torch.testing.assert_close(target(images[:1]), evaluation[:1], rtol=1e-5, atol=1e-6)


def test_constant_and_cosine_schedules():
    assert {tau_at(step, 100, 0.99) for step in range(101)} == {0.99}
    course = [tau_at(step, 100, 0.96, "cosine") for step in range(101)]
    assert course[0] == pytest.approx(0.96)
    assert course[50] == pytest.approx(0.98)
    assert course[100] == 1.0
    assert course == sorted(course)
    # BYOL: 1 - (1 - tau) (cos(pi k / K) + 1) / 2
    assert course[25] == pytest.approx(1 - 0.04 * (math.cos(math.pi / 4) + 1) / 2)
    assert tau_at(150, 100, 0.96, "cosine") == 1.0


def test_bad_settings_are_one_clear_sentence():
    with pytest.raises(HoagError, match=r"target.tau: 1.2 must lie in \[0, 1\]"):
        tau_at(0, 10, 1.2)
    with pytest.raises(HoagError, match="target.schedule: 'linear' is unknown"):
        tau_at(0, 10, 0.9, "linear")

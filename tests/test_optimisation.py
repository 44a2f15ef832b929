import math

import pytest
import torch

from hoag.optimisation import learning_rate, make_optimiser
from hoag.recipe import OptimiserSettings


def test_constant_is_constant():
    settings = OptimiserSettings(learning_rate=0.5)
    assert {learning_rate(settings, step, 10) for step in range(10)} == {0.5}


def test_warmup_rises_in_equal_steps_to_the_peak():
    settings = OptimiserSettings(learning_rate=1.0, warmup_steps=4)
    assert [learning_rate(settings, step, 10) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_cosine_falls_from_the_peak_to_nothing():
    settings = OptimiserSettings(learning_rate=1.0, schedule="cosine", warmup_steps=2)
    rates = [learning_rate(settings, step, 12) for step in range(2, 13)]
    assert rates[0] == 1.0 and rates[-1] == pytest.approx(0.0)
    assert rates[5] == pytest.approx(0.5)
    assert rates[2] == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.2)))


def test_paper_optimiser_is_adam_over_what_can_move():
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    network[0].bias.requires_grad_(False)
    optimiser = make_optimiser(network, OptimiserSettings())
    assert type(optimiser) is torch.optim.Adam
    (group,) = optimiser.param_groups
    assert len(group["params"]) == 3
    assert (group["lr"], group["betas"], group["weight_decay"]) == (0.001, (0.9, 0.999), 0.0)


def test_weight_decay_spares_biases_and_norms():
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    optimiser = make_optimiser(network, OptimiserSettings(name="adamw", weight_decay=0.1))
    decayed, spared = optimiser.param_groups
    assert [tuple(p.shape) for p in decayed["params"]] == [(2, 3)]
    assert decayed["weight_decay"] == 0.1 and spared["weight_decay"] == 0.0
    assert {tuple(p.shape) for p in spared["params"]} == {(2,)}

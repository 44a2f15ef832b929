"""The optimiser of a recipe and its learning rate at any step."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from hoag.recipe import OptimiserSettings


def make_optimiser(
    module: nn.Module, settings: OptimiserSettings, shares: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """Make Adam (paper sec. 3.3) or AdamW over the trainable parameters of `module`.

    Weight decay is kept from biases and normalisation layers, which have one dimension.

    Parameters
    ----------
    module
        Whose parameters.
    settings
        What to make.
    shares
        Learning rate by name of the parameter as a share of that of the settings; 1 if absent. It
        is kept as ``lr_scale`` of a group, as timm does.
    """
    known = shares or {}
    found: dict[float, list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            found.setdefault(known.get(name, 1.0), []).append(parameter)
    groups: list[dict[str, Any]] = []
    for share, members in found.items():
        scaled = {"lr_scale": share} if share != 1.0 else {}
        if settings.weight_decay:
            decayed, spared = (
                [p for p in members if (p.ndim > 1) is many] for many in (True, False)
            )
            groups += [
                {"params": decayed, "weight_decay": settings.weight_decay, **scaled},
                {"params": spared, "weight_decay": 0.0, **scaled},
            ]
        else:
            groups.append({"params": members, **scaled})
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.name]
    return kind(groups, lr=settings.learning_rate, betas=settings.betas, weight_decay=0.0)


def settle_optimiser(optimiser: torch.optim.Optimizer, device: torch.device) -> None:
    """Let an optimiser step as quickly as it can, its state laid out as its parameters are.

    On a processor all parameters are moved in one pass. That goes by memory, not by shape, so a
    state that was read from a file must first lie as its parameter does.
    """
    for group in optimiser.param_groups:
        # Elsewhere torch chooses: with its own fused step, 16-mixed could not clip gradients.
        group["fused"] = True if device.type == "cpu" else None
    for parameter, state in optimiser.state.items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter).copy_(value)


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every group of an optimiser its share of a learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("lr_scale", 1.0)


def learning_rate(settings: OptimiserSettings, step: int, steps: int) -> float:
    """Learning rate of `step` (from 0) in a run of `steps`: linear warm-up, then the schedule."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    if settings.schedule == "constant":
        return settings.learning_rate
    done = (step - settings.warmup_steps) / max(steps - settings.warmup_steps, 1)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

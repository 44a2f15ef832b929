"""The optimiser of a recipe and its learning rate at any step."""

import math
from typing import Any

import torch
from torch import nn

from hoag.recipe import OptimiserSettings


def make_optimiser(module: nn.Module, settings: OptimiserSettings) -> torch.optim.Optimizer:
    """Make Adam (paper sec. 3.3) or AdamW over the trainable parameters of `module`.

    Weight decay is kept from biases and normalisation layers, which have one dimension.
    """
    trainable = [p for p in module.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [{"params": trainable}]
    if settings.weight_decay:
        groups = [
            {"params": [p for p in trainable if p.ndim > 1], "weight_decay": settings.weight_decay},
            {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
        ]
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.name]
    return kind(groups, lr=settings.learning_rate, betas=settings.betas, weight_decay=0.0)


def learning_rate(settings: OptimiserSettings, step: int, steps: int) -> float:
    """Learning rate of `step` (from 0) in a run of `steps`: linear warm-up, then the schedule."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    if settings.schedule == "constant":
        return settings.learning_rate
    done = (step - settings.warmup_steps) / max(steps - settings.warmup_steps, 1)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

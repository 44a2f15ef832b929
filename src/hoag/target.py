"""The target network of BYOL: an exponential moving average of the online one, storage its own."""

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hoag.errors import HoagError


class Target(nn.Module):
    """A deep copy of the online encoder and projector that no gradient reaches.

    Its parameters move only in `update`. Its BatchNorm statistics are its own: in training mode it
    normalises by its batch and gathers running statistics from its own forwards, because running
    statistics copied or averaged from other weights would not fit (Grill et al. 2020, Sec. 3).
    """

    def __init__(self, encoder: nn.Module, projector: nn.Module) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder)
        self.projector = copy.deepcopy(projector)
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Project images, (batch, 3, size, size) to (batch, projection), without gradient."""
        projection: Tensor = self.projector(self.encoder(images))
        return projection

    @torch.no_grad()
    def update(self, encoder: nn.Module, projector: nn.Module, tau: float) -> None:
        """Move every parameter: target <- tau target + (1 - tau) online.

        Parameters
        ----------
        encoder, projector
            The online ones.
        tau
            In [0, 1]; 1 leaves the target where it is.
        """
        mine = [*self.encoder.parameters(), *self.projector.parameters()]
        online = [*encoder.parameters(), *projector.parameters()]
        _lerp(mine, online, 1.0 - tau)


def _lerp(mine: Sequence[Tensor], online: Sequence[Tensor], weight: float) -> None:
    if len(mine) != len(online):
        raise ValueError("online and target networks must have the same parameters")
    torch._foreach_lerp_(list(mine), list(online), weight)


def tau_at(step: int, total_steps: int, start: float, schedule: str = "constant") -> float:
    """Give the target's momentum tau after `step` of `total_steps`.

    Parameters
    ----------
    step, total_steps
        Optimiser steps made, and to be made in all.
    start
        tau at step 0; the paper's code: 0.99.
    schedule
        "constant", or "cosine": 1 - (1 - start) (cos(pi step / total) + 1) / 2, which ends at 1
        (Grill et al. 2020, Sec. 3.3).

    Raises
    ------
    HoagError
        If `start` lies outside [0, 1] or there is no such schedule.
    """
    if not 0.0 <= start <= 1.0:
        raise HoagError(f"target.tau: {start} must lie in [0, 1]")
    if schedule == "constant":
        return start
    if schedule == "cosine":
        done = min(max(step / max(total_steps, 1), 0.0), 1.0)
        return 1.0 - (1.0 - start) * (math.cos(math.pi * done) + 1.0) / 2.0
    raise HoagError(f"target.schedule: {schedule!r} is unknown; choose 'constant' or 'cosine'")

"""How the contrastive loss c and the supervised loss s become one loss: named, opposite curricula.

c is the mean over the two view orders of minus the cosine similarity, in [-1, 1]; s is the mean
negative log-likelihood of the votes per asked question, in nats, at least 0. Both are means over
the global batch (`hoag.objectives` sees to it). s is None, or exactly 0, where no galaxy of the
batch has votes; the mixed loss and its gradient are then those of the contrastive term alone.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from hoag.errors import HoagError

_TINY = 1e-6


class Mixing(nn.Module):
    """A mixing rule: (contrastive, supervised, weight lambda) -> loss, all scalars."""

    def forward(self, contrastive: Tensor, supervised: Tensor | None, weight: float) -> Tensor:
        """Mix two scalar losses; see the rules in this module."""
        raise NotImplementedError


class Paper(Mixing):
    """c + lambda stopgrad(|c| / s) s, the rule of the paper's public code.

    Its value is c + lambda |c|; its gradient is dc + lambda (|c| / s) ds, that of
    c + lambda |c| log s with |c| held: the votes' weight grows from 0 to lambda as the views align.
    """

    def forward(self, contrastive: Tensor, supervised: Tensor | None, weight: float) -> Tensor:
        """Mix; see the class."""
        if supervised is None:
            return contrastive
        held = contrastive.detach().abs() / _nonzero(supervised.detach())
        return contrastive + weight * held * supervised


class Equation3(Mixing):
    """c' + lambda s / c' with c' = 2 - 2 cos = 2 + 2c, as Eq. 3 is printed, gradient through c'.

    Dividing by a loss that training drives to 0 makes the second term diverge, and its gradient
    push the views apart; c' is held above 1e-6 only to keep the numbers finite.
    """

    def forward(self, contrastive: Tensor, supervised: Tensor | None, weight: float) -> Tensor:
        """Mix; see the class."""
        distance = 2.0 + 2.0 * contrastive
        if supervised is None:
            return distance
        return distance + weight * supervised / distance.clamp_min(_TINY)


class Fixed(Mixing):
    """c + lambda s."""

    def forward(self, contrastive: Tensor, supervised: Tensor | None, weight: float) -> Tensor:
        """Mix; see the class."""
        return contrastive if supervised is None else contrastive + weight * supervised


class EmaNorm(Mixing):
    """c / mean|c| + lambda s / mean s: each loss over its running mean, which takes no gradient.

    The means are exponential (momentum 0.99), corrected for their start at zero as Adam's are, and
    include the present batch. They move in training mode only, and that of s only when some galaxy
    has votes. They are buffers, so a resumed run carries them on.
    """

    momentum = 0.99
    sums: Tensor
    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("sums", torch.zeros(2))  # of |c| and of s
        self.register_buffer("weights", torch.zeros(2))

    def forward(self, contrastive: Tensor, supervised: Tensor | None, weight: float) -> Tensor:
        """Mix; see the class."""
        nothing = contrastive.new_zeros(())
        values = torch.stack(
            [contrastive.detach().abs(), nothing if supervised is None else supervised.detach()]
        ).float()
        seen = torch.stack([torch.ones_like(values[0]), (values[1] > 0).float()])
        if self.training:
            step = (1.0 - self.momentum) * seen
            self.sums.lerp_(values, step)
            self.weights.lerp_(torch.ones_like(step), step)
        means = torch.where(self.weights > 0, self.sums / _nonzero(self.weights), values)
        means = means.clamp_min(_TINY)
        loss = contrastive / means[0]
        return loss if supervised is None else loss + weight * supervised / means[1]


MIXINGS: dict[str, Callable[[], Mixing]] = {
    "paper": Paper,
    "equation3": Equation3,
    "fixed": Fixed,
    "ema_norm": EmaNorm,
}


def make_mixing(name: str) -> Mixing:
    """Make the mixing rule called `name`: "paper", "equation3", "fixed" or "ema_norm".

    Raises
    ------
    HoagError
        If there is no such rule.
    """
    if name not in MIXINGS:
        raise HoagError(f"objective.mixing: {name!r} is unknown; choose {', '.join(MIXINGS)}")
    return MIXINGS[name]()


def mix(
    name: str,
    contrastive: Tensor,
    supervised: Tensor | None,
    weight: float,
    state: Mixing | None = None,
) -> Tensor:
    """Mix two losses by a rule's name; `state` is the rule itself if it remembers ("ema_norm")."""
    rule = make_mixing(name) if state is None else state
    mixed: Tensor = rule(contrastive, supervised, weight)
    return mixed


def _nonzero(values: Tensor) -> Tensor:
    return torch.where(values > 0, values, torch.ones_like(values))

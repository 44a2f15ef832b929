"""Heads on the representation: projector, predictor, vote head, class head.

Dropout takes its uniform numbers from outside (`hoag.randomness`), so that a galaxy's mask depends
on seed, step and galaxy alone.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hoag.errors import HoagError
from hoag.schema import Schema

_SMALLEST_CONCENTRATION = 1e-3


class Projector(nn.Sequential):
    """From representation (batch, features) to projection (batch, out).

    Linear, BatchNorm, ReLU, Linear (Grill et al. 2020, BYOL, Sec. 3.3); hidden is 4096 there, 1024
    in the paper's code, out 256 in both.
    """

    def __init__(self, features: int, hidden: int, out: int) -> None:
        super().__init__(*_two_layers(features, hidden, out))


class Predictor(nn.Sequential):
    """From projection to the target's projection, (batch, out): layers as in `Projector`."""

    def __init__(self, features: int, hidden: int, out: int) -> None:
        super().__init__(*_two_layers(features, hidden, out))


def _two_layers(features: int, hidden: int, out: int) -> list[nn.Module]:
    return [
        nn.Linear(features, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, out),
    ]


class ClassHead(nn.Module):
    """From representation to logits, (batch, classes) float32: dropout, then one linear layer."""

    def __init__(self, features: int, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = _checked(dropout)
        self.dropout_width = features
        self.linear = nn.Linear(features, classes)

    def forward(self, representation: Tensor, dropout_uniform: Tensor | None = None) -> Tensor:
        """Give logits, without softmax; `dropout_uniform` as in `VoteHead.forward`."""
        kept = keep(representation, self.dropout, dropout_uniform, self.training)
        return _linear32(self.linear, kept)


class VoteHead(nn.Module):
    """From representation to Dirichlet concentrations, one per answer of the schema.

    Parameters
    ----------
    features
        Length of the representation.
    schema
        Gives the answers.
    dropout
        Probability that an input of the last layer is zeroed in training.
    concentration
        "sigmoid": 1 + 100 sigmoid, in (1, 101) as in the paper's code (its text says (1, 100)).
        "unbounded": 0.001 + softplus, so that votes may also be expected to be more divided than a
        uniform Dirichlet, or as sharp as the data say.
    hidden
        Width of a disposable hidden layer (Linear, BatchNorm, ReLU) between the representation and
        the last layer; None for none, as in the paper.

    Raises
    ------
    HoagError
        If `dropout` or `concentration` is none of these.
    """

    def __init__(
        self,
        features: int,
        schema: Schema,
        dropout: float = 0.2,
        concentration: str = "sigmoid",
        hidden: int | None = None,
    ) -> None:
        super().__init__()
        if concentration not in ("sigmoid", "unbounded"):
            raise HoagError(
                f"heads.concentration: {concentration!r} is unknown; choose sigmoid or unbounded"
            )
        self.concentration = concentration
        self.dropout = _checked(dropout)
        self.dropout_width = hidden or features
        self.trunk: nn.Module = nn.Identity()
        if hidden:
            layers = (nn.Linear(features, hidden), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True))
            self.trunk = nn.Sequential(*layers)
        self.linear = nn.Linear(self.dropout_width, len(schema.columns))

    def forward(self, representation: Tensor, dropout_uniform: Tensor | None = None) -> Tensor:
        """Predict concentrations.

        Parameters
        ----------
        representation
            (batch, features), any float dtype.
        dropout_uniform
            (batch, dropout_width) in [0, 1): entries below `dropout` are dropped. Needed in
            training if `dropout` is not zero, ignored in evaluation.

        Returns
        -------
        Tensor
            (batch, answers) float32 under any autocast.
        """
        hidden = self.trunk(representation)
        kept = keep(hidden, self.dropout, dropout_uniform, self.training)
        logits = _linear32(self.linear, kept)
        if self.concentration == "sigmoid":
            return 1.0 + 100.0 * torch.sigmoid(logits)
        return _SMALLEST_CONCENTRATION + F.softplus(logits)


def keep(values: Tensor, dropout: float, uniform: Tensor | None, training: bool) -> Tensor:
    """Drop the values whose uniform number is below `dropout`; scale the rest to keep the mean."""
    if not training or dropout == 0.0:
        return values
    if uniform is None:
        raise ValueError("dropout in training needs its uniform numbers (hoag.randomness.uniform)")
    return values * ((uniform >= dropout) / (1.0 - dropout))


def _linear32(linear: nn.Linear, values: Tensor) -> Tensor:
    # bfloat16 has 8 bits: a concentration of 50 would move in steps of a quarter.
    with torch.autocast(values.device.type, enabled=False):
        return F.linear(values.float(), linear.weight.float(), linear.bias.float())


def _checked(dropout: float) -> float:
    if not 0.0 <= dropout < 1.0:
        raise HoagError(f"heads.vote_dropout: {dropout} must lie in [0, 1)")
    return float(dropout)

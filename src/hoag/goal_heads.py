"""What a model is finetuned for, and the heads that learn it: classes, labels, numbers, votes.

Each head gives its output from the representation, the loss of that output, what validation
measures, and the answer a user reads. Labels that are not known (-1, NaN) teach nothing.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hoag.errors import HoagError
from hoag.heads import ClassHead, VoteHead
from hoag.losses import vote_loss
from hoag.schema import Schema

if TYPE_CHECKING:
    from hoag.recipe import HeadSettings

Kind: TypeAlias = Literal["classes", "labels", "numbers", "votes"]
KINDS: tuple[Kind, ...] = ("classes", "labels", "numbers", "votes")
Measured: TypeAlias = dict[str, tuple[Tensor, Tensor]]

_LEAST_SCATTER = 1e-3  # of the spread of the training values


@dataclass(frozen=True)
class Goal:
    """What is learned.

    Attributes
    ----------
    kind
        "classes" (one of several each), "labels" (several at once, each yes or no), "numbers" or
        "votes" of a campaign.
    names
        Names of the classes, labels or numbers; none for votes, whose schema has them.
    columns
        The columns they were read from.
    """

    kind: Kind
    names: tuple[str, ...]
    columns: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain lists and texts, for JSON."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, content: Any, where: str) -> "Goal":
        """Make a goal from what `to_dict` gave; `where` is the file, for messages."""
        try:
            names, columns = (tuple(map(str, content[key])) for key in ("names", "columns"))
            if content["kind"] not in KINDS:
                raise KeyError(content["kind"])
            return cls(content["kind"], names, columns)
        except (KeyError, TypeError) as error:
            raise HoagError(f"{where}: its goal is not as hoag writes it ({error})") from None


class Standardise(nn.Module):
    """Give every feature mean 0 and spread 1 over the training galaxies, as a linear probe does.

    Representations differ in scale from encoder to encoder; a head that is fed them as they are
    would need a learning rate for each.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))

    def measure(self, representations: Tensor) -> None:
        """Measure means and spreads of (galaxies, features); a feature that never varies stays."""
        wide = representations.double()
        spread = wide.std(0, correction=0)
        self.mean.copy_(wide.mean(0))
        self.std.copy_(torch.where(spread > 1e-6 * spread.max(), spread, torch.ones_like(spread)))

    def forward(self, representation: Tensor) -> Tensor:
        """Standardise (batch, features), in float32."""
        return (representation.float() - self.mean) / self.std


class GoalHead(nn.Module):
    """Head of a goal; `prepare` measures on the training labels what it needs to know of them."""

    metrics: ClassVar[tuple[str, ...]] = ()
    dropout_width: int

    def __init__(self, features: int) -> None:
        super().__init__()
        self.standardise = Standardise(features)

    def forward(self, representation: Tensor, dropout_uniform: Tensor | None = None) -> Tensor:
        """Give the output, (batch, ...) float32; `dropout_uniform` as in `VoteHead.forward`."""
        raise NotImplementedError

    def prepare(self, labels: Tensor, class_weights: str, weights: Mapping[str, float]) -> None:
        """Measure weights of classes, centres and so on, on the training labels."""

    def loss(self, output: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Give the summed loss and the number (or weight) it is a sum of."""
        raise NotImplementedError

    def measure(self, output: Tensor, labels: Tensor) -> Measured:
        """Give what validation measures as (sum, count)."""
        return {}

    def answer(self, output: Tensor) -> Tensor:
        """Give what is predicted, (batch, columns of the prediction)."""
        return output


class ClassesGoal(GoalHead):
    """One class each: cross-entropy, weighted by class; labels (batch,) int64, -1 unknown."""

    metrics = ("accuracy",)
    weights: Tensor

    def __init__(self, names: tuple[str, ...], features: int, dropout: float) -> None:
        super().__init__(features)
        self.names = names
        self.classes = ClassHead(features, len(names), dropout)
        self.dropout_width = self.classes.dropout_width
        self.register_buffer("weights", torch.ones(len(names)))

    def forward(self, representation: Tensor, dropout_uniform: Tensor | None = None) -> Tensor:
        """Give logits, (batch, classes)."""
        logits: Tensor = self.classes(self.standardise(representation), dropout_uniform)
        return logits

    def prepare(self, labels: Tensor, class_weights: str, weights: Mapping[str, float]) -> None:
        """See `GoalHead`."""
        _refuse_strangers(weights, self.names)
        if class_weights == "balanced":
            counts = torch.bincount(labels[labels >= 0], minlength=len(self.names)).float()
            self.weights.copy_(counts.sum() / (len(self.names) * counts.clamp_min(1.0)))
        for number, name in enumerate(self.names):
            if name in weights:
                self.weights[number] = float(weights[name])

    def loss(self, output: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """See `GoalHead`."""
        known = labels >= 0
        total = F.cross_entropy(output, labels, self.weights, ignore_index=-1, reduction="sum")
        return total, self.weights[labels.clamp_min(0)][known].sum()

    def measure(self, output: Tensor, labels: Tensor) -> Measured:
        """See `GoalHead`."""
        right = (output.argmax(1) == labels).sum().float()
        return {"accuracy": (right, (labels >= 0).sum().float())}

    def answer(self, output: Tensor) -> Tensor:
        """Give probabilities of the classes, rows summing to 1."""
        return output.softmax(1)


class LabelsGoal(GoalHead):
    """Several labels, each yes or no: binary cross-entropy; labels (batch, n) 0, 1 or NaN."""

    metrics = ("accuracy",)
    weights: Tensor

    def __init__(self, names: tuple[str, ...], features: int, dropout: float) -> None:
        super().__init__(features)
        self.names = names
        self.classes = ClassHead(features, len(names), dropout)
        self.dropout_width = self.classes.dropout_width
        self.register_buffer("weights", torch.ones(2, len(names)))  # of no and yes

    def forward(self, representation: Tensor, dropout_uniform: Tensor | None = None) -> Tensor:
        """Give logits, (batch, labels)."""
        logits: Tensor = self.classes(self.standardise(representation), dropout_uniform)
        return logits

    def prepare(self, labels: Tensor, class_weights: str, weights: Mapping[str, float]) -> None:
        """See `GoalHead`: a weight by name is that of yes."""
        _refuse_strangers(weights, self.names)
        if class_weights == "balanced":
            counts = torch.stack([(labels == value).sum(0) for value in (0, 1)]).float()
            self.weights.copy_(counts.sum(0) / (2 * counts.clamp_min(1.0)))
        for number, name in enumerate(self.names):
            if name in weights:
                self.weights[1, number] = float(weights[name])

    def loss(self, output: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """See `GoalHead`."""
        known = ~labels.isnan()
        wanted = labels.nan_to_num()
        weights = torch.where(wanted > 0.5, self.weights[1], self.weights[0]) * known
        each = F.binary_cross_entropy_with_logits(output, wanted, reduction="none")
        return (each * weights).sum(), weights.sum()

    def measure(self, output: Tensor, labels: Tensor) -> Measured:
        """See `GoalHead`."""
        right = ((output > 0) == (labels > 0.5)) & ~labels.isnan()
        return {"accuracy": (right.sum().float(), (~labels.isnan()).sum().float())}

    def answer(self, output: Tensor) -> Tensor:
        """Give the probability of each label, (batch, labels)."""
        return output.sigmoid()


class NumbersGoal(GoalHead):
    """Numbers with their scatter: the likelihood of a Gaussian (Nix & Weigend 1994, Eq. 3).

    Labels are (batch, n) float32 in the user's units, NaN unknown; the loss is taken in units of
    their spread over the training galaxies.
    """

    metrics = ("squared_error",)
    centre: Tensor
    spread: Tensor

    def __init__(self, names: tuple[str, ...], features: int, dropout: float) -> None:
        super().__init__(features)
        self.linear = ClassHead(features, 2 * len(names), dropout)
        self.dropout_width = self.linear.dropout_width
        self.register_buffer("centre", torch.zeros(len(names)))
        self.register_buffer("spread", torch.ones(len(names)))

    def forward(self, representation: Tensor, dropout_uniform: Tensor | None = None) -> Tensor:
        """Give values and scatters in units of the spread, (batch, 2 n)."""
        values, raw = self.linear(self.standardise(representation), dropout_uniform).chunk(2, 1)
        return torch.cat([values, F.softplus(raw) + _LEAST_SCATTER], 1)

    def prepare(self, labels: Tensor, class_weights: str, weights: Mapping[str, float]) -> None:
        """See `GoalHead`."""
        if class_weights != "equal" or weights:
            raise HoagError("class weights are for classes and labels; numbers have none")
        for number, column in enumerate(labels.double().T):
            known = column[~column.isnan()]
            self.centre[number] = known.mean()
            self.spread[number] = known.std(correction=0).clamp_min(1e-12)

    def loss(self, output: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """See `GoalHead`; in nats, without the constant."""
        known = ~labels.isnan()
        values, scatter = output.chunk(2, 1)
        wanted = ((labels - self.centre) / self.spread).nan_to_num()
        each = scatter.log() + 0.5 * ((wanted - values) / scatter).square()
        return (each * known).sum(), known.sum().float()

    def measure(self, output: Tensor, labels: Tensor) -> Measured:
        """See `GoalHead`: the squared error over the spread, 1 for a guess of the mean."""
        known = ~labels.isnan()
        wanted = ((labels - self.centre) / self.spread).nan_to_num()
        errors = (wanted - output.chunk(2, 1)[0]).square()
        return {"squared_error": ((errors * known).sum(), known.sum().float())}

    def answer(self, output: Tensor) -> Tensor:
        """Give values, then scatters (standard deviations), in the user's units; (batch, 2 n)."""
        values, scatter = output.chunk(2, 1)
        return torch.cat([values * self.spread + self.centre, scatter * self.spread], 1)


class VotesGoal(GoalHead):
    """Votes of a campaign: the Dirichlet-multinomial (Walmsley+22 Eq. 1); labels are counts."""

    def __init__(self, features: int, schema: Schema, settings: "HeadSettings") -> None:
        super().__init__(features)
        self.schema = schema
        self.votes = VoteHead(
            features, schema, settings.vote_dropout, settings.concentration,
            settings.vote_hidden or None,
        )  # fmt: skip
        self.dropout_width = self.votes.dropout_width

    def forward(self, representation: Tensor, dropout_uniform: Tensor | None = None) -> Tensor:
        """Give concentrations, (batch, answers)."""
        concentration: Tensor = self.votes(self.standardise(representation), dropout_uniform)
        return concentration

    def prepare(self, labels: Tensor, class_weights: str, weights: Mapping[str, float]) -> None:
        """See `GoalHead`."""
        if class_weights != "equal" or weights:
            raise HoagError("class weights are for classes and labels; votes have none")

    def loss(self, output: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """See `hoag.losses.vote_loss`."""
        return vote_loss(output, labels, self.schema)


def make_goal_head(goal: Goal, features: int, schema: Schema, settings: "HeadSettings") -> GoalHead:
    """Make the head of a goal; `schema` is that of its votes."""
    if goal.kind == "votes":
        return VotesGoal(features, schema, settings)
    kinds = {"classes": ClassesGoal, "labels": LabelsGoal, "numbers": NumbersGoal}
    return kinds[goal.kind](goal.names, features, settings.vote_dropout)


def _refuse_strangers(weights: Mapping[str, float], names: tuple[str, ...]) -> None:
    for name in weights:
        if name not in names:
            raise HoagError(f"finetune.weights names {name!r}; there are {', '.join(names)}")

"""What the arms share: the batch that one takes, the frame of an objective, and supervision."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import torch
from torch import Tensor, nn

from hoag.encoders import create_encoder
from hoag.errors import HoagError
from hoag.goal_heads import GoalHead
from hoag.heads import ClassHead, VoteHead
from hoag.losses import counted_std, feature_std, global_ratio
from hoag.randomness import VIEW_ONE, uniform
from hoag.views import Views, evaluation_view

if TYPE_CHECKING:
    from hoag.recipe import Recipe

Metrics: TypeAlias = dict[str, tuple[Tensor, Tensor]]

# The step whose views validation uses: none that training reaches, and always the same.
VALIDATION_STEP = -1


@dataclass
class Batch:
    """Galaxies as an objective takes them.

    Attributes
    ----------
    images
        (batch, 3, height, width) uint8.
    keys
        (batch,) int64, see `hoag.randomness`.
    votes
        (batch, answers) integer counts, all 0 for a galaxy without votes.
    labels
        (batch,) int64 class numbers, -1 for none; or what `hoag.goals` says is learned from; None
        where the arm needs none.
    ids
        The galaxies' names, for messages.
    seed, step
        Of the run; with the keys they determine every random choice.
    """

    images: Tensor
    keys: Tensor
    votes: Tensor
    labels: Tensor | None
    ids: list[str]
    seed: int
    step: int

    def _with(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        labels = None if self.labels is None else change(self.labels)
        images, keys, votes = change(self.images), change(self.keys), change(self.votes)
        return replace(self, images=images, keys=keys, votes=votes, labels=labels)

    def to(self, device: torch.device | str) -> "Batch":
        """Give the batch on another device."""
        return self._with(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        """Give the batch in page-locked memory, from which copies to a GPU are quick."""
        return self._with(Tensor.pin_memory)


class Objective(nn.Module):
    """What an arm minimises. Its state dict holds all that resuming needs beside the optimiser.

    Attributes
    ----------
    encoder
        The online encoder, which is what the arm is for.
    monitor
        The validation quantity that decides convergence (paper Sec. 3.3), smaller is better.
    metrics
        Names of what `evaluate` returns.
    """

    monitor: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]]

    def __init__(self, recipe: "Recipe") -> None:
        super().__init__()
        self.encoder = create_encoder(
            recipe.encoder.name, seed=recipe.seed, mean=recipe.images.mean, std=recipe.images.std,
            **recipe.encoder.options,
        )  # fmt: skip
        self.features = int(self.encoder.num_features)  # type: ignore[arg-type]
        self.size = recipe.images.size
        self.views = Views(recipe.views, self.size)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Give "loss" and logged scalars, for training mode."""
        raise NotImplementedError

    def measure(self, batch: Batch) -> Metrics:
        """Give validation metrics; called by `evaluate` in evaluation mode without gradients."""
        raise NotImplementedError

    @torch.no_grad()
    def evaluate(self, batch: Batch) -> Metrics:
        """Measure validation metrics on a batch, deterministically.

        No mode, weight or running statistic is changed. The step of `batch` is ignored, so a galaxy
        is seen in the same views at every validation, and whatever its neighbours.

        Returns
        -------
        dict
            Name to (sum, count), scalars that may be added over batches and processes.
        """
        modes = [(part, part.training) for part in self.modules()]
        self.eval()
        try:
            return self.measure(replace(batch, step=VALIDATION_STEP))
        finally:
            for part, mode in modes:
                part.training = mode

    def after_step(self, step: int, total_steps: int) -> None:
        """Do what follows an optimiser step."""

    def representation(self, images: Tensor) -> Tensor:
        """Represent images, (batch, 3, size, size) float32 in [0, 1] to (batch, features)."""
        represented: Tensor = self.encoder(images)
        return represented

    def learning_rates(self) -> dict[str, float]:
        """Give the learning rates of parameters by name as shares of the recipe's; 1 if absent."""
        return {}

    def trainable_parameters(self) -> list[nn.Parameter]:
        """Give the parameters that an optimiser may move."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def view(self, batch: Batch, stream: int) -> Tensor:
        """Make a random view of every galaxy, (batch, 3, size, size)."""
        return self.views(
            batch.images, seed=batch.seed, step=batch.step, keys=batch.keys, stream=stream
        )

    def clean(self, batch: Batch) -> Tensor:
        """Make the evaluation view of every galaxy, (batch, 3, size, size)."""
        return evaluation_view(batch.images, self.size)


class Supervised(Objective):
    """Learn from labels on one view: what Pretrained, Direct and Finetuned share."""

    monitor = "val/supervised"
    metrics: ClassVar[tuple[str, ...]] = ("supervised", "feature_std")

    def loss(self, representation: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Give the summed loss and the number it is a sum of."""
        raise NotImplementedError

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Objective`."""
        representation = self.encoder(self.view(batch, VIEW_ONE))
        loss = global_ratio(*self.loss(representation, batch))
        return {
            "loss": loss,
            "supervised": loss.detach(),
            "feature_std": feature_std(representation),
        }

    def measure(self, batch: Batch) -> Metrics:
        """See `Objective`."""
        representation = self.encoder(self.clean(batch))
        supervised = self.loss(representation, batch)
        return {"supervised": supervised, "feature_std": counted_std(representation)}


def apply_head(
    head: VoteHead | ClassHead | GoalHead, representation: Tensor, batch: Batch, stream: int
) -> Tensor:
    """Apply a head whose dropout, in training, is drawn for each galaxy and step."""
    draws = None
    if head.training:
        draws = uniform(batch.seed, batch.step, batch.keys, head.dropout_width, stream)
    output: Tensor = head(representation, draws)
    return output


def labels_of(batch: Batch) -> Tensor:
    """Give the labels of a batch, or say that it has none."""
    if batch.labels is None:
        raise HoagError("this arm learns from labels, and these galaxies come without any")
    return batch.labels

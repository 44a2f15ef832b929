"""The paper's four arms as compositions of the same parts: Direct, Pretrained, Contrastive, Hybrid.

An objective takes a batch of galaxies, makes its views and gives the loss. Losses are means over
the global batch: each has the value of the whole batch on every process, while its gradient is that
of this process's share, scaled so that the mean over processes is the gradient of the whole.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hoag.distributed import all_sum, world_size
from hoag.encoders import create_encoder
from hoag.errors import HoagError
from hoag.heads import ClassHead, Predictor, Projector, VoteHead
from hoag.mixing import make_mixing
from hoag.randomness import DROPOUT, DROPOUT_TWO, VIEW_ONE, VIEW_TWO, seeded, uniform
from hoag.schema import Schema
from hoag.target import Target, tau_at
from hoag.views import Views, evaluation_view
from hoag.votes import asked, masked_mean, negative_log_likelihood

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
        (batch,) int64 class numbers, -1 for none; None where the arm needs none.
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
            recipe.encoder.name, seed=recipe.seed, **recipe.encoder.options
        )
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
    """Learn from labels on one view: what Pretrained and Direct share."""

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


class Pretrained(Supervised):
    """Learn to predict volunteers' votes on all questions (paper Sec. 3.1)."""

    def __init__(self, recipe: "Recipe", schema: Schema) -> None:
        super().__init__(recipe)
        self.schema = schema
        self.vote_head = make_vote_head(recipe, self.features, schema)

    def loss(self, representation: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Give the votes' negative log-likelihood; see `vote_loss`."""
        return vote_loss(self.vote_head, representation, batch, DROPOUT, self.schema)


class Direct(Supervised):
    """Learn the downstream labels end to end: the paper's baseline."""

    metrics = (*Supervised.metrics, "accuracy")

    def __init__(self, recipe: "Recipe", classes: int) -> None:
        super().__init__(recipe)
        with seeded(recipe.seed + 1):
            self.class_head = ClassHead(self.features, classes, recipe.heads.vote_dropout)

    def logits(self, representation: Tensor, batch: Batch) -> Tensor:
        """Give logits, (batch, classes) float32."""
        width = self.class_head.dropout_width
        draws = uniform(batch.seed, batch.step, batch.keys, width, DROPOUT)
        logits: Tensor = self.class_head(representation, draws)
        return logits

    def loss(self, representation: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Give the cross-entropy over galaxies with a label, and how many they are."""
        labels = labels_of(batch)
        logits = self.logits(representation, batch)
        total = F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")
        return total, (labels >= 0).sum().float()

    def measure(self, batch: Batch) -> Metrics:
        """See `Objective`."""
        representation, labels = self.encoder(self.clean(batch)), labels_of(batch)
        right = (self.logits(representation, batch).argmax(1) == labels).sum().float()
        return {
            "supervised": self.loss(representation, batch),
            "feature_std": counted_std(representation),
            "accuracy": (right, (labels >= 0).sum().float()),
        }


class Contrastive(Objective):
    """Learn to predict the target's projection of another view (BYOL; Grill et al. 2020)."""

    monitor = "val/contrastive"
    metrics: ClassVar[tuple[str, ...]] = ("contrastive", "feature_std")

    def __init__(self, recipe: "Recipe") -> None:
        super().__init__(recipe)
        heads = recipe.heads
        with seeded(recipe.seed + 2):
            self.projector = Projector(self.features, heads.projector_hidden, heads.projector_out)
            out = heads.projector_out
            self.predictor = Predictor(out, heads.predictor_hidden, out)
        self.target = Target(self.encoder, self.projector)
        self.tau, self.tau_schedule = recipe.target.tau, recipe.target.schedule

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Objective`."""
        one, two = self.view(batch, VIEW_ONE), self.view(batch, VIEW_TWO)
        # Two forwards, not one of both: BatchNorm then normalises each view by its own statistics.
        represented = (self.encoder(one), self.encoder(two))
        agreement = self.agreement(represented, (one, two))
        contrastive = global_mean(agreement.mean())
        logged = {"contrastive": contrastive.detach(), "feature_std": feature_std(represented[0])}
        return self.combine(contrastive, represented, batch) | logged

    def combine(
        self, contrastive: Tensor, represented: tuple[Tensor, Tensor], batch: Batch
    ) -> dict[str, Tensor]:
        """Make "loss" of the contrastive loss; where Hybrid adds the votes."""
        return {"loss": contrastive}

    def agreement(self, represented: tuple[Tensor, Tensor], views: tuple[Tensor, Tensor]) -> Tensor:
        """Give minus the cosine, mean over the two orders of views, (batch,) in [-1, 1]."""
        online = [self.predictor(self.projector(each)) for each in represented]
        wanted = [self.target(view) for view in views]
        return 0.5 * (minus_cosine(online[0], wanted[1]) + minus_cosine(online[1], wanted[0]))

    def measure(self, batch: Batch) -> Metrics:
        """See `Objective`: on the training views, drawn once and for all for each galaxy."""
        one, two = self.view(batch, VIEW_ONE), self.view(batch, VIEW_TWO)
        represented = (self.encoder(one), self.encoder(two))
        agreement = self.agreement(represented, (one, two))
        contrastive = (agreement.sum(), agreement.new_tensor(float(len(agreement))))
        return {"contrastive": contrastive, "feature_std": counted_std(represented[0])}

    def after_step(self, step: int, total_steps: int) -> None:
        """Move the target network."""
        tau = tau_at(step, total_steps, self.tau, self.tau_schedule)
        self.target.update(self.encoder, self.projector, tau)


class Hybrid(Contrastive):
    """Contrastive with a second head that predicts votes where there are some (paper Sec. 3.2)."""

    metrics = (*Contrastive.metrics, "supervised")

    def __init__(self, recipe: "Recipe", schema: Schema) -> None:
        super().__init__(recipe)
        self.schema = schema
        self.vote_head = make_vote_head(recipe, self.features, schema)
        self.mixing = make_mixing(recipe.objective.mixing)
        self.weight = recipe.objective.weight
        self.both = recipe.objective.votes_on == "both"

    def combine(
        self, contrastive: Tensor, represented: tuple[Tensor, Tensor], batch: Batch
    ) -> dict[str, Tensor]:
        """Mix in the votes' loss, from the first view or from both."""
        head, schema = self.vote_head, self.schema
        total, count = vote_loss(head, represented[0], batch, DROPOUT, schema)
        if self.both:
            more, as_many = vote_loss(head, represented[1], batch, DROPOUT_TWO, schema)
            total, count = total + more, count + as_many
        supervised = global_ratio(total, count)
        loss = self.mixing(contrastive, supervised, self.weight)
        return {"loss": loss, "supervised": supervised.detach()}

    def measure(self, batch: Batch) -> Metrics:
        """See `Objective`: the contrastive metrics, and the votes' on the evaluation view."""
        representation = self.encoder(self.clean(batch))
        supervised = vote_loss(self.vote_head, representation, batch, DROPOUT, self.schema)
        return super().measure(batch) | {"supervised": supervised}


def make_objective(
    recipe: "Recipe", schema: Schema, classes: int | Sequence[str] | None = None
) -> Objective:
    """Make the objective of a recipe's arm, with random weights from the recipe's seed.

    Parameters
    ----------
    recipe
        What to do; the encoder's first weights are the same for every arm with the same seed.
    schema
        The questions whose votes are learned.
    classes
        The downstream classes or how many they are; needed by the Direct arm.

    Raises
    ------
    HoagError
        If there is no such arm, or Direct has fewer than two classes.
    """
    if recipe.arm == "direct":
        number = classes if isinstance(classes, int) else len(classes or ())
        if number < 2:
            raise HoagError(f"the direct arm needs two classes or more to learn; it got {number}")
        return Direct(recipe, number)
    if recipe.arm == "contrastive":
        return Contrastive(recipe)
    if recipe.arm in ("pretrained", "hybrid"):
        return {"pretrained": Pretrained, "hybrid": Hybrid}[recipe.arm](recipe, schema)
    known = "direct, pretrained, contrastive or hybrid"
    raise HoagError(f"arm: {recipe.arm!r} is unknown; choose {known}")


def make_vote_head(recipe: "Recipe", features: int, schema: Schema) -> VoteHead:
    """Make the vote head of a recipe, the same first weights for Pretrained and Hybrid."""
    heads = recipe.heads
    with seeded(recipe.seed + 3):
        return VoteHead(
            features, schema, heads.vote_dropout, heads.concentration, heads.vote_hidden or None
        )


def vote_loss(
    head: VoteHead, representation: Tensor, batch: Batch, stream: int, schema: Schema
) -> tuple[Tensor, Tensor]:
    """Give the votes' negative log-likelihood summed over asked (galaxy, question) pairs.

    Returns
    -------
    Tensor, Tensor
        The sum in nats and the number of pairs; both 0, with gradient 0, where nothing was asked.
    """
    draws = None
    if head.training:
        draws = uniform(batch.seed, batch.step, batch.keys, head.dropout_width, stream)
    concentration = head(representation, draws)
    nll = negative_log_likelihood(batch.votes, concentration, schema)
    total, count = masked_mean(nll, asked(batch.votes, schema))
    return total, count


def labels_of(batch: Batch) -> Tensor:
    """Give the labels of a batch, or say that it has none."""
    if batch.labels is None:
        raise HoagError("the direct arm learns from labels, and these galaxies come without any")
    return batch.labels


def minus_cosine(prediction: Tensor, wanted: Tensor) -> Tensor:
    """Give minus the cosine of rows, (batch,) float32 in [-1, 1] (Grill et al. 2020, Eq. 2)."""
    with torch.autocast(prediction.device.type, enabled=False):
        return -F.cosine_similarity(prediction.float(), wanted.float(), dim=1)


def global_mean(local: Tensor) -> Tensor:
    """Give a mean over one process's batch the value of the mean over all, and its own gradient.

    Any function of such means then has, after the mean of gradients over processes, the gradient of
    the global batch; that would not hold for the mean of a ratio of local losses.
    """
    everywhere = all_sum(local) / world_size()
    return everywhere + (local - local.detach())


def global_ratio(total: Tensor, count: Tensor) -> Tensor:
    """Divide this process's sum by the count over all processes, in the sense of `global_mean`.

    Exactly 0 where the count is 0 everywhere.
    """
    return global_mean(total * world_size() / all_sum(count).clamp_min(1.0))


@torch.no_grad()
def feature_std(representation: Tensor) -> Tensor:
    """Measure collapse: the spread of directions, scalar in [0, 1].

    The standard deviation over the batch of each dimension of the L2-normalised representation,
    mean over dimensions, times the square root of their number: near 1 for directions spread
    evenly, 0 when all galaxies share one. Representations after a ReLU lie in one orthant, so they
    stay well below 1 when healthy.
    """
    directions = F.normalize(representation.float(), dim=1)
    return directions.std(0, unbiased=False).mean() * directions.shape[1] ** 0.5


def counted_std(representation: Tensor) -> tuple[Tensor, Tensor]:
    """Give `feature_std` of a batch as (sum, count), to be averaged over batches by their size."""
    count = representation.new_tensor(float(len(representation)), dtype=torch.float32)
    return feature_std(representation) * count, count

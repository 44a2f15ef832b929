"""The paper's four arms as compositions of the same parts: Direct, Pretrained, Contrastive, Hybrid.

An objective takes a batch of galaxies, makes its views and gives the loss, a mean over the global
batch (see `hoag.losses`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor
from torch.nn import functional as F

from hoag.arm import Batch, Metrics, Objective, Supervised, apply_head, labels_of
from hoag.errors import HoagError
from hoag.finetuned import EncoderAlone, Finetuned
from hoag.goal_heads import Goal
from hoag.heads import ClassHead, Predictor, Projector, VoteHead
from hoag.losses import (
    counted_std,
    feature_std,
    global_mean,
    global_ratio,
    minus_cosine,
    vote_loss,
)
from hoag.mixing import make_mixing
from hoag.randomness import DROPOUT, DROPOUT_TWO, VIEW_ONE, VIEW_TWO, seeded
from hoag.schema import Schema
from hoag.target import Target, tau_at

if TYPE_CHECKING:
    from hoag.recipe import Recipe

__all__ = [
    "Batch",
    "Contrastive",
    "Direct",
    "Hybrid",
    "Objective",
    "Pretrained",
    "make_objective",
    "make_vote_head",
]


class Pretrained(Supervised):
    """Learn to predict volunteers' votes on all questions (paper Sec. 3.1)."""

    def __init__(self, recipe: "Recipe", schema: Schema) -> None:
        super().__init__(recipe)
        self.schema = schema
        self.vote_head = make_vote_head(recipe, self.features, schema)

    def loss(self, representation: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Give the votes' negative log-likelihood; see `hoag.losses.vote_loss`."""
        concentration = apply_head(self.vote_head, representation, batch, DROPOUT)
        return vote_loss(concentration, batch.votes, self.schema)


class Direct(Supervised):
    """Learn the downstream labels end to end: the paper's baseline."""

    metrics = (*Supervised.metrics, "accuracy")

    def __init__(self, recipe: "Recipe", classes: int) -> None:
        super().__init__(recipe)
        with seeded(recipe.seed + 1):
            self.class_head = ClassHead(self.features, classes, recipe.heads.vote_dropout)

    def loss(self, representation: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Give the cross-entropy over galaxies with a label, and how many they are."""
        labels = labels_of(batch)
        logits = apply_head(self.class_head, representation, batch, DROPOUT)
        total = F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")
        return total, (labels >= 0).sum().float()

    def measure(self, batch: Batch) -> Metrics:
        """See `Objective`."""
        representation, labels = self.encoder(self.clean(batch)), labels_of(batch)
        logits = apply_head(self.class_head, representation, batch, DROPOUT)
        right = (logits.argmax(1) == labels).sum().float()
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
        total, count = self.votes_of(represented[0], batch, DROPOUT)
        if self.both:
            more, as_many = self.votes_of(represented[1], batch, DROPOUT_TWO)
            total, count = total + more, count + as_many
        supervised = global_ratio(total, count)
        loss = self.mixing(contrastive, supervised, self.weight)
        return {"loss": loss, "supervised": supervised.detach()}

    def votes_of(self, representation: Tensor, batch: Batch, stream: int) -> tuple[Tensor, Tensor]:
        """Give the votes' negative log-likelihood; see `hoag.losses.vote_loss`."""
        concentration = apply_head(self.vote_head, representation, batch, stream)
        return vote_loss(concentration, batch.votes, self.schema)

    def measure(self, batch: Batch) -> Metrics:
        """See `Objective`: the contrastive metrics, and the votes' on the evaluation view."""
        supervised = self.votes_of(self.encoder(self.clean(batch)), batch, DROPOUT)
        return super().measure(batch) | {"supervised": supervised}


def make_objective(
    recipe: "Recipe",
    schema: Schema,
    classes: int | Sequence[str] | None = None,
    goal: Goal | None = None,
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
    goal
        What is learned in finetuning.

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
    if recipe.arm == "finetune":
        if goal is None:
            raise HoagError("arm = 'finetune' goes on from a model; use hoag finetune MODEL")
        return Finetuned(recipe, goal, schema)
    if recipe.arm == "encoder":
        return EncoderAlone(recipe)
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

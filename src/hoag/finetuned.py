"""What `hoag finetune` minimises: a goal's loss, from the weights of a model that is there."""

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from hoag.arm import Batch, Metrics, Objective, Supervised, apply_head, labels_of
from hoag.errors import HoagError
from hoag.goal_heads import Goal, VotesGoal, make_goal_head
from hoag.layer_groups import block_rates, freeze_early
from hoag.losses import counted_std
from hoag.randomness import DROPOUT, seeded
from hoag.schema import Schema

if TYPE_CHECKING:
    from hoag.recipe import Recipe


class Finetuned(Supervised):
    """Learn classes, labels, numbers or votes from the weights of another model.

    Which part of the encoder may move, and how fast: ``recipe.finetune``.
    """

    def __init__(self, recipe: "Recipe", goal: Goal, schema: Schema) -> None:
        super().__init__(recipe)
        self.goal = goal
        with seeded(recipe.seed + 4):
            self.head = make_goal_head(goal, self.features, schema, recipe.heads)
        self.metrics = (*Supervised.metrics, *self.head.metrics)  # type: ignore[misc]
        chosen = recipe.finetune
        freeze_early(self.encoder, chosen.train, chosen.blocks)
        self._rates = block_rates(self.encoder, chosen.decay)

    @property
    def vote_head(self) -> VotesGoal | None:
        """Give the head that predicts votes, if they are what was learned."""
        return self.head if isinstance(self.head, VotesGoal) else None

    def learning_rates(self) -> dict[str, float]:
        """See `Objective`: lower by the recipe's decay from block to block towards the image."""
        return {f"encoder.{name}": share for name, share in self._rates.items()}

    def loss(self, representation: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Give the loss of the goal's head; see `hoag.goal_heads`."""
        output = apply_head(self.head, representation, batch, DROPOUT)
        return self.head.loss(output, labels_of(batch))

    def measure(self, batch: Batch) -> Metrics:
        """See `Objective`."""
        representation, labels = self.encoder(self.clean(batch)), labels_of(batch)
        output = apply_head(self.head, representation, batch, DROPOUT)
        return {
            "supervised": self.head.loss(output, labels),
            "feature_std": counted_std(representation),
            **self.head.measure(output, labels),
        }


class EncoderAlone(Objective):
    """An encoder without heads, from timm or the Hub: it represents, and learns by finetuning."""

    monitor = "val/supervised"
    metrics: ClassVar[tuple[str, ...]] = ()

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Refuse to train: there is nothing to learn from."""
        raise HoagError("arm = 'encoder' is an encoder without heads; use hoag finetune MODEL")

"""A trained model in use: load it, embed galaxies with it, predict votes or classes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hoag.batches import in_chunks
from hoag.checkpoint import weights_hash
from hoag.console import progress
from hoag.devices import choose_device, lay_out, worker_count
from hoag.embedding import make_table
from hoag.errors import HoagError
from hoag.folding import folded
from hoag.galaxies import Galaxies
from hoag.memory import keep_freed_memory
from hoag.objectives import Objective
from hoag.provenance import stamp
from hoag.recipe import Recipe
from hoag.schema import Schema
from hoag.temperatures import Temperatures
from hoag.views import evaluation_view

if TYPE_CHECKING:
    import pyarrow as pa

BATCH, FEW = 256, 32  # galaxies at once; few on a processor, whose caches they must fit
UNREAD = 16  # batches whose results wait on the device, so that it need not wait for us


class Model:
    """An encoder with its heads, schema and transform, frozen and in evaluation mode.

    Attributes
    ----------
    recipe
        How it was trained; ``recipe.images.size`` is the side in pixels of what the encoder sees.
    schema
        The questions that its vote head answers.
    classes
        Names of the classes of a Direct model, else None.
    hash
        16 hex digits that stand for the encoder's weights, recorded in every table made with it.
    folder
        Where its weights lie, if it was loaded from there.
    temperatures
        How far to trust its certainty, if `hoag calibrate` has fitted it.
    record
        run.json of its run: data, command, machine and so on; empty if it has none.
    name
        What it is, in a few words: its arm and encoder, or where the encoder is from.
    """

    folder: Path | None = None
    temperatures: Temperatures | None = None

    def __init__(
        self,
        objective: Objective,
        recipe: Recipe,
        schema: Schema,
        classes: list[str] | None = None,
        device: str = "auto",
    ):
        self.device = choose_device(device)
        self.objective = objective.to(self.device).eval().requires_grad_(False)
        lay_out(self.objective, self.device)
        self.recipe, self.schema, self.classes = recipe, schema, classes
        self.hash = encoder_hash(objective.encoder)
        self.record: dict[str, Any] = {}
        self._folded: tuple[Any, torch.nn.Module] = ((), self.encoder)
        self.name = f"{recipe.arm} {recipe.encoder.name}"

    @property
    def encoder(self) -> torch.nn.Module:
        """The network from (batch, 3, size, size) float32 in [0, 1] to (batch, dim)."""
        return self.objective.encoder

    @property
    def _network(self) -> torch.nn.Module:
        """The encoder for use alone (`hoag.folding`), made anew if its weights were changed."""
        tensors = (*self.encoder.parameters(), *self.encoder.buffers())
        now = tuple((tensor.data_ptr(), tensor._version) for tensor in tensors)
        if now != self._folded[0]:
            self._folded = now, folded(self.encoder)
        return self._folded[1]

    def embed(self, galaxies: Galaxies, *, symmetries: int = 1, quiet: bool = False) -> "pa.Table":
        """Represent galaxies: a table of ``id_str`` and ``representation``, (n, dim) float32.

        Parameters
        ----------
        galaxies
            What to represent.
        symmetries
            1: the image as it is. 8: the mean over its flips and right-angle rotations, since
            galaxies have no preferred orientation.
        quiet
            Show no progress bar.
        """
        represent = averaged(self._network, symmetries)
        vectors = self._apply(galaxies, represent, "embedding", quiet)
        made = stamp(seed=self.recipe.seed, schema_hash=self.schema.hash)
        about = {
            "model": self.hash,
            "name": self.name,
            "arm": self.recipe.arm,
            "size": self.recipe.images.size,
            "symmetries": symmetries,
            "data": galaxies.hash,
        }
        return make_table(galaxies.ids, vectors, {**made, **about})

    def predict(
        self,
        galaxies: Galaxies,
        *,
        symmetries: int = 1,
        calibrated: bool = True,
        quiet: bool = False,
    ) -> npt.NDArray[np.float32]:
        """Predict the Dirichlet concentrations of all answers, (n, answers) float32, above 0.

        Parameters
        ----------
        galaxies
            What to predict for.
        symmetries
            1: the image as it is. 8: the mean over its flips and right-angle rotations.
        calibrated
            Divide by the model's temperatures, if it has some.
        quiet
            Show no progress bar.

        Raises
        ------
        HoagError
            If the model has no vote head (Contrastive, Direct).
        """
        head, network = self._vote_head, self._network
        answer = averaged(lambda images: head(network(images)), symmetries)
        concentrations = self._apply(galaxies, answer, "predicting", quiet)
        if calibrated and self.temperatures is not None:
            return self.temperatures.apply(concentrations, self.schema)
        return concentrations

    @torch.inference_mode()
    def respond(self, views: Tensor) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Represent and predict at once: (n, dim) vectors and (n, answers) concentrations.

        Parameters
        ----------
        views
            (n, 3, size, size) float32 in [0, 1], as `hoag.views.evaluation_view` makes them. The
            model's temperatures are applied.
        """
        represented = self._network(views.to(self.device))
        concentration = self._vote_head(represented).float().cpu().numpy()
        if self.temperatures is not None:
            concentration = self.temperatures.apply(concentration, self.schema)
        return represented.float().cpu().numpy(), concentration

    @property
    def votes_hash(self) -> str:
        """16 hex digits that stand for all weights that its vote predictions rest on."""
        parts = {"encoder": self.encoder, "vote_head": self._vote_head}
        return weights_hash(
            {f"{k}.{n}": v for k, part in parts.items() for n, v in part.state_dict().items()}
        )

    @property
    def _vote_head(self) -> torch.nn.Module:
        head: torch.nn.Module | None = getattr(self.objective, "vote_head", None)
        if head is None:
            raise HoagError(
                f"this {self.recipe.arm} model has no vote head; use pretrained or hybrid"
            )
        return head

    def classify(self, galaxies: Galaxies, *, quiet: bool = False) -> npt.NDArray[np.float32]:
        """Class probabilities of a Direct model, (n, classes) float32, rows summing to 1."""
        head = getattr(self.objective, "class_head", None)
        if head is None:
            raise HoagError(f"this {self.recipe.arm} model has no classes; only direct has")
        network = self._network
        return self._apply(galaxies, lambda x: head(network(x)).softmax(1), "classifying", quiet)

    @torch.inference_mode()
    def _apply(
        self, galaxies: Galaxies, function: Any, doing: str, quiet: bool
    ) -> npt.NDArray[np.float32]:
        results, made = [], []
        for images in self._images(galaxies, doing, quiet):
            made.append(function(images).float())
            if len(made) == UNREAD:
                results.append(torch.cat(made).cpu().numpy())
                made.clear()
        return np.concatenate([*results, *(part.cpu().numpy() for part in made)])

    def _images(self, galaxies: Galaxies, doing: str, quiet: bool) -> Iterator[Tensor]:
        if len(galaxies) == 0:
            raise HoagError("there are no galaxies to work on")
        if self.device.type == "cpu":
            keep_freed_memory()
        settings = self.recipe.images
        size = FEW if self.device.type == "cpu" else BATCH
        total = -(-len(galaxies) // size)
        on_card = self.device.type == "cuda"
        # Processes read ahead for a card, where there is more than they take to start.
        workers = min(worker_count(-1, self.device), total // 8) if on_card else 0
        chunks = in_chunks(
            galaxies, settings.stored, size=size, keep=False, workers=workers, pin=on_card
        )
        for batch in chunks if quiet else progress(chunks, doing, total=total, unit="batches"):
            images = batch.images.to(self.device, non_blocking=True)
            view = evaluation_view(images, settings.size)
            yield view.contiguous(memory_format=torch.channels_last)  # convolutions are faster so

    def __repr__(self) -> str:
        dim = getattr(self.encoder, "num_features", "?")
        return (
            f"Model({self.recipe.arm}, {self.recipe.encoder.name}, {self.recipe.images.size} px, "
            f"{dim} features, {self.hash})"
        )

    def _repr_html_(self) -> str:
        from hoag.notebook import model_html

        return model_html(self)


def encoder_hash(encoder: torch.nn.Module) -> str:
    """16 hex digits that stand for an encoder's weights and how it normalises its input."""
    buffers = dict(encoder.named_buffers())
    own = {name: value for name, value in buffers.items() if name in ("input_mean", "input_std")}
    return weights_hash(encoder.state_dict() | own)


def averaged(function: Callable[[Tensor], Tensor], symmetries: int) -> Callable[[Tensor], Tensor]:
    """Average what a function of images gives over 1 or 8 of their symmetries, in float32."""
    if symmetries not in (1, 8):
        raise HoagError(f"symmetries = {symmetries} must be 1 or 8 (flips and right angles)")

    def average(images: Tensor) -> Tensor:
        turned = _symmetric(images) if symmetries == 8 else [images]
        return torch.stack([function(image).float() for image in turned]).mean(0)

    return average


def _symmetric(images: Tensor) -> list[Tensor]:
    """Give the 8 flips and right-angle rotations of (batch, 3, s, s) images."""
    turned = [torch.rot90(images, quarter, (2, 3)) for quarter in range(4)]
    return turned + [image.flip(3) for image in turned]

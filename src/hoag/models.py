"""A trained model in use: load it, embed galaxies with it, predict votes or classes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hoag.batches import in_chunks
from hoag.checkpoint import load_stamp, load_weights, weights_hash
from hoag.console import progress
from hoag.devices import choose_device
from hoag.embedding import make_table
from hoag.encoders import recalibrate_batchnorm
from hoag.errors import HoagError
from hoag.files import read_json
from hoag.galaxies import Galaxies
from hoag.objectives import Objective, make_objective
from hoag.provenance import stamp
from hoag.recipe import Recipe, load_recipe
from hoag.schema import Schema
from hoag.temperatures import FILE as TEMPERATURES
from hoag.temperatures import Temperatures, read_temperatures
from hoag.views import evaluation_view

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 256


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
        self.recipe, self.schema, self.classes = recipe, schema, classes
        self.hash = weights_hash(objective.encoder.state_dict())

    @property
    def encoder(self) -> torch.nn.Module:
        """The network from (batch, 3, size, size) float32 in [0, 1] to (batch, dim)."""
        return self.objective.encoder

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
        represent = _averaged(self.encoder, symmetries)
        vectors = self._apply(galaxies, represent, "embedding", quiet)
        made = stamp(seed=self.recipe.seed, schema_hash=self.schema.hash)
        about = {
            "model": self.hash,
            "arm": self.recipe.arm,
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
        head = self._vote_head
        answer = _averaged(lambda images: head(self.encoder(images)), symmetries)
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
        represented = self.encoder(views.to(self.device))
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
            raise HoagError(f"a {self.recipe.arm} model has no vote head; use pretrained or hybrid")
        return head

    def classify(self, galaxies: Galaxies, *, quiet: bool = False) -> npt.NDArray[np.float32]:
        """Class probabilities of a Direct model, (n, classes) float32, rows summing to 1."""
        head = getattr(self.objective, "class_head", None)
        if head is None:
            raise HoagError(f"a {self.recipe.arm} model has no classes; only direct has")
        return self._apply(
            galaxies, lambda x: head(self.encoder(x)).softmax(1), "classifying", quiet
        )

    @torch.inference_mode()
    def _apply(
        self, galaxies: Galaxies, function: Any, doing: str, quiet: bool
    ) -> npt.NDArray[np.float32]:
        results = [
            function(images).float().cpu().numpy()
            for images in self._images(galaxies, doing, quiet)
        ]
        return np.concatenate(results)

    def _images(self, galaxies: Galaxies, doing: str, quiet: bool) -> Iterator[Tensor]:
        if len(galaxies) == 0:
            raise HoagError("there are no galaxies to work on")
        settings = self.recipe.images
        chunks = in_chunks(galaxies, settings.stored, size=BATCH)
        total = -(-len(galaxies) // BATCH)
        for batch in chunks if quiet else progress(chunks, doing, total=total, unit="batches"):
            yield evaluation_view(batch.images.to(self.device), settings.size)

    def __repr__(self) -> str:
        dim = getattr(self.encoder, "num_features", "?")
        return (
            f"Model({self.recipe.arm}, {self.recipe.encoder.name}, {self.recipe.images.size} px, "
            f"{dim} features, {self.hash})"
        )


def _averaged(function: Callable[[Tensor], Tensor], symmetries: int) -> Callable[[Tensor], Tensor]:
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


def random_model(
    recipe: Recipe, schema: Schema, galaxies: Galaxies | None = None, *, device: str = "auto"
) -> Model:
    """Make the untrained model a recipe starts from: the random-weights baseline.

    Parameters
    ----------
    recipe, schema
        Of the arms it is compared with.
    galaxies
        Images on which BatchNorm's statistics are measured, a thousand or so; without them they
        stay at mean 0 and variance 1, which makes a weaker baseline than need be.
    device
        auto, cpu, cuda or mps.
    """
    bare = recipe.changed({"arm": "pretrained"})
    objective = make_objective(bare, schema, None).to(choose_device(device))
    if galaxies is not None:
        stored, size = recipe.images.stored, recipe.images.size
        batch = min(BATCH, len(galaxies))
        whole = galaxies.take(np.arange(len(galaxies) // batch * batch))  # equal batches
        batches = in_chunks(whole, stored, size=batch)
        on_device = (each.images.to(choose_device(device)) for each in batches)
        recalibrate_batchnorm(
            objective.encoder, (evaluation_view(images, size) for images in on_device)
        )
    return Model(objective, bare, schema, device=device)


def load(where: str | Path, *, which: str = "best", device: str = "auto") -> Model:
    """Load a trained model.

    Parameters
    ----------
    where
        The folder of a run, or any folder with recipe.toml, schema.json and model.safetensors.
    which
        For a run, the "best" or the "last" checkpoint.
    device
        auto, cpu, cuda or mps.

    Raises
    ------
    HoagError
        If there is no model, or its weights do not fit its recipe.
    """
    where = Path(where)
    if not (where / "recipe.toml").is_file():
        raise HoagError(f"{where}: holds no recipe.toml, so it is no run and no exported model")
    recipe = load_recipe(where / "recipe.toml")
    schema = Schema.from_dict(read_json(where / "schema.json"))
    run = read_json(where / "run.json") if (where / "run.json").exists() else {}
    folder = where if (where / "model.safetensors").exists() else where / which
    if not folder.is_dir():
        raise HoagError(
            f"{where}: has no {which}/ checkpoint yet; let it train until its first validation"
        )
    objective = make_objective(recipe, schema, run.get("classes"))
    made_for = load_stamp(folder).get("schema_hash", schema.hash)
    if made_for != schema.hash:
        raise HoagError(
            f"{folder}: the weights answer the schema {made_for}, and schema.json beside them is "
            f"{schema.hash}; put back the schema.json of the run"
        )
    try:
        objective.load_state_dict(load_weights(folder))
    except RuntimeError as error:
        first = str(error).strip().splitlines()[-1].strip()
        raise HoagError(
            f"{folder}: the weights do not fit the recipe beside them ({first})"
        ) from None
    model = Model(objective, recipe, schema, run.get("classes"), device)
    model.folder = folder
    if (folder / TEMPERATURES).is_file():
        model.temperatures = read_temperatures(folder, model.votes_hash, schema)
    return model

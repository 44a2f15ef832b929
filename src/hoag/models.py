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
from hoag.goal_heads import Goal
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
PARTS = "hoag"  # folder in an exported model for what timm does not know
TRAINING_ONLY = ("projector.", "predictor.", "target.")


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
        self.recipe, self.schema, self.classes = recipe, schema, classes
        self.hash = encoder_hash(objective.encoder)
        self.record: dict[str, Any] = {}
        self.name = f"{recipe.arm} {recipe.encoder.name}"

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
        represent = averaged(self.encoder, symmetries)
        vectors = self._apply(galaxies, represent, "embedding", quiet)
        made = stamp(seed=self.recipe.seed, schema_hash=self.schema.hash)
        about = {
            "model": self.hash,
            "name": self.name,
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
        answer = averaged(lambda images: head(self.encoder(images)), symmetries)
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
            raise HoagError(
                f"this {self.recipe.arm} model has no vote head; use pretrained or hybrid"
            )
        return head

    def classify(self, galaxies: Galaxies, *, quiet: bool = False) -> npt.NDArray[np.float32]:
        """Class probabilities of a Direct model, (n, classes) float32, rows summing to 1."""
        head = getattr(self.objective, "class_head", None)
        if head is None:
            raise HoagError(f"this {self.recipe.arm} model has no classes; only direct has")
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


def load(
    where: str | Path,
    *,
    which: str = "best",
    device: str = "auto",
    size: int | None = None,
    seed: int = 0,
) -> Model:
    """Load a model: a run's, an exported one, or a timm encoder of other people.

    Parameters
    ----------
    where
        The folder of a run; a folder that `hoag export` made; a folder with the config.json and
        model.safetensors of a timm encoder; ``hf:USER/NAME``, such a folder on the Hub (or on this
        machine, ``hf:FOLDER``); or ``timm:NAME``, an architecture with random weights.
    which
        For a run, the "best" or the "last" checkpoint.
    device
        auto, cpu, cuda or mps.
    size
        Side of the images in pixels for an encoder from elsewhere; None: what its weights were
        trained at, and 128 for random ones.
    seed
        Of random weights.

    Returns
    -------
    Model
        A `hoag.tuned.Tuned` one for a run of `hoag finetune` that learned no votes.

    Raises
    ------
    HoagError
        If there is no model, its weights do not fit its recipe, or the Hub cannot be reached.
    """
    if str(where).startswith(("timm:", "hf:")):
        from hoag.timm_models import load_named

        return load_named(str(where), size=size, seed=seed, device=device)
    where = Path(where)
    if (where / PARTS / "recipe.toml").is_file():
        weights = {f"encoder.{name}": value for name, value in load_weights(where).items()}
        parts = where / PARTS
        return _assemble(parts, parts, weights | load_weights(parts), device)
    if (where / "recipe.toml").is_file():
        folder = where if (where / "model.safetensors").exists() else where / which
        if not folder.is_dir():
            raise HoagError(
                f"{where}: has no {which}/ checkpoint yet; let it train until its first validation"
            )
        return _assemble(where, folder, load_weights(folder), device)
    if (where / "config.json").is_file():
        from hoag.timm_models import load_folder

        return load_folder(where, size=size, device=device)
    raise HoagError(
        f"{where}: holds no recipe.toml and no config.json, so it is no run, no exported model and "
        "no timm encoder; timm:NAME and hf:USER/NAME are taken too"
    )


def _assemble(records: Path, folder: Path, weights: dict[str, Tensor], device: str) -> Model:
    """Put a model together from its records, and weights that lie in `folder`."""
    recipe = load_recipe(records / "recipe.toml")
    schema = Schema.from_dict(read_json(records / "schema.json"))
    path = records / "run.json"
    run = read_json(path) if path.exists() else {}
    goal = Goal.from_dict(run["goal"], str(path)) if "goal" in run else None
    objective = make_objective(recipe, schema, run.get("classes"), goal)
    made_for = load_stamp(folder).get("schema_hash", schema.hash)
    if made_for != schema.hash:
        raise HoagError(
            f"{folder}: the weights answer the schema {made_for}, and schema.json beside them is "
            f"{schema.hash}; put back the schema.json of the run"
        )
    _put_weights(objective, weights, folder)
    kind: type[Model] = Model
    if goal is not None and goal.kind != "votes":
        from hoag.tuned import Tuned

        kind = Tuned
    model = kind(objective, recipe, schema, run.get("classes"), device)
    model.folder, model.record = folder, run
    if (folder / TEMPERATURES).is_file():
        model.temperatures = read_temperatures(folder, model.votes_hash, schema)
    return model


def _put_weights(objective: Objective, weights: dict[str, Tensor], folder: Path) -> None:
    try:
        missing, strange = objective.load_state_dict(weights, strict=False)
    except RuntimeError as error:  # sizes differ
        odd = str(error).strip().splitlines()[-1].strip()
    else:
        # An exported model leaves out what is of use in training alone.
        needed = [name for name in missing if not name.startswith(TRAINING_ONLY)]
        if not needed and not strange:
            return
        odd = f"missing {needed[0]}" if needed else f"unexpected {strange[0]}"
    raise HoagError(f"{folder}: the weights do not fit the recipe beside them ({odd})")

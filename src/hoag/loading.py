"""``hoag.load``: a model from a run, an exported folder, timm or the Hub; and random weights."""

from pathlib import Path

import numpy as np
from torch import Tensor

from hoag.batches import in_chunks
from hoag.checkpoint import load_stamp, load_weights
from hoag.devices import choose_device
from hoag.encoders import check_size, recalibrate_batchnorm
from hoag.errors import HoagError
from hoag.files import read_json
from hoag.galaxies import Galaxies
from hoag.goal_heads import Goal
from hoag.models import BATCH, Model
from hoag.objectives import Objective, make_objective
from hoag.recipe import Recipe, load_recipe
from hoag.schema import Schema, load_schema
from hoag.temperatures import FILE as TEMPERATURES
from hoag.temperatures import read_temperatures
from hoag.tuned import Tuned
from hoag.views import evaluation_view

PARTS = "hoag"  # folder in an exported model for what timm does not know
TRAINING_ONLY = ("projector.", "predictor.", "target.")


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
        Side of the images in pixels; None: what the weights were trained at, and 128 for random
        ones. Convolutional encoders take any, which changes what their features mean.
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
        return _assemble(parts, parts, weights | load_weights(parts), device, size)
    if (where / "recipe.toml").is_file():
        folder = where if (where / "model.safetensors").exists() else where / which
        if not folder.is_dir():
            raise HoagError(
                f"{where}: has no {which}/ checkpoint yet; let it train until its first validation"
            )
        return _assemble(where, folder, load_weights(folder), device, size)
    if (where / "config.json").is_file():
        from hoag.timm_models import load_folder

        return load_folder(where, size=size, device=device)
    raise HoagError(
        f"{where}: holds no recipe.toml and no config.json, so it is no run, no exported model and "
        "no timm encoder; timm:NAME and hf:USER/NAME are taken too"
    )


def _assemble(
    records: Path, folder: Path, weights: dict[str, Tensor], device: str, size: int | None
) -> Model:
    """Put a model together from its records, and weights that lie in `folder`."""
    recipe = load_recipe(records / "recipe.toml")
    schema = load_schema(records / "schema.json")
    path = records / "run.json"
    run = read_json(path) if path.exists() else {}
    if not isinstance(run, dict):
        raise HoagError(f"{path}: is no record of a run; put back the run.json of the run")
    goal = Goal.from_dict(run["goal"], str(path)) if "goal" in run else None
    objective = make_objective(recipe, schema, run.get("classes"), goal)
    made_for = load_stamp(folder).get("schema_hash", schema.hash)
    if made_for != schema.hash:
        raise HoagError(
            f"{folder}: the weights answer the schema {made_for}, and schema.json beside them is "
            f"{schema.hash}; put back the schema.json of the run"
        )
    _put_weights(objective, weights, folder)
    if size is not None and size != recipe.images.size:
        recipe = recipe.changed({"images.size": size, "images.decode": 0})
        check_size(objective.encoder, size, str(folder))
    kind = Tuned if goal is not None and goal.kind != "votes" else Model
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

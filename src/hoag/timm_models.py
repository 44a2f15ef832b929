"""Encoders that hoag has not trained: timm's architectures, and timm models on the Hub or on disk.

Zoobot's encoders are such models: config.json says what they are, model.safetensors what they know.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from hoag.checkpoint import load_weights
from hoag.console import say
from hoag.encoders import check_encoder, check_size
from hoag.errors import HoagError
from hoag.files import read_json
from hoag.loading import PARTS, load
from hoag.models import Model
from hoag.objectives import make_objective
from hoag.recipe import Recipe
from hoag.schema import load_schema

SIZE = 128  # pixels, the paper's


def load_named(name: str, *, size: int | None, seed: int, device: str) -> Model:
    """Load "timm:NAME" or "hf:USER/NAME"; see `hoag.load`."""
    kind, _, what = name.partition(":")
    if kind == "timm":
        return _random(what, size, seed, device)
    folder = Path(what) if Path(what).is_dir() else download(what)
    if (folder / PARTS / "recipe.toml").is_file():
        return load(folder, device=device)
    model = load_folder(folder, size=size, device=device)
    model.name = f"hf:{folder.name}" if Path(what).is_dir() else name
    return model


def _random(name: str, size: int | None, seed: int, device: str) -> Model:
    """Make a timm architecture with random weights from the seed."""
    import timm

    check_encoder(name)
    config = timm.get_pretrained_cfg(name)
    fixed = config is not None and config.fixed_input_size
    if fixed:
        size = size or int(config.input_size[-1])
    options = {"img_size": size} if fixed else {}
    model = _alone(name, options, {"images.size": size or SIZE, "seed": seed}, device)
    say(
        f"timm:{name}: random weights from seed {seed}, {size or SIZE} px; a baseline that has "
        "seen no galaxy"
    )
    model.name = f"timm:{name} (random, seed {seed})"
    return model


def load_folder(folder: Path, *, size: int | None = None, device: str = "auto") -> Model:
    """Load a timm encoder from its config.json and model.safetensors.

    Parameters
    ----------
    folder
        In the layout of timm models on the Hub. A classifier among the weights is left out.
    size
        Side of the images in pixels; None: as config.json says.
    device
        auto, cpu, cuda or mps.

    Raises
    ------
    HoagError
        If config.json names no architecture of timm or other images than RGB, there is no
        model.safetensors, or the two do not fit.
    """
    path = folder / "config.json"
    config = read_json(path)
    if not isinstance(config, dict) or "architecture" not in config:
        raise HoagError(f"{path}: names no 'architecture', so it is not of a timm model")
    images = config.get("pretrained_cfg") or config  # older ones have all in one
    channels, _, side = images.get("input_size", (3, SIZE, SIZE))
    if channels != 3:
        raise HoagError(f"{path}: takes images of {channels} channels, and galaxies here have 3")
    if not (folder / "model.safetensors").is_file():
        raise HoagError(
            f"{folder}: has no model.safetensors; other formats can run code when they are read, "
            "so they are not"
        )
    options = {k: v for k, v in (config.get("model_args") or {}).items() if k != "num_classes"}
    changes = {
        "images.size": size or int(side),
        "images.mean": list(images.get("mean", (0.0, 0.0, 0.0))),
        "images.std": list(images.get("std", (1.0, 1.0, 1.0))),
    }
    if size and images.get("fixed_input_size"):
        options["img_size"] = size
    model = _alone(config["architecture"], options, changes, "cpu")
    _fill(model, load_weights(folder), images.get("classifier"), folder)
    filled = Model(model.objective, model.recipe, model.schema, device=device)
    filled.name = f"timm {config['architecture']}"
    return filled


def _alone(name: str, options: Mapping[str, Any], changes: dict[str, Any], device: str) -> Model:
    encoder = {"encoder.name": name, "encoder.options": dict(options)}
    recipe = Recipe().changed({"arm": "encoder", **encoder, **changes})
    schema = load_schema("gz-evo")
    objective = make_objective(recipe, schema)
    check_size(objective.encoder, recipe.images.size, name)
    return Model(objective, recipe, schema, device=device)


def _fill(model: Model, weights: dict[str, Tensor], classifier: Any, folder: Path) -> None:
    """Put weights into an encoder: all of its own, and no others but those of a classifier."""
    names = [classifier] if isinstance(classifier, str) else list(classifier or ())
    ends = tuple(f"{name}." for name in names)
    own = set(model.encoder.state_dict())
    kept = {name: v for name, v in weights.items() if name in own or not name.startswith(ends)}
    try:
        model.encoder.load_state_dict(kept)
    except RuntimeError as error:
        odd = str(error).strip().splitlines()[-1].strip()
        raise HoagError(
            f"{folder}: model.safetensors does not fit config.json beside it ({odd})"
        ) from None


def download(name: str) -> Path:
    """Fetch a model of the Hub into huggingface_hub's cache; offline, take it from there.

    Raises
    ------
    HoagError
        If it is no model of the Hub, or there is neither a network nor a copy.
    """
    import httpx2
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    from hoag.data.hub import HUB_ID, only_what_is_asked

    if not HUB_ID.fullmatch(name):
        raise HoagError(f"hf:{name}: neither a folder here nor an id of the Hub, hf:USER/NAME")
    wanted = ["config.json", "model.safetensors", f"{PARTS}/*"]
    try:
        with only_what_is_asked():
            where = constants.ENDPOINT
            return Path(snapshot_download(name, endpoint=where, allow_patterns=wanted))
    except (HFValidationError, RepositoryNotFoundError):
        raise HoagError(
            f"hf:{name}: not on {constants.ENDPOINT}, or private; check the name, and if it is "
            "private log in with `hf auth login`"
        ) from None
    except (LocalEntryNotFoundError, httpx2.TransportError):
        raise HoagError(
            f"hf:{name}: {constants.ENDPOINT} cannot be reached and the model is not in the cache; "
            "fetch it where there is a network, and give the folder as hf:FOLDER"
        ) from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise HoagError(f"hf:{name}: {constants.ENDPOINT} refuses with status {status}") from None

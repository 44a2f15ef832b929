"""``hoag export``: a model as a folder that timm, the Hub, ONNX and hoag itself read.

``config.json`` and ``model.safetensors`` are the encoder as timm and the Hub know it; ``hoag/``
holds what hoag knows beside it: heads, schema, recipe, temperatures, results; ``README.md`` is the
model card. What training alone needs (BYOL's projector, predictor and target network) is left out.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from hoag.console import say
from hoag.errors import HoagError
from hoag.files import write_json, written_whole
from hoag.goal_scores import CONFUSION
from hoag.loading import PARTS, TRAINING_ONLY, load
from hoag.model_card import write_card
from hoag.models import Model
from hoag.provenance import stamp
from hoag.recipe import write_recipe
from hoag.temperatures import FILE as TEMPERATURES

CONFIG, WEIGHTS, ONNX = "config.json", "model.safetensors", "model.onnx"
TOLERANCE = 1e-5  # between the encoder here and as timm loads it, of the largest feature


def export(
    model: str | Path | Model,
    out: str | Path,
    *,
    which: str = "best",
    onnx: bool = False,
    name: str | None = None,
    licence: str | None = None,
    push: str | None = None,
    private: bool = False,
) -> Path:
    """Write a model as a folder for timm, the Hub and hoag, checked before it is there.

    Parameters
    ----------
    model
        A model, or anything `hoag.load` takes.
    out
        The folder to make.
    which
        The "best" or the "last" checkpoint of a run.
    onnx
        Write model.onnx too, compared with onnxruntime (pip install 'hoag[onnx]').
    name
        Title of the model card; by default that of the folder.
    licence
        Of the weights, as the Hub writes it ("cc-by-4.0"); it is yours to choose.
    push
        Upload to the Hub as "user/name".
    private
        Whether only you may see it there.

    Returns
    -------
    Path
        The folder. Plain timm opens it: ``timm.create_model("local-dir:OUT", pretrained=True)``.

    Raises
    ------
    HoagError
        If the folder is there already, the encoder as timm or onnxruntime reads it gives other
        numbers than here, or the Hub refuses.
    """
    out = Path(out)
    if out.exists():
        raise HoagError(f"{out}: is there already; delete it or choose another OUT")
    if push is not None:
        from hoag.model_pushing import check_place

        check_place(push)  # before the work
    loaded = model if isinstance(model, Model) else load(model, which=which, device="cpu")
    with _on_cpu(loaded), written_whole(out) as folder:
        folder.mkdir()
        write_encoder(loaded, folder)
        _write_parts(loaded, folder / PARTS)
        _check_timm(loaded, folder)
        if onnx:
            from hoag.onnx_export import write_onnx

            write_onnx(loaded, folder / ONNX)
        write_card(loaded, folder, name or out.resolve().name, licence, push)
    say(f"{out}: opened by timm, the same features to {TOLERANCE:g}")
    if push is not None:
        from hoag.model_pushing import push_model

        say(f"{out}: is at {push_model(out, push, private=private)}")
    return out


@contextmanager
def _on_cpu(model: Model) -> Iterator[None]:
    """Have a model on the CPU for a while."""
    model.objective.to("cpu")
    try:
        yield
    finally:
        model.objective.to(model.device)


def write_encoder(model: Model, folder: Path) -> None:
    """Write the encoder as timm and the Hub know it: config.json and model.safetensors."""
    write_json(folder / CONFIG, timm_config(model))
    tensors = {name: t.detach().contiguous() for name, t in model.encoder.state_dict().items()}
    about = json.dumps({**stamp(seed=model.recipe.seed), "model": model.hash})
    _save(tensors, folder, {"format": "pt", "hoag": about})


def _save(tensors: dict[str, torch.Tensor], folder: Path, metadata: dict[str, str]) -> None:
    # As bytes: safetensors' own files are for their owner's eyes alone, and these are to be shared.
    (folder / WEIGHTS).write_bytes(save(tensors, metadata=metadata))


def timm_config(model: Model) -> dict[str, Any]:
    """Say what the encoder is, as timm's config.json on the Hub does.

    Images are RGB in [0, 1], then (image - mean) / std; hoag's own encoders take them as they are,
    so that mean is 0 and std 1.
    """
    recipe = model.recipe
    encoder: Any = model.encoder  # timm's attributes
    known = encoder.pretrained_cfg
    side = recipe.images.size
    return {
        "architecture": recipe.encoder.name,
        "num_classes": 0,
        "num_features": int(encoder.num_features),
        "model_args": dict(recipe.encoder.options),
        "pretrained_cfg": {
            "tag": "hoag",
            "custom_load": False,
            "input_size": [3, side, side],
            "fixed_input_size": bool(known.get("fixed_input_size", False)),
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "crop_mode": "squash",
            "mean": list(recipe.images.mean),
            "std": list(recipe.images.std),
            "num_classes": 0,
            "pool_size": None,
            "first_conv": known.get("first_conv"),
            "classifier": known.get("classifier"),
        },
    }


def _write_parts(model: Model, folder: Path) -> None:
    """Write what timm does not know: heads, recipe, schema, and the records of the run."""
    folder.mkdir()
    (folder / "recipe.toml").write_text(write_recipe(model.recipe))
    write_json(folder / "schema.json", model.schema.to_dict())
    # The command may name folders of the user's, which are nobody's business on the Hub.
    record = {name: value for name, value in model.record.items() if name != "command"}
    write_json(folder / "run.json", record)
    left_out = ("encoder.", *TRAINING_ONLY)
    heads = {
        name: tensor.detach().contiguous()
        for name, tensor in model.objective.state_dict().items()
        if not name.startswith(left_out)
    }
    made = stamp(seed=model.recipe.seed, schema_hash=model.schema.hash)
    _save(heads, folder, {"hoag": json.dumps(made)})
    if model.folder is not None and model.temperatures is not None:
        shutil.copyfile(model.folder / TEMPERATURES, folder / TEMPERATURES)
    for name in ("results.json", CONFUSION):
        found = None if model.folder is None else _beside(model.folder, name)
        if found is not None:
            (folder / name).write_bytes(found.read_bytes())


def _beside(folder: Path, name: str) -> Path | None:
    """Find a file of a run, whose checkpoint's folder this is or which this is itself."""
    places = [place / name for place in (folder, folder.parent)]
    return next((place for place in places if place.is_file()), None)


def example_images(model: Model, count: int) -> torch.Tensor:
    """Give images that exercise an encoder: smooth blobs and noise, (count, 3, size, size)."""
    side = model.recipe.images.size
    generator = np.random.default_rng(0)
    grid = np.linspace(-1, 1, side)
    blobs = np.exp(-4 * (grid[:, None] ** 2 + grid[None] ** 2) / generator.uniform(
        0.1, 1, (count, 3, 1, 1)))  # fmt: skip
    noise = 0.1 * generator.random((count, 3, side, side))
    return torch.from_numpy((0.9 * blobs + noise).astype(np.float32))


@torch.inference_mode()
def _check_timm(model: Model, folder: Path) -> None:
    """Open the folder as people without hoag do, and compare features."""
    import timm

    opened = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    images = example_images(model, 4)
    mean = torch.tensor(opened.pretrained_cfg["mean"]).view(1, 3, 1, 1)
    std = torch.tensor(opened.pretrained_cfg["std"]).view(1, 3, 1, 1)
    ours, theirs = model.encoder(images), opened((images - mean) / std)
    worst = float((ours - theirs).abs().max() / ours.abs().max().clamp_min(1e-12))
    if not worst <= TOLERANCE:
        raise HoagError(
            f"timm {timm.__version__} gives other features than hoag, by up to {worst:.1e} of the "
            "largest; nothing was written, and this is a bug of hoag's to report"
        )

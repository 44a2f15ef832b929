"""A training state on disk: safetensors for tensors, JSON for the rest, written whole."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from hoag.errors import HoagError
from hoag.files import read_json, written_whole

MODEL, TRAINING, STATE = "model.safetensors", "training.safetensors", "state.json"


def save_checkpoint(
    folder: Path,
    model: Mapping[str, Tensor],
    optimiser: Mapping[str, Any] | None,
    state: Mapping[str, Any],
    stamp: Mapping[str, Any],
) -> None:
    """Write a checkpoint folder, replacing the one that is there, whole or not at all.

    Parameters
    ----------
    folder
        Where: it will hold model.safetensors, state.json and, with an optimiser,
        training.safetensors.
    model
        The state dict of the model.
    optimiser
        The optimiser's state dict, or None where resuming is not wanted.
    state
        What else there is, as JSON: step, best value and so on.
    stamp
        Version, seed and schema hash, kept in the metadata of model.safetensors.
    """
    with written_whole(folder) as temporary:
        temporary.mkdir()
        # One entry alone: several are written in no fixed order, and equal runs are equal bytes.
        save_file(_storable(model), temporary / MODEL, metadata={"hoag": json.dumps(dict(stamp))})
        content = dict(state)
        if optimiser is not None:
            tensors: dict[str, Tensor] = {}
            content["optimiser"] = _lift(optimiser, "optimiser", tensors)
            save_file(_storable(tensors), temporary / TRAINING)
        (temporary / STATE).write_text(json.dumps(content, indent=1) + "\n")


def load_stamp(folder: Path) -> dict[str, Any]:
    """Read the stamp of a checkpoint folder's weights; empty for weights from elsewhere."""
    from safetensors import safe_open

    try:
        with safe_open(folder / MODEL, "pt") as file:
            return dict(json.loads((file.metadata() or {}).get("hoag", "{}")))
    except (SafetensorError, OSError) as error:
        raise HoagError(f"{folder / MODEL}: not a readable safetensors file ({error})") from None


def load_weights(folder: Path) -> dict[str, Tensor]:
    """Read the model's state dict of a checkpoint folder onto the CPU."""
    return _read(folder / MODEL)


def load_state(folder: Path) -> dict[str, Any]:
    """Read what resuming needs: the JSON state, with the optimiser's state dict put together."""
    state = read_json(folder / STATE)
    if "optimiser" in state:
        state["optimiser"] = _drop(state["optimiser"], _read(folder / TRAINING))
    return dict(state)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError:
        raise HoagError(f"{path}: no such file; the checkpoint is not complete") from None
    except (SafetensorError, OSError) as error:
        raise HoagError(f"{path}: not a readable safetensors file ({error})") from None


def _storable(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # safetensors refuses tensors that share storage or are not laid out plainly.
    return {
        name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()
    }


def _lift(content: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Replace every tensor in nested dicts and lists by its name, and collect them."""
    if isinstance(content, Tensor):
        tensors[name] = content
        return {"tensor": name}
    if isinstance(content, Mapping):
        return {"items": [[key, _lift(v, f"{name}.{key}", tensors)] for key, v in content.items()]}
    if isinstance(content, list | tuple):
        return [_lift(value, f"{name}.{n}", tensors) for n, value in enumerate(content)]
    return content


def _drop(content: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Put the tensors back in their places: the inverse of `_lift`."""
    if isinstance(content, Mapping):
        if "tensor" in content:
            return tensors[content["tensor"]]
        return {key: _drop(value, tensors) for key, value in content["items"]}
    if isinstance(content, list):
        return [_drop(value, tensors) for value in content]
    return content


def weights_hash(weights: Mapping[str, Tensor]) -> str:
    """Hash names, shapes and values of weights: the same weights, the same 16 hex digits."""
    from hashlib import blake2b

    digest = blake2b(digest_size=8)
    for name in sorted(weights):
        tensor = weights[name].detach().to("cpu").contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

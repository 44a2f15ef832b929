"""A model as ONNX: from images to the representation and all that its heads predict.

Written by torch's exporter from a traced graph, any number of galaxies at once, and compared with
onnxruntime before it is kept.
"""

import json
import logging
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hoag.console import say
from hoag.errors import HoagError
from hoag.finetuned import Finetuned
from hoag.goal_heads import GoalHead
from hoag.models import Model
from hoag.objectives import Direct, Hybrid, Pretrained
from hoag.provenance import stamp

TOLERANCE = 1e-4  # of the largest value of an output
BATCHES = (1, 2, 5)  # galaxies at once at which it is compared
NEEDED = ("onnx", "onnxscript", "onnxruntime")


class Whole(nn.Module):
    """From images, (batch, 3, size, size) float32 in [0, 1], to the representation and answers."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.encoder = model.encoder
        name, self.head = _answering(model)
        self.outputs = ["representation", name] if name else ["representation"]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Give the outputs in the order of `outputs`."""
        representation = self.encoder(images)
        if self.head is None:
            return (representation,)
        answer = self.head(representation)
        if isinstance(self.head, GoalHead):
            answer = self.head.answer(answer)
        return representation, answer


def _answering(model: Model) -> tuple[str, nn.Module | None]:
    """Give the head that people want answers of, and what these are called; "" and None if none."""
    objective = model.objective
    if isinstance(objective, Finetuned):
        named = {"classes": "probabilities", "labels": "probabilities", "numbers": "values"}
        return named.get(objective.goal.kind, "concentrations"), objective.head
    if isinstance(objective, Pretrained | Hybrid):
        return "concentrations", objective.vote_head
    if isinstance(objective, Direct):
        return "probabilities", nn.Sequential(objective.class_head, nn.Softmax(1))
    return "", None


def write_onnx(model: Model, path: Path) -> None:
    """Write a model as ONNX, checked against onnxruntime at several batch sizes.

    Parameters
    ----------
    model
        On the CPU.
    path
        The file to write. Its input is ``images``, its outputs ``representation`` and, by what
        the model has learned, ``concentrations`` of the answers of its schema, ``probabilities``
        of classes or labels, or ``values`` (and then their scatters); the file's metadata name
        their columns.

    Raises
    ------
    HoagError
        If the packages are missing, the encoder cannot be exported, or onnxruntime gives other
        numbers.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise HoagError(f"ONNX needs {', '.join(missing)}; pip install 'hoag[onnx]'")
    import onnx

    from hoag.exporting import example_images

    whole = Whole(model).eval()
    images = example_images(model, max(BATCHES))
    program = _exported(whole, images[:2], model.recipe.encoder.name)
    proto = program.model_proto
    for key, value in _metadata(model, whole).items():
        proto.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(proto)
    path.write_bytes(proto.SerializeToString())
    worst = compare(path, whole, images)
    say(
        f"{path.name}: onnxruntime agrees within {worst:.1e} at {', '.join(map(str, BATCHES))} "
        "galaxies at once"
    )


def _exported(whole: Whole, images: Tensor, name: str) -> Any:
    """Trace and translate, quietly: torch's exporter tells of its steps at length."""
    loud = [logging.getLogger(each) for each in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loud]
    for logger in loud:
        logger.setLevel(logging.ERROR)
    any_number = torch.export.Dim.DYNAMIC
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of deprecations inside torch's own exporter
            return torch.onnx.export(
                whole, (images,), dynamo=True, verbose=False, input_names=["images"],
                output_names=whole.outputs, dynamic_shapes={"images": {0: any_number}},
            )  # fmt: skip
    except Exception as error:  # the exporter raises what it likes
        reason = " ".join(str(error).split())[:200]
        raise HoagError(f"torch cannot write {name} as ONNX ({reason})") from error
    finally:
        for logger, level in zip(loud, levels, strict=True):
            logger.setLevel(level)


def _metadata(model: Model, whole: Whole) -> dict[str, str]:
    """Say in the file what its numbers mean."""
    if len(whole.outputs) == 1:
        columns: list[str] = []
    elif whole.outputs[1] == "concentrations":
        columns = list(model.schema.columns)
    elif isinstance(model.objective, Finetuned):
        names = list(model.objective.goal.names)
        both = model.objective.goal.kind == "numbers"
        columns = [*names, *(f"{name} scatter" for name in names)] if both else names
    else:
        columns = list(model.classes or [])
    made = stamp(seed=model.recipe.seed, schema_hash=model.schema.hash)
    return {
        "hoag": json.dumps({**made, "model": model.hash}),
        "columns": json.dumps(columns),
        "input": f"RGB, float32 in [0, 1], {model.recipe.images.size} px",
    }


@torch.inference_mode()
def compare(path: Path, whole: Whole, images: Tensor) -> float:
    """Compare onnxruntime with torch at the sizes of `BATCHES`; give the largest difference.

    Raises
    ------
    HoagError
        If an output differs by more than `TOLERANCE` of its largest value.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    worst = 0.0
    for count in BATCHES:
        some = images[:count]
        theirs = session.run(whole.outputs, {"images": some.numpy()})
        for name, one, other in zip(whole.outputs, whole(some), theirs, strict=True):
            scale = float(one.abs().max().clamp_min(1e-12))
            difference = float(np.abs(one.numpy() - other).max()) / scale
            if one.shape != other.shape or not difference <= TOLERANCE:
                raise HoagError(
                    f"{path.name}: onnxruntime gives another {name} for {count} galaxies, by "
                    f"{difference:.1e}; it is not written"
                )
            worst = max(worst, difference)
    return worst

"""Folders of `hoag reproduce` and `hoag probe` as the page needs them: curves, and a short copy.

The short copy leaves out what no table or figure of the page needs (training rows between two
validations), so that it can stay in the repository.
"""

from pathlib import Path
from typing import Any

from hoag.curves import Curve
from hoag.errors import HoagError
from hoag.files import read_json
from hoag.results import loss_points
from hoag.saved_curves import read_curve


def read_results(folder: Path) -> dict[str, Any]:
    """results.json of a folder of the protocol."""
    return read_json(folder / "results.json")


def task_of(results: dict[str, Any], name: str | None) -> str:
    """The task asked for, or the first."""
    names = [task["name"] for task in results["tasks"]]
    if name is not None and name not in names:
        raise HoagError(f"no task '{name}' in these results; they have {', '.join(names)}")
    return name or names[0]


def read_predictions(folder: Path, task: str) -> Curve:
    """Held-out predictions of every arm on a task, but those of the test half."""
    return read_curve(folder / "predictions" / f"{task}.npz")


def short(folder: Path) -> dict[str, Any]:
    """What the page needs of a folder: results.json, of the training rows those of validations."""
    content = read_results(folder)
    for arm in content["arms"].values():
        arm["history"] = [
            {name: value for name, value in row.items() if not name.startswith("train/")}
            for row in arm["history"]
            if any(name.startswith(("val/", "probe/")) for name in row)
        ]
    return content


def encoder_of(results: dict[str, Any]) -> str:
    """Name of the encoder of a protocol's arms, with its options, and the side of its images."""
    if not results["arms"]:
        return "none"
    whole = next(iter(results["arms"].values()))["recipe"]
    recipe, side = whole["encoder"], whole["images"]["size"]
    options = recipe.get("options") or {}
    told = ", ".join(f"{name} {value}" for name, value in options.items())
    return f"{recipe['name']}{f' ({told})' if told else ''}, {side} px"


def losses_of(results: dict[str, Any], task: str) -> list[dict[str, Any]]:
    """Accuracy of the online probe on a task against contrastive loss, along each run."""
    return loss_points(results["arms"], task)

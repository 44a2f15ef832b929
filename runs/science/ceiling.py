"""How well the ring labels of simulated galaxies can be told at all: they are votes, not truth.

python runs/science/ceiling.py SIM OUT/main --json results/science/ceiling.json

SIM is the folder of `hoag simulate`, OUT/main the run whose galaxies are asked about (the train
half alone). No image and no model is involved.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from outcomes import read_predictions

from hoag.files import write_json
from hoag.provenance import full_stamp
from hoag.scores import LEVEL

VOLUNTEERS = 10
Floats = NDArray[np.float64]


def ceiling(folder: Path, run: Path, task: str = "rings") -> dict[str, Any]:
    """What can be known of the labels; gives what ceiling.json holds."""
    curve = read_predictions(run, task)
    truth = _column(folder / "truth.parquet", "seen_ring_probability")
    votes = _column(folder / "rings.parquet", "ring_votes")
    chance = np.array([truth[name] for name in curve.ids], float)
    given = np.array([votes[name] for name in curve.ids], float)
    labels = np.asarray(curve.labels, bool)
    informed = right_by_threshold(chance, labels)
    alone = np.maximum(given, VOLUNTEERS - given) / VOLUNTEERS
    told = {
        "knows": "a classifier that knows each galaxy's chance of being called ringed",
        "volunteer": f"one volunteer, against the majority of the {VOLUNTEERS} that labelled",
    }
    return {
        "stamp": full_stamp(),
        "task": task,
        "galaxies": len(labels),
        "rows": [
            {"name": name, "what": told[name], **_mean(values)}
            for name, values in (("knows", informed), ("volunteer", alone))
        ],
    }


def right_by_threshold(chance: Floats, labels: NDArray[np.bool_]) -> Floats:
    """Whether each label is that of "chance above a threshold"; each half's is the other half's."""
    right = np.zeros(len(labels))
    halves = np.arange(len(labels)) % 2
    for half in (0, 1):
        learned, asked = halves != half, halves == half
        called = chance[asked] > best_threshold(chance[learned], labels[learned])
        right[asked] = called == labels[asked]
    return right


def best_threshold(chance: Floats, labels: NDArray[np.bool_]) -> float:
    """The chance above which calling it ringed is right most often."""
    order = np.argsort(chance, kind="stable")
    positive = np.concatenate([[0], np.cumsum(labels[order])])  # of the first n, not called ringed
    counts = np.arange(len(labels) + 1)
    right = (counts - positive) + (positive[-1] - positive)
    place = int(right.argmax())
    edges = np.concatenate([[-np.inf], chance[order]])
    return float(edges[place])


def _column(path: Path, name: str) -> dict[str, float]:
    table = pq.read_table(path, columns=["id_str", name])
    return dict(zip(table["id_str"].to_pylist(), table[name].to_pylist(), strict=True))


def _mean(values: Floats) -> dict[str, float]:
    """Mean over galaxies with its bootstrap interval."""
    generator = np.random.default_rng(0)
    means = [generator.choice(values, len(values)).mean() for _ in range(2000)]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {
        "accuracy": float(values.mean()),
        "accuracy_low": float(low),
        "accuracy_high": float(high),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("simulated", type=Path, help="folder of hoag simulate")
    parser.add_argument("run", type=Path, help="folder of hoag reproduce on it")
    parser.add_argument("--task", default="rings")
    parser.add_argument("--json", type=Path, required=True, help="where the numbers go")
    given = parser.parse_args()
    content = ceiling(given.simulated, given.run, given.task)
    given.json.parent.mkdir(parents=True, exist_ok=True)
    write_json(given.json, content)
    for row in content["rows"]:
        print(f"{100 * row['accuracy']:.1f} %  {row['what']}")


if __name__ == "__main__":
    main()

"""``hoag predict`` and ``hoag embed`` on up to two million galaxies: time and memory a row.

    python benchmarks/predict.py [--galaxies 10000 100000 2000000] [--formats parquet fits csv vot]

Sets as `hoag data build` leaves them, of 16 px images, and a model so small that all else is seen:
ResNet18 of 4 to 16 channels with random weights, which predicts the 37 answers of gz2 with all
intervals. Each catalogue is written by a process of its own, from opening the galaxies on; what it
holds is watched ten times a second, with and without the pages of mapped files. In the smallest
set the imports are nearly all of both. The sets are deleted at the end.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from data_store import make_copies_step, make_set
from measuring import Memory, processor_seconds, report

PREDICT = """
import sys
from hoag.cli import main
main(sys.argv[1:])
"""
SMALL = {"encoder.options": {"channels": [4, 8, 8, 16]}, "images.size": 16, "images.decode": 0}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--galaxies", type=int, nargs="+", default=[10_000, 100_000, 2_000_000])
parser.add_argument("--formats", nargs="+", default=["parquet", "fits", "csv", "vot", "embeddings"])
parser.add_argument("--shard", type=int, default=40_000, help="galaxies in a shard")
parser.add_argument("--folder", help="where all is made; a temporary folder if left out")


def make_model(folder: Path) -> Path:
    """Make a small model with random weights that predicts votes."""
    from hoag import load_schema
    from hoag.exporting import export
    from hoag.loading import random_model
    from hoag.recipe import load_recipe

    recipe = load_recipe("paper/pretrained").changed(SMALL | {"encoder.name": "resnet18"})
    return export(random_model(recipe, load_schema("gz-evo"), device="cpu"), folder / "model")


def measure(folder: Path, model: Path, galaxies: Path, kind: str) -> dict[str, Any]:
    """Write one catalogue and say what it took."""
    out = folder / f"out.{kind}"
    verb = ["predict", model, galaxies, out, "--campaign", "gz2"]
    if kind == "embeddings":
        out = folder / "out.parquet"
        verb = ["embed", model, galaxies, "--out", out]
    started, spent = time.perf_counter(), processor_seconds()
    command = [sys.executable, "-c", PREDICT, *map(str, verb), "--device", "cpu"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    memory = Memory(process.pid)
    memory.start()
    if process.wait():
        raise SystemExit(f"hoag {verb[0]} failed")
    memory.join()
    found = {"s": time.perf_counter() - started, "processor s": processor_seconds() - spent}
    found["MB"] = out.stat().st_size / 1e6
    out.unlink()
    return found | {"memory MB": memory.peak / 1e6, "not files MB": memory.anonymous / 1e6}


def main(arguments: list[str] | None = None) -> None:
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="hoag-predict-", dir=options.folder))
    rows = []
    try:
        model = make_model(folder)
        for count in options.galaxies:
            galaxies = folder / f"set-{count}"
            make_set(galaxies, count, 16, options.shard)
            make_copies_step(str(galaxies))
            for kind in options.formats:
                found = measure(folder, model, galaxies / "data", kind)
                rounded = {name: round(value, 1) for name, value in found.items()}
                each = {"processor us/row": round(1e6 * found["processor s"] / count)}
                rows.append({"galaxies": count, "out": kind, **rounded, **each})
                print(rows[-1], file=sys.stderr)
            shutil.rmtree(galaxies)
    finally:
        shutil.rmtree(folder)
    report(rows)


if __name__ == "__main__":
    main()

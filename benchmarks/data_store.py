"""Opening and reading stores of up to two million galaxies.

    python benchmarks/data_store.py [--galaxies 10000 2000000] [--side 64] [--folder DIR]

Makes a set as `hoag data build` leaves it (shards, groups, a downstream task) of small images drawn
by the simulator and repeated, and votes made up for half of the galaxies. Measured, each step in a
fresh process: the one-time Arrow copies; opening; random batches (pixels, votes, ids and keys) in
one process against the bare decoding of the same mapped bytes, the two taking turns, without a
cache of decoded images. The sets are deleted at the end.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measuring import in_fresh_process, report, run_step

KINDS = 300  # different images
LABELLED, DOWNSTREAM = 0.5, 0.02  # shares; the rest has no votes
ROLES = """
name = "benchmark"
group = "group"
[[pretraining]]
table = "data/labelled-*.parquet"
[[unlabelled]]
table = "data/unlabelled-*.parquet"
[[downstream]]
name = "rings"
labels = "labels/rings.parquet"
images = ["data/labelled-*.parquet", "data/downstream-*.parquet"]
label = "ring"
"""

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--galaxies", type=int, nargs="+", default=[10_000, 100_000, 2_000_000])
parser.add_argument("--side", type=int, default=64, help="side of the images in pixels")
parser.add_argument("--shard", type=int, default=40_000, help="galaxies in a shard")
parser.add_argument("--batches", type=int, default=200, help="batches of 256 that are timed")
parser.add_argument("--folder", help="where the sets are made; a temporary folder if left out")
parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)


def make_set(folder: Path, galaxies: int, side: int, shard: int) -> None:
    """Make a set of galaxies as a build leaves it, but for its Arrow copies."""
    from hoag.simulator import draw

    images = [draw(n, size=side).encoded() for n in range(min(KINDS, galaxies))]
    random = np.random.default_rng(0)
    labelled, downstream = int(LABELLED * galaxies), int(DOWNSTREAM * galaxies)
    start = 0
    for table, count in (
        ("labelled", labelled),
        ("downstream", downstream),
        ("unlabelled", galaxies - labelled - downstream),
    ):
        shards = -(-count // shard)
        for number in range(shards):
            stop = start + min(shard, count - number * shard)
            path = folder / "data" / f"{table}-{number:05d}-of-{shards:05d}.parquet"
            _write_shard(path, np.arange(start, stop), images, table != "unlabelled", random)
            start = stop
    tested = np.arange(labelled - downstream, labelled + downstream)
    labels = {"id_str": _ids(tested), "ring": tested % 2}
    (folder / "labels").mkdir()
    pq.write_table(pa.table(labels), folder / "labels" / "rings.parquet")
    (folder / "dataset.toml").write_text(ROLES)


def _ids(numbers: np.ndarray) -> list[str]:
    return [f"1237648{n:012d}" for n in numbers.tolist()]  # as long as SDSS's


def _write_shard(
    path: Path, numbers: np.ndarray, images: list[bytes], voted: bool, random: Any
) -> None:
    from hoag import load_schema
    from hoag.writing import ROW_GROUP, galaxies_layout, galaxies_writer

    n = len(numbers)
    columns: dict[str, Any] = {
        "id_str": _ids(numbers),
        "ra": random.uniform(0, 360, n),
        "dec": random.uniform(-90, 90, n),
        "survey": ["SDSS", "DECaLS"] * (n // 2) + ["SDSS"] * (n % 2),
        "group": _ids(numbers - numbers % 2),
    }
    if voted:
        for name in load_schema("gz-evo").columns:
            columns[name] = random.integers(0, 40, n).astype(np.int32) * (random.random(n) < 0.2)
    table = pa.table(columns)
    encoded = pa.array([images[k % len(images)] for k in numbers.tolist()], pa.binary())
    image = pa.StructArray.from_arrays([encoded, pa.nulls(n, pa.string())], ["bytes", "path"])
    layout = galaxies_layout(table.schema, {"hoag": "benchmark"})
    path.parent.mkdir(parents=True, exist_ok=True)
    with galaxies_writer(path, layout) as writer:
        writer.write_table(table.add_column(0, "image", image).select(layout.names), ROW_GROUP)
        writer.add_key_value_metadata({"hoag_content": path.name})


def make_copies_step(folder: str) -> dict[str, Any]:
    from hoag.arrow_copy import make_copies

    started = time.perf_counter()
    make_copies(sorted(Path(folder, "data").glob("*.parquet")))
    return {"seconds": time.perf_counter() - started}


def open_step(folder: str) -> dict[str, Any]:
    started = time.perf_counter()
    import hoag

    opened = hoag.open(folder)
    return {"seconds": time.perf_counter() - started, "galaxies": len(opened)}


def read_step(folder: str, batches: str, side: str) -> dict[str, Any]:
    """Rates of random batches and of bare decoding, in galaxies a second of processor time."""
    import hoag
    from hoag import pixel_cache
    from hoag.batches import Plan, make_batch
    from hoag.images import decode
    from hoag.recipe import BatchSettings

    pixel_cache.SHARE = 0.0  # each image is decoded whenever it is needed
    galaxies, size = hoag.open(folder), int(side)
    plan = Plan(galaxies, BatchSettings(size=256), seed=0)
    seconds = {"ours": 0.0, "bare": 0.0}
    for step in range(int(batches) + 10):
        rows, others = plan(2 * step), plan(2 * step + 1)
        started = time.process_time()
        make_batch(galaxies, rows, size, seed=0, step=step)
        between = time.process_time()
        for index in others.tolist():
            store = galaxies._images.store(index)
            decode(store.images.content(int(galaxies._images.row_of[index])), size)
        if step >= 10:  # the first ones load what is needed
            seconds["ours"] += between - started
            seconds["bare"] += time.process_time() - between
    count = plan.size * int(batches)
    return {name: count / spent for name, spent in seconds.items()}


STEPS = {"copies": make_copies_step, "open": open_step, "read": read_step}


def measure(folder: Path, options: argparse.Namespace, count: int) -> dict[str, Any]:
    """Make one set and measure all there is."""
    made = folder / f"set-{count}"
    make_set(made, count, options.side, options.shard)
    copies = in_fresh_process(__file__, "copies", made)
    opened = in_fresh_process(__file__, "open", made)
    opened = in_fresh_process(__file__, "open", made)  # again, with the files in the page cache
    read = in_fresh_process(__file__, "read", made, options.batches, options.side)
    shutil.rmtree(made)
    return {
        "galaxies": count,
        "copies s": round(copies["seconds"], 2),
        "copies us/galaxy": round(1e6 * copies["seconds"] / count, 1),
        "copies MB": copies["peak_mb"],
        "open s": round(opened["seconds"], 2),
        "open process s": round(opened["process_seconds"], 2),
        "open MB": opened["peak_mb"],
        "batches /s": round(read["ours"]),
        "decode /s": round(read["bare"]),
        "ratio": round(read["ours"] / read["bare"], 3),
        "batch us/galaxy": round(1e6 / read["ours"], 1),
        "reading MB": read["peak_mb"],
    }


def main(arguments: list[str] | None = None) -> None:
    options = parser.parse_args(arguments)
    if options.step:
        return run_step(STEPS[options.step[0]], *options.step[1:])
    folder = Path(tempfile.mkdtemp(prefix="hoag-store-", dir=options.folder))
    try:
        rows = []
        for count in options.galaxies:
            rows.append(measure(folder, options, count))
            print(rows[-1], file=sys.stderr)
    finally:
        shutil.rmtree(folder)
    report(rows)


if __name__ == "__main__":
    main()

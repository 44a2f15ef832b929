"""Building a set of galaxies: its rate against that of the bare images, and its memory.

    python benchmarks/build.py                                native cutouts: 424 px to 128 px
    python benchmarks/build.py --small --galaxies 10000 100000 2000000     small images in tables

Native: JPEG files made of ../shared/galaxies/native, three laid over each other so that no two show
one picture (of the simulator's galaxies where that folder is absent), half of them with votes. The
bare rate is that of as many processes that do nothing but decode, resize and encode the files'
bytes, by the functions that the build uses. Small: Parquet tables of images that are `--side` wide,
made likewise of 2,000 of the simulator's, each with noise of its own (or repeated: --kinds). Memory
is the sum over all processes of the build, each shared page counted once, looked at ten times a
second. All is deleted at the end.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measuring import Memory, processor_seconds, report

NATIVE = Path(__file__).parents[2] / "shared" / "galaxies" / "native" / "images"
BASES, SMALL_BASES = 400, 2000  # galaxies that others are made of, of few a million would be alike
SHARD = 100_000  # rows of a table of small images
VOTES = tuple(f"smooth-or-featured-gz2_{a}" for a in ("smooth", "featured-or-disk", "artifact"))

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--galaxies", type=int, nargs="+", default=[10_000])
parser.add_argument("--small", action="store_true", help="small images in tables, for memory")
parser.add_argument("--side", type=int, help="of the images read; 424, or 16 with --small")
parser.add_argument("--size", type=int, help="of the images written; 128, or as read with --small")
parser.add_argument("--kinds", type=int, default=0, help="different small images; 0: all differ")
parser.add_argument("--workers", type=int, default=2)
parser.add_argument("--folder", help="where all is made; a temporary folder if left out")


def bases(side: int, count: int) -> list[np.ndarray]:
    """Pictures of galaxies, (side, side, 3) uint8: real ones if they are at hand."""
    from hoag.images import decode
    from hoag.simulator import draw

    files = sorted(NATIVE.glob("*.jpg"))[:count]
    if files and side == 424:
        return [decode(path) for path in files]
    return [decode(draw(n, size=side).encoded()) for n in range(count)]


def make_native(folder: Path, numbers: range, side: int, count: int) -> None:
    """Write some of the native files: bases turned, mirrored and shifted."""
    from hoag.images import encode_jpeg

    pictures = bases(side, min(BASES, count))
    for n in numbers:
        pixels = laid_over(pictures, np.random.default_rng(n))
        (folder / f"{n:07d}.jpg").write_bytes(encode_jpeg(pixels, 90))


def laid_over(pictures: list[np.ndarray], random: np.random.Generator) -> np.ndarray:
    """Three galaxies, turned and mirrored, laid over each other: no two images show one picture."""
    layers = []
    for base in random.integers(0, len(pictures), 3):
        layer = np.rot90(pictures[base], random.integers(4))
        layers.append(layer[::-1] if random.integers(2) else layer)
    return (sum(layer.astype(np.uint16) for layer in layers) // 3).astype(np.uint8)


def make_small(path: Path, numbers: range, side: int, kinds: int, count: int) -> None:
    """Write one table of small images: bases laid over each other, with noise of their own."""
    from hoag.images import encode_jpeg

    pictures = bases(side, min(SMALL_BASES, count))
    images, repeated = [], {}
    for n in numbers:
        kind = n % kinds if kinds else n
        if kind not in repeated:
            random = np.random.default_rng(kind)
            noise = random.integers(0, 24, (side, side, 3), np.uint8)
            pixels = np.minimum(laid_over(pictures, random), 231) + noise
            repeated[kind] = encode_jpeg(pixels, 90)
        images.append(repeated[kind] if kinds else repeated.pop(kind))
    pq.write_table(_rows(numbers).append_column("image", pa.array(images)), path,
                   row_group_size=512, compression={"image": "NONE"})  # fmt: skip


def _rows(numbers: range) -> pa.Table:
    n = np.array(numbers)
    golden = (n * 0.618034) % 1  # places that are apart
    columns = {"id_str": [f"1237648{k:012d}" for k in numbers], "ra": 360 * golden,
               "dec": 120 * ((n * 0.754878) % 1) - 60}  # fmt: skip
    votes = {name: (n * 7 + k) % 40 for k, name in enumerate(VOTES)}
    return pa.table(columns | votes)


def make_sources(folder: Path, count: int, options: argparse.Namespace) -> dict[str, Path]:
    """Make what is built: half of the galaxies with votes, half without; gives where they are."""
    places = {"gz2": folder / "gz2", "rest": folder / "rest"}
    halves = {"gz2": range(count // 2), "rest": range(count // 2, count)}
    jobs: list[tuple[Any, ...]] = []
    for name, numbers in halves.items():
        places[name].mkdir(parents=True)
        step = SHARD if options.small else max(1, -(-len(numbers) // options.workers))
        for start in range(numbers.start, numbers.stop, step):
            part = range(start, min(start + step, numbers.stop))
            if options.small:
                path = places[name] / f"{start:07d}.parquet"
                jobs.append((make_small, path, part, options.side, options.kinds, count))
            else:
                jobs.append((make_native, places[name], part, options.side, count))
        if not options.small:
            files = pa.array([f"{n:07d}.jpg" for n in numbers])
            table = _rows(numbers).append_column("file_loc", files)
            pq.write_table(table, places[name] / "galaxies.parquet")
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        for job in [pool.submit(*job) for job in jobs]:
            job.result()
    return places


def resize_bare(paths: list[str], size: int) -> tuple[float, float]:
    """Seconds, also of the processor, to decode, resize and encode images that are in memory."""
    from hoag.images import decode, encode_jpeg

    contents = [Path(path).read_bytes() for path in paths]
    for content in contents[:20]:
        encode_jpeg(decode(content, size), 95)
    started, spent = time.perf_counter(), time.process_time()
    for content in contents:
        encode_jpeg(decode(content, size), 95)
    return time.perf_counter() - started, time.process_time() - spent


def bare_rate(files: list[Path], size: int, workers: int) -> np.ndarray:
    """Images a second of `workers` processes together, and of one second of processor."""
    shares = [[str(path) for path in files[k::workers]] for k in range(workers)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        seconds = list(pool.map(resize_bare, shares, [size] * workers))
    together = sum(len(share) / spent for share, (spent, _) in zip(shares, seconds, strict=True))
    return np.array([together, len(files) / sum(spent for _, spent in seconds)])


BUILD = """
import sys
from hoag.data.building import build
out, votes, rest, size, workers = sys.argv[1:]
build(out, campaigns={"gz2": votes}, unlabelled=[rest], size=int(size), workers=int(workers))
"""


def measure(folder: Path, count: int, options: argparse.Namespace) -> dict[str, Any]:
    """Make the sources, build them, and give what was measured."""
    from hoag.files import read_json

    places = make_sources(folder / "sources", count, options)
    found: dict[str, Any] = {"galaxies": count, "px": f"{options.side} to {options.size}"}
    if not options.small:
        files = sorted((folder / "sources").glob("*/*.jpg"))[:4000]
        before = bare_rate(files, options.size, options.workers)
    command = [sys.executable, "-c", BUILD, folder / "out", *places.values()]
    started, spent = time.perf_counter(), processor_seconds()
    process = subprocess.Popen([*map(str, command), str(options.size), str(options.workers)])
    memory = Memory(process.pid)
    memory.start()
    if process.wait():
        raise SystemExit("the build failed")
    seconds = time.perf_counter() - started
    spent = processor_seconds() - spent
    memory.join()
    found |= {
        "processor s": round(spent, 1),
        "build s": round(seconds, 1),
        "build /s": round(count / seconds),
    }
    if not options.small:
        # Before and after, as the machine may be busier at one time than at the other.
        bare = (before + bare_rate(files, options.size, options.workers)) / 2
        found |= {"bare /s": round(bare[0]), "ratio": round(count / seconds / bare[0], 3)}
        found |= {"ratio of processor": round(count / spent / bare[1], 3)}
    rows = read_json(folder / "out" / "build.json")["rows"]
    assert rows["in"] == count == rows["out"] + rows["merged"] + rows["set_aside"], rows
    shutil.rmtree(folder / "out")
    shutil.rmtree(folder / "sources")
    memories = {"memory MB": memory.peak, "not files MB": memory.anonymous}
    return found | {name: round(size / 1e6) for name, size in memories.items()} | {
        "merged": rows["merged"], "set aside": rows["set_aside"]
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    options = parser.parse_args(arguments)
    options.side = options.side or (16 if options.small else 424)
    options.size = options.size or (options.side if options.small else 128)
    folder = Path(tempfile.mkdtemp(prefix="hoag-build-", dir=options.folder))
    try:
        rows = []
        for count in options.galaxies:
            rows.append(measure(folder, count, options))
            print(rows[-1], file=sys.stderr)
    finally:
        shutil.rmtree(folder)
    report(rows)


if __name__ == "__main__":
    main()

"""Time and memory a galaxy from ten thousand to a million: building, embedding, scoring, search.

Each step is a process of its own, which first does it small, so that imports do not count.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # when a step is run alone

from measuring import in_fresh_process, peak_memory, run_step  # noqa: E402
from turns import Bench  # noqa: E402

from cases.search import made_vectors  # noqa: E402

DIM = 128


def score_step(count: str) -> dict[str, Any]:
    """Score all galaxies with the probe's classifier."""
    from hoag.linear import fit_linear

    random = np.random.default_rng(0)
    features = random.standard_normal((int(count), DIM), np.float32)
    few = features[:1000]
    labels = np.arange(1000) % 2
    classifier = fit_linear(features[:1000], labels, 2, strengths=(0.1,))
    return _timed(int(count), lambda n: classifier.probabilities(features[:n] if n > 0 else few), 7)


def search_step(count: str) -> dict[str, Any]:
    """Find the 200 nearest of one galaxy."""
    from hoag.nearest import nearest

    vectors = made_vectors(int(count), DIM)
    few = made_vectors(1000, DIM)
    query = vectors.take(np.array([17]))
    return _timed(int(count), lambda n: nearest(vectors if n == int(count) else few, query, 200), 7)


def embed_step(count: str, folder: str, model_folder: str) -> dict[str, Any]:
    """Embed a set of 16 px images with a tiny encoder."""
    import hoag

    model = hoag.load(model_folder, device="cpu")

    def work(wanted: int) -> None:
        galaxies = hoag.open(Path(folder) / "data")  # anew: what it knows of itself is kept
        few = np.arange(min(1000, len(galaxies)))
        model.embed(galaxies if wanted == int(count) else galaxies.take(few), quiet=True)

    return _timed(int(count), work, 3 if int(count) < 100_000 else 1)


def build_step(count: str, folder: str) -> dict[str, Any]:
    """Build a set of 32 px images made of the simulator's, all different, half with votes."""
    import build as sources

    from hoag.data.building import build

    few = min(200, int(count) // 2)
    for number in (few, int(count)):
        for name, rows in (("votes", range(number // 2)), ("rest", range(number // 2, number))):
            place = Path(folder) / str(number) / name
            place.mkdir(parents=True)
            for start in range(rows.start, rows.stop, sources.SHARD):
                part = range(start, min(start + sources.SHARD, rows.stop))
                sources.make_small(place / f"{start:07d}.parquet", part, 32, 0, number)

    def work(wanted: int) -> None:
        number = int(count) if wanted == int(count) else few
        place = Path(folder) / str(number)
        build(
            place / "out", campaigns={"gz2": place / "votes"}, unlabelled=[place / "rest"],
            size=32, workers=1,
        )  # fmt: skip

    return _timed(int(count), work, rounds=1)


def _timed(count: int, work: Any, rounds: int) -> dict[str, Any]:
    """Median processor seconds of some rounds, and the memory they took on top."""
    import torch

    torch.set_num_threads(1)
    work(-1)  # small
    held = peak_memory()
    seconds = []
    for _ in range(rounds):
        started = time.process_time()
        work(count)
        seconds.append(time.process_time() - started)
    return {"seconds": sorted(seconds)[len(seconds) // 2], "more": max(peak_memory() - held, 0)}


SMALL, LARGE = (1_500, 3_000), (10_000, 1_000_000)
STEPS = {"score": score_step, "search": search_step, "embed": embed_step, "build": build_step}


def growth(bench: Bench, name: str, sizes: tuple[int, int]) -> None:
    """Processor time a galaxy of one step at two sizes, and the memory it takes."""
    from data_store import make_copies_step, make_set
    from predict import make_model

    found = {}
    model = make_model(bench.folder) if name == "embed" else None
    for count in sizes:
        more: list[Any] = []
        if name == "embed":
            folder = bench.folder / str(count)
            make_set(folder, count, 16, 40_000)
            make_copies_step(str(folder))
            more = [folder, model]
        if name == "build":
            more = [bench.folder / f"sources-{count}"]
        found[count] = in_fresh_process(__file__, name, count, *more)
    each = {n: 1e6 * f["seconds"] / n for n, f in found.items()}
    ratio = each[sizes[1]] / each[sizes[0]]
    row: dict[str, Any] = {"case": f"growth of {name}, {sizes[0]:,} to {sizes[1]:,}"}
    for n, us in each.items():
        row[f"us a galaxy, {n}"] = round(us, 3)
        row[f"bytes a galaxy, {n}"] = round(found[n]["more"] / n)
    taken = 1e3 * found[sizes[1]]["seconds"]
    row |= {f"hoag ms {unit}": taken for unit in ("wall", "processor")}
    row["noted"] = {f"{us:,.0f} us and": f"{found[n]['more'] / n:,.0f} bytes a galaxy of {n:,}"
                    for n, us in each.items()}  # fmt: skip
    longer = {"times as long a galaxy": round(ratio, 2)}
    bench.keep(row, {"times as long a galaxy": 1.1}, longer, by="processor", least=False)


def growth_of_score(bench: Bench) -> None:
    """Scoring galaxies with a probe's classifier, from 10k to 1M."""
    growth(bench, "score", SMALL if bench.tiny else LARGE)


def growth_of_search(bench: Bench) -> None:
    """Finding the nearest of a galaxy, from 10k to 1M."""
    growth(bench, "search", SMALL if bench.tiny else LARGE)


def growth_of_embed(bench: Bench) -> None:
    """Embedding 16 px images with a tiny encoder, from 10k to 1M."""
    growth(bench, "embed", SMALL if bench.tiny else LARGE)


def growth_of_build(bench: Bench) -> None:
    """Building a set of 32 px images, from 10k to 1M, in one process: a quarter of an hour."""
    growth(bench, "build", (150, 300) if bench.tiny else LARGE)


CASES = {
    "growth-score": growth_of_score,
    "growth-search": growth_of_search,
    "growth-embed": growth_of_embed,
    "growth-build": growth_of_build,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--step", nargs="+")
    chosen = parser.parse_args().step
    run_step(STEPS[chosen[0]], *chosen[1:])

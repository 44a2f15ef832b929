"""What the cases work on: galaxies made up, as arrays, files and stores."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NATIVE = Path(__file__).parents[3] / "shared" / "galaxies" / "native" / "images"


def questions() -> dict[str, list[str]]:
    """Give the questions of GZ-Evo with their answers, as zoobot wants them."""
    from hoag import load_schema

    found = load_schema().questions
    return {q.name: [column.removeprefix(q.name) for column in q.columns] for q in found}


@cache
def votes(count: int) -> NDArray[np.int32]:
    """Votes of simulated labelled galaxies, (count, answers)."""
    from hoag.simulator.sample import draw

    found: list[NDArray[np.int16]] = []
    number = 0
    while len(found) < count:
        voted = draw(number, size=16).votes
        number += 1
        if voted.any():
            found.append(voted)
    return np.array(found, np.int32)


@cache
def pictures(count: int, side: int) -> NDArray[np.uint8]:
    """Pictures of simulated galaxies, (count, 3, side, side)."""
    from hoag.simulator import draw

    kinds = np.stack([draw(n, size=side).image for n in range(min(count, 64))])
    return np.ascontiguousarray(kinds[np.arange(count) % len(kinds)].transpose(0, 3, 1, 2))


def native_files(folder: Path, count: int, side: int = 424) -> list[str]:
    """Give JPEG files as they come: the real ones if they are at hand, else simulated."""
    found = sorted(map(str, NATIVE.glob("*.jpg")))[:count] if side == 424 else []
    if len(found) < count:
        from hoag.simulator import draw

        folder.mkdir(exist_ok=True)
        for n in range(count - len(found)):
            path = folder / f"{n:05d}.jpg"
            path.write_bytes(draw(n % 64, size=side).encoded())
            found.append(str(path))
    return found


def opened(folder: Path, files: list[str]) -> Any:
    """Open files as a user's catalogue; nothing decoded is kept."""
    import pyarrow as pa
    import pyarrow.csv as csv

    import hoag
    from hoag import pixel_cache

    pixel_cache.SHARE = 0.0
    path = folder / "catalogue.csv"
    csv.write_csv(pa.table({"id_str": [Path(f).stem for f in files], "file_loc": files}), path)
    return hoag.open(path)


def batch(count: int, side: int) -> Any:
    """A batch of galaxies with votes, as an objective takes it."""
    import torch

    from hoag.objectives import Batch

    keys = torch.arange(count, dtype=torch.int64) * 7919
    ids = [f"galaxy-{n}" for n in range(count)]
    images = torch.from_numpy(pictures(count, side).copy())
    return Batch(images, keys, torch.from_numpy(votes(count)), None, ids, seed=0, step=0)

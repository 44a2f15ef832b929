"""A catalogue of predictions written part by part, in bounded memory, and gone on with if stopped.

A part is a few thousand galaxies. Each is written whole into a folder beside the catalogue, so that
a prediction that was stopped goes on with the first part that is missing; at the end they are
joined to the catalogue and the folder is removed. Parts are cut at the same galaxies whatever
happens, so that a stopped and a whole run give the same bytes.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hoag._version import __version__
from hoag.catalogue import PARQUET, SUFFIXES, read_table, write_parts
from hoag.console import progress, say
from hoag.errors import HoagError
from hoag.files import check_place, read_json, write_json
from hoag.galaxies import Galaxies

if TYPE_CHECKING:
    import pyarrow as pa

PART = 4096  # galaxies
UNIT = f"x{PART} galaxies"


class Job(Protocol):
    """What `write_prediction` writes: galaxies in parts, and what the catalogue says of itself."""

    @property
    def galaxies(self) -> Galaxies:
        """What is predicted for."""

    @property
    def keep(self) -> Sequence[str]:
        """Columns of the galaxies that go before the predictions."""

    def part(self, start: int, stop: int) -> "pa.Table":
        """Predict for the galaxies from `start` up to `stop`."""

    def about(self) -> dict[str, Any]:
        """Record what was done."""


def check_suffix(out: str | Path, *inputs: str | Path) -> Path:
    """Refuse a place that cannot be written, and a name that ends in no format of catalogues."""
    path = check_place(out, *inputs)
    if path.suffix.lower() not in SUFFIXES:
        raise HoagError(f"{path}: catalogues are written as {', '.join(SUFFIXES)}; end it in one")
    return path


def write_prediction(out: Path, job: Job) -> Path:
    """Write a prediction part by part, going on with what is there of it."""
    folder = out.with_name(out.name + ".parts")
    about = job.about()
    _start(folder, {"part": PART, "format": out.suffix, "keep": list(job.keep), **about})
    todo = [cut for cut in bounds(job.galaxies) if not _file(folder, cut[0]).exists()]
    if len(todo) < len(bounds(job.galaxies)):
        say(f"{out}: goes on with {len(todo)} of {len(bounds(job.galaxies))} parts left")
    try:
        _try_format(job, folder / f"kept{out.suffix}")
        for start, stop in progress(todo, "predicting", unit=UNIT):
            write_parts(lambda: [job.part(start, stop)], _file(folder, start))  # noqa: B023
    except BaseException:
        if not any(folder.glob("part-*")):  # nothing to go on with
            shutil.rmtree(folder)
        raise
    files = [_file(folder, start) for start, _ in bounds(job.galaxies)]
    write_parts(lambda: (read_table(file) for file in files), out, stamp=about)
    shutil.rmtree(folder)
    return out


def bounds(galaxies: Galaxies) -> list[tuple[int, int]]:
    """Give the first galaxy of each part, and the one after its last."""
    total = len(galaxies)
    return [(start, min(start + PART, total)) for start in range(0, total, PART)]


def _file(folder: Path, start: int) -> Path:
    return folder / f"part-{start // PART:06d}.parquet"


def _start(folder: Path, plan: dict[str, Any]) -> None:
    """Make the folder of parts, or see that it is of the same prediction."""
    path = folder / "plan.json"
    plan = {**plan, "hoag": __version__}
    if path.exists():
        before = read_json(path)
        changed = [name for name in plan if before.get(name) != plan[name]]
        if changed:
            raise HoagError(
                f"{folder}: holds parts of another prediction (its {changed[0]} is "
                f"{before.get(changed[0])!r}, now {plan[changed[0]]!r}); delete it to start anew, "
                "or choose another OUT"
            )
        return
    write_json(path, plan)


def _try_format(job: Job, path: Path) -> None:
    """Write the columns that are kept, so that one the format cannot hold is met at once."""
    if path.suffix in PARQUET:
        return
    write_parts(
        lambda: (
            job.galaxies.take(np.arange(a, b)).select(job.keep) for a, b in bounds(job.galaxies)
        ),
        path,
    )
    path.unlink()

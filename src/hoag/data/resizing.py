"""Second stage of a build: every image decoded, resized once and described, in files of 1,024.

A unit is a run of rows of one source, small enough to lose to a kill, large enough to be worth a
process's while. Its file is written whole, so that a build goes on where it was stopped.
"""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hoag.console import progress
from hoag.data.fits_images import FitsSettings, fits_to_rgb, is_fits
from hoag.data.mapped import Mapped
from hoag.data.near_duplicates import thumbnail
from hoag.data.places import has_image_bytes
from hoag.data.reading import ReadSource
from hoag.errors import HoagError
from hoag.files import written_whole
from hoag.images import Pixels, decode_square, encode_jpeg, resize_square

if TYPE_CHECKING:
    import pyarrow as pa

UNIT = 1024  # rows
_BATCH = 256  # images in memory at once
MANY = 1 << 14  # images of a build from which loading torch to resize them pays; 0.2 ms an image
_MOST_CUTS = 16  # of one row group, since each cut reads past what comes before it


@dataclass(frozen=True)
class Unit:
    """Rows `first` to `stop` of a source's rows.arrow, and where their images are.

    `table` is a Parquet file with images in row groups `groups`, whose first row is row
    `group_start` of the source; None where each row names a file.
    """

    read: ReadSource
    number: int
    first: int
    stop: int
    table: Path | None = None
    groups: tuple[int, ...] = ()
    group_start: int = 0

    def path(self, folder: Path) -> Path:
        """File of the unit's images."""
        return folder / self.read.folder.name / f"{self.number:06d}.arrow"


@dataclass(frozen=True)
class Settings:
    """Side in pixels and JPEG quality of the images that are written, and if they are MANY."""

    size: int
    quality: int
    many: bool = False


def plan_units(read: ReadSource) -> list[Unit]:
    """Cut a source into units; the same cuts whatever the number of processes."""
    rows = Mapped(read.rows)
    if not read.source.tables or read.source.images or not has_image_bytes(read.source.tables[0]):
        firsts = range(0, len(rows), UNIT)
        return [Unit(read, k, a, min(a + UNIT, len(rows))) for k, a in enumerate(firsts)]
    numbers = rows.column("row").to_numpy()
    units: list[Unit] = []
    for table, start in zip(read.source.tables, read.record["starts"], strict=True):
        for groups, a, b in _runs_of_groups(table):
            step = max(UNIT, -(-(b - a) // _MOST_CUTS))
            for first in range(start + a, start + b, step):
                lo, hi = np.searchsorted(numbers, [first, min(first + step, start + b)])
                if lo < hi:
                    units.append(Unit(read, len(units), int(lo), int(hi), table, groups, start + a))
    return units


def _runs_of_groups(table: Path) -> Iterator[tuple[tuple[int, ...], int, int]]:
    """Join small row groups until they make a unit; gives (groups, first row, last row + 1)."""
    import pyarrow.parquet as pq

    meta = pq.read_metadata(table)
    groups: list[int] = []
    first = stop = 0
    for number in range(meta.num_row_groups):
        groups.append(number)
        stop += meta.row_group(number).num_rows
        if stop - first >= UNIT or number == meta.num_row_groups - 1:
            yield tuple(groups), first, stop
            groups, first = [], stop


def resize_all(units: Sequence[Unit], folder: Path, settings: Settings, workers: int) -> None:
    """Make the file of every unit that is not there yet, in several processes."""
    many = sum(unit.stop - unit.first for unit in units) >= MANY  # also of those made earlier
    settings = replace(settings, many=many)
    missing = [unit for unit in units if not unit.path(folder).is_file()]
    jobs = run_parallel(resize_unit, [(unit, folder, settings) for unit in missing], workers)
    for _ in progress(jobs, "resizing images", total=len(missing), unit=f"x{UNIT} images"):
        pass


def run_parallel(function: Any, jobs: Sequence[tuple[Any, ...]], workers: int) -> Iterator[Any]:
    """Call a function for each job in fresh processes of one thread each; results in any order."""
    if workers <= 1 or len(jobs) <= 1:
        return (function(*job) for job in jobs)
    from joblib import Parallel, delayed, parallel_config  # type: ignore[import-untyped]

    with parallel_config("loky", inner_max_num_threads=1):
        pool = Parallel(n_jobs=workers, return_as="generator_unordered", pre_dispatch="2*n_jobs")
        done = pool(delayed(_while_parent_lives)(os.getpid(), function, job) for job in jobs)
        return _as_sentence(done)


def _as_sentence(results: Iterator[Any]) -> Iterator[Any]:
    from joblib.externals.loky.process_executor import (  # type: ignore[import-untyped]
        TerminatedWorkerError,
    )

    try:
        yield from results
    except TerminatedWorkerError:
        raise HoagError(
            "a process was ended by the system, most likely for want of memory; the same command "
            "goes on, with --workers 1 in less memory"
        ) from None


def _while_parent_lives(parent: int, function: Any, job: tuple[Any, ...]) -> Any:
    # The processes of a build that was killed must not write beside the one that goes on.
    if os.getppid() != parent:
        os._exit(0)
    return function(*job)


def resize_unit(unit: Unit, folder: Path, settings: Settings) -> None:
    """Write one unit: image bytes and their hash, thumbnail, or why there is no image."""
    import pyarrow as pa

    rows = Mapped(unit.read.rows).slice(unit.first, unit.stop, ["row", "id_str", "file"])
    numbers = rows["row"].to_numpy()
    ids, files = rows["id_str"].to_pylist(), rows["file"].to_pylist()
    images = _bytes_of_unit(unit, numbers) if unit.table else (None for _ in ids)
    with written_whole(unit.path(folder)) as temporary, pa.OSFile(str(temporary), "wb") as sink:
        writer: Any = None
        for first in range(0, len(ids), _BATCH):
            made = []
            for k in range(first, min(first + _BATCH, len(ids))):
                content = next(images)
                name = files[k]
                where = f"{unit.read.source.name}, galaxy '{ids[k]}'"
                path = None if name is None else unit.read.file(int(numbers[k]), name)
                made.append(
                    _image(content if path is None else path, settings, unit.read.source.fits,
                           where if name is None else f"{where}, {name}")
                )  # fmt: skip
            batch = _batch(made)
            writer = writer or pa.ipc.new_file(sink, batch.schema)
            writer.write_batch(batch)
        writer.close()


def _bytes_of_unit(unit: Unit, numbers: Any) -> Iterator[bytes | None]:
    """Read the image column of a unit's row groups, a batch at a time, and give the rows wanted."""
    import pyarrow as pa
    import pyarrow.compute as pc

    place = unit.group_start
    with _parquet(unit.table) as file:
        for batch in file.iter_batches(_BATCH, row_groups=list(unit.groups), columns=["image"]):
            stop = place + batch.num_rows
            a, b = np.searchsorted(numbers, [place, stop])
            images = batch.column("image")
            if pa.types.is_struct(images.type):
                images = pc.struct_field(images, "bytes")
            for row in numbers[a:b].tolist():
                yield images[row - place].as_py()
            if stop > numbers[-1]:
                return
            place = stop


@contextmanager
def _parquet(path: Path | None) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise HoagError(f"{path}: its images cannot be read ({error}); fetch it again") from None


def _image(
    content: bytes | Path | None, settings: Settings, fits: FitsSettings, where: str
) -> tuple[bytes | None, bytes | None, bytes | None, str | None]:
    """Make one image: (encoded, hash of that, thumbnail, None), or the reason at the end."""
    try:
        if content is None:
            raise HoagError(f"{where}: the image is missing (null)")
        encoded, pixels = _resized(_loaded(content, where), settings, fits, where)
        # A few pixels tell almost all images from blank ones.
        if (pixels[::16, ::16] == pixels[0, 0]).all() and (pixels == pixels[0, 0]).all():
            raise HoagError(f"{where}: the image is blank, one colour throughout")
    except HoagError as error:
        return None, None, None, str(error)
    # Equal pixels are encoded to equal bytes, which are fewer.
    key = hashlib.blake2b(encoded, digest_size=16).digest()
    return encoded, key, thumbnail(pixels).tobytes(), None


def _loaded(content: bytes | Path, where: str) -> bytes:
    if isinstance(content, bytes):
        return content
    try:
        return content.read_bytes()
    except OSError as error:
        raise HoagError(f"{where}: cannot be read ({error.strerror})") from None


def _resized(
    content: bytes, settings: Settings, fits: FitsSettings, where: str
) -> tuple[bytes, Pixels]:
    if is_fits(content):
        pixels = resize_square(fits_to_rgb(content, fits, where), settings.size, settings.many)
    else:
        pixels, as_is = decode_square(content, settings.size, where, settings.many)
        if as_is:
            return content, pixels  # encoding it again would only lose detail
    return encode_jpeg(pixels, settings.quality), pixels


def _batch(made: list[tuple[bytes | None, bytes | None, bytes | None, str | None]]) -> Any:
    import pyarrow as pa

    width = int(np.prod(thumbnail_shape()))
    kinds = (pa.binary(), pa.binary(16), pa.binary(width), pa.string())
    columns = zip(*made, strict=True)
    arrays = [pa.array(list(c), kind) for c, kind in zip(columns, kinds, strict=True)]
    return pa.record_batch(arrays, names=["image", "key", "thumbnail", "error"])


@lru_cache
def thumbnail_shape() -> tuple[int, ...]:
    """Shape of one thumbnail, whatever the image's size."""
    return thumbnail(np.zeros((128, 128, 3), np.uint8)).shape


class UnitImages:
    """Images of a source by their place in its rows.arrow, read from the files of its units."""

    def __init__(self, units: Sequence[Unit], folder: Path):
        self.units, self.folder = list(units), folder
        self._firsts = [unit.first for unit in self.units]
        # Few are open at once: each holds a file, and they are gone through in order.
        self._open = lru_cache(8)(lambda number: Mapped(self.units[number].path(folder)))

    def image(self, place: int) -> bytes:
        """Encoded bytes of one image."""
        number = bisect_left(self._firsts, place + 1) - 1
        value: pa.Scalar = self._open(number).scalar("image", place - self._firsts[number])
        return bytes(value.as_py())

    def columns(self, names: Sequence[str]) -> Iterator[tuple[int, Any]]:
        """Go through the units; gives (first place, table of the columns named)."""
        for unit in self.units:
            whole = Mapped(unit.path(self.folder))
            yield unit.first, whole.slice(0, len(whole), names)

"""Images of Parquet files: through their Arrow copies, or in memory where none can be written."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hoag.arrow_copy import can_write, image_bytes, write_copies
from hoag.console import progress, say
from hoag.copied import Copy, open_copy
from hoag.errors import HoagError
from hoag.memory import available_memory, in_words
from hoag.stores import ColumnImages, Images

if TYPE_CHECKING:
    import pyarrow as pa

MEMORY_SHARE = 0.25  # of the available memory, for images of a place that cannot be written to
_BATCH = 256  # images read together


class CopiedImages:
    """Images of the Arrow copies of Parquet files, which follow one another as one store."""

    def __init__(self, copies: Sequence[Copy]):
        self.copies = list(copies)
        self._starts = [0, *accumulate(len(copy) for copy in self.copies)]

    def content(self, row: int) -> bytes | memoryview | Path:
        """Bytes of one image, mapped."""
        number = bisect_right(self._starts, row) - 1
        return self.copies[number].content(row - self._starts[number])

    def file(self, row: int) -> str:
        """Name of the Parquet file a row is in."""
        return str(self.copies[bisect_right(self._starts, row) - 1].shard)

    def lengths(self) -> npt.NDArray[np.int64]:
        """Length of each image in bytes; (n,)."""
        return np.concatenate([copy.lengths() for copy in self.copies])

    def prepare(self) -> None:
        """Nothing to do: what is read is mapped."""


class ParquetImages:
    """Images of Parquet files whose Arrow copies are made when first needed.

    Parameters
    ----------
    shards
        Parquet files with a column `image` and an id column.
    places
        Where their copies belong.
    id_column
        Name of the column of ids.
    asked_for
        Whether the user chose the places; else images of a read-only place are read into memory.
    """

    def __init__(
        self, shards: Sequence[Path], places: Sequence[Path], id_column: str, asked_for: bool
    ):
        self.shards, self.places = list(shards), list(places)
        self.id_column, self.asked_for = id_column, asked_for
        self._opened: Images | None = None

    def prepare(self) -> None:
        """Write the copies that are missing or older than their files, and map all."""
        self._images()

    def content(self, row: int) -> bytes | memoryview | Path:
        """Bytes of one image, mapped."""
        return self._images().content(row)

    def lengths(self) -> npt.NDArray[np.int64]:
        """Length of each image in bytes; (n,)."""
        return self._images().lengths()

    def file(self, row: int) -> str:
        """Name of the Parquet file a row is in."""
        return self._images().file(row)

    def _images(self) -> Images:
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> Images:
        copies = open_copies(self.shards, self.places, self.id_column)
        if copies is None:
            if not can_write(self.places[0]):
                if self.asked_for:
                    raise HoagError(f"{self.places[0]}: the Arrow copy cannot be written there")
                return _read_into_memory(self.shards)
            write_copies(self.shards, self.places, self.id_column)
            copies = open_copies(self.shards, self.places, self.id_column)
            if copies is None:
                raise HoagError(f"{self.shards[0]}: changed while its Arrow copy was written")
        return CopiedImages(copies)


def open_copies(
    shards: Sequence[Path], places: Sequence[Path], id_column: str
) -> list[Copy] | None:
    """Open the copies of all files; None if one is missing or older than its file."""
    found = []
    for shard, place in zip(shards, places, strict=True):
        copy = open_copy(place, shard, id_column)
        if copy is None:
            return None
        found.append(copy)
    return found


class _ShardedColumn(ColumnImages):
    """Images in memory, which remember the files they come from."""

    def __init__(self, column: pa.ChunkedArray, shards: Sequence[Path], ends: Sequence[int]):
        super().__init__(column, str(shards[0]), shards[0].parent)
        self.shards, self.ends = list(shards), list(ends)

    def file(self, row: int) -> str:
        return str(self.shards[bisect_right(self.ends, row)])

    def __reduce__(self) -> tuple[object, ...]:
        return _ShardedColumn, (self.column, self.shards, self.ends)


def _read_into_memory(shards: Sequence[Path]) -> ColumnImages:
    import pyarrow as pa
    import pyarrow.parquet as pq

    size, free = sum(map(image_bytes, shards)), available_memory()
    name = shards[0] if len(shards) == 1 else shards[0].parent
    if size > MEMORY_SHARE * free:
        raise HoagError(
            f"{name}: its Arrow copy ({in_words(size)}) cannot be written beside it and is over "
            f"{MEMORY_SHARE:.0%} of the free memory; pass arrow=DIR, a folder to write it in"
        )
    say(f"{name}: read-only, so its images are read into memory ({in_words(size)})")
    batches: list[pa.RecordBatch] = []
    ends: list[int] = []
    for shard in progress(shards, "reading images", unit="file"):
        with pq.ParquetFile(shard) as file:
            batches += list(file.iter_batches(_BATCH, columns=["image"]))
            ends.append((ends[-1] if ends else 0) + file.metadata.num_rows)
    return _ShardedColumn(pa.Table.from_batches(batches)["image"], shards, ends)

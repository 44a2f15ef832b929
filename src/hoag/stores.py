"""Opened places: their images, as files beside a table or as columns, with decoded caches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from hoag.errors import HoagError
from hoag.images import decode
from hoag.pixel_cache import PixelCache, make_cache

if TYPE_CHECKING:
    import pyarrow as pa

    from hoag.records import Records

Rows = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]


class Images(Protocol):
    """Encoded images of a store, by row."""

    def content(self, row: int) -> bytes | memoryview | Path:
        """Bytes of one image, or the file that holds them."""

    def file(self, row: int) -> str:
        """Name of the file an image is in, for messages."""

    def lengths(self) -> npt.NDArray[np.int64]:
        """Size of each encoded image in bytes; (n,)."""

    def prepare(self) -> None:
        """Do what the first access would do: open, map or copy."""


class NoImages:
    """A table of votes alone."""

    def __init__(self, name: str, n: int):
        self.name, self.n = name, n

    def content(self, row: int) -> bytes:
        """Refuse: there is none."""
        raise HoagError(
            f"{self.name}: has no images; it needs a column 'image' (bytes) or 'file_loc' (paths)"
        )

    def file(self, row: int) -> str:
        """Name of the table."""
        return self.name

    def lengths(self) -> npt.NDArray[np.int64]:
        """Zero for every galaxy."""
        return np.zeros(self.n, np.int64)

    def prepare(self) -> None:
        """Nothing to do."""


class ImageFiles:
    """Image files named by a table's `file_loc`, relative to the folder of the table."""

    def __init__(self, folder: Path, locations: Sequence[str]):
        self.folder, self.locations = folder, list(locations)

    def content(self, row: int) -> Path:
        """Path of one image."""
        return self.folder / self.locations[row]

    def file(self, row: int) -> str:
        """Path of one image, as text."""
        return str(self.content(row))

    def lengths(self) -> npt.NDArray[np.int64]:
        """File sizes, 0 for a file that is missing; (n,) bytes."""
        return np.array([_file_size(self.content(row)) for row in range(len(self.locations))])

    def prepare(self) -> None:
        """Nothing to do."""


def _file_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class ColumnImages:
    """Images in an Arrow column, as bytes or as the Hub's struct{bytes, path}.

    Parameters
    ----------
    column
        Chunks of the column, in memory or mapped.
    name
        The file they come from.
    folder
        What paths are relative to, where a struct has a path and no bytes.
    """

    def __init__(self, column: pa.ChunkedArray, name: str, folder: Path | None = None):
        import pyarrow as pa
        import pyarrow.compute as pc

        self.column, self.name, self.folder = column, name, folder
        chunks = [chunk for chunk in column.chunks if len(chunk)]
        self._starts = np.cumsum([0, *(len(chunk) for chunk in chunks)])
        is_struct = pa.types.is_struct(column.type)
        self._bytes = [pc.struct_field(c, "bytes") if is_struct else c for c in chunks]
        has_path = is_struct and column.type.get_field_index("path") >= 0
        self._paths = [pc.struct_field(c, "path") if has_path else None for c in chunks]

    def content(self, row: int) -> bytes | memoryview | Path:
        """Bytes of one image, without a copy; or its path if that is all there is."""
        chunk = int(np.searchsorted(self._starts, row, side="right")) - 1
        place = row - int(self._starts[chunk])
        buffer = self._bytes[chunk][place].as_buffer()
        if buffer is not None:
            return memoryview(buffer)
        paths = self._paths[chunk]
        path = paths[place].as_py() if paths is not None else None
        if path and self.folder is not None:
            return self.folder / path
        return b""

    def file(self, row: int) -> str:
        """Name of the table's file."""
        return self.name

    def lengths(self) -> npt.NDArray[np.int64]:
        """Length of each image in bytes, 0 where null; (n,)."""
        import pyarrow.compute as pc

        parts = [pc.fill_null(pc.binary_length(chunk), 0).to_numpy(False) for chunk in self._bytes]
        return np.concatenate([np.zeros(0, np.int64), *parts]).astype(np.int64)

    def prepare(self) -> None:
        """Nothing to do."""

    def __reduce__(self) -> tuple[Any, ...]:
        return ColumnImages, (self.column, self.name, self.folder)


class Store:
    """One opened place, shared by all the galaxies taken from it: images, records, decoded caches.

    Parameters
    ----------
    images
        Its encoded images.
    records
        What else is known of each galaxy, row for row.
    name
        What it is called in messages.
    """

    def __init__(self, images: Images, records: Records, name: str):
        self.images, self.records, self.name = images, records, name
        self._caches: dict[int, PixelCache | None] = {}
        self._lengths: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.records)

    def cache(self, size: int) -> PixelCache | None:
        """Give the cache for one size, made when first asked for; None where memory is short."""
        if size not in self._caches:
            self._caches[size] = make_cache(len(self), size, self.name)
        return self._caches[size]

    def decode(self, row: int, size: int | None, out: Pixels | None = None) -> Pixels:
        """Decode one image; (height, width, 3) uint8, `out` if that is given."""
        content = self.images.content(row)
        try:
            return decode(content, size, out=out)
        except HoagError:  # looking up names beforehand would slow down every image
            (id_str,) = self.records.ids(np.array([row]))
            return decode(content, size, f"galaxy '{id_str}' in {self.images.file(row)}")

    def read(self, rows: Rows, size: int, out: Pixels, places: Rows, keep: bool = True) -> None:
        """Decode images at one size, or take them from the cache, and put them where they belong.

        Parameters
        ----------
        rows
            (k,) rows of the store.
        size
            Side in pixels.
        out
            (n, size, size, 3) uint8, where they are put.
        places
            (k,) places in `out`.
        keep
            Whether to keep those decoded now; what is in the cache is taken in any case.
        """
        cache = self.cache(size) if keep else self._caches.get(size)
        if cache is None:
            for place, row in zip(places.tolist(), rows.tolist(), strict=True):
                self.decode(row, size, out[place])
            return
        for row in rows[cache.missing(rows)].tolist():
            with cache.filling(row) as image:
                self.decode(row, size, image)
        for place, row in zip(places.tolist(), rows.tolist(), strict=True):
            out[place] = cache.image(row)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Size of each encoded image in bytes; (n,) int64."""
        if self._lengths is None:
            self._lengths = self.images.lengths()
        return self._lengths

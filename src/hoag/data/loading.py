"""Columns of all rows of a build that decide which of them are one galaxy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hoag.data.mapped import Mapped
from hoag.data.reading import ReadSource
from hoag.data.resizing import UnitImages, thumbnail_shape
from hoag.errors import HoagError

if TYPE_CHECKING:
    import pyarrow as pa

Rows = npt.NDArray[np.int64]


@dataclass
class RowTable:
    """Columns of all rows that have an image, source after source."""

    source: npt.NDArray[np.int16]
    place: Rows
    ids: pa.ChunkedArray
    surveys: pa.ChunkedArray
    groups: pa.ChunkedArray
    ra: npt.NDArray[np.float64]
    dec: npt.NDArray[np.float64]
    keys: pa.ChunkedArray
    sizes: Rows


def load_rows(
    reads: Sequence[ReadSource], images: Sequence[UnitImages], work: Path
) -> tuple[RowTable, list[tuple[int, int, str]], npt.NDArray[np.uint8]]:
    """Gather the columns that decide, and the thumbnails in one file that is mapped."""
    import pyarrow as pa
    import pyarrow.compute as pc

    unusable: list[tuple[int, int, str]] = []
    columns: dict[str, list[Any]] = {name: [] for name in ("source", "place", "key", "size")}
    texts: dict[str, list[Any]] = {name: [] for name in ("id_str", "survey", "group", "ra", "dec")}
    path = work / "thumbnails.raw"
    with path.open("wb") as file:
        for number, (read, unit_images) in enumerate(zip(reads, images, strict=True)):
            good_of_source = []
            for first, unit in unit_images.columns(["image", "key", "thumbnail", "error"]):
                errors = unit["error"]
                good = pc.is_null(errors)
                for k in np.flatnonzero(~good.to_numpy()):
                    unusable.append((number, first + int(k), errors[int(k)].as_py()))
                kept = unit.filter(good)
                for chunk in kept["thumbnail"].chunks:
                    file.write(_fixed(chunk))
                good_of_source.append(first + np.flatnonzero(good.to_numpy()))
                columns["key"].append(kept["key"].combine_chunks())
                columns["size"].append(pc.binary_length(kept["image"]).to_numpy())
            places = np.concatenate(good_of_source).astype(np.int64)
            columns["place"].append(places)
            columns["source"].append(np.full(len(places), number, np.int16))
            rows = Mapped(read.rows)
            for name, parts in texts.items():
                parts.append(rows.column(name).combine_chunks().take(pa.array(places)))
    chunked = {name: pa.chunked_array(parts) for name, parts in texts.items()}
    source = np.concatenate(columns["source"])
    if not len(source):
        raise HoagError(f"no image can be used; the first one: {unusable[0][2]}")
    table = RowTable(
        source, np.concatenate(columns["place"]), chunked["id_str"], chunked["survey"],
        chunked["group"], _floats(chunked["ra"]), _floats(chunked["dec"]),
        pa.chunked_array([k for part in columns["key"] for k in _chunks(part)]),
        np.concatenate(columns["size"]).astype(np.int64),
    )  # fmt: skip
    shape = (len(source), *thumbnail_shape())
    thumbnails = np.memmap(path, np.uint8, mode="r", shape=shape)
    return table, unusable, thumbnails


def _chunks(array: Any) -> list[Any]:
    return array.chunks if hasattr(array, "chunks") else [array]


def _fixed(chunk: Any) -> bytes | memoryview:
    """Bytes of a chunk of fixed-size values, without a copy where it is whole."""
    width = chunk.type.byte_width
    start = chunk.offset * width
    return memoryview(chunk.buffers()[1])[start : start + len(chunk) * width]


def _floats(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    import pyarrow.compute as pc

    values: npt.NDArray[np.float64] = pc.fill_null(column, float("nan")).to_numpy()
    return values


def numbered(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Number the values of a column in order of appearance, -1 where missing; (n,) int64."""
    import pyarrow.compute as pc

    indices = pc.dictionary_encode(whole(column)).indices
    numbers: npt.NDArray[np.int64] = pc.fill_null(indices, -1).to_numpy(False).astype(np.int64)
    return numbers


def whole(column: Any) -> Any:
    """Give a column as one array."""
    import pyarrow as pa

    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def replaced(texts: pa.StringArray, places: Rows, new: Sequence[str]) -> pa.StringArray:
    """Give some entries new values; places must be in order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    mask = np.zeros(len(texts), bool)
    mask[places] = True
    return pc.replace_with_mask(texts, pa.array(mask), pa.array(new, pa.string()))

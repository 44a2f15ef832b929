"""Writing galaxies as Parquet in the layout of the Hub's gz_evo: one image struct and columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hoag.catalogue import list_names
from hoag.console import progress
from hoag.errors import HoagError
from hoag.files import written_whole
from hoag.images import encode_jpeg
from hoag.provenance import stamp as make_stamp

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 512  # galaxies: small enough to stream, large enough to compress votes


def write_galaxies(
    rows: pa.Table | Iterable[Mapping[str, Any]],
    path: str | Path,
    *,
    images: Iterable[Any] | None = None,
    fields: pa.Schema | None = None,
    stamp: dict[str, Any] | None = None,
    total: int | None = None,
) -> None:
    """Write galaxies in the Hub's layout, as they come, whole or not at all.

    Parameters
    ----------
    rows
        A table without images, or one mapping a galaxy with `id_str`, `image` and its columns.
    path
        The Parquet file to write.
    images
        Images of the rows in order, if `rows` is a table: encoded bytes, (h, w, 3) uint8 or a path.
    fields
        Types of the columns but `image`. None: the table's own, else those of the first rows, with
        answers (names like "bar-gz2_yes") as int32.
    stamp
        Record of the making for the file's metadata; None: `provenance.stamp`.
    total
        How many there are, for the progress bar.

    Raises
    ------
    HoagError
        If there are no rows, an id is missing or repeated, or columns change on the way.
    """
    import pyarrow as pa

    path = Path(path)
    if isinstance(rows, pa.Table):
        fields, total = fields or rows.schema, rows.num_rows
        rows = _with_images(rows, images)
    stream = iter(progress(rows, f"writing {path.name}", total=total, unit="galaxy"))
    start = list(islice(stream, ROW_GROUP))
    if not start:
        raise HoagError(f"{path}: there are no galaxies to write")
    layout = galaxies_layout(fields or _guess_fields(start), stamp or make_stamp())
    seen: set[str] = set()
    with written_whole(path) as temporary, galaxies_writer(temporary, layout) as writer:
        block = start
        while block:
            writer.write_table(_block(block, layout, seen, path))
            block = list(islice(stream, ROW_GROUP))


def _with_images(table: pa.Table, images: Iterable[Any] | None) -> Iterator[dict[str, Any]]:
    if images is None:
        raise HoagError("a table of galaxies to write needs images=, one for each row")
    left = iter(images)
    for batch in table.to_batches(max_chunksize=ROW_GROUP):
        for row in batch.to_pylist():
            try:
                yield {**row, "image": next(left)}
            except StopIteration:
                raise HoagError("there are fewer images than rows in the table") from None
    if next(left, None) is not None:
        raise HoagError("there are more images than rows in the table")


def _guess_fields(rows: list[Mapping[str, Any]]) -> pa.Schema:
    import pyarrow as pa

    columns = [{k: v for k, v in row.items() if k != "image"} for row in rows]
    names = list(dict.fromkeys(chain.from_iterable(columns)))
    kinds = {}
    for name in names:
        kind = pa.array([row.get(name) for row in columns]).type
        is_answer = "-" in name and "_" in name.rpartition("-")[2]
        kinds[name] = pa.int32() if is_answer and pa.types.is_integer(kind) else kind
    return pa.schema([(name, kinds[name]) for name in names])


def galaxies_writer(path: Path, layout: pa.Schema) -> Any:
    """Open a Parquet writer for galaxies of a layout."""
    import pyarrow.parquet as pq

    # Images are compressed already; trying again only takes time.
    columns = [name for name in layout.names if name != "image"]
    codecs = {"image.bytes": "NONE", "image.path": "NONE", **dict.fromkeys(columns, "SNAPPY")}
    return pq.ParquetWriter(path, layout, use_dictionary=columns, compression=codecs)


def galaxies_layout(fields: pa.Schema, stamp: dict[str, Any]) -> pa.Schema:
    """Give the Hub's layout to columns: the image first, then id_str, and what the file is."""
    import pyarrow as pa

    if "id_str" not in fields.names:
        raise HoagError(f"galaxies to write need an 'id_str'; they have {list_names(fields.names)}")
    kept = [pa.field("id_str", pa.string())]
    kept += [field for field in fields if field.name not in ("id_str", "image")]
    image = pa.field("image", pa.struct({"bytes": pa.binary(), "path": pa.string()}))
    metadata = {"hoag": json.dumps(stamp)}
    names = {"float": "float32", "double": "float64", "halffloat": "float16"}
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    for field in kept:
        kind = str(field.type)
        features[field.name] = {"dtype": names.get(kind, kind), "_type": "Value"}
    # `datasets` shows the struct as pictures if the file says that it is one.
    if not any(pa.types.is_nested(field.type) for field in kept):
        metadata["huggingface"] = json.dumps({"info": {"features": features}})
    return pa.schema([image, *kept], metadata=metadata)


def _block(
    rows: list[Mapping[str, Any]], layout: pa.Schema, seen: set[str], path: Path
) -> pa.Table:
    import pyarrow as pa

    for row in rows:
        extra = set(row) - set(layout.names)
        if extra:
            raise HoagError(
                f"{path}: galaxy '{row.get('id_str')}' has {list_names(sorted(extra))}, which the "
                "first ones lack; give the columns as fields="
            )
        id_str = row.get("id_str")
        if not isinstance(id_str, str) or not id_str or id_str in seen:
            raise HoagError(f"{path}: id {id_str!r} is repeated, empty or no text")
        seen.add(id_str)
    columns = {name: [row.get(name) for row in rows] for name in layout.names if name != "image"}
    columns["image"] = [_packed(row) for row in rows]
    try:
        return pa.table({name: columns[name] for name in layout.names}, schema=layout)
    except (pa.ArrowException, OverflowError, TypeError) as error:
        raise HoagError(f"{path}: a column changes type on the way ({error})") from None


def _packed(row: Mapping[str, Any]) -> dict[str, Any]:
    image = row.get("image")
    if isinstance(image, Mapping):
        return {"bytes": image.get("bytes"), "path": image.get("path")}
    if isinstance(image, np.ndarray):
        return {"bytes": encode_jpeg(image), "path": f"{row['id_str']}.jpg"}
    if isinstance(image, str | Path):
        try:
            return {"bytes": Path(image).read_bytes(), "path": Path(image).name}
        except OSError as error:
            raise HoagError(
                f"galaxy '{row.get('id_str')}': {image} cannot be read ({error.strerror})"
            ) from None
    if isinstance(image, bytes | bytearray | memoryview):
        png = bytes(image[:4]) == b"\x89PNG"
        return {"bytes": bytes(image), "path": f"{row['id_str']}.{'png' if png else 'jpg'}"}
    raise HoagError(f"galaxy '{row.get('id_str')}': its image is {type(image).__name__}, not bytes")

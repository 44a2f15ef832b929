"""Making the Arrow copy of Parquet files: what random access to images and votes reads.

Parquet is compressed in row groups, so reading one image means reading hundreds. The copy is a
folder written once beside the file (`hoag.copied` says what is in it) and rewritten when the file
changes. Ids and votes are checked while it is written, so that opening need not look at them.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hoag.answers import counts_of, may_be_answer
from hoag.catalogue import TEXT_COLUMNS, plain_types, require_columns
from hoag.console import progress, say
from hoag.copied import CONTENT, DATA, FORMAT, SOURCE, TABLE, open_copy, source
from hoag.errors import HoagError
from hoag.files import written_whole
from hoag.hashes import Hashes, first_repeat, hashes_of
from hoag.memory import in_words

if TYPE_CHECKING:
    import pyarrow as pa

_IMAGES, _ROWS = 256, 1 << 14  # read and written together: images, and rows of the other columns


def beside(shard: Path) -> Path:
    """Place of a Parquet file's copy: NAME.arrow beside it."""
    return shard.with_suffix(".arrow")


def make_copies(
    shards: Sequence[Path], *, id_column: str = "id_str", copies: Sequence[Path] | None = None
) -> None:
    """Write the Arrow copy of each Parquet file that has none, or an old one.

    Each is written whole or not at all, so an interrupted call goes on where it was. The copy of a
    file whose metadata carries ``hoag_content`` is the same byte for byte whenever it is made.

    Parameters
    ----------
    shards
        Parquet files with a column `image` and an id column.
    id_column
        Name of the column of ids.
    copies
        Places of the copies; None: NAME.arrow beside each file.

    Raises
    ------
    HoagError
        If the disk has no room for them, or a file is empty or has an id missing or repeated.
    """
    files = [Path(shard) for shard in shards]
    places = [beside(file) for file in files] if copies is None else list(copies)
    for place in places:  # what a writing that was killed has left
        for rest in place.parent.glob(f".{glob.escape(place.name)}.*"):
            shutil.rmtree(rest, ignore_errors=True)
    write_copies(files, places, id_column)


def write_copies(shards: Sequence[Path], places: Sequence[Path], id_column: str) -> None:
    """Do what `make_copies` does, but for its tidying: other processes may be writing the same."""
    wanted = [
        (shard, place)
        for shard, place in zip(shards, places, strict=True)
        if open_copy(place, shard, id_column) is None
    ]
    if not wanted:
        return
    size = sum(_size(shard) for shard, _ in wanted)
    first = wanted[0][1]
    first.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(first.parent).free
    if size > 0.95 * free:
        raise HoagError(
            f"{first}: the Arrow copy takes {in_words(size)} and {in_words(free)} are free there; "
            "pass arrow=DIR, a folder with more room"
        )
    more = f" and {len(wanted) - 1} more" if len(wanted) > 1 else ""
    say(f"{first}{more}: writing the Arrow copy for random access, {in_words(size)}, once")
    for shard, place in progress(wanted, "writing Arrow copies", unit="file"):
        try:
            # Another process of the same run may have put the same copy there meanwhile.
            if open_copy(place, shard, id_column) is None:
                _write_copy(shard, place, id_column)
        except HoagError:
            if open_copy(place, shard, id_column) is None:
                raise


def can_write(place: Path) -> bool:
    """Tell whether a folder may be made there, by its permissions; root obeys them too."""
    folder = place.parent
    while not folder.exists():
        folder = folder.parent
    return bool(folder.stat().st_mode & stat.S_IWUSR) and os.access(folder, os.W_OK)


def image_bytes(shard: Path) -> int:
    """Size of the column of images, uncompressed, from the footer alone."""
    return _size(shard, images_only=True)


def _size(shard: Path, images_only: bool = False) -> int:
    """Size of the columns, uncompressed, those that may be answers twice: by column and by row."""
    import pyarrow.parquet as pq

    meta, total = pq.read_metadata(shard), 0
    for number in range(meta.num_row_groups):
        group = meta.row_group(number)
        if number == 0:  # not of meta.schema, which would keep all of it in memory in a circle
            paths = [group.column(i).path_in_schema for i in range(meta.num_columns)]
            names = [path.split(".")[0] for path in paths]
        for i, name in enumerate(names):
            if name == "image":
                total += group.column(i).total_uncompressed_size
            elif not images_only:
                total += group.num_rows * (8 if may_be_answer(name) else 16)
    return total


def _write_copy(shard: Path, copy: Path, id_column: str) -> None:
    import pyarrow.parquet as pq

    with written_whole(copy) as folder, pq.ParquetFile(shard) as file:
        require_columns(file.schema_arrow.names, [id_column, "image"], str(shard))
        if file.metadata.num_rows == 0:
            raise HoagError(f"{shard}: has no rows")
        folder.mkdir()
        about = _write_columns(file, folder, shard, id_column)
        np.save(folder / "images.npy", _write_images(file, folder / DATA, id_column))
        content = (file.metadata.metadata or {}).get(CONTENT)
        about["content"] = None if content is None else content.decode()
        about["shard"] = source(shard, about["content"])
        _describe(folder, about)


def _write_columns(file: Any, folder: Path, shard: Path, id_column: str) -> dict[str, Any]:
    """Write all columns but the images, the votes by row, and the hashes; gives what they hold."""
    import pyarrow as pa

    names = [name for name in file.schema_arrow.names if name != "image"]
    answers = [name for name in names if may_be_answer(name)]
    votes = _votes_file(folder / "votes.npy", (file.metadata.num_rows, len(answers)))
    odd: set[str] = set()
    keys, groups, start = [], [], 0
    for part, writer in _parts(file, names, folder / TABLE, (shard, id_column)):
        writer.write_table(part.combine_chunks())
        keys.append(hashes_of(checked_ids(part["id_str"], id_column, str(shard), start)))
        if "group" in names:
            groups.append(group_hashes(part["group"], keys[-1]))
        votes[start : start + part.num_rows] = _votes_of(part, answers, odd)
        start += part.num_rows
    everyone = np.concatenate(keys)
    np.save(folder / "keys.npy", everyone)
    if groups:
        np.save(folder / "groups.npy", np.concatenate(groups))
    with pa.ipc.open_file(pa.memory_map(str(folder / TABLE))) as reader:
        table = reader.read_all()
    refuse_repeats(everyone, table["id_str"], id_column, str(shard))
    return {
        "format": FORMAT,
        "rows": start,
        "id_column": id_column,
        "columns": table.column_names,
        "schema": hashlib.blake2b(table.schema.serialize(), digest_size=16).hexdigest(),
        "answers": [None if name in odd else name for name in answers],
        "groups": bool(groups),
    }


def _parts(
    file: Any, names: list[str], path: Path, where: tuple[Path, str]
) -> Iterator[tuple[pa.Table, Any]]:
    """Read some columns part by part, each with the writer of an Arrow file for it."""
    import pyarrow as pa

    (shard, id_column), writer = where, None
    with pa.OSFile(str(path), "wb") as sink:
        for batch in file.iter_batches(_ROWS, columns=names):
            part = plain_types(
                pa.Table.from_batches([batch]).replace_schema_metadata(file.schema_arrow.metadata),
                (*TEXT_COLUMNS, id_column), str(shard),
            )  # fmt: skip
            part = part.rename_columns(["id_str" if n == id_column else n for n in names])
            writer = writer or pa.ipc.new_file(sink, part.schema)
            yield part, writer
        if writer is not None:
            writer.close()


def checked_ids(ids: pa.ChunkedArray, id_column: str, where: str, start: int = 0) -> list[str]:
    """Give ids as a list, refusing missing ones; `start` is the row of the first."""
    found: list[str] = ids.to_pylist()
    if not all(found):
        row = start + next(row for row, id_str in enumerate(found) if not id_str)
        raise HoagError(f"{where}: column '{id_column}', row {row}: the id is missing")
    return found


def refuse_repeats(keys: Hashes, ids: pa.ChunkedArray, id_column: str, where: str) -> None:
    """Refuse a table that has an id twice; `keys` are the hashes of its ids."""
    repeat = first_repeat(keys, lambda rows: ids.take(rows).to_pylist())
    if repeat is not None:
        first, second, id_str = repeat
        raise HoagError(
            f"{where}: column '{id_column}', rows {first} and {second}: both are '{id_str}'; ids "
            "must be unique"
        )


def group_hashes(groups: pa.ChunkedArray, keys: Hashes) -> Hashes:
    """Hashes of a column of groups, the key of the galaxy itself where it is null; (n,) uint64."""
    found = groups.to_pylist()
    hashes = hashes_of("" if group is None else str(group) for group in found)
    return np.where([group is None for group in found], keys, hashes)


def _votes_file(path: Path, shape: tuple[int, int]) -> npt.NDArray[np.int32]:
    """Make the file of votes, mapped; without answers there is none, as none can be mapped."""
    if 0 in shape:
        return np.zeros(shape, np.int32)
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.int32, shape=shape)


def _votes_of(part: pa.Table, answers: list[str], odd: set[str]) -> npt.NDArray[np.int32]:
    """Votes of some rows; columns that hold what is no count join the `odd` ones."""
    votes = np.zeros((part.num_rows, len(answers)), np.int32)
    for number, name in enumerate(answers):
        counts = counts_of(part[name])
        if counts is None:
            odd.add(name)
        else:
            votes[:, number] = counts
    return votes


def _write_images(file: Any, path: Path, id_column: str) -> npt.NDArray[np.int64]:
    """Write ids and images as `datasets` reads them; gives their places, (n, 2) int64."""
    import pyarrow as pa

    schema = pa.schema(
        {"id_str": pa.string(), "image": pa.struct({"bytes": pa.binary(), "path": pa.string()})},
        metadata={"huggingface": json.dumps({"info": {"features": _FEATURES}})},
    )
    batches = file.iter_batches(_IMAGES, columns=[id_column, "image"])
    total = -(-file.metadata.num_rows // _IMAGES)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for batch in progress(batches, f"writing {path.parent.name}", total=total, unit="batch"):
            writer.write_batch(_in_layout(batch, id_column, schema))
    return _places(path)


def _in_layout(batch: pa.RecordBatch, id_column: str, schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa
    import pyarrow.compute as pc

    images = batch.column("image")
    parts = {"bytes": images, "path": pa.nulls(len(images), pa.string())}
    if pa.types.is_struct(images.type):
        names = {images.type.field(i).name for i in range(images.type.num_fields)}
        parts |= {name: pc.struct_field(images, name) for name in names & set(parts)}
    arrays = [parts["bytes"].cast(pa.binary()), parts["path"].cast(pa.string())]
    ids = batch.column(id_column).cast(pa.string())
    packed = pa.StructArray.from_arrays(arrays, ["bytes", "path"])
    return pa.record_batch([ids, packed], schema=schema)


def _places(path: Path) -> npt.NDArray[np.int64]:
    """Find the bytes of each image in a stream: (n, 2) int64, start (-1 if null) and length."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = [np.zeros((0, 2), np.int64)]
    with pa.memory_map(str(path)) as file:
        whole = file.read_buffer()
        for batch in pa.ipc.open_stream(whole):
            images = pc.struct_field(batch.column("image"), "bytes")
            _, offsets, data = images.buffers()
            ends = np.frombuffer(offsets, np.int32)[images.offset :][: len(images) + 1]
            address = 0 if data is None else data.address - whole.address
            starts = address + ends[:-1].astype(np.int64)
            starts[np.asarray(images.is_null())] = -1
            parts.append(np.stack([starts, np.diff(ends)], axis=1))
    return np.concatenate(parts)


_FEATURES = {"id_str": {"dtype": "string", "_type": "Value"}, "image": {"_type": "Image"}}


def _describe(folder: Path, about: dict[str, Any]) -> None:
    """Write what `datasets.load_from_disk` wants to find, and what the copy was made from."""
    fingerprint = hashlib.blake2b(json.dumps(about).encode(), digest_size=8).hexdigest()
    state: dict[str, Any] = {
        "_data_files": [{"filename": DATA}],
        "_fingerprint": fingerprint,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    (folder / "state.json").write_text(json.dumps(state, indent=2))
    (folder / "dataset_info.json").write_text(json.dumps({"features": _FEATURES}, indent=2))
    (folder / SOURCE).write_text(json.dumps(about, indent=2))

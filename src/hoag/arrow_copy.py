"""The Arrow copy of a Parquet store: its images memory-mapped for random access.

Parquet is compressed in row groups, so reading one image means reading hundreds. The copy is a
folder that ``datasets.load_from_disk`` opens too, written once beside the store and rewritten when
the store changes.
"""

from __future__ import annotations

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

from hoag.console import progress, say
from hoag.errors import HoagError
from hoag.files import written_whole
from hoag.memory import available_memory, in_words
from hoag.stores import ColumnImages

if TYPE_CHECKING:
    import pyarrow as pa

MEMORY_SHARE = 0.25  # of the available memory, for images of a place that cannot be written to
_DATA, _SOURCE = "data-00000-of-00001.arrow", "source.json"
_BATCH = 256  # images read and written together


class ParquetImages:
    """Images of Parquet shards, reached through their Arrow copy, which is made when first needed.

    Parameters
    ----------
    shards
        Parquet files with a column `image` and an id column.
    copy
        Folder of the Arrow copy. None: beside the store, or in memory where that is read-only.
    id_column
        Name of the column of ids.
    """

    def __init__(self, shards: Sequence[Path], copy: Path | None, id_column: str):
        self.shards, self.id_column = list(shards), id_column
        self.asked_for = copy is not None
        self.copy = copy or beside(self.shards)
        self._opened: ColumnImages | None = None
        self._ends: npt.NDArray[np.int64] | None = None

    def prepare(self) -> None:
        """Write the copy if it is missing or older than the store, and map it."""
        self._images()

    def content(self, row: int) -> bytes | memoryview | Path:
        """Bytes of one image, mapped."""
        return self._images().content(row)

    def lengths(self) -> npt.NDArray[np.int64]:
        """Length of each image in bytes; (n,)."""
        return self._images().lengths()

    def file(self, row: int) -> str:
        """Name of the shard a row is in."""
        if self._ends is None:
            import pyarrow.parquet as pq

            self._ends = np.cumsum([pq.read_metadata(shard).num_rows for shard in self.shards])
        return str(self.shards[int(np.searchsorted(self._ends, row, side="right"))])

    def _images(self) -> ColumnImages:
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> ColumnImages:
        folder = self.shards[0].parent
        if not _is_current(self.copy, self.shards):
            if not _can_write(self.copy):
                if self.asked_for:
                    raise HoagError(f"{self.copy}: the Arrow copy cannot be written there")
                return ColumnImages(_read_into_memory(self.shards), str(self.shards[0]), folder)
            try:
                _write_copy(self.shards, self.copy, self.id_column)
            except HoagError:
                # Another process of the same run may have put the same copy there meanwhile.
                if not _is_current(self.copy, self.shards):
                    raise
        return ColumnImages(_map(self.copy / _DATA), str(self.shards[0]), folder)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        if _is_current(self.copy, self.shards):
            state["_opened"] = None  # a worker maps the file again; pickling would copy it
        return state


def beside(shards: Sequence[Path]) -> Path:
    """Place of the copy: NAME.arrow beside a file, arrow/ inside a folder of shards."""
    first = shards[0]
    return first.with_suffix(".arrow") if len(shards) == 1 else first.parent / "arrow"


def _map(path: Path) -> pa.ChunkedArray:
    import pyarrow as pa

    table: pa.Table = pa.ipc.open_stream(pa.memory_map(str(path))).read_all()
    return table["image"]


def _source(shards: Sequence[Path]) -> list[dict[str, Any]]:
    """Describe shards so that any change shows: name, size, time, hash of the Parquet footer."""
    return [
        {
            "name": shard.name,
            "size": shard.stat().st_size,
            "mtime_ns": shard.stat().st_mtime_ns,
            "footer": _footer_hash(shard),
        }
        for shard in shards
    ]


def _footer_hash(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(-8, 2)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-8 - length, 2)
        return hashlib.blake2b(file.read(length), digest_size=16).hexdigest()


def _is_current(copy: Path, shards: Sequence[Path]) -> bool:
    try:
        known = json.loads((copy / _SOURCE).read_text())
    except (OSError, json.JSONDecodeError):
        return False
    return bool(known == _source(shards)) and (copy / _DATA).is_file()


def _can_write(place: Path) -> bool:
    """Tell whether a folder may be made there, by its permissions; root obeys them too."""
    folder = place.parent
    while not folder.exists():
        folder = folder.parent
    return bool(folder.stat().st_mode & stat.S_IWUSR) and os.access(folder, os.W_OK)


def _image_bytes(shards: Sequence[Path]) -> int:
    """Size of the image columns, uncompressed, from the footers alone."""
    import pyarrow.parquet as pq

    total = 0
    for shard in shards:
        meta = pq.read_metadata(shard)
        for group in range(meta.num_row_groups):
            columns = [meta.row_group(group).column(i) for i in range(meta.num_columns)]
            total += sum(
                c.total_uncompressed_size
                for c in columns
                if c.path_in_schema.split(".")[0] == "image"
            )
    return total


def _batches(shards: Sequence[Path], columns: list[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    for shard in shards:
        with pq.ParquetFile(shard) as file:
            yield from file.iter_batches(_BATCH, columns=columns)


def _read_into_memory(shards: Sequence[Path]) -> pa.ChunkedArray:
    import pyarrow as pa

    size, free = _image_bytes(shards), available_memory()
    name = shards[0] if len(shards) == 1 else shards[0].parent
    if size > MEMORY_SHARE * free:
        raise HoagError(
            f"{name}: its Arrow copy ({in_words(size)}) cannot be written beside it and is over "
            f"{MEMORY_SHARE:.0%} of the free memory; pass arrow=DIR, a folder to write it in"
        )
    say(f"{name}: read-only, so its images are read into memory ({in_words(size)})")
    batches = list(progress(_batches(shards, ["image"]), "reading images", unit="batch"))
    return pa.Table.from_batches(batches)["image"]


def _write_copy(shards: Sequence[Path], copy: Path, id_column: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    size = _image_bytes(shards)
    copy.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(copy.parent).free
    if size > 0.95 * free:
        raise HoagError(
            f"{copy}: the Arrow copy takes {in_words(size)} and {in_words(free)} are free there; "
            "pass arrow=DIR, a folder with more room"
        )
    say(f"{copy}: writing the Arrow copy for random access, {in_words(size)}, once")
    rows = sum(pq.read_metadata(shard).num_rows for shard in shards)
    schema = pa.schema(
        {"id_str": pa.string(), "image": pa.struct({"bytes": pa.binary(), "path": pa.string()})},
        metadata={"huggingface": json.dumps({"info": {"features": _FEATURES}})},
    )
    with written_whole(copy) as folder:
        folder.mkdir()
        with (
            pa.OSFile(str(folder / _DATA), "wb") as sink,
            pa.ipc.new_stream(sink, schema) as writer,
        ):
            batches = _batches(shards, [id_column, "image"])
            for batch in progress(batches, "writing", total=-(-rows // _BATCH), unit="batch"):
                writer.write_batch(_in_layout(batch, id_column, schema))
        _describe(folder, shards)


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


_FEATURES = {"id_str": {"dtype": "string", "_type": "Value"}, "image": {"_type": "Image"}}


def _describe(folder: Path, shards: Sequence[Path]) -> None:
    """Write what `datasets.load_from_disk` wants to find, and what the copy was made from."""
    source = _source(shards)
    fingerprint = hashlib.blake2b(json.dumps(source).encode(), digest_size=8).hexdigest()
    state: dict[str, Any] = {
        "_data_files": [{"filename": _DATA}],
        "_fingerprint": fingerprint,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    (folder / "state.json").write_text(json.dumps(state, indent=2))
    (folder / "dataset_info.json").write_text(json.dumps({"features": _FEATURES}, indent=2))
    (folder / _SOURCE).write_text(json.dumps(source, indent=2))

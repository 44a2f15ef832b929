"""An Arrow copy as it is read: all of its files mapped, and no page touched before it is needed.

The copy of a Parquet file is a folder with

    data-00000-of-00001.arrow   ids and images, as `datasets.load_from_disk` wants them
    table.arrow                 all columns but the images
    votes.npy                   (n, answers) int32: the votes row by row, 0 where not asked
    keys.npy, groups.npy        (n,) uint64: hashes of the ids, and of the group each galaxy is in
    images.npy                  (n, 2) int64: place and length of each image in the data; -1: null
    source.json                 what it was made from, its columns, and what was checked
"""

from __future__ import annotations

import hashlib
import json
import mmap
from bisect import bisect_right
from functools import cached_property, lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hoag.hashes import Hashes

if TYPE_CHECKING:
    import pyarrow as pa

DATA, SOURCE, TABLE = "data-00000-of-00001.arrow", "source.json", "table.arrow"
FORMAT = 2
CONTENT = b"hoag_content"
"""Key of a Parquet file's metadata whose value says all of its content, so that no time need."""


class Copy:
    """The copy of one Parquet file.

    Parameters
    ----------
    folder
        The copy.
    shard
        The Parquet file it was made from.
    about
        What its source.json holds.
    """

    def __init__(self, folder: Path, shard: Path, about: dict[str, Any]):
        self.folder, self.shard, self.about = folder, shard, about

    def __len__(self) -> int:
        return int(self.about["rows"])

    def __reduce__(self) -> tuple[Any, ...]:
        return Copy, (self.folder, self.shard, self.about)  # mapped again where it is unpickled

    @property
    def answers(self) -> list[str | None]:
        """Columns of the votes in order; None where a column held what is no count."""
        return list(self.about["answers"])

    @cached_property
    def table(self) -> pa.Table:
        """All columns but the images, mapped."""
        import pyarrow as pa

        with pa.ipc.open_file(pa.memory_map(str(self.folder / TABLE))) as reader:
            table: pa.Table = reader.read_all()
        return table

    def id_of(self, row: int) -> str:
        """Id of one galaxy."""
        number = bisect_right(self._id_starts, row) - 1
        id_str: str = self._ids[number][row - self._id_starts[number]].as_py()
        return id_str

    @cached_property
    def _ids(self) -> list[pa.StringArray]:
        return self.table["id_str"].chunks

    @cached_property
    def _id_starts(self) -> list[int]:
        return [0, *accumulate(len(chunk) for chunk in self._ids)]

    @cached_property
    def votes(self) -> npt.NDArray[np.int32]:
        """(n, answers) int32."""
        return self._array("votes") if self.about["answers"] else np.zeros((len(self), 0), np.int32)

    @cached_property
    def keys(self) -> Hashes:
        """Hashes of the ids; (n,) uint64."""
        return self._array("keys")

    @cached_property
    def groups(self) -> Hashes | None:
        """Hashes of column `group`, of the id where it is null; None if there is no such column."""
        return self._array("groups") if self.about["groups"] else None

    def content(self, row: int) -> memoryview | Path | bytes:
        """Bytes of one image, without a copy of them; or its path if that is all there is."""
        start, length = self._places[row].tolist()
        if start >= 0:
            return self._data[start : start + length]
        path = self.paths[row].as_py()
        return self.shard.parent / path if path else b""

    def lengths(self) -> npt.NDArray[np.int64]:
        """Length of each image in bytes, 0 where null; (n,) int64."""
        return np.asarray(self._places[:, 1])

    @cached_property
    def paths(self) -> pa.ChunkedArray:
        """Paths that the images had."""
        import pyarrow as pa
        import pyarrow.compute as pc

        with pa.ipc.open_stream(pa.memory_map(str(self.folder / DATA))) as reader:
            return pc.struct_field(reader.read_all()["image"], "path")

    @cached_property
    def _places(self) -> npt.NDArray[np.int64]:
        return self._array("images")

    @cached_property
    def _data(self) -> memoryview:
        with (self.folder / DATA).open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def _array(self, name: str) -> npt.NDArray[Any]:
        # As a plain array: numpy's memmap makes each look at a row ten times slower.
        return np.asarray(np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))


def open_copy(folder: Path, shard: Path, id_column: str = "id_str") -> Copy | None:
    """Open the copy of a Parquet file; None if there is none or the file has changed since."""
    try:
        about = json.loads((folder / SOURCE).read_text())
    except (OSError, json.JSONDecodeError, UnicodeDecodeError):
        return None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        return None
    known = {"shard": source(shard, about.get("content")), "id_column": id_column}
    is_current = all(about[key] == value for key, value in known.items())
    return Copy(folder, shard, about) if is_current and (folder / DATA).is_file() else None


def source(shard: Path, content: str | None) -> dict[str, Any]:
    """Describe a Parquet file so that any change shows: name, size, hash of its footer, time.

    The time is left out where the footer holds a hash of the content, so that copies of the same
    file are alike.
    """
    status = shard.stat()
    described = {
        "name": shard.name,
        "size": status.st_size,
        "footer": _footer_hash(shard, status.st_size, status.st_mtime_ns),
    }
    return described if content else described | {"mtime_ns": status.st_mtime_ns}


@lru_cache(maxsize=4096)
def _footer_hash(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        file.seek(-8, 2)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-8 - length, 2)
        return hashlib.blake2b(file.read(length), digest_size=16).hexdigest()

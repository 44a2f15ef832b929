"""What one shard of a built set holds, checked row group by row group and gathered on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hoag.catalogue import list_names
from hoag.data.built import TABLES, Built, damaged, open_shard
from hoag.data.shards import CONTENT_KEY, FIRST, add_to_digest
from hoag.errors import HoagError
from hoag.hashes import Hashes, hashes_of
from hoag.images import decode
from hoag.schema import Schema
from hoag.splits import fraction_of
from hoag.writing import ROW_GROUP

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE = 0.02  # share of the images that are decoded, chosen by the hash of the id


@dataclass
class Seen:
    """What the shards hold, gathered on the way through them."""

    ids: dict[str, list[Hashes]] = field(default_factory=lambda: {name: [] for name in TABLES})
    groups: dict[str, list[Hashes]] = field(default_factory=lambda: {name: [] for name in TABLES})
    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))
    votes: dict[str, int] = field(default_factory=dict)

    def all_ids(self) -> Hashes:
        """Hashes of the ids of all tables, in order."""
        parts = [part for name in TABLES for part in self.ids[name]]
        return np.concatenate([np.zeros(0, np.uint64), *parts])


def shard_problems(
    built: Built, table: str, shard: Path, schema: Schema, seen: Seen, full: bool
) -> Iterator[str]:
    """Check one shard and gather what it holds; `full` decodes every image."""
    import pyarrow as pa

    with open_shard(shard) as file:
        layout = file.schema_arrow
        wrong = _layout_problem(layout, table, schema)
        if wrong:
            yield f"{shard}: {wrong}; build the set again"
            return
        answers = [name for name in schema.columns if name in layout.names]
        said = (file.metadata.metadata or {}).get(CONTENT_KEY.encode())
        digest = hashlib.blake2b(digest_size=16)
        names = ["image", "id_str", "group", *answers]
        start = 0
        try:
            for number in range(file.num_row_groups):
                block = file.read_row_group(number, columns=names)
                yield from _block_problems(built, table, shard, block, answers, seen, full, start)
                add_to_digest(digest, block, answers)
                start += block.num_rows
        except (OSError, pa.ArrowException) as error:
            raise HoagError(damaged(shard, error)) from None
        if said is None:
            yield f"{shard}: says no hash of its content; it was not written by hoag data build"
        elif said.decode() != digest.hexdigest():
            yield f"{shard}: its content is not what was built (its hash differs); build it again"


def _layout_problem(layout: pa.Schema, table: str, schema: Schema) -> str:
    import pyarrow as pa

    lacking = [name for name in FIRST if name not in layout.names]
    if lacking:
        return f"has no column {list_names(lacking)}"
    image = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    kinds = {"image": image, "id_str": pa.string(), "group": pa.string(),
             "ra": pa.float64(), "dec": pa.float64()}  # fmt: skip
    answers = [name for name in schema.columns if name in layout.names]
    if answers and table == "unlabelled":
        return f"has votes ('{answers[0]}') among galaxies that are to have none"
    kinds |= dict.fromkeys(answers, pa.int32())
    for name, kind in kinds.items():
        found = layout.field(name).type
        if found != kind:
            return f"column '{name}' is {found}, not {kind}"
    return ""


def _block_problems(
    built: Built, table: str, shard: Path, block: pa.Table, answers: list[str], seen: Seen,
    full: bool, start: int,
) -> Iterator[str]:  # fmt: skip
    """Check some rows of a shard; the first problem of each kind is told."""
    ids, groups = block["id_str"], block["group"]
    if block.num_rows > ROW_GROUP:
        yield f"{shard}: row groups of {block.num_rows:,} galaxies, more than {ROW_GROUP}"
    for name, column in (("id_str", ids), ("group", groups)):
        if column.null_count:
            row = start + column.is_null().to_pylist().index(True)
            raise HoagError(f"{shard}: column '{name}', row {row}: is missing; build it again")
    seen.rows[table] += block.num_rows
    seen.ids[table].append(hashes_of(ids.to_pylist()))
    seen.groups[table].append(hashes_of(groups.to_pylist()))
    for name in answers:
        votes = block[name]
        if votes.null_count:
            row = start + votes.is_null().to_pylist().index(True)
            raise HoagError(f"{shard}: column '{name}', row {row}: is missing; votes are counts")
        counts = votes.to_numpy()
        if (counts < 0).any():
            row = int(np.argmax(counts < 0))
            yield f"{shard}: column '{name}', row {start + row}: {counts[row]} is negative"
        seen.votes[name] = seen.votes.get(name, 0) + int(counts.sum(dtype=np.int64))
    yield from _image_problems(built, shard, block, full)


def _image_problems(built: Built, shard: Path, block: pa.Table, full: bool) -> Iterator[str]:
    size = built.record["size"]
    for id_str, image in zip(block["id_str"].to_pylist(), block["image"], strict=True):
        if not full and fraction_of(f"verify {id_str}") >= SAMPLE:
            continue
        where = f"{shard}: galaxy '{id_str}'"
        content = image.as_py() or {}
        try:
            pixels = decode(content.get("bytes") or b"", where=where)
        except HoagError as error:
            yield str(error)
            continue
        if pixels.shape[:2] != (size, size):
            yield f"{where}: its image is {pixels.shape[1]} x {pixels.shape[0]} px, not {size}"

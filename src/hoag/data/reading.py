"""First stage of a build: the tables of each source, checked and brought to one form on disk.

Each source becomes a folder: ``rows.arrow`` (its usable rows, mapped by the later stages),
``aside.parquet`` (the others, with the reason) and ``record.json``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hoag.catalogue import list_names
from hoag.console import progress, say
from hoag.data.inputs import Source
from hoag.data.places import has_image_bytes, image_files, stem
from hoag.data.published import VotesPart, VotesReader, open_galaxies, open_votes
from hoag.errors import HoagError
from hoag.files import read_json, write_json, written_whole
from hoag.schema import Schema

if TYPE_CHECKING:
    import pyarrow as pa

ROWS, ASIDE, RECORD = "rows.arrow", "aside.parquet", "record.json"
BATCH = 4096  # rows of rows.arrow that are read together
# Columns that a build makes itself; those of an earlier build are made anew.
MADE = ("hoag_campaigns", "hoag_sources")
_COMMON = ("id_str", "ra", "dec", "survey", "group")


@dataclass(frozen=True)
class ReadSource:
    """A source whose tables have been read.

    Attributes
    ----------
    source
        What it was read from.
    folder
        Where its files are.
    record
        Rows in all, kept and set aside, what was found about its votes, where its images are.
    """

    source: Source
    folder: Path
    record: dict[str, Any]

    @property
    def rows(self) -> Path:
        """File of the usable rows."""
        return self.folder / ROWS

    def file(self, row: int, name: str) -> Path:
        """Path of an image file that a row of the source names."""
        table = bisect_right(self.record["starts"], row) - 1
        return Path(self.record["bases"][table]) / name


def read_source(source: Source, schema: Schema, folder: Path) -> ReadSource:
    """Read the tables of a source into a folder, or give what was read there before.

    Raises
    ------
    HoagError
        If a table cannot be read or lacks what its kind needs, or not one row is usable.
    """
    if not (folder / RECORD).is_file():
        with written_whole(folder) as temporary:
            temporary.mkdir()
            record = _read(source, schema, temporary)
            write_json(temporary / RECORD, record)
        say(_summary(source, record))
    return ReadSource(source, folder, read_json(folder / RECORD))


def _summary(source: Source, record: dict[str, Any]) -> str:
    aside = f", {record['set_aside']:,} set aside" if record["set_aside"] else ""
    return f"{source.name}: {record['rows']:,} rows read{aside}"


def _read(source: Source, schema: Schema, folder: Path) -> dict[str, Any]:
    writer = _Writer(folder)
    parts = _parts_of_tables(source, schema, writer) if source.tables else _parts_of_files(source)
    with writer:
        for part, start in progress(parts, f"reading {source.name}", unit="part"):
            writer.add(part, start, source, schema)
    if not writer.kept:
        reason = writer.aside[0][-1] if writer.aside else "it has no rows"
        raise HoagError(f"{source.name}: no row can be used; the first one: {reason}")
    if not source.tables:
        assert source.images is not None
        writer.starts, writer.bases = [0], [str(source.images.resolve())]
    return {
        "rows": writer.rows,
        "kept": writer.kept,
        "set_aside": len(writer.aside),
        "starts": writer.starts,
        "bases": writer.bases,
        "checks": writer.checks,
        "map": writer.map,
    }


def _parts_of_tables(
    source: Source, schema: Schema, writer: _Writer
) -> Iterator[tuple[VotesPart, int]]:
    """Read table after table; gives each part with the row its table starts at."""
    known: dict[str, str] | None = None
    for table in source.tables:
        start = writer.rows
        writer.starts.append(start)
        writer.bases.append(str((source.images or table.parent).resolve()))
        reader = _reader(table, source, schema)
        for part in reader.parts():
            if source.images is not None or not has_image_bytes(table):
                if known is None and "file_loc" not in part.table.column_names:
                    assert source.images is not None
                    known = _files_by_id(source.images)
                part = _with_files(part, known, source, table)
            yield part, start
        if source.campaign:
            writer.note(reader)


def _reader(table: Path, source: Source, schema: Schema) -> VotesReader:
    if not source.campaign:
        return open_galaxies(table, schema)
    reader = open_votes(table, source.campaign, schema)
    if reader.kind != "votes":
        raise HoagError(
            f"{table}: these are labels of a downstream task, not votes for pretraining; give them "
            f"as --downstream {source.campaign}={table}"
        )
    return reader


def _with_files(
    part: VotesPart, known: dict[str, str] | None, source: Source, table: Path
) -> VotesPart:
    """Find the image file of each row; rows without one are set aside."""
    import pyarrow as pa

    ids = part.table["id_str"].to_pylist()
    if "file_loc" in part.table.column_names:
        files = part.table["file_loc"].to_pylist()
        reason = "column 'file_loc' is empty"
    else:
        files = [(known or {}).get(id_str) for id_str in ids]
        reason = f"no image file named '{{}}' in {source.images}"
    has = np.array([bool(name) for name in files])
    aside = [
        (int(row), id_str, f"{table.name}: " + reason.format(id_str))
        for row, id_str, there in zip(part.rows, ids, has, strict=True)
        if not there
    ]
    names = [name for name in part.table.column_names if name != "file_loc"]
    kept = part.table.select(names).append_column("file", pa.array(files, pa.string()))
    return VotesPart(kept.filter(pa.array(has)), part.rows[has], [*part.set_aside, *aside])


def _files_by_id(folder: Path) -> dict[str, str]:
    """Image files of a folder by their stem, relative to it."""
    found: dict[str, str] = {}
    for path in image_files(folder):
        name = str(path.relative_to(folder))
        if found.setdefault(stem(path), name) != name:
            raise HoagError(
                f"{folder}: both {found[stem(path)]} and {name} could be the image of "
                f"'{stem(path)}'; rename or remove one, or give a column file_loc"
            )
    return found


def _parts_of_files(source: Source) -> Iterator[tuple[VotesPart, int]]:
    """Make rows of a folder of images: ids are the stems of the names, with folders if repeated."""
    import pyarrow as pa

    assert source.images is not None
    paths = [path.relative_to(source.images) for path in image_files(source.images)]
    stems = [stem(path) for path in paths]
    unique = len(set(stems)) == len(stems)
    ids = stems if unique else [str(p.parent / s) for p, s in zip(paths, stems, strict=True)]
    table = pa.table({"id_str": ids, "file": [str(path) for path in paths]})
    for first in range(0, len(ids), BATCH):
        rows = np.arange(first, min(first + BATCH, len(ids)))
        yield VotesPart(table.slice(first, len(rows)), rows, []), 0


class _Writer:
    """Writes rows.arrow and aside.parquet as parts come, all of one schema."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.rows = self.kept = 0
        self.starts: list[int] = []
        self.bases: list[str] = []
        self.aside: list[tuple[int, str | None, str | None, str]] = []
        self.checks: dict[str, Any] | None = None
        self.map: dict[str, Any] | None = None
        self._readers: list[Any] = []
        self._writer: Any = None
        self._schema: pa.Schema | None = None

    def __enter__(self) -> _Writer:
        import pyarrow as pa

        self._sink = pa.OSFile(str(self.folder / ROWS), "wb")
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()
        self._sink.close()
        _write_aside(self.aside, self.folder / ASIDE)

    def note(self, reader: Any) -> None:
        """Keep what a reader of votes found."""
        self._readers.append(reader)
        self.checks = reader.checks.merged([r.checks for r in self._readers[:-1]]).to_dict()
        self.map = None if reader.map is None else reader.map.about()

    def add(self, part: VotesPart, start: int, source: Source, schema: Schema) -> None:
        """Add a part of a table that starts at row `start` of the source."""
        import pyarrow as pa

        self.aside += [(start + row, id_str, None, why) for row, id_str, why in part.set_aside]
        self.rows += len(part.rows) + len(part.set_aside)
        table = _in_form(part.table, source, schema)
        table = table.add_column(0, "row", pa.array(part.rows + start, pa.int64()))
        if self._writer is None:
            self._schema = table.schema
            self._writer = pa.ipc.new_file(self._sink, table.schema)
        elif table.schema != self._schema:
            table = _like(table, self._schema, source.name)
        self.kept += table.num_rows
        self._writer.write_table(table, max_chunksize=BATCH)


def _in_form(table: pa.Table, source: Source, schema: Schema) -> pa.Table:
    """Order columns: the common ones, the file, the user's, and the answers as int32."""
    import pyarrow as pa

    own = schema.select(source.campaign).columns if source.campaign else ()
    answers = [name for name in own if name in table.column_names]
    # Votes of campaigns that were not asked for are no columns of the user's.
    skipped = {*_COMMON, "file", "image", *schema.columns, *MADE}
    others = [name for name in table.column_names if name not in skipped]
    n = table.num_rows
    columns: dict[str, Any] = {"id_str": table["id_str"]}
    for name in ("ra", "dec"):
        has = name in table.column_names
        columns[name] = table[name].cast(pa.float64()) if has else pa.nulls(n, pa.float64())
    survey = table["survey"] if "survey" in table.column_names else pa.nulls(n, pa.string())
    columns["survey"] = _filled(survey.cast(pa.string()), source.survey)
    group = table["group"] if "group" in table.column_names else pa.nulls(n, pa.string())
    columns["group"] = group.cast(pa.string())
    columns["file"] = table["file"] if "file" in table.column_names else pa.nulls(n, pa.string())
    columns |= {name: table[name] for name in others}
    columns |= {name: table[name].cast(pa.int32()) for name in answers}
    return pa.table(columns).combine_chunks()


def _filled(column: Any, value: str) -> Any:
    import pyarrow.compute as pc

    return pc.fill_null(column, value) if value else column


def _like(table: pa.Table, schema: pa.Schema, name: str) -> pa.Table:
    """Give a table the columns and types of the first part of its source."""
    import pyarrow as pa

    new = [column for column in table.column_names if column not in schema.names]
    if new:
        raise HoagError(f"{name}: its tables differ: {list_names(new)} is not in the first one")
    columns = []
    for field in schema:
        if field.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        try:
            columns.append(table[field.name].cast(field.type))
        except pa.ArrowException:
            raise HoagError(
                f"{name}: column '{field.name}' is {field.type} in its first rows and "
                f"{table[field.name].type} further on; make it one of them"
            ) from None
    return pa.table(columns, schema=schema)


def _write_aside(aside: list[Any], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"row": pa.int64(), "id_str": pa.string(), "file": pa.string(), "reason": pa.string()}
    columns = list(zip(*aside, strict=True)) or [()] * len(kinds)
    arrays = [pa.array(c, kind) for c, kind in zip(columns, kinds.values(), strict=True)]
    pq.write_table(pa.table(arrays, names=list(kinds)), path)

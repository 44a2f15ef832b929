"""A set that `hoag data build` made, opened: its record, its shards, and what was not kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hoag.catalogue import list_names
from hoag.errors import HoagError
from hoag.files import read_json

if TYPE_CHECKING:
    import pyarrow as pa

    from hoag.roles import Roles

RECORD, CARD, TABLES = "build.json", "README.md", ("labelled", "unlabelled", "downstream")
_PARTS = ("name", "size", "sources", "tables", "rows", "groups", "campaigns", "tasks")


@dataclass(frozen=True)
class Built:
    """A built set.

    Attributes
    ----------
    folder
        Where it is.
    record
        What its build.json holds.
    shards
        Paths of the Parquet files of each table, in order; tables without galaxies have none.
    """

    folder: Path
    record: dict[str, Any]
    shards: dict[str, tuple[Path, ...]]

    @property
    def galaxies(self) -> int:
        """How many galaxies the record says that there are."""
        return sum(table["galaxies"] for table in self.record["tables"].values())

    @cached_property
    def set_aside(self) -> pa.Table:
        """Rows of sources that could not be used: source, row, id_str, file, reason."""
        return self._table("set-aside.parquet", ("source", "row", "id_str", "file", "reason"))

    @cached_property
    def merged(self) -> pa.Table:
        """Rows that went into a galaxy of an earlier row: source, row, id_str, into, why."""
        return self._table("merged.parquet", ("source", "row", "id_str", "into", "why"))

    @cached_property
    def near_duplicates(self) -> pa.Table:
        """Pairs of galaxies that show one picture: id_str_1, id_str_2, similarity, zoom."""
        names = ("id_str_1", "id_str_2", "similarity", "zoom")
        return self._table("near-duplicates.parquet", names)

    @cached_property
    def roles(self) -> Roles:
        """What the tables are for, and the tasks."""
        from hoag.roles import read_roles

        return read_roles(self.folder)

    def labels(self, task: str) -> Path:
        """Path of the labels of a task."""
        return self.folder / "labels" / f"{task}.parquet"

    def batches(
        self, table: str, columns: Sequence[str], rows: int = 65_536
    ) -> Iterator[pa.RecordBatch]:
        """Read columns of a table by batches; those that it lacks are left out.

        Raises
        ------
        HoagError
            If a shard cannot be read.
        """
        import pyarrow as pa

        for shard in self.shards[table]:
            with open_shard(shard) as file:
                here = [name for name in columns if name in file.schema_arrow.names]
                try:
                    yield from file.iter_batches(rows, columns=here)
                except (OSError, pa.ArrowException) as error:
                    raise HoagError(damaged(shard, error)) from None

    def _table(self, name: str, columns: Sequence[str]) -> pa.Table:
        import pyarrow as pa

        path = self.folder / name
        with open_shard(path) as file:
            missing = sorted(set(columns) - set(file.schema_arrow.names))
            if missing:
                raise HoagError(f"{path}: has no {list_names(missing)}; build the set again")
            try:
                return file.read(columns=list(columns))
            except (OSError, pa.ArrowException) as error:
                raise HoagError(damaged(path, error)) from None


def open_built(folder: str | Path) -> Built:
    """Open a set that `hoag data build` made.

    Raises
    ------
    HoagError
        If the folder is no built set, or its record lacks what it must have.
    """
    folder = Path(folder).expanduser()
    path = folder / RECORD
    if not path.is_file():
        raise HoagError(f"{folder}: no {RECORD}, so not a built set; make one: hoag data build")
    record = read_json(path)
    lacking = [part for part in _PARTS if not isinstance(record, dict) or part not in record]
    if lacking:
        raise HoagError(f"{path}: has no {list_names(lacking)}; build the set again")
    wrong = _misshapen(record)
    if wrong:
        raise HoagError(f"{path}: '{wrong}' is not what a build writes there; build the set again")
    shards = {name: tuple(shard_paths(folder, name, record)) for name in TABLES}
    return Built(folder, record, shards)


def shard_paths(folder: Path, table: str, record: dict[str, Any]) -> list[Path]:
    """Paths that the shards of a table have, whether they are there or not."""
    count = record["tables"][table]["shards"]
    return [folder / "data" / f"{table}-{k:05d}-of-{count:05d}.parquet" for k in range(count)]


def open_shard(path: Path) -> Any:
    """Open a Parquet file of the set, to be used with `with`.

    Raises
    ------
    HoagError
        If it is missing or is not readable as Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except FileNotFoundError:
        raise HoagError(f"{path}: is missing; build the set again") from None
    except (OSError, pa.ArrowException) as error:
        raise HoagError(damaged(path, error)) from None


def damaged(path: Path, error: Exception) -> str:
    """Say that a file cannot be read."""
    return f"{path}: cannot be read as Parquet ({str(error).splitlines()[0]}); build the set again"


def _misshapen(record: dict[str, Any]) -> str:
    """Name the first part of a record that is not as a build writes it, or ""."""
    numbers = {"rows": ("in", "out", "merged", "set_aside")}
    for part, names in numbers.items():
        for name in names:
            if not _is_count(_get(record, part, name)):
                return f"{part}.{name}"
    for table in TABLES:
        for name in ("galaxies", "shards", "bytes"):
            if not _is_count(_get(record, "tables", table, name)):
                return f"tables.{table}.{name}"
    for part, keys in (("sources", ("name", "rows", "kept")), ("tasks", ("name", "galaxies"))):
        entries = record[part]
        if not isinstance(entries, list) or any(
            not isinstance(entry, dict) or not set(keys) <= set(entry) for entry in entries
        ):
            return part
    campaigns = record["campaigns"]
    if not isinstance(campaigns, dict) or any(
        not isinstance(_get(entry, "questions"), dict) for entry in campaigns.values()
    ):
        return "campaigns"
    return "" if isinstance(record["groups"], dict) else "groups"


def _get(content: Any, *names: str) -> Any:
    for name in names:
        content = content.get(name) if isinstance(content, dict) else None
    return content


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0

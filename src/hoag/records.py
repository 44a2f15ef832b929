"""What is known of each galaxy of a store but its image: columns, ids, votes, groups.

Small tables are kept in memory; of Parquet files with an Arrow copy nothing is read but the rows
asked for, so that two million galaxies open at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from hoag.answers import counts_of, refuse_near_misses, votes_from_table
from hoag.arrow_copy import group_hashes
from hoag.copied import Copy
from hoag.errors import HoagError
from hoag.hashes import Hashes, first_repeat, hashes_of

if TYPE_CHECKING:
    import pyarrow as pa

    from hoag.schema import Schema

Rows = npt.NDArray[np.integer[Any]]
Positions = npt.NDArray[np.int64]
Votes = npt.NDArray[np.int32]


class Records(Protocol):
    """Rows of a store."""

    def __len__(self) -> int: ...

    @property
    def fields(self) -> pa.Schema:
        """Columns and their types."""

    @property
    def keys(self) -> Hashes:
        """Hashes of the ids; (n,) uint64."""

    @property
    def groups(self) -> Hashes | None:
        """Hashes of column `group`, else of the id; (n,) uint64, None without the column."""

    def table(self, rows: Rows | None, columns: Sequence[str]) -> pa.Table:
        """Some columns of some rows, in their order; None: all rows."""

    def ids(self, rows: Rows) -> list[str]:
        """Ids of a few rows."""

    def votes(self, rows: Rows) -> Votes:
        """Votes of some rows; (k, answers) int32."""


class TableRecords:
    """A table in memory, with unique ids in `id_str`, and its votes (n, answers) int32."""

    def __init__(self, table: pa.Table, votes: Votes):
        self._table, self._votes = table, votes

    def __len__(self) -> int:
        return self._table.num_rows

    @property
    def fields(self) -> pa.Schema:
        """Columns and their types."""
        return self._table.schema

    @cached_property
    def keys(self) -> Hashes:
        """Hashes of the ids; (n,) uint64."""
        return hashes_of(self._table["id_str"].to_pylist())

    @cached_property
    def groups(self) -> Hashes | None:
        """Hashes of column `group`, else of the id; (n,) uint64, None without the column."""
        if "group" not in self._table.column_names:
            return None
        return group_hashes(self._table["group"], self.keys)

    def table(self, rows: Rows | None, columns: Sequence[str]) -> pa.Table:
        """Some columns of some rows, in their order; None: all rows."""
        chosen = self._table.select(list(columns))
        return chosen if rows is None else chosen.take(rows)

    def ids(self, rows: Rows) -> list[str]:
        """Ids of a few rows."""
        ids = self._table["id_str"]
        return [ids[row].as_py() for row in rows.tolist()]

    def votes(self, rows: Rows) -> Votes:
        """Votes of some rows; (k, answers) int32."""
        return self._votes[rows]


class MappedRecords:
    """Rows of the Arrow copies of Parquet files that follow one another as one table.

    Raises
    ------
    HoagError
        If a column is nearly, but not quite, an answer of the schema, an answer holds what is no
        count, or an id is in two of the files.
    """

    def __init__(self, copies: Sequence[Copy], schema: Schema):
        self._copies = list(copies)
        self._starts = np.cumsum([0, *(len(copy) for copy in self._copies)])
        self._of_copy: list[_Shared] = []
        known: dict[tuple[str | None, ...], _Shared] = {}
        for copy in self._copies:
            alike = (copy.about["schema"], *copy.answers)
            if alike not in known or known[alike].others:  # whose values are checked in each copy
                known[alike] = _shared_answers(copy, schema)
            self._of_copy.append(known[alike])
        self._width = len(schema.columns)
        self._refuse_shared_ids()
        self.fields  # noqa: B018  # columns of different types are refused now

    def __len__(self) -> int:
        return int(self._starts[-1])

    @cached_property
    def fields(self) -> pa.Schema:
        """Columns and their types."""
        different = {copy.about["schema"]: copy for copy in self._copies}
        return unified([copy.table.schema for copy in different.values()])

    @property
    def keys(self) -> Hashes:
        """Hashes of the ids; (n,) uint64."""
        return np.concatenate([copy.keys for copy in self._copies])

    @property
    def groups(self) -> Hashes | None:
        """Hashes of column `group`, else of the id; (n,) uint64, None without the column."""
        parts = [copy.groups for copy in self._copies]
        if all(part is None for part in parts):
            return None
        pairs = zip(parts, self._copies, strict=True)
        return np.concatenate([copy.keys if part is None else part for part, copy in pairs])

    def table(self, rows: Rows | None, columns: Sequence[str]) -> pa.Table:
        """Some columns of some rows, in their order; None: all rows."""
        if rows is None:
            return joined([copy.table for copy in self._copies], columns)
        parts, places = [self._copies[0].table.slice(0, 0)], [np.zeros(0, np.int64)]
        for number, chosen, own in self._by_copy(rows):
            table = self._copies[number].table
            parts.append(table.select(there_of(columns, table.column_names)).take(own))
            places.append(chosen)
        return in_order(joined(parts, columns, self.fields), np.concatenate(places))

    def ids(self, rows: Rows) -> list[str]:
        """Ids of a few rows."""
        numbers = (np.searchsorted(self._starts, rows, side="right") - 1).tolist()
        starts = self._starts.tolist()
        return [
            self._copies[n].id_of(row - starts[n])
            for n, row in zip(numbers, rows.tolist(), strict=True)
        ]

    def votes(self, rows: Rows) -> Votes:
        """Votes of some rows; (k, answers) int32."""
        out = np.zeros((len(rows), self._width), np.int32)
        for number, chosen, own in self._by_copy(rows):
            copy, shared = self._copies[number], self._of_copy[number]
            if shared.all_answers:
                out[chosen] = copy.votes[own]
            elif len(shared.columns):
                out[chosen[:, None], shared.answers] = copy.votes[own][:, shared.columns]
            for name, answer in shared.others:
                counts = counts_of(copy.table[name].take(own))
                assert counts is not None, name  # checked when it was opened
                out[chosen, answer] = counts
        return out

    def _by_copy(self, rows: Rows) -> Iterator[tuple[int, Positions, Rows]]:
        """Sort rows by copy: its number, positions in `rows`, and rows in the copy."""
        numbers = np.searchsorted(self._starts, rows, side="right") - 1
        for number, chosen in by_number(numbers):
            yield number, chosen, rows[chosen] - self._starts[number]

    def _refuse_shared_ids(self) -> None:
        if len(self._copies) == 1:
            return  # of one file, checked when the copy was made
        ids = ["id_str"]
        repeat = first_repeat(self.keys, lambda rows: self.table(rows, ids)["id_str"].to_pylist())
        if repeat is not None:
            first, second, id_str = repeat
            numbers = np.searchsorted(self._starts, [first, second], side="right") - 1
            raise shared_id(id_str, *(str(self._copies[n].shard) for n in numbers.tolist()))


class _Shared(NamedTuple):
    """Answers of a schema that a copy has.

    `columns` of its votes are these `answers`; `others` are read from its table, as their names are
    none that were taken for answers when the copy was made. `all_answers`: the votes are those of
    the schema as they stand.
    """

    columns: Rows
    answers: Rows
    others: list[tuple[str, int]]
    all_answers: bool


def _shared_answers(copy: Copy, schema: Schema) -> _Shared:
    names = set(copy.about["columns"])
    refuse_near_misses(names, schema, str(copy.shard))
    place = {name: number for number, name in enumerate(copy.answers) if name is not None}
    answers = list(enumerate(schema.columns))
    others = [(name, n) for n, name in answers if name in names and name not in place]
    if others:
        wanted = ["id_str", *(name for name, _ in others)]
        votes_from_table(copy.table.select(wanted), schema, str(copy.shard))
    pairs = np.array([(place[name], n) for n, name in answers if name in place], np.int64)
    pairs = pairs.reshape(-1, 2)
    as_they_stand = list(copy.answers) == list(schema.columns)
    return _Shared(pairs[:, 0], pairs[:, 1], others, as_they_stand)


def shared_id(id_str: str, first: str, second: str) -> HoagError:
    """Say that two stores have one id."""
    return HoagError(
        f"galaxy '{id_str}' is in both {first} and {second}; ids must be unique, so drop one"
    )


def by_number(numbers: Rows) -> Iterator[tuple[int, Positions]]:
    """Give each number there is, with its positions."""
    counts = np.bincount(numbers)
    present = np.flatnonzero(counts).tolist()
    for number in present:
        alone = len(present) == 1
        yield number, np.arange(len(numbers)) if alone else np.flatnonzero(numbers == number)


def unified(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """Columns of several tables put together.

    Raises
    ------
    HoagError
        If the types of a column differ.
    """
    import pyarrow as pa

    try:
        return pa.unify_schemas(list(schemas), promote_options="permissive")
    except pa.ArrowException as error:
        raise HoagError(f"tables cannot be joined, as a column's types differ ({error})") from None


def joined(
    parts: Sequence[pa.Table], columns: Sequence[str], fields: pa.Schema | None = None
) -> pa.Table:
    """Put some columns of several tables under one another; null where a table lacks one."""
    import pyarrow as pa

    chosen = [part.select(there_of(columns, part.column_names)) for part in parts]
    if fields is not None:
        wanted = pa.schema([fields.field(name) for name in columns], fields.metadata)
        chosen = [wanted.empty_table(), *chosen]
    return pa.concat_tables(chosen, promote_options="permissive").select(list(columns))


def there_of(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    """Those of some columns that a table has; if none, its first, or its rows are not counted."""
    return [name for name in columns if name in names] or list(names[:1])


def in_order(table: pa.Table, places: Positions) -> pa.Table:
    """Put rows where they belong: row k of the table goes to places[k]."""
    if np.array_equal(places, np.arange(len(places))):
        return table
    return table.take(np.argsort(places))

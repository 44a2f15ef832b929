"""Published vote tables read as GZ-Evo's columns, part by part, with what is wrong set aside.

`open_votes` looks at the header, `VotesReader.parts` at the rows. What cannot be a vote is never
mended: the row is set aside with the reason. What the checks count is kept and reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hoag.catalogue import TEXT_COLUMNS
from hoag.data.column_maps import ColumnMap
from hoag.data.csv_parts import text_as
from hoag.data.part_values import Faults, Numbers, numbers_of, read_galaxies, read_ids, refuse_text
from hoag.data.table_parts import TableParts, open_table
from hoag.data.vote_checks import SeenIds, VoteChecks
from hoag.data.vote_columns import VoteColumns, columns_without_votes, find_columns
from hoag.data.vote_values import (
    label_of_votes,
    refuse_empty_questions,
    votes_of_fractions,
    whole_votes,
)
from hoag.errors import HoagError
from hoag.schema import Schema, load_schema

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class VotesPart:
    """Some rows of a table of votes.

    Attributes
    ----------
    table
        id_str (text), ra and dec (float64 degrees, null where unknown), survey (text, null where
        unknown), the campaign's answers (int32, 0 where not asked), and the user's other columns.
        A table of labels has its label instead of answers.
    rows
        Rows of the file that these are, (rows,) int64.
    set_aside
        Row, id (None if it has none) and reason of each row that could not be used.
    """

    table: pa.Table
    rows: npt.NDArray[np.int64]
    set_aside: list[tuple[int, str | None, str]]


class VotesReader:
    """A table of votes whose header was found right.

    Attributes
    ----------
    path, campaign
        The file, and the campaign it is read as.
    kind
        "votes"; "labels", for a downstream task such as rings; "galaxies" for neither.
    columns
        Which column holds what.
    checks
        What was found; complete once `parts` has come to its end.
    """

    def __init__(self, table: TableParts, campaign: str, schema: Schema, columns: VoteColumns):
        self.path = table.path
        self.campaign = campaign
        self.kind = "labels" if columns.label else "votes" if campaign else "galaxies"
        self.columns = columns
        self.checks = VoteChecks()
        self._table = table
        self._schema = schema.select(campaign) if self.kind == "votes" else schema

    @property
    def map(self) -> ColumnMap | None:
        """Column map of the published table; None if it has GZ-Evo's own columns."""
        return self.columns.map

    def parts(self, rows: int = 65_536) -> Iterator[VotesPart]:
        """Give the table part by part, and count what is found in `checks`, from 0.

        Parameters
        ----------
        rows
            Rows of a part; they bound the memory but for VOTable and compressed FITS.

        Raises
        ------
        HoagError
            If the file is damaged, has no rows, or a column of numbers turns out to be text.
        """
        self.checks = VoteChecks()
        seen, first = SeenIds(), 0
        kinds = self._table.text_kinds([n for n in self.columns.others if n not in TEXT_COLUMNS])
        for part in self._table.parts(self.columns.read, rows):
            yield self._part(part, first, seen, kinds)
            first += part.num_rows

    def _part(self, part: pa.Table, first: int, seen: SeenIds, kinds: dict[str, Any]) -> VotesPart:
        import pyarrow as pa

        galaxy_columns = self.columns.galaxy
        name, is_csv = galaxy_columns.id, self._table.fields[galaxy_columns.id] is None
        ids = read_ids(part[name], name, self.path, was_text=is_csv)
        faults = Faults(self.path.name, first, ids)
        survey = "" if self.map is None else self.map.survey
        galaxy = read_galaxies(part, galaxy_columns, survey, faults, self.path)
        numbers = {name: numbers_of(part[name]) for name in self.columns.votes}
        for name, column in numbers.items() if first == 0 else ():
            refuse_text(column, name, self.path)
        votes: dict[str, npt.NDArray[np.int32]] = {}
        rounding: dict[str, npt.NDArray[np.float64]] = {}
        if self.kind == "labels":
            assert self.map is not None
            galaxy |= label_of_votes(self.columns.label, self.map, numbers, faults)
        elif self.kind == "votes":
            votes, rounding = self._votes(numbers, faults)
        self._set_aside_repeats(ids, seen, first, faults)
        kept = np.flatnonzero(~faults.bad)
        galaxy |= {name: pa.array(column) for name, column in votes.items()}
        for name in self.columns.others:
            if name not in galaxy:
                galaxy[name] = _own(part[name], name, kinds)
        table = pa.table(galaxy)
        if len(kept) < part.num_rows:
            table = table.take(pa.array(kept))
            votes = {name: column[kept] for name, column in votes.items()}
        largest = {q: float(r[kept].max(initial=0)) for q, r in rounding.items()}
        aside = faults.set_aside()
        self.checks.add(votes, largest, self._schema, len(kept), len(aside))
        return VotesPart(table, kept + first, aside)

    def _votes(
        self, numbers: dict[str, Numbers], faults: Faults
    ) -> tuple[dict[str, npt.NDArray[np.int32]], dict[str, npt.NDArray[np.float64]]]:
        """Read the votes of all the campaign's answers, in the schema's order."""
        found, rounding = {}, {}
        for answer, name in self.columns.counts.items():
            found[answer] = whole_votes(numbers[name], name, faults)
        if self.map is not None and found:
            for question in self._schema.questions:
                own = [self.columns.counts[answer] for answer in question.columns]
                refuse_empty_questions(own, [found[a] for a in question.columns], numbers, faults)
        for columns in self.columns.fractions:
            votes, change = votes_of_fractions(columns, numbers, faults)
            found |= votes
            rounding[columns.question] = change
        none = np.zeros(len(faults.bad), np.int32)
        return {answer: found.get(answer, none) for answer in self._schema.columns}, rounding

    def _set_aside_repeats(self, ids: pa.Array, seen: SeenIds, first: int, faults: Faults) -> None:
        """Set aside rows whose id an earlier usable row has."""
        import pyarrow as pa

        usable = np.flatnonzero(~faults.bad)
        rows = usable + first
        came = np.full(len(ids), -1)
        came[usable] = seen.first_rows(ids.take(pa.array(usable)).to_pylist(), rows)
        repeated = (came >= 0) & (came != np.arange(len(ids)) + first)
        faults.add(
            repeated, self.columns.galaxy.id, lambda row: f"row {came[row]} has this id already"
        )


def _own(column: pa.ChunkedArray, name: str, kinds: dict[str, Any]) -> Any:
    """A user's column, with names as text and CSV's text as what it says."""
    import pyarrow as pa

    if name in TEXT_COLUMNS:
        return column.cast(pa.string())
    return text_as(column, kinds[name]) if name in kinds else column


def open_votes(path: str | Path, campaign: str, schema: Schema | str = "gz-evo") -> VotesReader:
    """Open a table of votes; its header is checked at once.

    Parameters
    ----------
    path
        .parquet, .csv, .fits or .vot/.xml, the last three also with .gz; with the columns that the
        campaign was published with, or GZ-Evo's own ("bar-gz2_yes").
    campaign
        A campaign of the schema ("gz2"), or "rings" for its labels.
    schema
        A schema or its name; add campaigns of your own with ``load_schema(["gz-evo", FILE])``.

    Raises
    ------
    HoagError
        If the file cannot be read, or a column is wrong, missing or renamed, which is named.
    """
    schema = load_schema(schema) if isinstance(schema, str) else schema
    table = open_table(path)
    return VotesReader(table, campaign, schema, find_columns(table, campaign, schema))


def open_galaxies(path: str | Path, schema: Schema | str = "gz-evo") -> VotesReader:
    """Open a table of galaxies without votes, read and checked as one with votes is.

    Columns of votes that the table may have are passed over.

    Raises
    ------
    HoagError
        If the file cannot be read, or has no ids.
    """
    schema = load_schema(schema) if isinstance(schema, str) else schema
    table = open_table(path)
    return VotesReader(table, "", schema, columns_without_votes(table, schema))


def read_votes(
    path: str | Path, campaign: str, schema: Schema | str = "gz-evo"
) -> tuple[pa.Table, VoteChecks]:
    """Read a whole table of votes as GZ-Evo's columns.

    Parameters
    ----------
    path, campaign, schema
        As `open_votes` takes them.

    Returns
    -------
    table
        id_str, ra, dec, survey, the answers (int32) and the user's other columns; rows that cannot
        be used are left out.
    checks
        Rows kept and set aside, votes, questions with more votes than their parents allow, and the
        largest rounding.

    Raises
    ------
    HoagError
        As `open_votes` and `VotesReader.parts` do, and if not one row can be used.
    """
    import pyarrow as pa

    reader = open_votes(path, campaign, schema)
    parts = list(reader.parts())
    if not reader.checks.rows:
        raise HoagError(f"{path}: no row can be used; the first one: {parts[0].set_aside[0][2]}")
    return pa.concat_tables([part.table for part in parts]), reader.checks

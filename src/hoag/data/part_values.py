"""What one part of a table holds: ids, coordinates and numbers; and which rows cannot be used.

Nothing is mended: a row with a value that cannot be is set aside with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hoag.data.table_header import GalaxyColumns
from hoag.errors import HoagError

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBER = r"^-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$|^-?(nan|NaN|inf)$"
_FLOAT = r"^[+-]?[0-9]+\.[0-9]*([eE][+-]?[0-9]+)?$|^[+-]?[0-9]+[eE]\+[0-9]+$"

Mask = npt.NDArray[np.bool_]


class Faults:
    """Rows of one part that cannot be used, each with the first reason found.

    Parameters
    ----------
    name
        Name of the table, as reasons begin with it.
    first
        Row of the table that the part starts at.
    ids
        Text ids of the part's rows, null where missing.
    """

    def __init__(self, name: str, first: int, ids: pa.ChunkedArray):
        self.name = name
        self.first = first
        self.ids = ids
        self.bad: Mask = np.zeros(len(ids), bool)
        self._reasons: dict[int, str] = {}

    def add(self, wrong: Mask, column: str, complain: Callable[[int], str]) -> None:
        """Set rows aside; `complain` says what is wrong, given the row within the part."""
        for row in np.flatnonzero(wrong & ~self.bad).tolist():
            id_str = self.ids[row].as_py()
            known = f" (id {id_str})" if id_str else ""
            self._reasons[row] = (
                f"{self.name}: column '{column}', row {self.first + row}{known}: {complain(row)}"
            )
        self.bad |= wrong

    def set_aside(self) -> list[tuple[int, str | None, str]]:
        """Give row of the table, id and reason of each, in the order of rows."""
        return [
            (self.first + row, self.ids[row].as_py(), reason)
            for row, reason in sorted(self._reasons.items())
        ]


@dataclass(frozen=True)
class Numbers:
    """A column as numbers.

    Attributes
    ----------
    values
        (rows,) integers or floats, 0 where `missing`; NaN is kept as it stands.
    missing
        Where there is no entry.
    text
        What stands where there is no number, by row within the part.
    """

    values: npt.NDArray[Any]
    missing: Mask
    text: Mapping[int, str]


def numbers_of(column: pa.ChunkedArray) -> Numbers:
    """Read a column of numbers, or of text (from CSV) that says numbers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text: dict[int, str] = {}
    if pa.types.is_string(column.type):
        blank = pc.equal(pc.utf8_trim_whitespace(column), "")
        column = pc.if_else(pc.fill_null(blank, False), pa.scalar(None, pa.string()), column)
    missing = column.is_null().to_numpy() if column.null_count else np.zeros(len(column), bool)
    if pa.types.is_string(column.type):
        column, text = _parsed(column)
    if pa.types.is_null(column.type):
        return Numbers(np.zeros(len(column), np.int64), missing, text)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    filled = pc.fill_null(column, 0) if column.null_count else column
    return Numbers(filled.to_numpy(), missing, text)


def _parsed(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, dict[int, str]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    for kind in (pa.int64(), pa.float64()):
        try:
            return column.cast(kind), {}
        except pa.ArrowInvalid:
            pass
    fits = pc.fill_null(pc.match_substring_regex(column, _NUMBER), True)
    words = {row: column[row].as_py() for row in np.flatnonzero(~np.asarray(fits)).tolist()}
    return pc.if_else(fits, column, pa.scalar(None, pa.string())).cast(pa.float64()), words


def add_text(numbers: Numbers, column: str, faults: Faults, what: str) -> None:
    """Set rows aside that hold text instead of a number."""
    if numbers.text:
        wrong = np.zeros(len(numbers.values), bool)
        wrong[list(numbers.text)] = True
        faults.add(wrong, column, lambda row: f"{numbers.text[row][:40]!r} is no number; {what}")


def refuse_text(numbers: Numbers, column: str, path: object) -> None:
    """Refuse a column in which not one entry is a number, as a table of another kind would have."""
    present = len(numbers.values) - int(numbers.missing.sum())
    if numbers.text and len(numbers.text) == present:
        example = next(iter(numbers.text.values()))
        raise HoagError(
            f"{path}: column '{column}' holds text such as {example[:40]!r}, no numbers"
        )


def without_nan(numbers: Numbers) -> Numbers:
    """Take NaN for a missing entry, where that is what it means."""
    if numbers.values.dtype.kind != "f" or not np.isnan(numbers.values).any():
        return numbers
    nan = np.isnan(numbers.values)
    return Numbers(np.where(nan, 0, numbers.values), numbers.missing | nan, numbers.text)


def degrees(
    numbers: Numbers, column: str, lowest: float, highest: float, faults: Faults
) -> pa.Array:
    """Read a coordinate; missing and NaN become null, and rows out of range are faults.

    Returns
    -------
    array
        (rows,) float64 with nulls, degrees.
    """
    import pyarrow as pa

    add_text(numbers, column, faults, "coordinates are decimal degrees")
    numbers = without_nan(numbers)
    values = numbers.values.astype(np.float64)
    faults.add(
        ~((values >= lowest) & (values <= highest)), column,
        lambda row: f"{values[row]:g} is outside {lowest:g} to {highest:g} degrees",
    )  # fmt: skip
    return pa.array(values, pa.float64(), mask=numbers.missing)


def read_ids(column: pa.ChunkedArray, name: str, where: object, *, was_text: bool) -> pa.Array:
    """Read ids as text, digit by digit; "" and blanks are missing.

    Parameters
    ----------
    column
        Text or whole numbers.
    name, where
        What the column and the table are called.
    was_text
        Whether the format holds text only (CSV), so that it cannot say that ids were floats.

    Raises
    ------
    HoagError
        If all the ids of a CSV are written as floats.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    ids = column.combine_chunks().cast(pa.string())
    blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(ids), ""), False)
    ids = pc.if_else(blank, pa.scalar(None, pa.string()), ids)
    if was_text and len(ids) > ids.null_count:
        if pc.all(pc.match_substring_regex(ids, _FLOAT)).as_py():
            raise HoagError(
                f"{where}: column '{name}' has ids such as {pc.drop_null(ids)[0].as_py()}, which "
                "are floats, so digits are lost; write ids as text or whole numbers"
            )
    return ids


def read_galaxies(
    part: pa.Table, columns: GalaxyColumns, survey: str, faults: Faults, where: object
) -> dict[str, Any]:
    """Read id, coordinates and survey of a part.

    Parameters
    ----------
    part
        Has the columns.
    columns
        What they are called.
    survey
        Survey of galaxies whose row does not say it; "" where it is not known.
    faults
        Has the ids; takes rows without one, or whose coordinates are out of range.
    where
        What the table is called.

    Returns
    -------
    dict
        id_str (text), ra and dec (float64 degrees, null where unknown) and survey (text).
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    n = part.num_rows
    faults.add(np.asarray(pc.is_null(faults.ids)), columns.id, lambda row: "is empty: no id")
    galaxy: dict[str, Any] = {"id_str": faults.ids}
    for name, own, low, high in (("ra", columns.ra, 0, 360), ("dec", columns.dec, -90, 90)):
        galaxy[name] = pa.nulls(n, pa.float64())
        if own:
            numbers = numbers_of(part[own])
            if faults.first == 0:
                refuse_text(numbers, own, where)
            galaxy[name] = degrees(numbers, own, low, high, faults)
    said = pa.nulls(n, pa.string())
    if columns.survey:
        said = part[columns.survey].combine_chunks().cast(pa.string())
    galaxy["survey"] = pc.fill_null(said, survey) if survey else said
    return galaxy

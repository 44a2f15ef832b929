"""Columns of answers to votes: matched to the schema by name, and nothing odd let through."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hoag.errors import HoagError

if TYPE_CHECKING:
    import pyarrow as pa

    from hoag.schema import Schema

LARGEST = 1_000_000  # votes: beyond any campaign, so a sign of another column or unit

# What `hoag predict` says of each answer, and of each question: BEFORE_fraction, BEFORE_asked.
PREDICTED_OF_ANSWERS = ("fraction", "fraction_low", "fraction_high", "votes_low", "votes_high")
PREDICTED_OF_QUESTIONS = ("asked", "entropy")
# Columns that public tables and predictions derive from answers: no votes, so they are passed over.
_DERIVED = (
    *PREDICTED_OF_ANSWERS, *PREDICTED_OF_QUESTIONS,
    "total", "count", "weight", "flag", "debiased", "total-votes",
)  # fmt: skip


def votes_from_table(
    table: pa.Table, schema: Schema, where: str = "table"
) -> npt.NDArray[np.int32]:
    """Read the volunteers' votes from the columns named as the schema's answers.

    Parameters
    ----------
    table
        Columns of integers (or floats that are whole numbers). A column that is absent and an entry
        that is null count as not asked, so 0.
    schema
        Its columns give the order of the result.
    where
        Name of the table in error messages.

    Returns
    -------
    array
        (n, answers) int32, each at least 0.

    Raises
    ------
    HoagError
        If a value is negative, fractional, NaN, infinite, above a million or no number, or a column
        is nearly, but not quite, an answer of the schema.
    """
    names = set(table.column_names)
    refuse_near_misses(names, schema, where)
    votes = np.zeros((table.num_rows, len(schema.columns)), np.int32)
    for number, name in enumerate(schema.columns):
        if name in names:
            votes[:, number] = _one_answer(table, name, where)
    return votes


def _one_answer(table: pa.Table, name: str, where: str) -> npt.NDArray[np.int32]:
    import pyarrow.compute as pc

    column = table[name]
    values = _numbers(column)
    if values is None:
        row = int(np.argmax(pc.is_valid(column).to_numpy()))
        raise HoagError(
            f"{_place(table, name, row, where)}: {column[row].as_py()!r} is {column.type}; votes "
            "are whole numbers"
        )
    wrong = _no_counts(values)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise HoagError(f"{_place(table, name, row, where)}: {_complaint(float(values[row]))}")
    return values.astype(np.int32)


def counts_of(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.int32] | None:
    """Read one column as votes, null as 0; (n,) int32, or None if an entry is no count."""
    values = _numbers(column)
    return None if values is None or _no_counts(values).any() else values.astype(np.int32)


def main_campaign(votes: npt.NDArray[np.int32], schema: Schema) -> npt.NDArray[np.int16]:
    """Find the campaign that gave each galaxy most of its votes.

    Parameters
    ----------
    votes
        (n, answers).
    schema
        Says which answers belong to which campaign.

    Returns
    -------
    array
        (n,) int16: place in ``schema.campaigns``, the first of equal ones; -1 without votes.
    """
    of_answer = schema.campaign_of_answer
    belongs = np.stack([of_answer == name for name in schema.campaigns], axis=1)
    totals = votes @ belongs.astype(np.float64)  # exact: whole numbers far below 2**53
    found = np.where(totals.any(axis=1), totals.argmax(axis=1), -1)
    return found.astype(np.int16)


def may_be_answer(name: str) -> bool:
    """Tell whether a column may be an answer of some schema: question-campaign_answer."""
    return "_" in name.partition("-")[2] and _derived_from(name) is None


def may_be_predicted(name: str) -> bool:
    """Tell whether a column may be one of `hoag predict`: an answer or question, and what of it."""
    ends = tuple(f"_{last}" for last in (*PREDICTED_OF_ANSWERS, *PREDICTED_OF_QUESTIONS))
    return "_" in name.partition("-")[2] and name.endswith(ends)


def _derived_from(name: str) -> str | None:
    """Answer or question that a column is derived from, by its last words; None if it is not."""
    stems = (name[: -len(last) - 1] for last in _DERIVED if name.endswith(f"_{last}"))
    return min(stems, key=len, default=None)


def _numbers(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[Any] | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_null(kind):
        return np.zeros(len(column), np.int32)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return None
    values = np.asarray(pc.fill_null(column, 0))
    return values.astype(np.float64) if values.dtype == object else values


def _no_counts(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    whole = values if values.dtype.kind in "iu" else np.floor(values)
    return ~((values >= 0) & (values <= LARGEST) & (values == whole))  # NaN fails too


def _complaint(value: float) -> str:
    if np.isnan(value):
        return "NaN is not a count; leave the entry empty (null) where it was not asked"
    if np.isinf(value):
        return f"{value} is not a count of votes"
    if value < 0:
        return f"{value:g} is negative; votes are counts, and a question not asked is 0 or empty"
    if value > LARGEST:
        return f"{value:.0f} is more votes than any campaign has; is it a column of votes?"
    return f"{value:g} is not a whole number; votes are counts, not fractions"


def _place(table: pa.Table, name: str, row: int, where: str) -> str:
    place = f"{where}: column '{name}', row {row}"
    if "id_str" in table.column_names:
        place += f" (id {table['id_str'][row].as_py()})"
    return place


def refuse_near_misses(names: set[str], schema: Schema, where: str) -> None:
    """Refuse columns that look like an answer and are none, which would count as not asked."""
    from hoag.schema import load_schema

    answers = set(schema.columns)
    known = answers | set(load_schema("gz-evo").columns)
    questions = tuple(question.name + "_" for question in schema.questions)
    for name in sorted(names - known):
        if "-" not in name or _is_derived_from(name, known):
            continue
        near = difflib.get_close_matches(name.lower(), answers, n=1, cutoff=0.92)
        if near or name.startswith(questions):
            near = near or difflib.get_close_matches(name, answers, n=1, cutoff=0.0)
            raise HoagError(
                f"{where}: column '{name}' is no answer of schema '{schema.name}'; did you mean "
                f"'{near[0]}'? Rename it, or drop it if it holds no votes"
            )


def _is_derived_from(name: str, known: set[str]) -> bool:
    stem = _derived_from(name)
    return stem is not None and (
        stem in known or any(column.startswith(f"{stem}_") for column in known)
    )

"""Votes from the columns of a table: counts, or raw fractions of a total; and what is wrong there.

Nothing is mended: a row with a value that can be no vote is set aside with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hoag.answers import LARGEST
from hoag.data.part_values import Faults, Numbers, add_text, without_nan

if TYPE_CHECKING:
    import pyarrow as pa

    from hoag.data.column_maps import ColumnMap

WHOLE = 1e-3  # votes: what float arithmetic may leave of a whole number
_ABOVE_ONE = 1e-6  # what 32 bits may leave of a fraction of 1
_SUM = 0.02  # fractions printed with few digits may sum to a little more than 1


def whole_votes(numbers: Numbers, column: str, faults: Faults) -> npt.NDArray[np.int32]:
    """Read counts; rows with one that is negative, fractional, NaN or beyond a million are faults.

    Returns
    -------
    array
        (rows,) int32, 0 where missing or at fault.
    """
    add_text(numbers, column, faults, "votes are whole numbers")
    values = numbers.values
    if values.dtype.kind in "iu":
        if not len(values) or (values.min() >= 0 and values.max() <= LARGEST):
            return values.astype(np.int32)
        wrong = (values < 0) | (values > LARGEST)
        whole = values
    else:
        with np.errstate(invalid="ignore"):  # NaN and infinity fail the comparison, as they should
            whole = np.rint(values)
            fine = (values >= 0) & (values <= LARGEST) & (np.abs(values - whole) <= WHOLE)
        wrong = ~fine
    faults.add(wrong, column, lambda row: _complaint(float(values[row])))
    return np.where(wrong, 0, whole).astype(np.int32)


def _complaint(value: float) -> str:
    from hoag.answers import _complaint as complaint

    return complaint(value)


@dataclass(frozen=True)
class FractionColumns:
    """Columns of one question that is published as fractions: of each answer, and of the total."""

    question: str
    total: str
    answers: Mapping[str, str]


def votes_of_fractions(
    columns: FractionColumns, numbers: Mapping[str, Numbers], faults: Faults
) -> tuple[dict[str, npt.NDArray[np.int32]], npt.NDArray[np.float64]]:
    """Turn the raw fractions of a question into votes: fraction x total to the nearest whole.

    A missing (or NaN) fraction where the total is 0 or missing is a question that was not asked.

    Parameters
    ----------
    columns
        The table's columns of the question.
    numbers
        What is in them.
    faults
        Takes the rows with a fraction outside [0, 1], or with fractions but no total, or the other
        way round, or a total that is no count.

    Returns
    -------
    votes
        By GZ-Evo column, (rows,) int32.
    rounding
        (rows,) float64, the largest change made to a vote of the row, in votes.
    """
    total = without_nan(numbers[columns.total])
    asked = whole_votes(total, columns.total, faults)
    votes, rounding, whole = {}, np.zeros(len(asked)), np.zeros(len(asked))
    for answer, name in columns.answers.items():
        fraction = without_nan(numbers[name])
        add_text(fraction, name, faults, "a fraction of volunteers is a number from 0 to 1")
        part = fraction.values.astype(np.float64)
        faults.add(
            ~((part >= 0) & (part <= 1 + _ABOVE_ONE)), name,
            lambda row: f"{part[row]:g} is no fraction of volunteers, which is 0 to 1",  # noqa: B023
        )  # fmt: skip
        faults.add(
            fraction.missing & (asked > 0), name,
            lambda row: f"is empty although '{columns.total}' says that {asked[row]} were asked",
        )  # fmt: skip
        faults.add(
            total.missing & (part > 0), columns.total,
            lambda row: f"is empty although '{name}' is {part[row]:g}",  # noqa: B023
        )  # fmt: skip
        share = np.where(faults.bad, 0, part)
        exact = share * asked
        votes[answer] = np.rint(exact).astype(np.int32)
        rounding = np.maximum(rounding, np.abs(exact - votes[answer]))
        whole += share
    faults.add(
        (whole > 1 + _SUM) & (asked > 0), columns.total,
        lambda row: f"the fractions of its question sum to {whole[row]:.3f}, more than 1",
    )  # fmt: skip
    return votes, rounding


def refuse_empty_questions(
    columns: Sequence[str],
    votes: Sequence[npt.NDArray[np.int32]],
    numbers: Mapping[str, Numbers],
    faults: Faults,
) -> None:
    """Set rows aside in which one answer of a question is empty and others have votes."""
    if not any(numbers[name].missing.any() for name in columns):
        return
    given = np.sum(votes, axis=0)
    for name in columns:
        faults.add(
            numbers[name].missing & (given > 0), name,
            lambda row: f"is empty although the question's other answers have {given[row]} votes",
        )  # fmt: skip


def label_of_votes(
    columns: Mapping[str, str], known: ColumnMap, numbers: Mapping[str, Numbers], faults: Faults
) -> dict[str, pa.Array]:
    """Make a label of volunteers' answers: 1 where more than half of them said yes, else 0.

    Parameters
    ----------
    columns
        The table's columns of yes, no, total and fraction.
    known
        Says what the label is called, "ring".
    numbers
        What is in the columns.
    faults
        Takes rows that nobody voted on, and rows whose columns contradict each other.

    Returns
    -------
    dict
        Of "ring": ring (int32, 0 or 1), ring_fraction (float64), ring_votes and
        total_votes (int32).
    """
    import pyarrow as pa

    assert known.label is not None
    name = known.label.name
    yes, no, total = (whole_votes(numbers[columns[key]], columns[key], faults)
                      for key in ("yes", "no", "total"))  # fmt: skip
    fraction = without_nan(numbers[columns["fraction"]])
    add_text(fraction, columns["fraction"], faults, "a fraction is a number from 0 to 1")
    given = fraction.values.astype(np.float64)
    faults.add(total == 0, columns["total"], lambda row: "nobody voted, so there is no label")
    faults.add(
        yes + no != total, columns["total"],
        lambda row: f"{total[row]} is not {yes[row]} ('{columns['yes']}') + {no[row]} "
        f"('{columns['no']}')",
    )  # fmt: skip
    share = yes / np.maximum(total, 1)
    faults.add(
        fraction.missing | ~(np.abs(given - share) <= _SUM / 4), columns["fraction"],
        lambda row: f"{given[row]:g} is not {yes[row]} of {total[row]} votes",
    )  # fmt: skip
    return {
        name: pa.array((2 * yes > total).astype(np.int32)),
        f"{name}_fraction": pa.array(share),
        f"{name}_votes": pa.array(yes),
        "total_votes": pa.array(total),
    }

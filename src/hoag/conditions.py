"""Conditions on rows, ``face_on == 1 and survey != "SDSS"``: parsed, never evaluated as code."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hoag.catalogue import require_columns
from hoag.errors import HoagError

if TYPE_CHECKING:
    import pyarrow as pa

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_TERM = re.compile(
    r"""\s*(?P<column>[\w.\-]+)\s*(?P<sign>==|!=|<=|>=|<|>)\s*
        (?P<value>"[^"]*"|'[^']*'|[^\s"']+)\s*""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Condition:
    """One comparison of a column with a value."""

    column: str
    sign: str
    value: str | float | bool


def parse_conditions(text: str, where: str = "condition") -> tuple[Condition, ...]:
    """Parse comparisons joined by ``and``; the empty text is no condition.

    Parameters
    ----------
    text
        Comparisons ``column == value`` with ==, !=, <, <=, >, >=; a value is a number, true, false,
        or text in quotes.
    where
        Name of the place in error messages.

    Raises
    ------
    HoagError
        If the text is anything else.
    """
    conditions, rest = [], text
    while rest.strip():
        term = _TERM.match(rest)
        if term is None:
            raise _not_understood(text, where)
        conditions.append(Condition(term["column"], term["sign"], _value(term["value"], where)))
        rest = rest[term.end() :]
        if rest:
            if not re.match(r"and\s+\S", rest):
                raise _not_understood(text, where)
            rest = rest[3:]
    return tuple(conditions)


def _not_understood(text: str, where: str) -> HoagError:
    return HoagError(
        f"{where}: {text!r} is not understood; write comparisons such as 'face_on == 1', joined by "
        "'and', with text in quotes"
    )


def _value(text: str, where: str) -> str | float | bool:
    if text[0] in "\"'":
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text)  # exact for 19-digit ids
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise HoagError(f"{where}: {text!r} is no number; put text in quotes") from None


def rows_where(
    table: pa.Table, conditions: tuple[Condition, ...], where: str = "table"
) -> npt.NDArray[np.bool_]:
    """Rows that meet every condition; (n,) bool, False where an entry is missing.

    Raises
    ------
    HoagError
        If a column does not exist, or holds text where the condition has a number or vice versa.
    """
    chosen = np.ones(table.num_rows, bool)
    for condition in conditions:
        require_columns(table.column_names, [condition.column], where)
        compare, value = _COMPARISONS[condition.sign], condition.value
        entries = table[condition.column].to_pylist()
        wrong = [
            e for e in entries if e is not None and isinstance(e, str) != isinstance(value, str)
        ]
        if wrong:
            raise HoagError(
                f"{where}: column '{condition.column}' has {wrong[0]!r}, which cannot be compared "
                f"with {value!r}; text stands in quotes, numbers do not"
            )
        chosen &= [entry is not None and compare(entry, value) for entry in entries]
    return chosen

"""What is looked for, as a user writes it: a table of ids and yes or no, classes, or numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hoag.catalogue import list_names, read_table, require_columns
from hoag.console import say
from hoag.embedding import ID
from hoag.errors import HoagError

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["yes or no", "classes", "numbers"]
GivenLabels: TypeAlias = "str | Path | pa.Table | Mapping[str, Any]"

YES, NO = ("yes", "y", "true", "t", "1"), ("no", "n", "false", "f", "0")
_MANY_NUMBERS = 10  # as many different whole numbers are a quantity, not names of classes


@dataclass(frozen=True)
class Sought:
    """Labelled galaxies.

    Attributes
    ----------
    ids
        Distinct, sorted, so that nothing depends on the order of the table.
    kind
        What the labels are.
    values
        (galaxies,) float64 for numbers, else int64 class numbers: 1 for yes, 0 for no.
    classes
        Names of the classes: ("no", "yes") for these; none for numbers.
    column
        Name of the column the labels stood in.
    """

    ids: tuple[str, ...]
    kind: Kind
    values: NDArray[Any]
    classes: tuple[str, ...]
    column: str

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[np.integer]) -> Sought:
        """Some of the labelled galaxies, in the order given."""
        kept = tuple(self.ids[row] for row in rows)
        return Sought(kept, self.kind, self.values[rows], self.classes, self.column)


def read_sought(
    labels: GivenLabels, *, label: str | None = None, key: str = ID, target: str | None = None,
    kind: Kind | None = None,
) -> Sought:  # fmt: skip
    """Read labels in any accepted form.

    Rows without a label are left out, so that a list of suggestions can be filled in partly.

    Parameters
    ----------
    labels
        A file or table of ids and labels, or a mapping from id to label.
    label
        Column of the labels; ``label`` if there is one, else the only other column.
    key
        Column of the ids.
    target
        The class that means yes, all others meaning no; yes, true and 1 mean so by themselves.
    kind
        What the labels are, where they could be read in two ways; by default text and up to ten
        different whole numbers are classes, and other numbers are numbers.

    Raises
    ------
    HoagError
        If a column is missing, a galaxy has two different labels, no row has one, or they are of
        two kinds.
    """
    where = str(labels) if isinstance(labels, str | Path) else "the labels"
    ids, values, column = labels_column(labels, where, label, key)
    pairs = distinct_labels(ids, values, where)
    if not pairs:
        raise HoagError(f"{where}: no row has a label in column '{column}'; fill some in")
    kept, plain = zip(*sorted(pairs.items()), strict=True)
    found = kind or kind_of(plain, target, where)
    if found == "numbers":
        return Sought(kept, found, numbers_of(plain, kept, where), (), column)
    texts = [label_text(value) for value in plain]
    names = sorted(set(texts))
    if target is not None:
        if target not in names:
            raise HoagError(f"{where}: no galaxy is labelled '{target}'; {list_names(names)} are")
        numbers = np.array([text == target for text in texts], np.int64)
        return Sought(kept, "yes or no", numbers, ("no", "yes"), column)
    if {name.lower() for name in names} <= {*YES, *NO}:
        numbers = np.array([text.lower() in YES for text in texts], np.int64)
        return Sought(kept, "yes or no", numbers, ("no", "yes"), column)
    if len(names) == 2 or found == "yes or no":
        raise HoagError(
            f"{where}: column '{column}' has the classes {list_names(names)}, none of them yes or "
            "no; say which is looked for with --target NAME (target=)"
        )
    numbers = np.array([names.index(text) for text in texts], np.int64)
    return Sought(kept, "classes", numbers, tuple(names), column)


def labels_column(
    labels: GivenLabels, where: str, label: str | None, key: str
) -> tuple[Sequence[Any], Sequence[Any], str]:
    """Give ids, labels and the name of the column the labels stand in; see `read_sought`."""
    if isinstance(labels, Mapping):
        return [str(name) for name in labels], list(labels.values()), label or "label"
    table = read_table(labels, text=(key,)) if isinstance(labels, str | Path) else labels
    require_columns(table.column_names, [key], where)
    others = [name for name in table.column_names if name != key]
    if label is None:
        label = "label" if "label" in others else others[0] if len(others) == 1 else None
    if label is None:
        raise HoagError(
            f"{where}: which column holds the labels? Name one of {list_names(others)} with "
            "--label (label=)"
        )
    require_columns(others, [label], where)
    ids = [None if name is None else str(name) for name in table[key].to_pylist()]
    return ids, table[label].to_pylist(), label


def distinct_labels(ids: Sequence[Any], values: Sequence[Any], where: str) -> dict[str, Any]:
    """Labels by id, without rows that have none; the same label twice is one label."""
    pairs: dict[str, Any] = {}
    first: dict[str, int] = {}
    repeats = empty = 0
    for row, (name, value) in enumerate(zip(ids, values, strict=True), start=1):
        value = value.item() if isinstance(value, np.generic) else value
        if value is None or value != value or (isinstance(value, str) and not value.strip()):
            empty += 1
            continue
        if name is None:
            raise HoagError(f"{where}: row {row} has a label and no id; every label needs one")
        if name in pairs and label_text(pairs[name]) != label_text(value):
            raise HoagError(
                f"{where}: galaxy '{name}' is {label_text(pairs[name])!r} in row {first[name]} and "
                f"{label_text(value)!r} in row {row}; keep one of them"
            )
        repeats += name in pairs
        pairs.setdefault(name, value)
        first.setdefault(name, row)
    if repeats:
        say(f"{where}: {repeats} rows repeat a galaxy with the same label and count once")
    if empty:
        say(f"{where}: {empty} rows have no label and are left out")
    return pairs


def kind_of(values: Sequence[Any], target: str | None, where: str) -> Kind:
    """Tell classes from numbers; see `read_sought`."""
    texts = [value for value in values if isinstance(value, str)]
    if texts and len(texts) < len(values):
        number = next(value for value in values if not isinstance(value, str))
        raise HoagError(
            f"{where}: labels are text ({texts[0]!r}) and numbers ({number!r}) mixed; write them "
            "all in one way"
        )
    if texts or target is not None or all(isinstance(value, bool) for value in values):
        return "classes"
    whole = all(float(value).is_integer() for value in values)
    return "classes" if whole and len(set(values)) <= _MANY_NUMBERS else "numbers"


def numbers_of(values: Sequence[Any], ids: Sequence[str], where: str) -> NDArray[np.float64]:
    """Give labels as numbers, (n,); one that is none is refused with its galaxy's id."""
    for name, value in zip(ids, values, strict=True):
        if isinstance(value, str) or not np.isfinite(value):
            raise HoagError(f"{where}: galaxy '{name}' has {value!r}, which is no finite number")
    return np.array(values, np.float64)


def label_text(value: Any) -> str:
    """Write a label as text: 1 and 1.0 and true alike as people would read them."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()

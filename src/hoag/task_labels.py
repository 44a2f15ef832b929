"""Labels of a downstream task: read by key, joined to images, and made classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hoag.catalogue import read_table
from hoag.conditions import rows_where
from hoag.errors import HoagError
from hoag.galaxies import Galaxies
from hoag.hashes import are_in, hashes_of

if TYPE_CHECKING:
    from hoag.roles import DownstreamTask

Labels = dict[str, str | int]


def labels_by_key(task: DownstreamTask) -> tuple[Labels, int]:
    """Labels of the rows that meet the conditions, by key, and how many rows had none."""
    labels: Labels = {}
    missing = 0
    for path in task.labels:
        wanted = [task.key, task.label, *(condition.column for condition in task.where)]
        table = read_table(path, list(dict.fromkeys(wanted)), text=(task.key,))
        meets = rows_where(table, task.where, str(path))
        entries = zip(table[task.key].to_pylist(), table[task.label].to_pylist(), strict=True)
        for row, (key, value) in enumerate(entries):
            if not meets[row]:
                continue
            if value is None or key is None:
                missing += 1
                continue
            if key in labels:
                raise HoagError(
                    f"{path}: column '{task.key}', row {row}: '{key}' has two labels; keep one"
                )
            labels[key] = _label(value, f"{path}: column '{task.label}', row {row}")
    return labels, missing


def _label(value: Any, where: str) -> str | int:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    raise HoagError(f"{where}: {value!r} is no class; labels are text or whole numbers")


def rows_with_label(
    galaxies: Galaxies, key: str, labels: Labels
) -> tuple[npt.NDArray[np.int64], list[str | int], int]:
    """Find the galaxies whose key has a label: positions, labels, and labels that none has."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if key == "id_str":  # whose hashes are known, so that few ids are looked at
        rows = np.flatnonzero(are_in(galaxies.keys, hashes_of(labels)))
        found = galaxies.ids_of(rows)
    else:
        column = galaxies.select([key])[key].cast(pa.string())
        known = pc.is_in(column, value_set=pa.array(list(labels), pa.string()))
        rows = np.flatnonzero(known.to_numpy())
        found = column.take(rows).to_pylist()
    has = np.array([text in labels for text in found], bool)
    values = [labels[text] for text in found if text in labels]
    return rows[has], values, len(labels) - len(labels.keys() & set(found))


def classes_of(
    values: Sequence[str | int], given: Sequence[str | int], where: str
) -> list[str | int]:
    """Classes in the order of their numbers: those given, else those found, sorted."""
    found = set(values)
    if len({isinstance(value, str) for value in found}) > 1:
        raise HoagError(f"{where}: its labels mix text and numbers")
    unknown = sorted(str(value) for value in found - set(given))
    if given and unknown:
        raise HoagError(f"{where}: label '{unknown[0]}' is not among its classes {list(given)}")
    classes = list(given) or sorted(found, key=lambda v: (isinstance(v, str), v))
    if len(found) < 2:
        raise HoagError(f"{where}: all its galaxies are of one class, {classes[0]!r}")
    return classes

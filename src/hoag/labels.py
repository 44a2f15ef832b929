"""Labels of a downstream task, read from a mapping or a table into ids, class numbers and names."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hoag.embedding import ID, ids_of
from hoag.errors import HoagError

Ints = NDArray[np.int64]
Labels: TypeAlias = Mapping[str, Any] | pa.Table


def encode_labels(
    labels: Labels, classes: Sequence[str] | None = None
) -> tuple[list[str], Ints, tuple[str, ...]]:
    """Read labels in any accepted form.

    Returns
    -------
    ids, numbers, classes
        Ids sorted, their class numbers (galaxies,) int64, and the names of the classes: those given
        or, by default, the labels found, sorted.

    Raises
    ------
    HoagError
        If the table has not two columns, an id comes twice, or a label is missing, fractional or no
        class.
    """
    pairs = sorted(_pairs(labels), key=lambda pair: pair[0])
    for (name, _), (following, _) in zip(pairs, pairs[1:], strict=False):
        if name == following:
            raise HoagError(f"the labels hold id '{name}' twice; keep one of them")
    values = [_label(value, name) for name, value in pairs]
    if not values:
        raise HoagError("there are no labels; give a table or mapping of id_str to label")
    kinds = {type(value) for value in values}
    if len(kinds) > 1:
        raise HoagError("some labels are text and some are numbers; write them all in one way")
    if classes is None:
        found = sorted(set(values))
        lookup = {value: number for number, value in enumerate(found)}
        names = tuple(str(value) for value in found)
    else:
        names = tuple(classes)
        by_name = kinds == {str}
        lookup = {value if by_name else number: number for number, value in enumerate(names)}
    for (name, _), value in zip(pairs, values, strict=True):
        if value not in lookup:
            raise HoagError(f"galaxy '{name}' has label {value!r}, none of {', '.join(names)}")
    numbers = np.array([lookup[value] for value in values], np.int64)
    return [name for name, _ in pairs], numbers, names


def label_mapping(labels: Labels) -> dict[str, str]:
    """Read labels in any accepted form as a mapping from id to the name of its class, checked."""
    ids, numbers, names = encode_labels(labels)
    return {name: names[number] for name, number in zip(ids, numbers, strict=True)}


def _pairs(labels: Labels) -> Iterable[tuple[str, Any]]:
    if isinstance(labels, pa.Table):
        others = [name for name in labels.column_names if name != ID]
        if len(others) != 1 or ID not in labels.column_names:
            raise HoagError(
                f"a table of labels has the columns '{ID}' and one more; this one has "
                f"{', '.join(labels.column_names)}"
            )
        return zip(ids_of(labels, "the labels"), labels[others[0]].to_pylist(), strict=True)
    return [(str(name), value) for name, value in labels.items()]


def _label(value: Any, name: str) -> int | str:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return value
    if value is None or value != value:
        raise HoagError(f"galaxy '{name}' has no label; leave it out or label it")
    if isinstance(value, bool | int | float) and value % 1 == 0:
        return int(value)
    raise HoagError(f"galaxy '{name}' has label {value!r}; labels are whole numbers or text")

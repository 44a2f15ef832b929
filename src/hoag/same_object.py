"""Which labelled galaxies are images of one sky object, and folds that keep those together.

A twin in the training folds would give the held-out one away, and both would count as two labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hoag.catalogue import column_names, read_table
from hoag.embedding import ID
from hoag.errors import HoagError
from hoag.half_vectors import Ints, Vectors
from hoag.hashes import hashes_of
from hoag.joining_ids import rows_in
from hoag.splits import group_keys, groups_of_table

if TYPE_CHECKING:
    import pyarrow as pa

    from hoag.galaxies import Galaxies

Source: TypeAlias = "str | Path | pa.Table | Vectors | Galaxies | None"

_SAYS = ("group", "ra", "dec")


def objects_of(ids: Sequence[str], sources: Sequence[Source]) -> Ints:
    """Number the sky object that each galaxy is an image of.

    Parameters
    ----------
    ids
        (galaxies,) distinct ids.
    sources
        What may know: galaxies (by their groups), and tables or files with columns `group`, or `ra`
        and `dec` in degrees; others know nothing. Galaxies that one of them links are one object;
        see `hoag.splits.groups_of_table`.

    Returns
    -------
    ndarray
        (galaxies,) int64 from 0, in the order in which objects first appear.
    """
    keys: list[str] = list(ids)
    for source in sources:
        found = _keys(ids, source)
        if found is not None:
            keys = group_keys(keys, found).tolist()
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


def _keys(ids: Sequence[str], source: Source) -> list[str | None] | None:
    """Group of each galaxy by one source, None where it has none."""
    import pyarrow as pa

    if source is None or isinstance(source, Vectors):
        return None
    if not isinstance(source, str | Path | pa.Table):
        rows = np.flatnonzero(np.isin(source.keys, hashes_of(ids)))
        some = source.take(rows)
        known = dict(zip(some.ids, map(str, some.groups), strict=True))
        return [known.get(name) for name in ids]
    where = str(source) if isinstance(source, str | Path) else "the table"
    table = _places(source)
    if table is None:
        return None
    rows = rows_in(table, pa.array(ids, pa.string()))
    there = np.flatnonzero(rows >= 0)
    if not len(there):
        return None
    groups = groups_of_table(table.take(pa.array(rows[there])), where=where)
    known = {ids[int(row)]: str(group) for row, group in zip(there, groups, strict=True)}
    return [known.get(name) for name in ids]


def _places(source: str | Path | pa.Table) -> pa.Table | None:
    """Ids and what says where they are, of a table that has both."""
    import pyarrow as pa

    names = column_names(source) if isinstance(source, str | Path) else source.column_names
    wanted = [ID, *(name for name in _SAYS if name in names)]
    if ID not in names or not ({"ra", "dec"} <= set(names) or "group" in names):
        return None
    table = read_table(source, wanted) if isinstance(source, str | Path) else source.select(wanted)
    table = table.set_column(0, ID, table[ID].cast(pa.string()))
    kinds = [table.schema.field(name).type for name in ("ra", "dec") if name in wanted]
    numbers = all(pa.types.is_floating(kind) or pa.types.is_integer(kind) for kind in kinds)
    return table if "group" in wanted or numbers else None


def class_of_objects(objects: Ints, yes: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Class of each object, (objects,) bool; one of both classes counts for the rarer."""
    rarer = bool(yes.mean() < 0.5)
    found = np.full(objects.max() + 1, not rarer)
    found[objects[yes == rarer]] = rarer
    return found


def fewest_objects(objects: Ints, yes: NDArray[np.bool_]) -> int:
    """How many objects the rarer class has; two at least.

    Raises
    ------
    HoagError
        If there are fewer, so that none can be held out.
    """
    fewest = int(np.bincount(class_of_objects(objects, yes), minlength=2).min())
    if fewest < 2:
        raise HoagError(
            f"the {int(min(yes.sum(), (~yes).sum()))} labels of one class are all images of one "
            "sky object, so none of them can be held out to test the others; label another object"
        )
    return fewest


def rows_of(objects: Ints, chosen: Ints) -> Ints:
    """Rows of some objects, in their order."""
    return np.flatnonzero(np.isin(objects, chosen))


def weights_of(objects: Ints) -> NDArray[np.float64]:
    """What each label counts, (galaxies,) float64: those of one object count as one together."""
    return 1 / np.bincount(objects)[objects]

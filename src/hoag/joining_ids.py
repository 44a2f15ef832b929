"""Columns of a user's catalogue, joined to galaxies by their ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hoag.catalogue import read_table, require_columns
from hoag.console import say
from hoag.embedding import ID
from hoag.errors import HoagError

if TYPE_CHECKING:
    import pyarrow as pa


def read_catalogue(catalogue: str | Path | pa.Table, key: str = ID) -> pa.Table:
    """Read a catalogue whose ids are unique; they are then in its column ``id_str``.

    Raises
    ------
    HoagError
        If the column of ids is missing, or an id comes twice.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    where = str(catalogue) if isinstance(catalogue, str | Path) else "the catalogue"
    table = read_table(catalogue, text=(key,)) if isinstance(catalogue, str | Path) else catalogue
    require_columns(table.column_names, [key], where)
    if key != ID and ID in table.column_names:
        table = table.drop_columns([ID])
    table = table.rename_columns([ID if name == key else name for name in table.column_names])
    plain = [f.name for f in table.schema if not pa.types.is_nested(f.type)]
    table = table.select(plain)
    counts = pc.value_counts(table[ID].combine_chunks())
    twice = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        raise HoagError(
            f"{where}: id '{twice.field('values')[0]}' comes {twice.field('counts')[0]} times; a "
            "catalogue has one row a galaxy"
        )
    return table


def rows_in(catalogue: pa.Table, ids: pa.Array) -> NDArray[np.int64]:
    """Row of the catalogue of each id, -1 where it has none."""
    import pyarrow.compute as pc

    found = pc.index_in(ids, value_set=catalogue[ID].combine_chunks())
    return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), np.int64)


def with_columns(
    table: pa.Table, catalogue: pa.Table | None, taken: Sequence[str] = ()
) -> pa.Table:
    """Append a catalogue's columns to a table that has ``id_str``; null where it lacks a galaxy.

    Columns that the table has already are left out, and said.
    """
    import pyarrow as pa

    if catalogue is None:
        return table
    rows = rows_in(catalogue, table[ID].combine_chunks())
    places = pa.array(rows, mask=rows < 0)
    if len(rows) and (rows < 0).all():
        other = catalogue[ID][0].as_py() if len(catalogue) else ""
        say(f"the catalogue has none of these galaxies, so its columns are empty; ids look like "
            f"'{other}' in it and '{table[ID][0]}' here")  # fmt: skip
    clash = [n for n in catalogue.column_names if n in (*table.column_names, *taken) and n != ID]
    if clash:
        say(f"the catalogue's columns {', '.join(clash)} are left out: the result has such already")
    for name in catalogue.column_names:
        if name != ID and name not in clash:
            table = table.append_column(name, catalogue[name].take(places))
    return table

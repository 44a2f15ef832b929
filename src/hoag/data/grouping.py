"""Groups of galaxies: what belongs to one sky object, so that no split comes between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hoag import splits
from hoag.data.loading import Rows, RowTable, numbered, replaced, whole
from hoag.data.near_duplicates import NearDuplicates

if TYPE_CHECKING:
    import pyarrow as pa


def join_groups(
    table: RowTable, galaxy: Rows, firsts: Rows, ids: pa.StringArray, pairs: NearDuplicates
) -> tuple[pa.StringArray, dict[str, int]]:
    """Key of the group of each galaxy: the smallest group its rows name, else its smallest id.

    The rule is that of `hoag.splits.group_keys`; only galaxies that are linked are looked at one by
    one.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    sky = splits.sky_pairs(table.ra, table.dec, where="build")
    sky = galaxy[sky[(galaxy[sky] >= 0).all(1)]]
    edges = np.concatenate(
        [
            pairs.rows,
            sky,
            _linked(numbered(table.ids), galaxy),
            _linked(numbered(table.groups), galaxy),
        ]
    )
    edges = edges[edges[:, 0] != edges[:, 1]]
    component = splits.components(len(firsts), edges)
    shared = np.bincount(component)[component] > 1
    own = whole(table.groups.take(pa.array(firsts)))
    later = _groups_of_later_rows(table, galaxy, firsts)
    looked_at = np.flatnonzero(shared | np.isin(np.arange(len(firsts)), list(later)))
    chosen = pa.array(looked_at)
    smallest: dict[int, tuple[bool, str]] = {}
    for k, name, id_str in zip(
        looked_at.tolist(), own.take(chosen).to_pylist(), ids.take(chosen).to_pylist(), strict=True
    ):
        names = [n for n in (name, later.get(k)) if n is not None]
        candidate = (not names, min(names, default=id_str))
        code = int(component[k])
        smallest[code] = min(candidate, smallest.get(code, candidate))
    keys = replaced(
        pc.coalesce(own, ids), looked_at, [smallest[int(component[k])][1] for k in looked_at]
    )
    return keys, {
        "galaxies_sharing": int(shared.sum()),
        "sky_pairs": len(np.unique(np.sort(sky[sky[:, 0] != sky[:, 1]], 1), axis=0)),
        "near_duplicate_pairs": len(pairs.rows),
    }


def _linked(codes: Rows, galaxy: Rows) -> Rows:
    """Pair the galaxies of rows of one code, each with the next; (pairs, 2) int64."""
    known = np.flatnonzero((codes >= 0) & (galaxy >= 0))
    order = known[np.argsort(codes[known], kind="stable")]
    same = codes[order][1:] == codes[order][:-1]
    return np.stack([galaxy[order[:-1][same]], galaxy[order[1:][same]]], axis=1)


def _groups_of_later_rows(table: RowTable, galaxy: Rows, firsts: Rows) -> dict[int, str]:
    """Smallest group named by rows that are not the first of their galaxy."""
    later = np.setdiff1d(np.flatnonzero(galaxy >= 0), firsts)
    found: dict[int, str] = {}
    for row in later.tolist():
        name = table.groups[row].as_py()
        if name is not None:
            found[int(galaxy[row])] = min(name, found.get(int(galaxy[row]), name))
    return found

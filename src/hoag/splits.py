"""Fixed splits: a pure function of each galaxy's group, the same in every run and on every machine.

A group is what must not straddle two splits: the user's own column, else the galaxies at one place
on the sky, else the galaxy alone. Its blake2b-64 hash, unsalted, gives a fraction in [0, 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hoag.catalogue import require_columns
from hoag.console import say
from hoag.errors import HoagError
from hoag.hashes import Hashes, are_in, hash_of, hashes_of

if TYPE_CHECKING:
    import pyarrow as pa

Texts = npt.NDArray[np.str_] | npt.NDArray[np.object_] | Sequence[str]
Keys = Texts | Hashes

SPLITS = ("train", "val", "test")
TRAIN, VALIDATION = 0.7, 0.1  # the rest, 20 %, is the test split
SKY_RADIUS = 5.0  # arcsec: more than catalogues disagree on a galaxy's centre, less than its size


def fraction_of(key: str) -> float:
    """Place of a group in [0, 1): its unsalted blake2b-64 hash (UTF-8) over 2**64."""
    return (hash_of(key) >> 11) * 2.0**-53  # 53 bits: never rounds up to 1


def fractions(keys: Keys) -> npt.NDArray[np.float64]:
    """Fractions of many groups, given as text or as (n,) uint64 hashes; (n,) float64 in [0, 1)."""
    if _are_hashes(keys):
        return (np.asarray(keys) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return np.fromiter((fraction_of(str(key)) for key in keys), np.float64, len(keys))


def split_names(keys: Keys) -> npt.NDArray[np.str_]:
    """Split of each group: "train" (70 %), "val" (10 %) or "test" (20 %); (n,) str."""
    place = fractions(keys)
    edges = np.array([TRAIN, TRAIN + VALIDATION])
    return np.array(SPLITS)[np.searchsorted(edges, place, side="right")]


def half_names(keys: Keys) -> npt.NDArray[np.str_]:
    """Half of each group in a downstream task: "train" or "test" (50/50); (n,) str.

    The fraction is that of `split_names`, so the train half lies within the 70 % of train.
    """
    return np.where(fractions(keys) < 0.5, "train", "test")


def direct_names(keys: Keys) -> npt.NDArray[np.str_]:
    """Split of each group for the Direct arm, which learns a downstream task end to end.

    "train" (40 %) and "val" (10 %) lie in the train half of `half_names`; "test" is its test half,
    which no arm may learn from. (n,) str.
    """
    place = fractions(keys)
    return np.array(SPLITS)[np.searchsorted(np.array([0.4, 0.5]), place, side="right")]


def sky_pairs(
    ra: npt.ArrayLike,
    dec: npt.ArrayLike,
    radius_arcsec: float = SKY_RADIUS,
    where: str = "table",
) -> npt.NDArray[np.int64]:
    """Pairs of rows that lie within a radius of each other on the sky.

    Parameters
    ----------
    ra, dec
        (n,) degrees; rows where either is not finite match nothing.
    radius_arcsec
        Largest separation of a pair.
    where
        Name of the table in error messages.

    Returns
    -------
    array
        (pairs, 2) int64 rows.

    Raises
    ------
    HoagError
        If a declination lies beyond the poles or a right ascension is out of range.
    """
    from scipy.spatial import cKDTree

    ra, dec = np.asarray(ra, np.float64), np.asarray(dec, np.float64)
    known = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    for name, values, low, high in (("ra", ra, -360.0, 360.0), ("dec", dec, -90.0, 90.0)):
        wrong = known[(values[known] < low) | (values[known] > high)]
        if len(wrong):
            raise HoagError(
                f"{where}: column '{name}', row {wrong[0]}: {values[wrong[0]]:g} is not within "
                f"{low:g} to {high:g} degrees"
            )
    lon, lat = np.radians(ra[known]), np.radians(dec[known])
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    # On the unit sphere, two directions within an angle are points within its chord.
    chord = 2 * np.sin(np.radians(radius_arcsec / 3600) / 2)
    pairs = cKDTree(points).query_pairs(chord, output_type="ndarray")
    return known[pairs.astype(np.int64)].reshape(-1, 2)


def group_keys(
    ids: Texts,
    groups: Sequence[str | None] | None = None,
    ra: npt.ArrayLike | None = None,
    dec: npt.ArrayLike | None = None,
    radius_arcsec: float = SKY_RADIUS,
    where: str = "table",
) -> npt.NDArray[np.object_]:
    """Key of the group each row belongs to.

    Rows are linked if they share an id, a value of `groups`, or a place on the sky, and linked rows
    are one group (single linkage), whatever their order. Its key is the smallest value of `groups`
    in it, else its smallest id, in the order of code points.

    Parameters
    ----------
    ids
        (n,) id of each row; repeated when several tables hold one galaxy.
    groups
        (n,) the user's group of each row; None or an entry None: not given.
    ra, dec
        (n,) degrees, NaN where unknown; None: no sky match.
    radius_arcsec
        Largest separation of two rows that are one object.
    where
        Name of the table in error messages.

    Returns
    -------
    array
        (n,) object array of str.
    """
    n = len(ids)
    if groups is None and ra is None and len(set(ids)) == n:
        return np.array([str(key) for key in ids], dtype=object)
    names = [None] * n if groups is None else list(groups)
    pairs = [_same(list(ids)), _same(names)]
    if ra is not None and dec is not None:
        pairs.append(sky_pairs(ra, dec, radius_arcsec, where))
    component = components(n, np.concatenate(pairs))
    smallest: dict[int, tuple[bool, str]] = {}
    for number, name, key in zip(component.tolist(), names, ids, strict=True):
        # Named rows sort first: False < True.
        candidate = (name is None, str(key if name is None else name))
        smallest[number] = min(candidate, smallest.get(number, candidate))
    return np.array([smallest[number][1] for number in component.tolist()], dtype=object)


def groups_of_table(
    table: pa.Table, group: str | None = None, where: str = "table"
) -> npt.NDArray[np.object_]:
    """Group keys of a table's rows; (n,) str objects.

    Parameters
    ----------
    table
        With unique `id_str`.
    group
        A column whose values must not straddle splits, "sky" for places (`ra`, `dec`), or "id_str".
        None: the column `group` if there is one, else places if it has them, else ids.
    where
        Name of the table in error messages.
    """
    names, ids = table.column_names, table["id_str"].to_pylist()
    if group is None:
        group = "group" if "group" in names else "sky" if {"ra", "dec"} <= set(names) else "id_str"
    require_columns(names, ["ra", "dec"] if group == "sky" else [group], where)
    if group == "id_str":
        return group_keys(ids)
    if group != "sky":
        # Ids are unique, so no more is linked than the rows of one value.
        values = zip(table[group].to_pylist(), ids, strict=True)
        named = [name if value is None else str(value) for value, name in values]
        return np.array(named, dtype=object)
    keys = group_keys(ids, ra=table["ra"].to_numpy(), dec=table["dec"].to_numpy(), where=where)
    joined = len(ids) - len(set(keys.tolist()))
    if joined:
        say(f"{joined:,} galaxies lie within {SKY_RADIUS:g} arcsec of another and share its split")
    return keys


def _same(values: Sequence[str | None]) -> npt.NDArray[np.int64]:
    """Pair every row with the first that has its value; rows of None are not paired."""
    first: dict[str, int] = {}
    pairs = [
        (first.setdefault(value, row), row) for row, value in enumerate(values) if value is not None
    ]
    return np.array([pair for pair in pairs if pair[0] != pair[1]], np.int64).reshape(-1, 2)


def components(n: int, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Number the connected parts of a graph of n rows, given its (k, 2) pairs; (n,) int64."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    labels: npt.NDArray[np.int64] = connected_components(graph, directed=False)[1]
    return labels


def remove_leaks(
    keys: Keys, forbidden: Keys | set[str] | frozenset[str]
) -> tuple[npt.NDArray[np.bool_], int]:
    """Take galaxies of forbidden groups out of the train and validation splits.

    Parameters
    ----------
    keys
        (n,) group key of each pretraining galaxy, or its hash.
    forbidden
        Group keys of downstream galaxies that a model is tested on, or their hashes.

    Returns
    -------
    mask
        (n,) bool, True where the galaxy stays.
    removed
        How many were taken out of the train and validation splits.
    """
    hashes = _hashed(keys)
    # By hash alone: two groups of one hash would cost a galaxy, and never let one through.
    leaking = are_in(hashes, _hashed(forbidden))
    rows = np.flatnonzero(leaking)
    leaking[rows] = split_names(hashes[rows]) != "test"
    return ~leaking, int(leaking.sum())


def _are_hashes(keys: Keys | set[str] | frozenset[str]) -> bool:
    return isinstance(keys, np.ndarray) and keys.dtype == np.uint64


def _hashed(keys: Keys | set[str] | frozenset[str]) -> Hashes:
    return np.asarray(keys) if _are_hashes(keys) else hashes_of(map(str, keys))

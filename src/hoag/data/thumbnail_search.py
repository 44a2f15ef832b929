"""Which pictures among millions look alike: an inverted file of descriptions, searched in blocks.

Some pictures are drawn as pivots, and every picture is listed under its nearest few; a crop is
compared with the list of its nearest pivot alone (Sivic & Zisserman 2003; Jegou+11). Lists are
about LENGTH long however many pictures there are, and pivots are found by lists of pivots, so the
work for one picture does not grow with their number.

Own code, as all crops of a list are compared in one product of matrices, which is much quicker than
to ask an index (FAISS, usearch) for one after another.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hoag.data.in_threads import in_threads

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

LISTED = 8  # pivots that a picture is listed under
LENGTH = 512  # pictures of a list, on average; so many pivots are gone through one by one
# Times LENGTH; of a longer list as many, evenly, or a placeholder would cost its square.
LONGEST = 16
NEAREST = 2  # pictures kept for a crop of one zoom
RADIUS = 22.0  # distance of descriptions beyond which pictures are not alike; copies scatter by 1
ALIKE = 5.0  # distance within which they are, whatever else is near
CROWD, APART = 5, 0.8  # or within this share of the distance to the CROWD-th nearest of the list
PER_PICTURE = 3  # kept of all zooms
_ASKED = 2**15  # crops that pivots are looked for at once
_PRODUCT = 2**18  # numbers of a product of matrices at once: 1 MB, which stays in the cache


class Alike(NamedTuple):
    """Pairs: inner and outer picture's row, the place in the ladder of zooms, their distance."""

    inner: Rows
    outer: Rows
    zoom: Rows
    distance: Floats


class Lists(NamedTuple):
    """Pictures under their nearest pivots.

    Attributes
    ----------
    pivots
        (pivots, numbers + 1), of `_with_power`.
    members
        Rows listed under each pivot, ascending.
    above
        Lists of the pivots; None where they are few.
    """

    pivots: Floats
    members: list[Rows]
    above: Lists | None


def alike_pictures(numbers: npt.NDArray[np.float16], sources: npt.NDArray[np.integer]) -> Alike:
    """Find for each picture, at each zoom, the pictures whose whole looks like its crop.

    Parameters
    ----------
    numbers
        (n, zooms, numbers) float16: descriptions of the crops of n pictures, the first of the
        whole. A memory map will do.
    sources
        (n,) whole numbers, ascending: crops are compared with pictures of other sources alone.

    Returns
    -------
    Alike
        Each pair once, at the zoom where it is nearest, sorted by rows.
    """
    whole = _with_power(numbers[:, 0])
    lists = _listed(whole)
    found = _compared(numbers, range(1), whole, lists, None)
    if numbers.shape[1] > 1:
        found += _compared(numbers, range(1, numbers.shape[1]), whole, lists, sources)
    return _best_of(found)


def _with_power(numbers: npt.NDArray[np.float16] | Floats) -> Floats:
    """Descriptions and half their squared length; (n, numbers + 1) float32."""
    found = np.empty((len(numbers), numbers.shape[1] + 1), np.float32)
    found[:, :-1] = numbers
    found[:, -1] = np.einsum("ij,ij->i", found[:, :-1], found[:, :-1]) / 2
    return found


def _asking(numbers: npt.NDArray[np.float16] | Floats) -> Floats:
    """Descriptions and -1; (n, numbers + 1) float32.

    The product with a row of `_with_power` is half the squared length, less half the squared
    distance: the larger the nearer.
    """
    found = np.empty((len(numbers), numbers.shape[1] + 1), np.float32)
    found[:, :-1] = numbers
    found[:, -1] = -1
    return found


def _listed(points: Floats) -> Lists:
    """List points (n, numbers + 1) under pivots, which are drawn from them."""
    count = min(len(points), max(1, round(len(points) * LISTED / LENGTH)))
    pivots = points[np.linspace(0, len(points) - 1, count).astype(np.int64)]
    lists = Lists(pivots, [], _listed(pivots) if count > LENGTH else None)

    def assign(start: int) -> npt.NDArray[np.int32]:
        asked = _asking(points[start : start + _ASKED, :-1])
        return _nearest_pivots(asked, lists, min(LISTED, count))

    nearest = np.concatenate(list(in_threads(assign, range(0, len(points), _ASKED))))
    groups = _grouped(nearest.ravel(), count)
    lists.members.extend(_shortened(group // nearest.shape[1]) for group in groups)
    return lists


def _shortened(members: Rows) -> Rows:
    longest = LONGEST * LENGTH
    if len(members) <= longest:
        return members
    return members[np.linspace(0, len(members) - 1, longest).astype(np.int64)]


def _nearest_pivots(asked: Floats, lists: Lists, count: int) -> npt.NDArray[np.int32]:
    """Number of the nearest pivots of each row of `asked`; -1 where so many are not found."""
    nearest = np.full((len(asked), count), -1, np.int32)
    groups, members = [np.arange(len(asked))], [np.arange(len(lists.pivots))]
    if lists.above is not None:
        members = lists.above.members
        groups = _grouped(_nearest_pivots(asked, lists.above, 1)[:, 0], len(members))
    for rows, listed in _in_blocks(groups, members):
        likeness = asked[rows] @ lists.pivots[listed].T
        at = np.arange(len(rows))
        for place in range(min(count, len(listed))):
            best = likeness.argmax(1)
            nearest[rows, place] = listed[best]
            likeness[at, best] = -np.inf
    return nearest


def _grouped(numbers: npt.NDArray[np.int32], count: int) -> list[Rows]:
    """Places of each number from 0 to count - 1, ascending."""
    order = np.argsort(numbers, kind="stable")
    bounds = np.searchsorted(numbers[order], np.arange(count + 1))
    return [order[a:b] for a, b in pairwise(bounds)]


def _in_blocks(groups: list[Rows], members: list[Rows]) -> list[tuple[Rows, Rows]]:
    """Pair groups with lists, cut where their products would not stay in the cache."""
    blocks = []
    for rows, listed in zip(groups, members, strict=True):
        step = max(16, _PRODUCT // max(1, len(listed)))
        blocks += [
            (rows[start : start + step], listed)
            for start in range(0, len(rows) if len(listed) else 0, step)
        ]
    return blocks


def _compared(
    numbers: npt.NDArray[np.float16],
    zooms: range,
    whole: Floats,
    lists: Lists,
    sources: npt.NDArray[np.integer] | None,
) -> list[Alike]:
    """Compare the crops of some zooms with the list of their nearest pivot."""
    step = max(1, _ASKED // len(zooms))

    def assign(start: int) -> npt.NDArray[np.int32]:
        crops = numbers[start : start + step, zooms.start : zooms.stop]
        return _nearest_pivots(_asking(crops.reshape(-1, crops.shape[2])), lists, 1)[:, 0]

    def search(block: tuple[Rows, Rows]) -> Alike | None:
        rows, zoom = block[0] // len(zooms), zooms.start + block[0] % len(zooms)
        return _in_list(_asking(numbers[rows, zoom]), rows, zoom, whole, block[1], sources)

    nearest = np.concatenate(list(in_threads(assign, range(0, len(numbers), step))))
    groups = _grouped(nearest, len(lists.members))
    found = in_threads(search, _in_blocks(groups, lists.members))
    none = np.empty(0, np.int64)
    nothing = Alike(none, none, none, np.empty(0, np.float32))
    return [nothing, *(part for part in found if part is not None)]


def _in_list(
    crops: Floats,
    rows: Rows,
    zoom: Rows,
    whole: Floats,
    listed: Rows,
    sources: npt.NDArray[np.integer] | None,
) -> Alike | None:
    """Nearest pictures of a list for crops of `rows`, where they stand out of the list."""
    likeness = crops @ whole[listed].T
    _hide(likeness, rows, listed, sources)
    power = np.einsum("ij,ij->i", crops[:, :-1], crops[:, :-1]) / 2
    near = _stand_out(likeness, power)
    if not len(near):
        return None
    return _nearest(likeness[near], power[near], rows[near], zoom[near], listed)


def _hide(
    likeness: Floats, rows: Rows, listed: Rows, sources: npt.NDArray[np.integer] | None
) -> None:
    """Take the picture itself off its list, and all of its source where sources are given."""
    if sources is None:
        place = np.searchsorted(listed, rows).clip(max=len(listed) - 1)
        here = np.flatnonzero(listed[place] == rows)
        likeness[here, place[here]] = -np.inf
        return
    own, theirs = sources[rows], sources[listed]
    first = np.r_[0, np.flatnonzero(own[1:] != own[:-1]) + 1]
    last = np.append(first[1:], len(rows))
    left, right = np.searchsorted(theirs, own[first]), np.searchsorted(theirs, own[first], "right")
    for k in np.flatnonzero(left < right):
        likeness[first[k] : last[k], left[k] : right[k]] = -np.inf


def _stand_out(likeness: Floats, power: Floats) -> Rows:
    """Rows whose nearest is near, and nearer than a crowd or alike: a few of many."""
    best = likeness[np.arange(len(likeness)), likeness.argmax(1)]
    half_square = np.maximum(power - best, 0)
    apart = half_square < ALIKE**2 / 2
    if likeness.shape[1] > CROWD:
        beside = likeness >= (power - half_square / APART**2)[:, None]
        apart |= np.count_nonzero(beside, axis=1) < CROWD
    else:
        apart[:] = True
    return np.flatnonzero(apart & (half_square < RADIUS**2 / 2))


def _nearest(likeness: Floats, power: Floats, rows: Rows, zoom: Rows, listed: Rows) -> Alike:
    """Nearest pictures of a list for the crops of `rows`, where they stand out of the list."""
    few = min(CROWD, len(listed))
    nearest = np.argpartition(-likeness, few - 1, axis=1)[:, :few]
    squares = 2 * (power[:, None] - np.take_along_axis(likeness, nearest, 1))
    distance = np.sqrt(squares.clip(0))
    crowd = distance.max(1) if len(listed) > CROWD else np.full(len(rows), np.inf)
    limit = np.maximum(ALIKE, APART * crowd).clip(max=RADIUS)
    kept = np.argsort(distance, axis=1, kind="stable")[:, :NEAREST]
    parts = []
    for place in kept.T:
        at = np.arange(len(rows))
        close = distance[at, place] < limit
        inner = listed[nearest[at, place][close]]
        parts.append(Alike(inner, rows[close], zoom[close], distance[at, place][close]))
    return _joined(parts)


def _joined(parts: list[Alike]) -> Alike:
    return Alike(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _best_of(found: list[Alike]) -> Alike:
    """Keep the nearest PER_PICTURE of each outer picture, and each pair once."""
    pairs = _joined(found)
    order = np.lexsort((pairs.inner, pairs.zoom, pairs.distance, pairs.outer))
    pairs = Alike(pairs.inner[order], pairs.outer[order], pairs.zoom[order], pairs.distance[order])
    first = np.searchsorted(pairs.outer, pairs.outer)
    few = np.arange(len(first)) - first < PER_PICTURE
    low, high = np.minimum(pairs.inner, pairs.outer), np.maximum(pairs.inner, pairs.outer)
    order = np.lexsort((pairs.zoom, pairs.distance, high, low))
    order = order[few[order]]
    low, high = low[order], high[order]
    new = np.r_[True, (low[1:] != low[:-1]) | (high[1:] != high[:-1])][: len(order)]
    return Alike(*(column[order[new]] for column in pairs))

"""Which pictures among millions look alike: an inverted file of descriptions, searched in blocks.

Some pictures are drawn as pivots, about the root of their number. Every picture is listed under its
nearest few pivots; a crop is compared with the list of its nearest pivot alone, so the work for one
grows as the root of the number, in matrix products (Sivic & Zisserman 2003; Jegou+11).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hoag.data.in_threads import in_threads

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

LISTED = 4  # pivots that a picture is listed under
NEAREST = 2  # pictures kept for a crop of one zoom
RADIUS = 22.0  # distance of descriptions beyond which pictures are not alike; copies scatter by 1
ALIKE = 5.0  # distance within which they are, whatever else is near
CROWD, APART = 5, 0.8  # or within this share of the distance to the CROWD-th nearest of the list
PER_PICTURE = 3  # kept of all zooms
_BLOCK = 16_384


class Alike(NamedTuple):
    """Pairs: inner and outer picture's row, the place in the ladder of zooms, their distance."""

    inner: Rows
    outer: Rows
    zoom: Rows
    distance: Floats


def alike_pictures(numbers: npt.NDArray[np.float16], sources: npt.NDArray[np.integer]) -> Alike:
    """Find for each picture, at each zoom, the pictures whose whole looks like its crop.

    Parameters
    ----------
    numbers
        (zooms, n, numbers) float16: descriptions of the crops of n pictures, the first of the
        whole. A memory map will do.
    sources
        (n,) whole numbers: crops are compared with pictures of other sources alone.

    Returns
    -------
    Alike
        Each pair once, at the zoom where it is nearest, sorted by rows.
    """
    whole = numbers[0].astype(np.float32)
    pivots = whole[_pivots(len(whole))]
    members = _lists(whole, pivots)
    found = []
    for zoom in range(len(numbers)):
        asked = whole if zoom == 0 else numbers[zoom].astype(np.float32)
        found += _at_zoom(zoom, asked, whole, pivots, members, sources)
    return _best_of(found)


def _at_zoom(
    zoom: int,
    asked: Floats,
    whole: Floats,
    pivots: Floats,
    members: list[Rows],
    sources: npt.NDArray[np.integer],
) -> list[Alike]:
    """Compare each crop with the list of its nearest pivot."""
    nearest = _nearest_pivots(asked, pivots, 1)[:, 0]
    order = np.argsort(nearest, kind="stable")
    bounds = np.searchsorted(nearest[order], np.arange(len(pivots) + 1))

    def search(number: int) -> Alike | None:
        rows, listed = order[bounds[number] : bounds[number + 1]], members[number]
        if not len(rows) or not len(listed):
            return None
        return _in_list(asked, rows, whole, listed, zoom, sources)

    return [part for part in in_threads(search, range(len(members))) if part is not None]


def _pivots(n: int) -> Rows:
    count = min(n, max(1, round(2 * n**0.5)))
    return np.linspace(0, n - 1, count).astype(np.int64)


def _lists(whole: Floats, pivots: Floats) -> list[Rows]:
    """Rows listed under each pivot, ascending."""
    nearest = _nearest_pivots(whole, pivots, min(LISTED, len(pivots)))
    rows = np.repeat(np.arange(len(whole)), nearest.shape[1])
    order = np.argsort(nearest.ravel(), kind="stable")
    bounds = np.searchsorted(nearest.ravel()[order], np.arange(1, len(pivots)))
    return np.split(rows[order], bounds)


def _nearest_pivots(asked: Floats, pivots: Floats, count: int) -> npt.NDArray[np.int32]:
    nearest = np.empty((len(asked), count), np.int32)
    power = (pivots**2).sum(1) / 2

    def assign(start: int) -> None:
        block = slice(start, start + _BLOCK)
        far = power - asked[block] @ pivots.T
        if count == 1:
            nearest[block, 0] = far.argmin(1)
        else:
            nearest[block] = np.argpartition(far, count - 1, axis=1)[:, :count]

    for _ in in_threads(assign, range(0, len(asked), _BLOCK)):
        pass
    return nearest


def _in_list(
    asked: Floats,
    rows: Rows,
    whole: Floats,
    listed: Rows,
    zoom: int,
    sources: npt.NDArray[np.integer],
) -> Alike:
    """Nearest pictures of a list for the crops of `rows`, where they stand out of the list."""
    crops, pictures = asked[rows], whole[listed]
    parts = []
    for start in range(0, len(rows), _BLOCK):
        own, mine = crops[start : start + _BLOCK], rows[start : start + _BLOCK]
        squares = (own**2).sum(1)[:, None] + (pictures**2).sum(1) - 2 * own @ pictures.T
        squares[mine[:, None] == listed] = np.inf  # itself, and its own crop
        if zoom:
            squares[sources[mine][:, None] == sources[listed]] = np.inf
        near = squares.min(1) < RADIUS**2
        squares, mine = squares[near], mine[near]
        few = min(CROWD, len(listed)) - 1
        nearest = np.argpartition(squares, few, axis=1)[:, : few + 1]
        distance = np.sqrt(np.take_along_axis(squares, nearest, 1).clip(0))
        crowd = distance.max(1) if len(listed) > CROWD else np.full(len(mine), np.inf)
        limit = np.maximum(ALIKE, APART * crowd).clip(max=RADIUS)
        kept = np.argsort(distance, axis=1, kind="stable")[:, :NEAREST]
        for place in kept.T:
            at = np.arange(len(mine))
            close = distance[at, place] < limit
            inner = listed[nearest[at, place][close]]
            where = np.full(len(inner), zoom)
            parts.append(Alike(inner, mine[close], where, distance[at, place][close]))
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

"""Which galaxies to label next, by what the user wants: settle doubts, see more kinds, confirm."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hoag.half_vectors import Ints, Vectors
from hoag.nearest import units

Want = Literal["uncertain", "diverse", "top"]

WANTS: dict[Want, str] = {
    "uncertain": "whose answer is least certain, unlike one another",
    "diverse": "typical of kinds that no label stands for yet",
    "top": "ranked highest, to confirm the catalogue's head",
}

_POOL = 10  # times as many uncertain ones as wanted, of which those least alike are taken
_SAMPLE, _KINDS, _AXES = 20_000, 400, 32  # galaxies, clusters at most, principal axes


def suggest(
    vectors: Vectors, doubt: NDArray[np.floating], order: Ints, labelled: Ints, count: int,
    want: Want, seed: int = 0,
) -> Ints:  # fmt: skip
    """Choose galaxies without a label.

    Parameters
    ----------
    vectors
        All galaxies.
    doubt
        (galaxies,) how uncertain the answer is.
    order
        (galaxies,) rows, highest ranked first.
    labelled
        Rows that have a label.
    count
        How many to suggest.
    want
        ``uncertain``: of the ten times as many most in doubt, those farthest from each other, since
        neighbours ask the same question twice. ``diverse``: the middle of the largest groups
        (k-means) without a label, which are typical where the farthest would be odd (TypiClust,
        Hacohen+22). ``top``: the highest ranked.
    seed
        Draws the sample that is grouped.

    Returns
    -------
    numpy.ndarray
        (count,) int64 rows, the most wanted first; fewer if there are not so many.
    """
    open_rows = np.ones(len(vectors), bool)
    open_rows[labelled] = False
    count = min(count, int(open_rows.sum()))
    if count == 0:
        return np.empty(0, np.int64)
    if want == "top":
        return np.asarray(order[open_rows[order]][:count], np.int64)
    if want == "diverse":
        return _typical(vectors, open_rows, labelled, count, seed)
    candidates = np.flatnonzero(open_rows)
    pool = candidates[np.argsort(-doubt[candidates], kind="stable")[: _POOL * count]]
    return _farthest(vectors, pool, count)


def _farthest(vectors: Vectors, pool: Ints, count: int) -> Ints:
    """Start with the first, then take whichever is least like those taken (k-centre, greedy)."""
    points = units(vectors.take(pool))
    taken = [0]
    likeness = points @ points[0]
    while len(taken) < count:
        likeness[taken] = np.inf
        taken.append(int(likeness.argmin()))
        likeness = np.maximum(likeness, points @ points[taken[-1]])
    return np.asarray(pool[taken], np.int64)


def _typical(
    vectors: Vectors, open_rows: NDArray[np.bool_], labelled: Ints, count: int, seed: int
) -> Ints:
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    sample = vectors.sample(_SAMPLE, seed)
    rows = np.union1d(sample[open_rows[sample]], labelled)
    points = units(vectors.take(rows))
    axes = min(_AXES, *points.shape)
    reduced = PCA(axes, svd_solver="randomized", random_state=seed).fit_transform(points)
    kinds = min(count + len(labelled), _KINDS + count, len(rows))
    grouped = KMeans(kinds, n_init=1, max_iter=50, random_state=seed).fit(reduced)
    is_open = open_rows[rows]
    told = np.bincount(grouped.labels_[~is_open], minlength=kinds)
    sizes = np.bincount(grouped.labels_, minlength=kinds)
    chosen: list[int] = []
    for kind in np.lexsort((-sizes, told)):  # the fewest labels first, then the largest
        members = np.flatnonzero((grouped.labels_ == kind) & is_open)
        if len(members) and len(chosen) < count:
            away = np.linalg.norm(reduced[members] - grouped.cluster_centers_[kind], axis=1)
            chosen.append(int(rows[members[away.argmin()]]))
    left = np.setdiff1d(rows[is_open], chosen)
    return np.array([*chosen, *left[: count - len(chosen)]], np.int64)

"""Which vectors are nearest a query: exact by one pass over all, or approximate by an index.

Similarity is the cosine between standardised vectors (see `hoag.half_vectors`), in [-1, 1]. Exact
search of several queries makes a block of rows float32, multiplies it with the queries and keeps
the best so far, so that its memory does not grow with the table. One query is first multiplied in
half precision, about as quick as reading, and only what may be among the best is looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hoag.console import say
from hoag.errors import HoagError
from hoag.half_products import half_products, off_by
from hoag.half_vectors import BLOCK, Floats, Ints, Vectors

MANY = 20_000_000
"""Galaxies beyond which search is approximate unless asked otherwise: exact takes seconds there."""

_COSINES = 1 << 18  # kept at once before the best of them are taken
_SCREENED = 1 << 14  # rows of the half-precision pass that are multiplied at once
_ALIKE = 0.02  # share of all: more candidates are not worth a second look
_QUERIES, _DEPTH = 100, 50  # an index is judged on so many queries, by their nearest so many


@dataclass(frozen=True)
class Nearest:
    """The rows nearest each query, nearest first.

    Attributes
    ----------
    rows
        (queries, k) int64; -1 where there are not so many.
    similarities
        (queries, k) float32 cosines; -inf there.
    """

    rows: Ints
    similarities: Floats


def units(numbers: NDArray[np.floating]) -> Floats:
    """Scale vectors (k, dim) to length 1; zeros stay zeros."""
    wide = np.asarray(numbers, np.float32)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0)


def neighbours(numbers: NDArray[np.floating], k: int) -> Ints:
    """Find the k nearest others of each vector by cosine, (n, k) int64 in no order; 0 < k < n."""
    unit = units(numbers)
    found = np.empty((len(unit), k), np.int64)
    for start in range(0, len(unit), 1024):
        near = unit[start : start + 1024] @ unit.T
        rows = np.arange(len(near))
        near[rows, start + rows] = -np.inf
        found[start : start + len(near)] = np.argpartition(-near, k - 1, axis=1)[:, :k]
    return found


def nearest(
    vectors: Vectors, queries: NDArray[np.floating], k: int,
    allowed: NDArray[np.bool_] | None = None,
) -> Nearest:  # fmt: skip
    """Find the nearest rows exactly.

    Parameters
    ----------
    vectors
        Where to look.
    queries
        (queries, dim) standardised vectors, of any length.
    k
        How many for each.
    allowed
        (galaxies,) which rows may be found; all by default.
    """
    wanted = units(queries)
    if len(wanted) == 1:
        screened = _screened(vectors, wanted[0], min(k, len(vectors)), allowed)
        if screened is not None:
            return screened
    parts = vectors.in_stretches(
        lambda start, stop: _best_of(vectors, wanted, k, allowed, start, stop)
    )
    similarities = np.concatenate([part.similarities for part in parts], axis=1)
    order = np.argsort(-similarities, axis=1, kind="stable")[:, : min(k, len(vectors))]
    rows = np.take_along_axis(np.concatenate([part.rows for part in parts], axis=1), order, 1)
    similarities = np.take_along_axis(similarities, order, 1)
    return Nearest(np.where(np.isfinite(similarities), rows, -1), similarities)


def _screened(
    vectors: Vectors, wanted: Floats, k: int, allowed: NDArray[np.bool_] | None
) -> Nearest | None:
    """The nearest of one query: all in half precision at the pace of memory, then the best exactly.

    None where too many are too alike to be told apart so, within twice what a cosine may be off by.
    """
    import torch

    cosines = np.empty(len(vectors), np.float32)

    def multiply(start: int, stop: int) -> None:
        for first in range(start, stop, _SCREENED):
            last = min(first + _SCREENED, stop)
            products = half_products(vectors.halves(first, last), wanted)
            np.multiply(products, vectors.inverse_norms[first:last], out=cosines[first:last])

    vectors.in_stretches(multiply)
    if allowed is not None:
        cosines[~allowed] = -np.inf
    edge = float(torch.topk(torch.from_numpy(cosines), k).values.min()) if k else np.inf
    near = np.flatnonzero(cosines >= edge - 2 * off_by(vectors.dim))
    if not np.isfinite(edge) or len(near) > _ALIKE * len(vectors) + 2 * k:
        return None
    exact = (vectors.take(near) @ wanted) * vectors.inverse_norms[near]
    order = np.argsort(-exact, kind="stable")[:k]
    return Nearest(near[order][None], exact[order][None])


def _best_of(
    vectors: Vectors, wanted: Floats, k: int, allowed: NDArray[np.bool_] | None, start: int,
    stop: int,
) -> Nearest:  # fmt: skip
    """The nearest of a stretch of rows: cosines of many blocks first, then their best."""
    import torch

    queries = torch.from_numpy(wanted.T.copy())
    best = np.full((len(wanted), 0), -np.inf, np.float32)
    rows = np.empty((len(wanted), 0), np.int64)
    many = max(BLOCK, _COSINES // len(wanted) // BLOCK * BLOCK)
    memory = torch.empty((many, len(wanted)))
    for first in range(start, stop, many):
        last = min(first + many, stop)
        for row, block in vectors.blocks(first, last):
            torch.mm(block, queries, out=memory[row - first : row - first + len(block)])
        cosines = memory[: last - first].numpy() * vectors.inverse_norms[first:last, None]
        if allowed is not None:
            cosines[~allowed[first:last]] = -np.inf
        both = np.concatenate([best, cosines.T], axis=1)
        place = np.concatenate(
            [rows, np.broadcast_to(np.arange(first, last), (len(wanted), last - first))], axis=1
        )
        kept = _largest(both, k)
        best, rows = np.take_along_axis(both, kept, 1), np.take_along_axis(place, kept, 1)
    return Nearest(rows, best)


def _largest(values: Floats, k: int) -> Ints:
    """Places of the k largest of each row, largest first, ties by place."""
    if values.shape[1] > k:
        # All that are at least the k-th largest: ties with it are then broken by place.
        edge = -np.partition(-values, k - 1, axis=1)[:, k - 1 : k]
        chosen = [np.flatnonzero(row >= least) for row, least in zip(values, edge, strict=True)]
        ordered = [
            places[np.argsort(-row[places], kind="stable")][:k]
            for row, places in zip(values, chosen, strict=True)
        ]
        return np.stack(ordered)
    return np.argsort(-values, axis=1, kind="stable")


class ApproximateIndex:
    """A graph (HNSW, Malkov & Yashunin 2020) that finds most of the nearest without reading all.

    Parameters
    ----------
    vectors
        What is indexed, in half precision.
    place
        File to keep the index in; read from there if it fits the vectors. None: memory alone.
    """

    def __init__(self, vectors: Vectors, place: Path | None = None):
        try:
            from usearch.index import Index
        except ImportError:
            raise HoagError(
                "an approximate index needs usearch: pip install 'hoag[index]'"
            ) from None
        self.vectors = vectors
        self.index: Any = Index(ndim=vectors.dim, metric="ip", dtype="f16", connectivity=32)
        self.recall: float | None = None
        if place is None or not self._read(place):
            self._build()
            if place is not None:
                self._write(place)

    def _read(self, place: Path) -> bool:
        if not place.is_file() or place.stat().st_mtime < _modified(self.vectors):
            return False
        try:
            self.index.load(str(place))
        except Exception:  # usearch has no family of errors of its own; a damaged file is rebuilt
            return False
        return len(self.index) == len(self.vectors) and self.index.ndim == self.vectors.dim

    def _build(self) -> None:
        from hoag.console import progress

        say(f"indexing {len(self.vectors):,} vectors")
        norms = self.vectors.inverse_norms
        total = -(-len(self.vectors) // BLOCK)
        for start, block in progress(self.vectors.blocks(), "indexing", total=total, unit="blocks"):
            rows = np.arange(start, start + len(block))
            self.index.add(rows, block.numpy() * norms[rows, None])

    def _write(self, place: Path) -> None:
        from hoag.files import written_whole

        with written_whole(place) as temporary:
            self.index.save(str(temporary))

    def nearest(
        self, queries: NDArray[np.floating], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> Nearest:
        """As `hoag.nearest.nearest`, with most of the same answers; the cosines are exact.

        With `allowed` more are looked up, until enough of them are allowed; if all that the index
        leads to do not suffice, all vectors are.
        """
        wanted = units(queries)
        kept = [self._one(query, k, allowed) for query in wanted]
        rows = np.full((len(kept), k), -1, np.int64)
        similarities = np.full((len(kept), k), -np.inf, np.float32)
        for number, found in enumerate(kept):
            cosines = (units(self.vectors.take(found)) @ wanted[number]).astype(np.float32)
            order = np.argsort(-cosines, kind="stable")
            rows[number, : len(found)] = found[order]
            similarities[number, : len(found)] = cosines[order]
        return Nearest(rows, similarities)

    def _one(self, query: Floats, k: int, allowed: NDArray[np.bool_] | None) -> Ints:
        depth = min(max(2 * k, 64), len(self.vectors))
        while True:
            found = np.asarray(self.index.search(query, depth).keys, np.int64)
            found = found if allowed is None else found[allowed[found]]
            if len(found) >= k:
                return found[:k]
            if depth == len(self.vectors):
                break
            depth = min(4 * depth, len(self.vectors))
        # The graph, which threads have built, need not lead to each row.
        rows = nearest(self.vectors, query[None], k, allowed).rows[0]
        return rows[rows >= 0]

    def measure_recall(self, seed: int = 0) -> float:
        """Share of the exact nearest 50 that the index finds, over 100 galaxies as queries."""
        chosen = self.vectors.sample(_QUERIES, seed)
        queries = self.vectors.take(chosen)
        depth = min(_DEPTH, len(self.vectors))
        exact = nearest(self.vectors, queries, depth)
        guess = self.nearest(queries, depth)
        hits = [len(set(a) & set(b)) for a, b in zip(exact.rows, guess.rows, strict=True)]
        self.recall = float(np.mean(hits)) / depth
        say(
            f"approximate index: finds {100 * self.recall:.1f} % of the exact nearest {depth} "
            f"(mean over {len(chosen)} galaxies)"
        )
        return self.recall


def _modified(vectors: Vectors) -> float:
    path = Path(vectors.source)
    return path.stat().st_mtime if path.is_file() else 0.0

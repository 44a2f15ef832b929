"""Representations laid out in the plane: principal axes at once, UMAP with patience."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hoag.console import say
from hoag.errors import HoagError
from hoag.half_vectors import Vectors

Floats = NDArray[np.float32]
Method = Literal["pca", "umap"]

_AXES = 50  # principal axes that UMAP sees: the rest is mostly noise, and costs time
_FITTED = 100_000  # galaxies UMAP is fitted to; others are placed among them


@dataclass(frozen=True)
class Projection:
    """Places in the plane.

    Attributes
    ----------
    places
        (galaxies, 2) float32.
    names
        What the two axes are called.
    """

    places: Floats
    names: tuple[str, str]


def project(vectors: Vectors, method: Method = "pca", seed: int = 0) -> Projection:
    """Lay galaxies out in the plane.

    Parameters
    ----------
    vectors
        Standardised representations.
    method
        ``pca``: the two directions in which they vary most. ``umap``: neighbours stay neighbours
        (McInnes+18; the extra ``map``), distances between groups mean little.
    seed
        Of UMAP; on one machine the same seed gives the same map.
    """
    if method not in ("pca", "umap"):
        raise HoagError(f"method = '{method}' is neither pca nor umap")
    if len(vectors) < 3:
        raise HoagError(f"{len(vectors)} galaxies make no map; embed more")
    axes, shares = principal_axes(vectors, 2 if method == "pca" else _AXES)
    places = _onto(vectors, axes)
    if method == "umap":
        return Projection(_umap(places, seed), ("UMAP 1", "UMAP 2"))
    if places.shape[1] < 2:
        places = np.pad(places, ((0, 0), (0, 1)))
        shares = np.append(shares, 0.0)
    first, second = (f"Principal axis {k + 1} ({100 * shares[k]:.0f} %)" for k in (0, 1))
    return Projection(places, (first, second))


def principal_axes(vectors: Vectors, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Principal axes (dim, count) and their shares of the variance, from one pass over all.

    The sign of each is such that its largest entry is positive.
    """
    parts = vectors.in_stretches(lambda start, stop: _products(vectors, start, stop))
    mean = sum(total for _, total in parts) / len(vectors)
    covariance = sum(products for products, _ in parts) / len(vectors) - np.outer(mean, mean)
    values, axes = np.linalg.eigh(covariance)
    axes = axes[:, ::-1][:, :count]
    largest = np.abs(axes).argmax(axis=0)
    axes = axes * np.sign(axes[largest, np.arange(axes.shape[1])])
    return axes, np.maximum(values[::-1][:count], 0) / max(values.sum(), 1e-12)


def _products(
    vectors: Vectors, start: int, stop: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums over a stretch of rows of the products of features, and of the features."""
    import torch

    products = torch.zeros((vectors.dim, vectors.dim), dtype=torch.float64)
    total = torch.zeros(vectors.dim, dtype=torch.float64)
    for _, block in vectors.blocks(start, stop):
        products += (block.T @ block).double()
        total += block.sum(dim=0).double()
    return products.numpy(), total.numpy()


def _onto(vectors: Vectors, axes: NDArray[np.float64]) -> Floats:
    import torch

    matrix = torch.from_numpy(np.ascontiguousarray(axes, np.float32))
    places = np.empty((len(vectors), axes.shape[1]), np.float32)

    def put(start: int, stop: int) -> None:
        for first, block in vectors.blocks(start, stop):
            places[first : first + len(block)] = (block @ matrix).numpy()

    vectors.in_stretches(put)
    return places


def _umap(points: Floats, seed: int) -> Floats:
    try:
        from umap import UMAP
    except ImportError:
        raise HoagError("UMAP needs umap-learn: pip install 'hoag[map]'") from None
    import warnings

    rows = np.arange(len(points))
    if len(points) > _FITTED:
        say(f"UMAP is fitted to {_FITTED:,} of {len(points):,} galaxies; the others follow")
        rows = np.sort(np.random.default_rng(seed).choice(len(points), _FITTED, replace=False))
    neighbours = min(15, len(rows) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numba and of a seed that takes one thread
        start = points[rows, :2] / max(float(points[:, 0].std()), 1e-6)
        fitted = UMAP(
            n_neighbors=neighbours, random_state=seed, n_jobs=1, init=start.astype(np.float32)
        ).fit(points[rows])
        places = np.empty((len(points), 2), np.float32)
        places[rows] = fitted.embedding_
        others = np.setdiff1d(np.arange(len(points)), rows)
        if len(others):
            places[others] = fitted.transform(points[others])
    return places

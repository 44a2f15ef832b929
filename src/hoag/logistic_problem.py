"""Logistic regression of labelled galaxies, in the coordinates in which it is solved quickly."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_LARGEST_ROTATION = 1500  # an eigendecomposition beyond this costs more than it saves
_CACHED = 1 << 20  # bytes of the design that are multiplied at once, forth and back, in a cache


@dataclass(frozen=True)
class Problem:
    """The labelled galaxies in the coordinates in which they are solved.

    Parameters of several fits ("columns", one a fold) are held as (axes + 1, columns, outputs), the
    intercepts in the last row.
    """

    mean: Floats
    scale: Floats
    lift: Callable[[Floats], Floats]  # weights on the r coordinates to weights on the features
    design: Floats  # (n, r + 1), the last column ones
    axes: Floats | None  # (r, r), as columns; None: the coordinates are axes already
    variance: Floats  # (r + 1,) sum of squares of the design along each axis
    targets: Floats  # (n, outputs): 0/1, or one-hot

    @staticmethod
    def make(features: NDArray[np.floating], labels: Ints, classes: int) -> "Problem":
        """Standardise features (n, dim) and find their axes; labels (n,) are class numbers."""
        design = np.ones((len(features), features.shape[1] + 1))
        scaled = design[:, :-1]  # changed in place: new memory takes time
        scaled[:] = features
        mean = scaled.mean(axis=0)
        scaled -= mean
        scale = np.sqrt(_squares(scaled) / len(scaled))
        scale = np.where(scale > 1e-12 * (1 + np.abs(mean)), scale, 1.0)  # constants stay 0
        scaled /= scale
        hot = labels[:, None] == (np.arange(classes) if classes > 2 else np.ones(1))
        targets = hot.astype(np.float64)
        if len(scaled) < features.shape[1] and len(scaled) <= _LARGEST_ROTATION:
            design, lift = _spanned(scaled)
            return Problem(mean, scale, lift, design, None, _squares(design), targets)
        axes, variance = _principal_axes(design)
        return Problem(mean, scale, np.asarray, design, axes, variance, targets)

    def in_float32(self) -> "Problem":
        """The same in single precision, which is half as much to read."""
        names = ("design", "axes", "variance", "targets")
        parts = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return replace(self, **{name: part.astype(np.float32) for name, part in parts.items()})

    def preconditioned(self, vector: Floats, diagonal: Floats) -> Floats:
        """Divide a vector by the diagonal on the principal axes."""
        if self.axes is None:
            return vector / diagonal
        turned = vector.reshape(len(vector), -1).copy()
        turned[:-1] = self.axes.T @ turned[:-1]
        turned /= diagonal.reshape(len(vector), -1)
        turned[:-1] = self.axes @ turned[:-1]
        return turned.reshape(vector.shape)

    def blocks(self) -> list[slice]:
        """Rows of the design that fit a cache together."""
        rows = max(64, _CACHED // self.design[0].nbytes)
        return [slice(start, start + rows) for start in range(0, len(self.design), rows)]

    def logits(self, parameters: Floats) -> Floats:
        """(n, columns, outputs)."""
        flat = self.design @ parameters.reshape(len(parameters), -1)
        return flat.reshape(len(flat), *parameters.shape[1:])

    def pull_back(self, values: Floats) -> Floats:
        """Transpose of `logits`: (n, columns, outputs) to the shape of the parameters."""
        flat = self.design.T @ values.reshape(len(values), -1)
        return flat.reshape(len(flat), *values.shape[1:])

    def log_likelihood(self, parameters: Floats) -> Floats:
        """(n, columns) nats."""
        return self.log_likelihood_of(self.logits(parameters))

    def log_likelihood_of(self, logits: Floats) -> Floats:
        """(n, columns) nats."""
        if logits.shape[2] == 1:
            signed = np.where(self.targets[:, None, 0] > 0, logits[..., 0], -logits[..., 0])
            return -np.logaddexp(0.0, -signed)
        top = logits.max(axis=2)
        total = np.log(np.exp(logits - top[..., None]).sum(axis=2)) + top
        return (logits * self.targets[:, None]).sum(axis=2) - total


def _principal_axes(design: Floats) -> tuple[Floats | None, Floats]:
    """Principal axes as columns, and the sum of squares along each and in the column of ones.

    In float32, since they are but a preconditioner.
    """
    if design.shape[1] - 1 > _LARGEST_ROTATION:
        return None, _squares(design)
    single = design[:, :-1].astype(np.float32)
    values, axes = np.linalg.eigh(single.T @ single)
    return axes.astype(np.float64), np.append(values.clip(0), len(design)).astype(np.float64)


def _spanned(scaled: Floats) -> tuple[Floats, Callable[[Floats], Floats]]:
    """Coordinates of few galaxies on their principal axes, then ones; the way back for weights."""
    values, vectors = np.linalg.eigh(scaled @ scaled.T)
    kept = values > max(values[-1], 1.0) * 1e-13  # centred features have rank n - 1
    lengths, vectors = np.sqrt(values[kept]), vectors[:, kept]
    design = np.concatenate([vectors * lengths, np.ones((len(scaled), 1))], axis=1)
    # The axes themselves, scaled.T @ vectors / lengths, are (dim, n): never made, as dim is large.
    return design, lambda weights: scaled.T @ (vectors / lengths @ weights)


def _squares(columns: Floats) -> Floats:
    """Sum of squares of each column."""
    return np.asarray(np.einsum("ij,ij->j", columns, columns))


def sigmoid(logits: Floats) -> Floats:
    """Chance of the second of two classes."""
    half = np.tanh(0.5 * logits)
    return np.asarray(0.5 * (1.0 + half))


def softmax(logits: Floats) -> Floats:
    """Chances of classes, which the last axis counts."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))

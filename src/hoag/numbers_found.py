"""Numbers from a few labels: ridge regression, with intervals that hold whatever the errors' shape.

The interval of a galaxy's number is the prediction plus and minus a quantile of the held-out
errors' sizes, taken at rank ceil(0.9 (n + 1)) of n: split-conformal prediction with the held-out
errors of cross-validation (CV+, Barber+21), so that about 90 % of new galaxies, if they are like
the labelled ones, lie inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hoag.errors import HoagError
from hoag.half_vectors import Ints
from hoag.more_labels import Learning, learn_numbers, sizes_of
from hoag.same_object import rows_of

Floats = NDArray[np.float64]

LEVEL = 0.90
_PENALTIES = 10.0 ** np.arange(-1, 7)
_FOLDS, _REPEATS, _SUBSETS = 10, 3, 5


@dataclass(frozen=True)
class NumberProbe:
    """A fitted ridge regression and its held-out predictions.

    Attributes
    ----------
    weights, intercept
        (dim,) and a number: prediction = features @ weights + intercept.
    held_out
        (labelled,) mean over repeats of predictions by fits without the galaxy.
    half_width
        Half the width of the 90 % interval of a prediction.
    spread
        (dim, dim) such that sqrt(x @ spread @ x) says how far x lies from what was labelled.
    """

    weights: Floats
    intercept: float
    held_out: Floats
    half_width: float
    spread: Floats

    def scatter(self, values: Floats) -> dict[str, float]:
        """How well held-out predictions agree with the labels: rms, r2 and the interval's half."""
        errors = values - self.held_out
        return {
            "rms": float(np.sqrt((errors**2).mean())),
            "r2": float(1 - (errors**2).mean() / values.var()),
            "half_width": self.half_width,
        }


def fit_numbers(
    features: NDArray[np.floating], values: Floats, seed: int = 0, objects: Ints | None = None
) -> NumberProbe:
    """Fit a ridge regression, its penalty chosen by leave-one-out, and predict the held out.

    `objects`, (labelled,), numbers sky objects, whose images are held out together.
    """
    from sklearn.model_selection import RepeatedKFold

    objects = np.arange(len(values)) if objects is None else objects
    count = int(objects.max()) + 1
    if count < 2:
        raise HoagError(
            "all labelled galaxies are images of one sky object, so none can be held out to test "
            "the others; label another object"
        )
    folds = min(_FOLDS, count)
    cutter = RepeatedKFold(n_splits=folds, n_repeats=_REPEATS, random_state=seed)
    held_out = np.zeros((_REPEATS, len(values)))
    for number, parts in enumerate(cutter.split(np.arange(count))):
        train, test = (rows_of(objects, part) for part in parts)
        held_out[number // folds, test] = _ridge(features[train], values[train]).predict(
            features[test]
        )
    errors = np.sort(np.abs(values - held_out).mean(axis=0))
    rank = int(np.ceil(LEVEL * (len(values) + 1)))
    whole = _ridge(features, values)
    scaler, ridge = whole[0], whole[1]
    weights = ridge.coef_ / scaler.scale_
    scaled = (features - scaler.mean_) / scaler.scale_
    gram = scaled.T @ scaled + ridge.alpha_ * np.eye(features.shape[1])
    back = 1 / scaler.scale_
    return NumberProbe(
        weights,
        float(ridge.intercept_ - scaler.mean_ @ weights),
        held_out.mean(axis=0),
        float(errors[min(rank, len(errors)) - 1]),
        np.linalg.inv(gram) * back[:, None] * back,
    )


def _ridge(features: NDArray[np.floating], values: Floats) -> Any:
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), RidgeCV(_PENALTIES)).fit(
        np.asarray(features, np.float64), values
    )


def learning_of(
    features: NDArray[np.floating], values: Floats, seed: int = 0, objects: Ints | None = None
) -> Learning:
    """Measure and continue the RMS error at nested numbers of labels."""
    labels = len(values)
    objects = np.arange(labels) if objects is None else objects
    generator = np.random.default_rng([seed, labels])
    fold = (generator.permutation(int(objects.max()) + 1) % 5)[objects]
    largest = labels - int(np.bincount(fold).max())
    sizes = [size for size in sizes_of(labels, labels, 5) if size < largest] + [largest]
    squares = {size: np.zeros(labels) for size in sizes}
    for held in range(5):
        test, others = np.flatnonzero(fold == held), np.flatnonzero(fold != held)
        for _ in range(_SUBSETS):
            order = generator.permutation(others)
            for size in sizes:
                train = order[:size]
                guess = _ridge(features[train], values[train]).predict(features[test])
                squares[size][test] += (guess - values[test]) ** 2 / _SUBSETS
    return learn_numbers(sizes, [squares[size] for size in sizes], labels, seed)

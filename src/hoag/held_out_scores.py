"""The probe of a few labels, and what it says of each labelled galaxy when it has not seen it.

Scores of different fits differ in scale (a weaker penalty gives larger logits), so each fit's are
put in standard deviations of its scores over one sample of the population.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hoag.half_vectors import Ints
from hoag.linear import LinearClassifier, fit_linear
from hoag.same_object import class_of_objects, fewest_objects, rows_of

Floats = NDArray[np.float64]

FOLDS = 10
_FITS = 60  # folds times repeats, at most, for few labels


@dataclass(frozen=True)
class Probe:
    """A linear score, fitted to all labels, and the scores of the labelled out of fold.

    Attributes
    ----------
    weights, intercept
        (dim,) and a number: score = features @ weights + intercept, in standard deviations of the
        population's scores about their mean.
    held_out
        (repeats, labelled) scores by fits without the galaxy.
    strength
        C of the penalty, chosen by inner folds of all labels.
    """

    weights: Floats
    intercept: float
    held_out: Floats
    strength: float


def fit_probe(
    features: NDArray[np.floating],
    yes: NDArray[np.bool_],
    population: NDArray[np.floating],
    seed: int = 0,
    objects: Ints | None = None,
) -> Probe:
    """Fit the probe and score the labelled by 10-fold cross-validation, repeated when they are few.

    Folds are stratified, and images of one sky object lie in one fold.

    Parameters
    ----------
    features
        (labelled, dim).
    yes
        (labelled,), two of each at least.
    population
        (sample, dim) features of galaxies at large.
    seed
        Draws the folds.
    objects
        (labelled,) number of the sky object of each; by default each is its own.
    """
    from sklearn.model_selection import RepeatedStratifiedKFold

    labels = yes.astype(np.int64)
    sample = np.asarray(population, np.float64)
    whole = fit_linear(features, labels, 2)
    objects = np.arange(len(yes)) if objects is None else objects
    folds = min(FOLDS, fewest_objects(objects, yes))
    repeats = max(1, min(_FITS // folds, 1000 // len(yes)))
    held_out = np.empty((repeats, len(yes)))
    cutter = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
    classes = class_of_objects(objects, yes)
    for number, parts in enumerate(cutter.split(classes, classes)):
        train, test = (rows_of(objects, part) for part in parts)
        counts = np.bincount(labels[train], minlength=2)
        if counts.min() < 2:  # two labels of a class, one of them held out
            train = np.concatenate([train, train])
        fitted = fit_linear(features[train], labels[train], 2, strengths=[whole.strength])
        weights, intercept = _standard(fitted, sample)
        held_out[number // folds, test] = features[test] @ weights + intercept
    return Probe(*_standard(whole, sample), held_out, whole.strength)


def _standard(fitted: LinearClassifier, sample: Floats) -> tuple[Floats, float]:
    """Weights and intercept that give a fit's score in standard deviations of the sample's."""
    weights = fitted.weights[:, 0] / fitted.scale
    scores = sample @ weights
    spread = scores.std() or 1.0
    return weights / spread, float(-scores.mean() / spread)


def area_under_curve(scores: NDArray[np.floating], yes: NDArray[np.bool_]) -> float:
    """AUC of scores (repeats, labelled), the mean over repeats."""
    from sklearn.metrics import roc_auc_score

    return float(np.mean([roc_auc_score(yes, row) for row in scores]))

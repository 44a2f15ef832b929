"""The linear classifier of every probe: L2 logistic regression, its strength chosen by inner folds.

It finds the same optimum as scikit-learn's ``LogisticRegression`` (which the tests check), several
times faster, because a label-efficiency curve needs some ten thousand fits: on the principal axes
of the labelled galaxies a diagonal preconditions Newton's method well, and when there are fewer
galaxies than features they are turned to these, as the solution lies in their span; the inner folds
are solved together as columns of one problem, and each strength starts from the last.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hoag.errors import HoagError
from hoag.logistic_problem import Floats, Ints, Problem, sigmoid, softmax
from hoag.newton import solve

STRENGTHS: tuple[float, ...] = tuple(10.0**power for power in range(-5, 3))
"""The values of C (inverse penalty, scikit-learn's meaning) among which the inner folds choose."""

_AT_ONCE = 1 << 10  # galaxies whose features are made float64 together, within the caches


@dataclass(frozen=True)
class LinearClassifier:
    """A fitted logistic regression on standardised features.

    Attributes
    ----------
    mean, scale
        (dim,) standardisation, from the labelled galaxies alone.
    weights, intercepts
        (dim, outputs) and (outputs,): one output for two classes (the logit of the second), else
        one for each class (softmax).
    strength
        The C used.
    """

    mean: Floats
    scale: Floats
    weights: Floats
    intercepts: Floats
    strength: float

    def probabilities(self, features: NDArray[np.floating]) -> Floats:
        """Class probabilities, (galaxies, classes) float64, of features (galaxies, dim)."""
        weights = self.weights / self.scale[:, None]  # standardising is a part of the product
        intercepts = self.intercepts - self.mean @ weights
        logits = np.empty((len(features), weights.shape[1]))
        for start in range(0, len(features), _AT_ONCE):
            part = np.asarray(features[start : start + _AT_ONCE], np.float64)
            logits[start : start + _AT_ONCE] = part @ weights + intercepts
        if logits.shape[1] == 1:
            second = sigmoid(logits[:, 0])
            return np.stack([1 - second, second], axis=1)
        return softmax(logits)


def fit_linear(
    features: NDArray[np.floating],
    labels: NDArray[np.integer],
    classes: int,
    *,
    strengths: Sequence[float] = STRENGTHS,
    inner_folds: int = 3,
    tolerance: float = 1e-11,
) -> LinearClassifier:
    """Fit a logistic regression, its strength chosen by the log loss of stratified inner folds.

    Strengths are tried from the smallest C up, and the search ends once the log loss has risen
    twice in a row, or once by more than a tenth: what lies beyond fits noise, at the highest cost.

    Parameters
    ----------
    features
        (galaxies, dim), any floating type, finite.
    labels
        (galaxies,) class numbers in [0, classes); each class at least twice, so that no inner fold
        lacks one.
    classes
        Number of classes, 2 or more.
    strengths
        Values of C, ascending; with one alone no inner folds are made.
    inner_folds
        Number of inner folds.
    tolerance
        Newton stops when the objective is within about this of its minimum, per galaxy, in nats.

    Raises
    ------
    HoagError
        If a class has fewer than two galaxies.
    """
    numbers = np.asarray(labels, np.int64)
    counts = np.bincount(numbers, minlength=classes)
    if counts.min() < 2:
        raise HoagError(
            f"class number {counts.argmin()} has {counts.min()} galaxies among {len(numbers)} "
            "labels; a linear probe needs at least 2 of each class"
        )
    problem = Problem.make(features, numbers, classes)
    everything = np.ones((len(numbers), 1))
    if len(strengths) == 1:
        best, start = strengths[0], None
    else:
        best, start = _choose_strength(problem, strengths, inner_folds_of(numbers, inner_folds))
    solution = solve(problem, everything, best, start, tolerance)
    weights = problem.lift(solution[:-1, 0])
    return LinearClassifier(problem.mean, problem.scale, weights, solution[-1, 0], best)


def inner_folds_of(labels: Ints, folds: int) -> Ints:
    """Deal galaxies to folds class by class in the order given (which the subsets made random)."""
    order = np.argsort(labels, kind="stable")
    fold = np.empty(len(labels), np.int64)
    fold[order] = np.arange(len(labels)) % folds
    return fold


def _choose_strength(
    problem: Problem, strengths: Sequence[float], fold: Ints
) -> tuple[float, Floats]:
    """Find the best C and a start for the fit with it: the mean solution of the inner folds.

    In float32, in half the time: log losses are then known to 1e-6, and strengths differ by more.
    """
    problem = problem.in_float32()
    held_out = fold[:, None] == np.arange(fold.max() + 1)
    training = (~held_out).astype(np.float32)
    parameters: Floats | None = None
    best, best_loss, best_start, rises, last = strengths[0], np.inf, np.empty(0), 0, np.inf
    for strength in strengths:
        parameters = solve(problem, training, strength, parameters, 1e-8)
        logs = problem.log_likelihood(parameters)
        loss = float(-(logs * held_out).sum())
        if loss < best_loss:
            best, best_loss = strength, loss
            best_start = parameters.mean(axis=1, keepdims=True).astype(np.float64)
        rises = rises + 1 if loss > last else 0
        if rises == 2 or loss > 1.1 * last:
            break
        last = loss
    return best, best_start

"""The linear classifier of every probe: L2 logistic regression, its strength chosen by inner folds.

It finds the same optimum as scikit-learn's ``LogisticRegression`` (which the tests check), several
times faster, because a label-efficiency curve needs some ten thousand fits: the labelled galaxies
are rotated once to their principal axes (when there are fewer galaxies than features the solution
lies in their span, so nothing is lost), where a diagonal preconditions Newton's method well; the
inner folds are solved together as columns of one problem, and each strength starts from the last.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hoag.errors import HoagError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STRENGTHS: tuple[float, ...] = tuple(10.0**power for power in range(-5, 3))
"""The values of C (inverse penalty, scikit-learn's meaning) among which the inner folds choose."""

_AT_ONCE = 1 << 10  # galaxies whose features are made float64 together, within the caches
_LARGEST_ROTATION = 1500  # an eigendecomposition beyond this costs more than it saves
_FOR_AXES = 1 << 12  # galaxies are enough for the directions of the principal axes


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
            second = _sigmoid(logits[:, 0])
            return np.stack([1 - second, second], axis=1)
        return _softmax(logits)


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
    problem = _Problem.make(features, numbers, classes)
    everything = np.ones((len(numbers), 1))
    if len(strengths) == 1:
        best, start = strengths[0], None
    else:
        best, start = _choose_strength(problem, strengths, inner_folds_of(numbers, inner_folds))
    solution = _solve(problem, everything, best, start, tolerance)
    return problem.classifier(solution, best)


def inner_folds_of(labels: Ints, folds: int) -> Ints:
    """Deal galaxies to folds class by class in the order given (which the subsets made random)."""
    order = np.argsort(labels, kind="stable")
    fold = np.empty(len(labels), np.int64)
    fold[order] = np.arange(len(labels)) % folds
    return fold


def _choose_strength(
    problem: "_Problem", strengths: Sequence[float], fold: Ints
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
        parameters = _solve(problem, training, strength, parameters, 1e-8)
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


@dataclass(frozen=True)
class _Problem:
    """The labelled galaxies in the coordinates in which they are solved.

    Parameters of several fits ("columns", one a fold) are held as (axes + 1, columns, outputs), the
    intercepts in the last row.
    """

    mean: Floats
    scale: Floats
    lift: Callable[[Floats], Floats]  # weights on the r coordinates to weights on the features
    design: Floats  # (n, r + 1), the last column ones
    variance: Floats  # (r + 1,) sum of squares of each column of the design
    targets: Floats  # (n, outputs): 0/1, or one-hot

    @staticmethod
    def make(features: NDArray[np.floating], labels: Ints, classes: int) -> "_Problem":
        scaled = np.array(features, np.float64)  # a copy, changed in place: new memory takes time
        mean = scaled.mean(axis=0)
        scaled -= mean
        scale = np.sqrt(_squares(scaled) / len(scaled))
        scale = np.where(scale > 1e-12 * (1 + np.abs(mean)), scale, 1.0)  # constants stay 0
        scaled /= scale
        design, lift = _principal_design(scaled)
        hot = labels[:, None] == (np.arange(classes) if classes > 2 else np.ones(1))
        return _Problem(mean, scale, lift, design, _squares(design), hot.astype(np.float64))

    def in_float32(self) -> "_Problem":
        parts = {name: getattr(self, name) for name in ("design", "variance", "targets")}
        return replace(self, **{name: part.astype(np.float32) for name, part in parts.items()})

    def classifier(self, parameters: Floats, strength: float) -> LinearClassifier:
        weights = self.lift(parameters[:-1, 0])
        return LinearClassifier(self.mean, self.scale, weights, parameters[-1, 0], strength)

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
        if logits.shape[2] == 1:
            signed = np.where(self.targets[:, None, 0] > 0, logits[..., 0], -logits[..., 0])
            return -np.logaddexp(0.0, -signed)
        top = logits.max(axis=2)
        total = np.log(np.exp(logits - top[..., None]).sum(axis=2)) + top
        return (logits * self.targets[:, None]).sum(axis=2) - total


def _principal_design(scaled: Floats) -> tuple[Floats, Callable[[Floats], Floats]]:
    """Coordinates of the galaxies on their principal axes, then ones; the way back for weights."""
    n, dim = scaled.shape
    if min(n, dim) > _LARGEST_ROTATION:
        design = np.ones((n, dim + 1))
        design[:, :-1] = scaled
        return design, lambda weights: weights
    if n >= dim:
        # In any turned axes the solution is the same; nearly principal ones are as quick to it.
        some = scaled[:: max(1, n // _FOR_AXES)]
        axes = np.linalg.eigh(some.T @ some)[1]
        design = np.ones((n, dim + 1))
        np.matmul(scaled, axes, out=design[:, :-1])
        return design, lambda weights: np.asarray(axes @ weights)
    values, vectors = np.linalg.eigh(scaled @ scaled.T)
    kept = values > max(values[-1], 1.0) * 1e-13  # centred features have rank n - 1
    lengths, vectors = np.sqrt(values[kept]), vectors[:, kept]
    design = np.concatenate([vectors * lengths, np.ones((n, 1))], axis=1)
    # The axes themselves, scaled.T @ vectors / lengths, are (dim, n): never made, as dim is large.
    return design, lambda weights: scaled.T @ (vectors / lengths @ weights)


def _squares(columns: Floats) -> Floats:
    """Sum of squares of each column."""
    return np.asarray(np.einsum("ij,ij->j", columns, columns))


def _sigmoid(logits: Floats) -> Floats:
    half = np.tanh(0.5 * logits)
    return np.asarray(0.5 * (1.0 + half))


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _solve(
    problem: _Problem, weight: Floats, strength: float, start: Floats | None, tolerance: float
) -> Floats:
    """Minimise ``-sum(weight * log likelihood) + |w|^2 / (2 C)`` for every column of `weight`.

    Damped Newton steps, each by preconditioned conjugate gradients; a column that has converged
    takes no further steps. `weight` is (n, columns), 0 where a galaxy is held out.
    """
    shape = (problem.design.shape[1], weight.shape[1], problem.targets.shape[1])
    kind = problem.design.dtype
    parameters = np.zeros(shape, kind) if start is None else start.copy()
    penalty = np.full((shape[0], 1, 1), 1.0 / strength, kind)
    penalty[-1] = 0.0  # intercepts are free
    logits = problem.logits(parameters)
    goal = tolerance * weight.sum(axis=0)
    for _ in range(100):
        chance = _sigmoid(logits) if shape[2] == 1 else _softmax(logits)
        slope = weight[..., None] * (chance - problem.targets[:, None])
        gradient = problem.pull_back(slope) + penalty * parameters
        bend = weight[..., None] * chance * (1 - chance)
        # The principal axes make the Hessian nearly diagonal where the bends are nearly equal.
        typical = bend.sum(axis=0) / weight.sum(axis=0)[:, None]
        diagonal = problem.variance[:, None, None] * typical + penalty + 1e-12
        decrement = 0.5 * (gradient**2 / diagonal).sum(axis=(0, 2))
        active = decrement > goal
        if not active.any():
            break
        step = _newton_direction(problem, weight, chance, penalty, gradient, diagonal, active)
        shift = problem.logits(step)
        length = _step_lengths(problem, weight, penalty, parameters, logits, step, shift, gradient)
        length *= active
        parameters = parameters + length[:, None] * step
        logits = logits + length[:, None] * shift
        if not length.any():
            break
    return parameters


def _newton_direction(
    problem: _Problem,
    weight: Floats,
    chance: Floats,
    penalty: Floats,
    gradient: Floats,
    diagonal: Floats,
    active: NDArray[np.bool_],
) -> Floats:
    """Solve ``Hessian @ step = -gradient`` in each column, as closely as Newton's pace needs."""

    def hessian(vector: Floats) -> Floats:
        bent = chance * problem.logits(vector)
        if chance.shape[2] == 1:
            bent = bent * (1 - chance)
        else:
            bent -= chance * bent.sum(axis=2, keepdims=True)
        return problem.pull_back(weight[..., None] * bent) + penalty * vector

    step = np.zeros_like(gradient)
    residual = -gradient
    towards = residual / diagonal
    direction = towards
    size = (residual * towards).sum(axis=(0, 2))
    per_galaxy = size / np.maximum(weight.sum(axis=0), 1)
    # Eisenstat-Walker: loose far from the minimum, tight near it (quadratic convergence).
    wanted = size * np.minimum(0.01, per_galaxy)
    for _ in range(250):
        moving = active & (size > wanted)
        if not moving.any():
            break
        bent = hessian(direction)
        curvature = (direction * bent).sum(axis=(0, 2))
        reach = np.where(moving, size / np.where(moving, curvature, 1.0), 0.0)[:, None]
        step = step + reach * direction
        residual = residual - reach * bent
        towards = residual / diagonal
        new_size = (residual * towards).sum(axis=(0, 2))
        direction = towards + (new_size / np.where(size > 0, size, 1.0))[:, None] * direction
        size = new_size
    return step


def _step_lengths(
    problem: _Problem,
    weight: Floats,
    penalty: Floats,
    parameters: Floats,
    logits: Floats,
    step: Floats,
    shift: Floats,
    gradient: Floats,
) -> Floats:
    """Longest of 1, 1/2, 1/4... by which each column's objective falls enough (Armijo)."""

    def objective(length: Floats) -> Floats:
        logs = problem.log_likelihood_of(logits + length[:, None] * shift)
        moved = parameters + length[:, None] * step
        return np.asarray(
            -(weight * logs).sum(axis=0) + 0.5 * (penalty * moved**2).sum(axis=(0, 2))
        )

    slope = (gradient * step).sum(axis=(0, 2))
    length = np.ones(weight.shape[1], step.dtype)
    before = objective(np.zeros_like(length))
    slack = 500 * np.finfo(step.dtype).eps * np.abs(before)  # what rounding leaves of a difference
    for _ in range(30):
        short = objective(length) > before + 1e-4 * length * slope + slack
        if not short.any():
            return length
        length = np.where(short, length / 2, length)
    return np.where(short, 0.0, length)

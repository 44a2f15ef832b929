"""Newton's method for several logistic regressions at once, each step by conjugate gradients."""

import numpy as np
from numpy.typing import NDArray

from hoag.logistic_problem import Floats, Problem, sigmoid, softmax


def solve(
    problem: Problem, weight: Floats, strength: float, start: Floats | None, tolerance: float
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
        chance = sigmoid(logits) if shape[2] == 1 else softmax(logits)
        slope = weight[..., None] * (chance - problem.targets[:, None])
        gradient = problem.pull_back(slope) + penalty * parameters
        bend = weight[..., None] * chance * (1 - chance)
        # On the principal axes the Hessian is nearly diagonal where the bends are nearly equal.
        typical = bend.sum(axis=0) / weight.sum(axis=0)[:, None]
        diagonal = problem.variance[:, None, None] * typical + penalty + 1e-12
        towards = problem.preconditioned(gradient, diagonal)
        decrement = 0.5 * (gradient * towards).sum(axis=(0, 2))
        active = decrement > goal
        if not active.any():
            break
        step = _newton_direction(
            problem, weight, chance, bend, penalty, gradient, towards, diagonal, active
        )
        shift = problem.logits(step)
        length = _step_lengths(problem, weight, penalty, parameters, logits, step, shift, gradient)
        length *= active
        parameters = parameters + length[:, None] * step
        logits = logits + length[:, None] * shift
        if not length.any():
            break
    return parameters


def _newton_direction(
    problem: Problem,
    weight: Floats,
    chance: Floats,
    bend: Floats,
    penalty: Floats,
    gradient: Floats,
    towards: Floats,
    diagonal: Floats,
    active: NDArray[np.bool_],
) -> Floats:
    """Solve ``Hessian @ step = -gradient`` in each column, as closely as Newton's pace needs.

    `towards` is the gradient preconditioned.
    """
    blocks = problem.blocks()

    def hessian(vector: Floats) -> Floats:
        flat, total = vector.reshape(len(vector), -1), penalty * vector
        sums = total.reshape(flat.shape)
        for rows in blocks:
            part = problem.design[rows]  # read once for both products
            bent = (part @ flat).reshape(-1, *vector.shape[1:])
            if chance.shape[2] == 1:
                bent *= bend[rows]
            else:
                bent *= chance[rows]
                bent -= chance[rows] * bent.sum(axis=2, keepdims=True)
                bent *= weight[rows, :, None]
            sums += part.T @ bent.reshape(len(part), -1)
        return total

    step = np.zeros_like(gradient)
    residual, towards = -gradient, -towards
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
        towards = problem.preconditioned(residual, diagonal)
        new_size = (residual * towards).sum(axis=(0, 2))
        direction = towards + (new_size / np.where(size > 0, size, 1.0))[:, None] * direction
        size = new_size
    return step


def _step_lengths(
    problem: Problem,
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

"""What a model believes about vote fractions and votes, as intervals and probabilities.

A Dirichlet belief has Beta marginals for the fraction of each answer, and beta-binomial ones for
the votes of N volunteers. In numpy and float64: this is for looking at, not for training.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hoag.errors import HoagError
from hoag.schema import Schema

if TYPE_CHECKING:
    from torch import Tensor


def fraction_interval(
    concentration: "Tensor | ArrayLike", schema: Schema, level: float = 0.9
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Central credible interval of the fraction of volunteers giving each answer.

    The fraction's marginal is Beta(a, A - a). This is the belief about the fraction that endless
    volunteers would give; `vote_interval` is about a finite number of them.

    Parameters
    ----------
    concentration
        (batch, answers), > 0.
    schema
        Says which answers belong to which question.
    level
        Probability inside the interval, in (0, 1).

    Returns
    -------
    tuple of ndarray
        Lower and upper ends, each (batch, answers), in [0, 1].

    Raises
    ------
    HoagError
        If the shape does not fit the schema, or `level` is not between 0 and 1.
    """
    from scipy.special import betaincinv

    this, rest = _beta_marginals(concentration, schema)
    tail = _tail(level)
    return betaincinv(this, rest, tail), betaincinv(this, rest, 1 - tail)


def vote_probabilities(
    concentration: "Tensor | ArrayLike", schema: Schema, volunteers: int
) -> NDArray[np.float64]:
    """Probability that 0, 1, ... N of N volunteers give each answer (beta-binomial).

    Parameters
    ----------
    concentration
        (batch, answers), > 0.
    schema
        Says which answers belong to which question.
    volunteers
        N, how many are asked each question, >= 0.

    Returns
    -------
    ndarray
        (batch, answers, N + 1), summing to 1 over the last axis.

    Raises
    ------
    HoagError
        If the shape does not fit the schema, or `volunteers` is not a whole number >= 0.
    """
    this, rest = _beta_marginals(concentration, schema)
    asked_of = _volunteers(volunteers, this.shape, schema)
    most = int(asked_of.max(initial=0))
    return np.stack([_pmf(n, asked_of, this, rest) for n in range(most + 1)], axis=-1)


def vote_interval(
    concentration: "Tensor | ArrayLike",
    schema: Schema,
    volunteers: int | ArrayLike,
    level: float = 0.9,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Interval of the votes for each answer when N volunteers are asked (beta-binomial).

    Both ends belong to the interval. Votes are whole, so it holds at least `level`: no more than
    half of the rest lies below it and no more than half above.

    Parameters
    ----------
    concentration
        (batch, answers), > 0.
    schema
        Says which answers belong to which question.
    volunteers
        N: one number, or (batch, questions) whole numbers, >= 0.
    level
        Probability inside the interval, in (0, 1).

    Returns
    -------
    tuple of ndarray
        Lower and upper ends, each (batch, answers), int64, in 0..N.

    Raises
    ------
    HoagError
        If a shape does not fit the schema, `volunteers` holds something else than whole numbers
        >= 0, or `level` is not between 0 and 1.
    """
    this, rest = _beta_marginals(concentration, schema)
    asked_of = _volunteers(volunteers, this.shape, schema)
    tail = _tail(level)
    below = np.zeros_like(this)
    low, high = np.zeros(this.shape, np.int64), np.zeros(this.shape, np.int64)
    for n in range(int(asked_of.max(initial=0))):
        below += _pmf(n, asked_of, this, rest)
        low[(below <= tail) & (n < asked_of)] = n + 1
        high[(below < 1 - tail) & (n < asked_of)] = n + 1
    return low, high


def check_shape(what: str, values: "Tensor | NDArray[np.float64]", schema: Schema) -> None:
    """Refuse an array that has not one row per galaxy and one column per answer.

    Raises
    ------
    HoagError
        Saying the shape, and the one that the schema wants.
    """
    answers = len(schema.columns)
    if values.ndim != 2 or values.shape[1] != answers:
        raise HoagError(
            f"{what} have shape {tuple(values.shape)} but schema {schema.name} has {answers} "
            f"answers; give (batch, {answers}), columns in the order of schema.columns"
        )


def _beta_marginals(
    concentration: "Tensor | ArrayLike", schema: Schema
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if hasattr(concentration, "detach"):  # a tensor, which may be bfloat16 or on a GPU
        concentration = concentration.detach().cpu().double().numpy()
    this = np.asarray(concentration, dtype=np.float64)
    check_shape("concentrations", this, schema)
    whole = np.add.reduceat(this, schema.starts, axis=1)
    return this, whole[:, schema.question_index] - this


def _pmf(
    n: int,
    asked_of: NDArray[np.int64],
    this: NDArray[np.float64],
    rest: NDArray[np.float64],
) -> NDArray[np.float64]:
    from scipy.special import betaln, gammaln

    others = np.maximum(asked_of - n, 0)
    log_pmf = gammaln(asked_of + 1) - gammaln(n + 1) - gammaln(others + 1)
    log_pmf = log_pmf + betaln(this + n, rest + others) - betaln(this, rest)
    return np.where(n <= asked_of, np.exp(log_pmf), 0.0)


def _volunteers(
    volunteers: int | ArrayLike, shape: tuple[int, ...], schema: Schema
) -> NDArray[np.int64]:
    given = np.asarray(volunteers)
    questions = (shape[0], len(schema.questions))
    if given.ndim and given.shape != questions:
        raise HoagError(
            f"volunteers have shape {given.shape}; give one number, or whole numbers of shape "
            f"(batch, questions) = {questions}"
        )
    countable = given.dtype.kind in "iuf" and bool(np.isfinite(given).all())
    if not countable or (given < 0).any() or (given % 1 != 0).any():
        raise HoagError("the number of volunteers must be a whole number, 0 or more")
    per_question = np.broadcast_to(given.astype(np.int64), questions)
    return per_question[:, schema.question_index]


def _tail(level: float) -> float:
    if not 0 < level < 1:
        raise HoagError(f"level = {level} is not between 0 and 1; 0.9 gives a 90 % interval")
    return (1 - level) / 2

"""What a model believes about vote fractions and votes, as intervals and probabilities.

A Dirichlet belief has Beta marginals for the fraction of each answer, and beta-binomial ones for
the votes of N volunteers. In numpy and float64: this is for looking at, not for training.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

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
    tail = tail_of(level)
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
    asked_of = asked_of_each(volunteers, this.shape, schema)
    return np.stack(list(vote_pmfs(asked_of, this, rest)), axis=-1)


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
    return vote_ends(asked_of_each(volunteers, this.shape, schema), this[None], rest[None], level)


def check_shape(what: str, values: "Tensor | NDArray[Any]", schema: Schema) -> None:
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


def vote_pmfs(
    asked_of: NDArray[np.int64], this: NDArray[np.float64], rest: NDArray[np.float64]
) -> Iterator[NDArray[np.float64]]:
    """Probabilities of 0, 1, ... votes for an answer: beta-binomial, one array for each number.

    Parameters
    ----------
    asked_of
        N, how many are asked, broadcast against the next two; arrays go up to the largest.
    this, rest
        Concentrations of the answer and of all the others to its question, > 0.

    Yields
    ------
    ndarray
        P(n of N), 0 where n > N.
    """
    from scipy.special import betaln

    log_pmf = betaln(this, rest + asked_of) - betaln(this, rest)
    yield np.exp(log_pmf)
    # P(n + 1) / P(n) = (N - n) / (n + 1) * (a + n) / (b + N - n - 1): far cheaper than lgamma.
    for n in range(int(asked_of.max(initial=0))):
        left = np.maximum(asked_of - n, 1)
        log_pmf = log_pmf + np.log(left * (this + n) / ((n + 1) * (rest + left - 1)))
        yield np.where(n < asked_of, np.exp(log_pmf), 0.0)


def vote_ends(
    asked_of: NDArray[np.int64],
    this: NDArray[np.float64],
    rest: NDArray[np.float64],
    level: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the ends of `vote_interval` for an equal mixture of Dirichlets.

    Parameters
    ----------
    asked_of
        N, any shape.
    this, rest
        Concentrations of the answers and of all others to their questions: N's shape, behind an
        axis of models.
    level
        Probability inside the interval, in (0, 1).

    Returns
    -------
    tuple of ndarray
        Lower and upper ends, of N's shape.
    """
    tail = tail_of(level)
    below = np.zeros(asked_of.shape)
    low, high = np.zeros(asked_of.shape, np.int64), np.zeros(asked_of.shape, np.int64)
    for n, pmf in enumerate(vote_pmfs(asked_of, this, rest)):
        below += pmf.mean(axis=0)
        low[(below <= tail) & (n < asked_of)] = n + 1
        high[(below < 1 - tail) & (n < asked_of)] = n + 1
    return low, high


def asked_of_each(
    volunteers: int | ArrayLike, shape: tuple[int, ...], schema: Schema
) -> NDArray[np.int64]:
    """How many are asked about each answer, (batch, answers), from one number or one a question."""
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


def tail_of(level: float) -> float:
    """Probability on either side of a central interval."""
    if not 0 < level < 1:
        raise HoagError(f"level = {level} is not between 0 and 1; 0.9 gives a 90 % interval")
    return (1 - level) / 2

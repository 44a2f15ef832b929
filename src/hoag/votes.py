"""Votes and what a model believes about them: the Dirichlet-multinomial of Walmsley+22 Sec. 3.1.

For each question the model gives one concentration per answer. The likelihood of the votes is the
Dirichlet-multinomial (Eq. 1), summed over questions (Eq. 2); a question that nobody was asked
has likelihood one whatever is predicted. The posterior functions turn concentrations into expected
vote fractions, their intervals, and how many of N volunteers would give each answer.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from hoag.errors import HoagError
from hoag.likelihood import Everywhere, WhereVoted, places
from hoag.posteriors import check_shape, fraction_interval, vote_interval, vote_probabilities
from hoag.schema import Schema

__all__ = [
    "asked",
    "expected_fraction",
    "fraction_interval",
    "masked_mean",
    "negative_log_likelihood",
    "probability_asked",
    "vote_interval",
    "vote_probabilities",
]


def negative_log_likelihood(votes: Tensor, concentration: Tensor, schema: Schema) -> Tensor:
    """Negative log likelihood of the votes for each question (Walmsley+22 Eq. 1).

    With k votes out of N for the answers of a question and concentrations a that sum to A,

        -log[ N! / prod(k!) * Gamma(A) / Gamma(A + N) * prod(Gamma(a + k) / Gamma(a)) ],

    the multinomial coefficient included. Computed in float64 under any autocast, because bfloat16
    is wrong by tens of per cent here and float32 loses its digits as concentrations grow; see
    `hoag.likelihood`. The gradient by the concentrations has no further derivative.

    Parameters
    ----------
    votes
        (batch, answers), integer or float, >= 0: volunteers who gave each answer.
    concentration
        (batch, answers), float, > 0.
    schema
        Says which answers belong to which question.

    Returns
    -------
    Tensor
        (batch, questions), nats, >= 0, float32 (float64 if `concentration` is float64). Exactly 0
        with exactly 0 gradient where a question was not asked.

    Raises
    ------
    HoagError
        If a shape does not fit the schema.
    """
    _check_shapes(votes, concentration, schema)
    device = concentration.device
    if device.type == "cuda":
        nll: Tensor = Everywhere.apply(votes, concentration, schema)
    else:  # also for Apple's MPS, which has no float64
        nll = WhereVoted.apply(votes.cpu(), concentration.cpu(), schema).to(device)
    return nll


def asked(votes: Tensor, schema: Schema) -> Tensor:
    """Whether any volunteer answered each question.

    Parameters
    ----------
    votes
        (batch, answers), >= 0.
    schema
        Says which answers belong to which question.

    Returns
    -------
    Tensor
        (batch, questions), bool.

    Raises
    ------
    HoagError
        If the shape does not fit the schema.
    """
    check_shape("votes", votes, schema)
    return _per_question(votes.to(torch.float32), schema) != 0


def masked_mean(nll: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Give the two parts of the mean over answered (galaxy, question) pairs.

    They are given apart so that sums over several processes come before the division; divide by
    ``count.clamp(min=1)`` for a mean that is 0 in a batch without labelled galaxies.

    Parameters
    ----------
    nll
        (batch, questions), nats.
    mask
        (batch, questions), bool: the pairs that count, usually `asked`.

    Returns
    -------
    tuple of Tensor
        Sum of `nll` over the pairs, with gradient, and their number, both scalar and of
        `nll`'s dtype.
    """
    total = torch.where(mask, nll, torch.zeros_like(nll)).sum()
    return total, mask.sum().to(nll.dtype)


def expected_fraction(concentration: Tensor, schema: Schema) -> Tensor:
    """Expected fraction of volunteers giving each answer, a / A, among those who are asked.

    Parameters
    ----------
    concentration
        (batch, answers), > 0.
    schema
        Says which answers belong to which question.

    Returns
    -------
    Tensor
        (batch, answers), in (0, 1), summing to 1 within each question; float32 (float64 if
        `concentration` is float64).

    Raises
    ------
    HoagError
        If the shape does not fit the schema.
    """
    check_shape("concentration", concentration, schema)
    with torch.autocast(concentration.device.type, enabled=False):
        alpha = concentration.to(torch.promote_types(concentration.dtype, torch.float32))
        return alpha / _per_answer(_per_question(alpha, schema), schema)


def probability_asked(concentration: Tensor, schema: Schema) -> Tensor:
    """Probability that a volunteer is asked each question, by walking down the decision tree.

    A question is asked after any of its parent answers, so its probability is the sum over these
    of P(parent's question is asked) times the answer's expected fraction, and 1 for a question
    asked of everybody. Exact when at most one of the parents can be given by one volunteer, as in
    every Galaxy Zoo tree; else an upper bound, cut at 1.

    Parameters
    ----------
    concentration
        (batch, answers), > 0.
    schema
        Says which answers belong to which question and lead to which.

    Returns
    -------
    Tensor
        (batch, questions), in [0, 1], float32 (float64 if `concentration` is float64).

    Raises
    ------
    HoagError
        If the shape does not fit the schema.
    """
    fraction = expected_fraction(concentration, schema)
    parents, depth = _tree(schema, str(concentration.device))
    at_root = (parents == len(schema.columns)).all(dim=1)
    asked_with = torch.ones_like(fraction[:, : len(schema.questions)])
    for _ in range(depth):
        given = pad(_per_answer(asked_with, schema) * fraction, (0, 1))
        reached = given[:, parents].sum(dim=2).clamp(max=1)
        asked_with = torch.where(at_root, torch.ones_like(reached), reached)
    return asked_with


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _tree(schema: Schema, device: str) -> tuple[Tensor, int]:
    # Columns of each question's parent answers, padded like `Places.slots`; the tree's depth.
    column = {name: n for n, name in enumerate(schema.columns)}
    parents = [[column[name] for name in question.asked_after] for question in schema.questions]
    table = np.full((len(parents), max(1, *map(len, parents))), len(column))
    depths = np.zeros(len(parents), dtype=int)
    for row, own in zip(table, parents, strict=True):
        row[: len(own)] = own
    while True:
        deeper = [
            max((depths[schema.question_index[c]] + 1 for c in p), default=0) for p in parents
        ]
        if (depths == deeper).all():
            return torch.tensor(table, device=device), int(depths.max())
        depths = np.array(deeper)


def _per_question(values: Tensor, schema: Schema) -> Tensor:
    # Sums over gathered slots have a fixed order on every device, which scattered ones have not.
    slots = places(schema, str(values.device)).slots
    gathered = pad(values, (0, 1)).index_select(1, slots.flatten())
    return gathered.view(len(values), *slots.shape).sum(dim=2)


def _per_answer(values: Tensor, schema: Schema) -> Tensor:
    return values.index_select(1, places(schema, str(values.device)).question)


def _check_shapes(votes: Tensor, concentration: Tensor, schema: Schema) -> None:
    check_shape("votes", votes, schema)
    check_shape("concentration", concentration, schema)
    if len(votes) != len(concentration):
        raise HoagError(
            f"votes are of {len(votes)} galaxies and concentrations of {len(concentration)}; "
            "give the same galaxies in the same order"
        )

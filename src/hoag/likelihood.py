"""The Dirichlet-multinomial and its gradient, worked out only where there are votes.

With k votes out of N for the answers of a question and concentrations a that sum to A,

    -log p = L(A, N) - sum of L(a, k),    L(x, n) = log[Gamma(x + n) / (Gamma(x) n!)],

whose derivative by an answer's a is D(A, N) - D(a, k) with D(x, n) = psi(x + n) - psi(x). L(x, 0)
and D(x, 0) are 0, so only answers with votes and questions with an answer take part, and
few of GZ-Evo's have any. Value and derivative are found together, in float64, since the difference
of two lgammas of float32 loses its digits as concentrations grow.
"""

from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hoag.schema import Schema

_FACTORIALS = 1 << 10  # that are looked up rather than worked out


class WhereVoted(torch.autograd.Function):
    """Negative log likelihood of each question, differentiable once, for processors.

    The answers with votes and the questions with an answer are gathered into one list.
    """

    @staticmethod
    def forward(ctx: Any, votes: Tensor, concentration: Tensor, schema: Schema) -> Tensor:
        """Take (batch, answers) votes and concentrations; give (batch, questions)."""
        (batch, answers), questions = votes.shape, len(schema.questions)
        place, width = places(schema, "cpu"), answers + 1  # the last of each row: no answer
        alpha = torch.cat([concentration, concentration.new_zeros(batch, 1)], 1).view(-1)
        flat = votes.reshape(-1)
        found = torch.from_numpy(np.flatnonzero(flat.numpy() != 0))  # twice as quick as torch's
        counts = flat.index_select(0, found).double()
        row = found // answers
        voted, column = found + row, found - row * answers
        # Answers come sorted, so those of one galaxy's question follow each other.
        pair, of_pair = torch.unique_consecutive(
            row * questions + place.question.index_select(0, column), return_inverse=True
        )
        totals = torch.zeros_like(pair, dtype=torch.float64).index_add_(0, of_pair, counts)
        galaxy = pair // questions
        slots = place.slots.index_select(0, pair - galaxy * questions)
        siblings = slots.add_((galaxy * width)[:, None])
        whole = alpha.index_select(0, siblings.view(-1)).view(siblings.shape).double().sum(1)

        x = torch.cat([alpha.index_select(0, voted).double(), whole])
        n = torch.cat([counts, totals])
        value, derivative = _rising(x, n, whole=not votes.is_floating_point())
        each = value[len(voted) :].index_add_(0, of_pair, value[: len(voted)], alpha=-1)
        dtype = torch.promote_types(concentration.dtype, torch.float32)
        ctx.save_for_backward(voted, of_pair, pair, siblings, derivative.to(dtype))
        ctx.shape, ctx.dtype = (batch, width), concentration.dtype
        nll = torch.zeros(batch * questions, dtype=dtype).index_copy_(0, pair, each.to(dtype))
        return nll.view(batch, questions)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None]:
        """Give the gradient by the concentrations, (batch, answers)."""
        voted, of_pair, pair, siblings, derivative = ctx.saved_tensors
        of_answers, of_totals = derivative.split([len(voted), len(pair)])
        asked = gradient.reshape(-1).index_select(0, pair)
        of_siblings = (asked * of_totals)[:, None].expand(siblings.shape).reshape(-1)
        found = derivative.new_zeros(ctx.shape)
        flat = found.view(-1).index_copy_(0, siblings.view(-1), of_siblings)
        flat.index_add_(0, voted, asked.index_select(0, of_pair) * of_answers, alpha=-1)
        return None, found[:, :-1].to(ctx.dtype), None


class Everywhere(torch.autograd.Function):
    """The same for devices on which a few large operations are quickest, 14 with the backward pass.

    Nothing waits for the device: an unasked question is given a harmless constant, so that nothing
    odd predicted for it, not even an infinity, reaches a sum; its value is then 0.
    """

    @staticmethod
    def forward(ctx: Any, votes: Tensor, concentration: Tensor, schema: Schema) -> Tensor:
        """Take (batch, answers) votes and concentrations; give (batch, questions)."""
        place, answers = places(schema, str(concentration.device)), concentration.shape[1]
        # [x + n, x, n + 1] of all answers and questions side by side, then the votes of questions.
        parts = torch.addmm(place.one, votes.double(), place.of_votes)
        safe = torch.where(parts[:, -answers:].bool(), concentration.double(), place.unit)
        gammas = parts[:, :-answers].addmm_(safe, place.of_alpha)
        half = len(place.derivative)
        digammas = torch.digamma(gammas[:, : 2 * half])
        slope = (digammas[:, :half] - digammas[:, half:]) @ place.derivative
        ctx.save_for_backward(slope, place.question)
        ctx.dtype = concentration.dtype
        nll = torch.lgamma(gammas) @ place.value
        return nll.to(torch.promote_types(concentration.dtype, torch.float32))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None]:
        """Give the gradient by the concentrations, (batch, answers)."""
        slope, question = ctx.saved_tensors
        found = torch.empty_like(slope, dtype=ctx.dtype)
        return None, torch.mul(gradient.index_select(1, question), slope, out=found), None


def _rising(x: Tensor, n: Tensor, whole: bool) -> tuple[Tensor, Tensor]:
    """Give L(x, n) and D(x, n) of the docstring above; `whole` says that n are whole numbers."""
    end = x + n
    if whole and len(n) and n.max() < _FACTORIALS:
        factorial = _log_factorials().index_select(0, n.long())
    else:
        factorial = torch.lgamma(n + 1)
    value = torch.lgamma(end).sub_(torch.lgamma(x)).sub_(factorial)
    return value, torch.digamma(end).sub_(torch.digamma(x))


@cache
@torch.inference_mode(False)
def _log_factorials() -> Tensor:
    return torch.lgamma(torch.arange(1, _FACTORIALS + 1, dtype=torch.float64))


class Places(NamedTuple):
    """Where answers and questions lie, as tensors on one device.

    Attributes
    ----------
    question
        The question of each answer, (answers,).
    slots
        The answers of each question side by side, (questions, most answers), padded with the
        index one past the last answer.
    unit, one, of_votes, of_alpha, value, derivative
        What `Everywhere` fills with, adds and multiplies by: [x + n, x, n + 1] from votes and
        concentrations, and the sums of what follows from these.
    """

    question: Tensor
    slots: Tensor
    unit: Tensor
    one: Tensor
    of_votes: Tensor
    of_alpha: Tensor
    value: Tensor
    derivative: Tensor


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # kept for later calls, which may need gradients
def places(schema: Schema, device: str) -> Places:
    """Give a schema's `Places` on a device."""
    answers, questions = len(schema.columns), len(schema.questions)
    slots = np.full((questions, max(len(q.answers) for q in schema.questions)), answers)
    for row, question in zip(slots, schema.questions, strict=True):
        row[: len(question.answers)] = range(question.start, question.stop)
    index = torch.tensor(schema.question_index.copy())
    of_question = torch.nn.functional.one_hot(index, questions).double()
    both = torch.cat([torch.eye(answers, dtype=torch.float64), of_question], 1)
    none = torch.zeros_like(both)
    one = torch.cat([torch.zeros(2 * both.shape[1]), torch.ones(both.shape[1])])
    one = torch.cat([one, torch.zeros(answers)]).double()
    of_votes = torch.cat([both, none, both, of_question @ of_question.T], 1)
    of_alpha = torch.cat([both, both, none], 1)
    to_question = torch.cat([-of_question, torch.eye(questions, dtype=torch.float64)])
    to_answer = torch.cat([-torch.eye(answers, dtype=torch.float64), of_question.T])
    value = torch.cat([to_question, -to_question, -to_question])
    unit = torch.ones(1, dtype=torch.float64)
    made = (index, torch.tensor(slots), unit, one, of_votes, of_alpha, value, to_answer)
    return Places(*(part.to(device) for part in made))

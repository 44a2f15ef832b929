"""Predictions as columns: what each says, its unit and UCD, and how many answers share one.

A column is called after the answer or question it is about: ``bar-gz2_yes_fraction``,
``bar-gz2_asked``. FITS holds at most 999 columns, so where there would be more, the answers to a
question share an array column, ``bar-gz2_fraction``, in the order its description gives.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hoag.answers import PREDICTED_OF_ANSWERS, PREDICTED_OF_QUESTIONS
from hoag.beliefs import Beliefs
from hoag.column_labels import labelled
from hoag.schema import Question, Schema

if TYPE_CHECKING:
    import pyarrow as pa

_UCDS = {
    "fraction": "src.morph;stat.probability",
    "fraction_low": "src.morph;stat.min",
    "fraction_high": "src.morph;stat.max",
    "votes_low": "meta.number;stat.min",
    "votes_high": "meta.number;stat.max",
    "asked": "stat.probability",
    "entropy": "stat.value",
}


@dataclass(frozen=True)
class Columns:
    """The columns of a table of predictions.

    Attributes
    ----------
    schema
        The questions predicted, of one campaign or more.
    level
        Probability inside the intervals.
    volunteers
        How many are asked each question, or "own": as many as the galaxy itself had.
    arrays
        Whether the answers to a question share a column.
    """

    schema: Schema
    level: float
    volunteers: int | str
    arrays: bool = False

    def fields(self) -> "list[pa.Field]":
        """Names, types and labels of the columns, question by question."""
        import pyarrow as pa

        fields = []
        for question in self.schema.questions:
            for name, quantity, answers in self._of_question(question):
                kind = pa.int32() if "votes" in quantity else pa.float32()
                if self.arrays and quantity in PREDICTED_OF_ANSWERS:
                    kind = pa.list_(kind, len(question.answers))
                fields.append(
                    labelled(
                        name, kind, unit="bit" if quantity == "entropy" else "",
                        ucd=_UCDS[quantity], description=self._about(quantity, question, answers),
                    )
                )  # fmt: skip
        return fields

    def table(
        self,
        beliefs: Beliefs,
        rows: NDArray[np.bool_],
        own_numbers: NDArray[np.integer],
    ) -> "pa.Table":
        """Lay out beliefs as columns.

        Parameters
        ----------
        beliefs
            About all questions that the model knows, for a batch of galaxies.
        rows
            (batch, campaigns) bool: which campaigns of the schema are wanted for which galaxy;
            the columns of the others are null there.
        own_numbers
            (batch, questions) how many were asked in fact, used where `volunteers` is "own".
        """
        import pyarrow as pa

        arrays: list[pa.Array] = []
        for number, campaign in enumerate(self.schema.campaigns):
            arrays += self._campaign_arrays(beliefs, campaign, rows[:, number], own_numbers)
        return pa.Table.from_arrays(arrays, schema=pa.schema(self.fields()))

    def _campaign_arrays(
        self, beliefs: Beliefs, campaign: str, wanted: NDArray[np.bool_],
        own_numbers: NDArray[np.integer],
    ) -> "list[pa.Array]":  # fmt: skip
        schema = self.schema.select(campaign)
        some = Beliefs(beliefs.concentrations[:, wanted], beliefs.schema).select(schema)
        places = [q.campaign == campaign for q in self.schema.questions]
        numbers = own_numbers[wanted][:, places]
        if self.volunteers != "own":
            numbers = np.full_like(numbers, int(self.volunteers))
        low, high = some.fraction_interval(self.level)
        fewest, most = some.vote_interval(numbers, self.level)
        unasked = (numbers == 0)[:, schema.question_index] & (self.volunteers == "own")
        values = {
            "fraction": some.fraction(), "fraction_low": low, "fraction_high": high,
            "votes_low": np.ma.MaskedArray(fewest, unasked),
            "votes_high": np.ma.MaskedArray(most, unasked),
            "asked": some.probability_asked(), "entropy": some.entropy(),
        }  # fmt: skip
        spread = {name: _spread(value, wanted) for name, value in values.items()}
        arrays = []
        for number, question in enumerate(schema.questions):
            for _, quantity, answers in self._of_question(question):
                if quantity in PREDICTED_OF_QUESTIONS:
                    chosen = spread[quantity][:, number]
                elif len(answers) == 1:
                    place = question.start + question.answers.index(answers[0])
                    chosen = spread[quantity][:, place]
                else:
                    chosen = spread[quantity][:, question.start : question.stop]
                arrays.append(_arrow(chosen))
        return arrays

    def _of_question(self, question: Question) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """Give name, quantity and answers of each of a question's columns."""
        for quantity in PREDICTED_OF_QUESTIONS:
            yield f"{question.name}_{quantity}", quantity, question.answers
        if self.arrays:
            for quantity in PREDICTED_OF_ANSWERS:
                yield f"{question.name}_{quantity}", quantity, question.answers
            return
        for answer in question.answers:
            for quantity in PREDICTED_OF_ANSWERS:
                yield f"{question.name}{answer}_{quantity}", quantity, (answer,)

    def _about(self, quantity: str, question: Question, answers: tuple[str, ...]) -> str:
        named = ", ".join(answer.removeprefix("_") for answer in answers)
        percent = f"{100 * self.level:g} %"
        of = "as many volunteers as were" if self.volunteers == "own" else str(self.volunteers)
        return {
            "asked": f"probability that {question.short} is asked",
            "entropy": f"entropy of the answer to {question.short}",
            "fraction": f"expected vote fraction of {named}",
            "fraction_low": f"{percent} interval from, {named}",
            "fraction_high": f"{percent} interval to, {named}",
            "votes_low": f"votes of {of} asked, {percent} from, {named}",
            "votes_high": f"votes of {of} asked, {percent} to, {named}",
        }[quantity]


def _spread(values: Any, wanted: NDArray[np.bool_]) -> np.ma.MaskedArray:
    """Put the rows of some galaxies among those of all, the others masked."""
    shape = (len(wanted), values.shape[1])
    out = np.ma.MaskedArray(np.zeros(shape, values.dtype), mask=np.ones(shape, bool))
    out[wanted] = values
    return out


def _arrow(values: np.ma.MaskedArray) -> "pa.Array":
    import pyarrow as pa

    kind = pa.int32() if values.dtype.kind == "i" else pa.float32()
    plain = np.ma.getdata(values).astype(np.int32 if values.dtype.kind == "i" else np.float32)
    mask = np.ma.getmaskarray(values)
    if values.ndim == 1:
        return pa.array(plain, kind, mask=mask)
    flat = pa.array(np.ascontiguousarray(plain).reshape(-1), kind)
    missing = mask.any(axis=1)
    return pa.FixedSizeListArray.from_arrays(
        flat, values.shape[1], mask=pa.array(missing) if missing.any() else None
    )

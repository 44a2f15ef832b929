"""Temperatures: how far to trust a model's certainty about each question, from held-out votes.

A temperature T divides all concentrations of a question, a -> a / T. Every expected fraction a / A
stays what it was, since numerator and denominator shrink alike, and so do ranks, accuracies and the
probability that a question is asked; only the widths of the beliefs change, above T = 1 to wider
ones. A temperature on the head's logits would move the means too, and could not leave the range of
1 to 101 that the head's sigmoid allows, which is the usual reason for intervals of a wrong width:
volunteers who nearly all agree want concentrations below 1 for the other answers.

The temperature of a question maximises the Dirichlet-multinomial likelihood of the validation
votes. It is one number from hundreds of galaxies; a question with few of them is drawn towards the
temperature of all questions together by a weak normal prior on log T.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hoag.errors import HoagError
from hoag.files import read_json, write_json
from hoag.schema import Schema

FILE = "temperatures.json"
LIMITS = (1e-3, 1e3)
_PRIOR = 0.5  # standard deviation of log T around that of all questions


@dataclass(frozen=True)
class Temperatures:
    """Temperatures of a model's questions, and what they were fitted on.

    Attributes
    ----------
    by_question
        Temperature by name of the question, > 0; a question that is not named has 1.
    about
        Of what and how: the hash of the weights, the data, symmetries, numbers of galaxies.
    """

    by_question: Mapping[str, float]
    about: Mapping[str, Any]

    def of(self, schema: Schema) -> NDArray[np.float64]:
        """Give a temperature for each question, (questions,)."""
        return np.array([self.by_question.get(q.name, 1.0) for q in schema.questions])

    def apply(self, concentration: ArrayLike, schema: Schema) -> NDArray[np.float32]:
        """Divide concentrations, (batch, answers), by the temperatures of their questions."""
        each = self.of(schema)[schema.question_index].astype(np.float32)
        return np.asarray(concentration, np.float32) / each


def fit_temperatures(
    votes: NDArray[np.integer], concentration: NDArray[np.floating], schema: Schema
) -> tuple[dict[str, float], dict[str, int]]:
    """Fit the temperature of each question by maximum likelihood.

    Parameters
    ----------
    votes
        (galaxies, answers) whole numbers that the model was not trained on.
    concentration
        (galaxies, answers) what it predicts for them, > 0.
    schema
        Says which answers belong to which question.

    Returns
    -------
    dict, dict
        Temperature and number of galaxies by question.

    Raises
    ------
    HoagError
        If nobody was asked anything.
    """
    asked = np.add.reduceat(votes, schema.starts, axis=1) > 0
    parts = {
        q.name: (votes[rows, q.start : q.stop], concentration[rows, q.start : q.stop])
        for q, rows in zip(schema.questions, asked.T, strict=True)
        if rows.any()
    }
    if not parts:
        raise HoagError("there are no votes to fit temperatures on; give galaxies that have some")
    overall = _best(list(parts.values()), None)
    fitted = {name: float(np.exp(_best([part], overall))) for name, part in parts.items()}
    temperatures = {q.name: fitted.get(q.name, float(np.exp(overall))) for q in schema.questions}
    return temperatures, {q.name: len(parts.get(q.name, ((),))[0]) for q in schema.questions}


def _best(
    parts: "list[tuple[NDArray[np.integer], NDArray[np.floating]]]", centre: float | None
) -> float:
    """Find the log temperature that makes votes most likely, drawn towards `centre` if given."""
    from scipy.optimize import minimize_scalar

    def cost(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        total = sum(_log_likelihood(votes, scale * a) for votes, a in parts)
        return -total + (0 if centre is None else 0.5 * ((log_temperature - centre) / _PRIOR) ** 2)

    bounds = (float(np.log(LIMITS[0])), float(np.log(LIMITS[1])))
    found = minimize_scalar(cost, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    return float(found.x)


def _log_likelihood(votes: NDArray[np.integer], concentration: NDArray[np.floating]) -> float:
    """Give Walmsley+22 Eq. 1 summed over galaxies, without the term that the votes alone decide."""
    from scipy.special import gammaln

    alpha = concentration.astype(np.float64)
    whole, asked = alpha.sum(axis=1), votes.sum(axis=1)
    answers = gammaln(alpha + votes) - gammaln(alpha)
    return float(answers.sum() + (gammaln(whole) - gammaln(whole + asked)).sum())


def write_temperatures(folder: Path, temperatures: Temperatures) -> Path:
    """Write temperatures beside the weights they belong to."""
    path = folder / FILE
    write_json(path, {**temperatures.about, "temperatures": dict(temperatures.by_question)})
    return path


def read_temperatures(folder: Path, weights: str, schema: Schema) -> Temperatures | None:
    """Read the temperatures beside a model's weights; None if it has none.

    Parameters
    ----------
    folder
        Where model.safetensors lies.
    weights
        Hash of the weights they have to belong to.
    schema
        Has the questions they are for.

    Raises
    ------
    HoagError
        If the file is no table of temperatures, or belongs to other weights.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    content = read_json(path)
    values = content.get("temperatures") if isinstance(content, dict) else None
    if not isinstance(values, dict):
        raise HoagError(f"{path}: holds no temperatures; delete it or run hoag calibrate again")
    known = {question.name for question in schema.questions}
    for name, value in values.items():
        good = isinstance(value, int | float) and LIMITS[0] / 2 < value < LIMITS[1] * 2
        if name not in known or not good:
            raise HoagError(
                f"{path}: {name!r} = {value!r} is no temperature of a question of this model; "
                "delete the file or run hoag calibrate again"
            )
    about = {name: value for name, value in content.items() if name != "temperatures"}
    if about.get("weights") != weights:
        raise HoagError(
            f"{path}: was fitted to weights {about.get('weights')}, and those beside it are "
            f"{weights}; delete it or run hoag calibrate again"
        )
    return Temperatures({name: float(value) for name, value in values.items()}, about)

"""How good a finetuned model is on galaxies it has not learned from, by its goal."""

from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hoag.galaxies import Galaxies
from hoag.goal_heads import Goal
from hoag.matrix_figure import matrix_figure
from hoag.models import Model

CONFUSION = "confusion.png"  # beside results.json


def score_goal(
    model: Model, goal: Goal, galaxies: Galaxies, labels: NDArray[Any]
) -> dict[str, Any]:
    """Score predictions.

    Parameters
    ----------
    model
        Finetuned for the goal.
    goal
        What it learned.
    galaxies, labels
        To score on, as `hoag.goals.read_goal` gives them.

    Returns
    -------
    dict
        Numbers, and under "by" those of each class, label, number or question: of classes accuracy,
        balanced accuracy (mean recall) and the share of the largest class, which a guess has; of
        labels the means of AUC, average precision and accuracy; of numbers the root mean squared
        error, R2 and the share within one predicted standard deviation (0.683 if calibrated);
        of votes the mean absolute error of vote fractions.
    """
    if goal.kind == "votes":
        return _votes(model, galaxies, labels)
    from hoag.tuned import Tuned

    assert isinstance(model, Tuned)
    answers = model.answer(galaxies, quiet=True)
    score = {"classes": _classes, "labels": _labels, "numbers": _numbers}[goal.kind]
    return score(goal, answers, labels)


def _classes(goal: Goal, answers: NDArray[np.float32], labels: NDArray[Any]) -> dict[str, Any]:
    from sklearn.metrics import confusion_matrix

    table = confusion_matrix(labels, answers.argmax(1), labels=range(len(goal.names)))
    asked, given, right = table.sum(1), table.sum(0), table.diagonal()
    there = asked > 0
    by = {
        name: {
            "galaxies": int(asked[n]),
            "recall": _ratio(right[n], asked[n]),
            "precision": _ratio(right[n], given[n]),
        }
        for n, name in enumerate(goal.names)
    }
    return {
        "accuracy": float(right.sum() / table.sum()),
        "balanced_accuracy": float((right[there] / asked[there]).mean()),
        "largest_class": float(asked.max() / table.sum()),
        "by": by,
        "confusion": table.tolist(),
    }


def confusion_figure(goal: Goal, scores: dict[str, Any]) -> Figure:
    """Draw which class is taken for which: shares of each true class, in per cent.

    Parameters
    ----------
    goal
        Has the names of the classes.
    scores
        What `score_goal` gave.
    """
    table = np.array(scores["confusion"], float)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    names = [fill(name, 14) for name in goal.names]
    counts = zip(goal.names, table.sum(axis=1), strict=True)
    rows = [f"{name} ({int(count):,})" for name, count in counts]
    return matrix_figure(shares, rows, names, rows="truly", columns="taken for", percent=True)


def _ratio(part: Any, whole: Any) -> float | None:
    return float(part / whole) if whole else None


def _labels(goal: Goal, answers: NDArray[np.float32], labels: NDArray[Any]) -> dict[str, Any]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    by = {}
    for n, name in enumerate(goal.names):
        known = np.isfinite(labels[:, n])
        truth, chance = labels[known, n] > 0.5, answers[known, n]
        both = truth.any() and not truth.all()
        by[name] = {
            "galaxies": int(known.sum()),
            "yes": int(truth.sum()),
            "auc": float(roc_auc_score(truth, chance)) if both else None,
            "average_precision": float(average_precision_score(truth, chance)) if both else None,
            "accuracy": float(((chance > 0.5) == truth).mean()) if len(truth) else None,
        }
    return {**_means(by, ("auc", "average_precision", "accuracy")), "by": by}


def _numbers(goal: Goal, answers: NDArray[np.float32], labels: NDArray[Any]) -> dict[str, Any]:
    values, scatters = np.split(answers.astype(np.float64), 2, axis=1)
    by = {}
    for n, name in enumerate(goal.names):
        known = np.isfinite(labels[:, n])
        errors = values[known, n] - labels[known, n]
        variance = labels[known, n].var() if known.any() else 0.0
        by[name] = {
            "galaxies": int(known.sum()),
            "rmse": float(np.sqrt(np.mean(errors**2))) if known.any() else None,
            "r2": float(1 - np.mean(errors**2) / variance) if variance > 0 else None,
            "within_scatter": float(np.mean(np.abs(errors) < scatters[known, n]))
            if known.any()
            else None,
        }
    return {**_means(by, ("rmse", "r2", "within_scatter")), "by": by}


def _means(by: dict[str, dict[str, Any]], names: tuple[str, ...]) -> dict[str, float]:
    found = {name: [of[name] for of in by.values() if of[name] is not None] for name in names}
    return {name: float(np.mean(values)) for name, values in found.items() if values}


def _votes(model: Model, galaxies: Galaxies, votes: NDArray[Any]) -> dict[str, Any]:
    concentration = model.predict(galaxies, quiet=True).astype(np.float64)
    by = {}
    for question in model.schema.questions:
        part = slice(question.start, question.stop)
        asked = votes[:, part].sum(1)
        rows = np.flatnonzero(asked)
        if not len(rows):
            continue
        truth = votes[rows, part] / asked[rows, None]
        expected = concentration[rows, part]
        expected /= expected.sum(1, keepdims=True)
        error = np.abs(expected - truth).mean()
        guess = np.abs(truth.mean(0) - truth).mean()
        by[question.name] = {
            "galaxies": len(rows), "fraction_error": float(error), "guess_error": float(guess)
        }  # fmt: skip
    return {**_means(by, ("fraction_error", "guess_error")), "by": by}

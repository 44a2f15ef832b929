"""Predictions on held-out galaxies, kept as a file: later comparisons need no classifier again.

A file is an npz of plain arrays. Of each trial it has the key, the galaxies held out and their
probabilities, so that arms of other runs are compared on the very same folds and subsets.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hoag.curves import Curve, Predictions
from hoag.errors import HoagError
from hoag.files import written_whole
from hoag.subsets import Trial

_PARTS = ("ids", "labels", "classes", "arms", "trials", "cut_lengths", "cut_rows", "chances")


def write_curve(curve: Curve, path: str | Path) -> Path:
    """Write a curve's predictions to an npz file, whole or not at all.

    The arrays are ``ids``, ``labels`` and ``classes`` of the task; ``arms``, one for each run;
    ``trials`` (n, 6) int32: run, size, repeat, fold, subset and which cut is held out; the rows of
    each cut, joined (``cut_rows``, ``cut_lengths``); and ``chances``: float32 probabilities of all
    classes but the first, trial after trial.
    """
    cuts: dict[bytes, int] = {}
    held: list[NDArray[np.int32]] = []
    trials, chances = [], []
    for run, each in enumerate(curve.predictions):
        for trial, chance in zip(each.trials, each.probabilities, strict=True):
            rows = np.asarray(trial.test_index, np.int32)
            number = cuts.setdefault(rows.tobytes(), len(cuts))
            if number == len(held):
                held.append(rows)
            trials.append([run, *trial.key, number])
            chances.append(np.asarray(chance[:, 1:], np.float32).ravel())
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            ids=np.array(curve.ids, np.str_),
            labels=curve.labels,
            classes=np.array(curve.classes, np.str_),
            arms=np.array([each.arm for each in curve.predictions], np.str_),
            trials=np.array(trials, np.int32).reshape(-1, 6),
            cut_lengths=np.array([len(rows) for rows in held], np.int64),
            cut_rows=np.concatenate([np.zeros(0, np.int32), *held]),
            chances=np.concatenate([np.zeros(0, np.float32), *chances]),
        )
    return path


def read_curve(path: str | Path) -> Curve:
    """Read a curve from a file of `write_curve`.

    All of `Curve` works on it: its table, `compare`, and `hoag.probing.combine` with curves of
    other runs on the same task. Which labels a trial learned from is not in the file, so that every
    ``train_index`` is empty.

    Raises
    ------
    HoagError
        If there is no such file, or it is not one of hoag's.
    """
    path = Path(path)
    parts = _load(path)
    lengths = parts["cut_lengths"]
    cuts = np.split(parts["cut_rows"].astype(np.int64), np.cumsum(lengths)[:-1])
    classes = len(parts["classes"])
    sizes = lengths[parts["trials"][:, 5]] * (classes - 1)
    chances = np.split(parts["chances"], np.cumsum(sizes)[:-1])
    runs: list[tuple[list[Trial], list[NDArray[np.float32]]]] = [([], []) for _ in parts["arms"]]
    for numbers, flat in zip(parts["trials"].tolist(), chances, strict=True):
        run, size, repeat, fold, subset, cut = numbers
        none = np.zeros(0, np.int64)
        runs[run][0].append(Trial(size, repeat, fold, subset, none, cuts[cut]))
        runs[run][1].append(_with_the_first(flat.reshape(-1, classes - 1)))
    predictions = tuple(
        Predictions(str(arm), tuple(trials), tuple(probabilities))
        for arm, (trials, probabilities) in zip(parts["arms"], runs, strict=True)
    )
    return Curve(
        tuple(parts["ids"].tolist()), parts["labels"], tuple(parts["classes"].tolist()), predictions
    )


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in _PARTS}
    except FileNotFoundError:
        raise HoagError(
            f"{path}: no such file; hoag reproduce leaves predictions/TASK.npz in its folder"
        ) from None
    except (OSError, ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile):
        raise HoagError(f"{path}: not predictions as hoag writes them, or damaged") from None


def _with_the_first(chances: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put the probability of the first class, what the others leave, before them."""
    first = 1 - chances.sum(axis=1, keepdims=True, dtype=np.float64)
    return np.concatenate([first, chances], axis=1).astype(np.float32)

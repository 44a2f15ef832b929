"""Accuracy, balanced accuracy and AUC of probe trials, with intervals by paired bootstrap.

Every measure is a ratio of sums over held-out galaxies, so one resampling of the galaxies (all
predictions of a galaxy together, whichever trial, size and arm they come from) serves all of them
at once, and differences between arms are paired by construction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hoag.subsets import Trial

Floats = NDArray[np.float64]

METRICS = ("accuracy", "balanced_accuracy", "auc")
REPLICATES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval."""

    value: float
    low: float
    high: float


def score(
    trial: Trial, probabilities: NDArray[np.floating], labels: NDArray[np.integer]
) -> dict[str, float]:
    """Score one trial.

    Parameters
    ----------
    trial
        Whose `test_index` were predicted.
    probabilities
        (held out, classes), rows in the order of ``trial.test_index``.
    labels
        (galaxies,) class numbers of the whole task.

    Returns
    -------
    dict
        ``accuracy``, ``balanced_accuracy`` (mean over classes) and ``auc`` (mean over classes of
        one against the rest), each in [0, 1].
    """
    classes = probabilities.shape[1]
    sums = contributions([trial], [probabilities], labels, classes).sum(axis=0)
    values = _measures(sums[None], classes)
    return {name: float(values[name][0]) for name in METRICS}


def contributions(
    trials: Iterable[Trial],
    probabilities: Iterable[NDArray[np.floating]],
    labels: NDArray[np.integer],
    classes: int,
) -> Floats:
    """Sum over trials what each galaxy adds to the measures.

    Returns
    -------
    numpy.ndarray
        (galaxies, 2 classes + 2 outputs) float64, outputs being 1 for two classes: for each class
        the times a galaxy of it was held out, then was right; for each output its placement among
        the others (DeLong+88) as a positive, then as a negative.
    """
    outputs = [1] if classes == 2 else list(range(classes))
    held, right = np.zeros((2, len(labels)))
    placed = np.zeros((len(labels), len(outputs)))
    for trial, chance in zip(trials, probabilities, strict=True):
        rows, truth = trial.test_index, labels[trial.test_index]
        held[rows] += 1
        right[rows] += np.asarray(chance).argmax(axis=1) == truth
        for column, name in enumerate(outputs):
            placed[rows, column] += _placements(np.asarray(chance)[:, name], truth == name)
    mine = labels[:, None] == np.arange(classes)
    return np.concatenate(
        [
            held[:, None] * mine,
            right[:, None] * mine,
            placed * mine[:, outputs],
            placed * ~mine[:, outputs],
        ],
        axis=1,
    )


def _placements(values: NDArray[np.floating], positive: NDArray[np.bool_]) -> Floats:
    """Share of the other kind that each galaxy is on the right side of, ties counting half."""
    placed = np.full(len(values), 0.5)
    above, below = np.sort(values[positive]), np.sort(values[~positive])
    if len(above) and len(below):
        placed[positive] = _rank(values[positive], below)
        placed[~positive] = 1 - _rank(values[~positive], above)
    return placed


def _rank(values: NDArray[np.floating], among: NDArray[np.floating]) -> Floats:
    left, right = (np.searchsorted(among, values, side) for side in ("left", "right"))
    return np.asarray((left + right) / (2 * len(among)))


def _measures(sums: Floats, classes: int, centre: Floats | None = None) -> dict[str, Floats]:
    """Turn sums of contributions (replicates, columns) into measures (replicates,).

    The AUC of a resampling is linearised about the sample's (`centre`): the sum of the two mean
    placements less the AUC itself, which is DeLong's variance when galaxies appear once.
    """
    held, right = sums[:, :classes], sums[:, classes : 2 * classes]
    positive, negative = np.split(sums[:, 2 * classes :], 2, axis=1)
    mine = held[:, 1:2] if classes == 2 else held
    with np.errstate(invalid="ignore", divide="ignore"):  # a resampling may lack a rare class
        total = held.sum(axis=1)
        both = (positive / mine + negative / (total[:, None] - mine)).mean(axis=1)
        return {
            "accuracy": right.sum(axis=1) / total,
            "balanced_accuracy": (right / held).mean(axis=1),
            "auc": both / 2 if centre is None else np.clip(both - centre, 0, 1),
        }


class Bootstrap:
    """Resamplings of the held-out galaxies of one task, the same for every arm and size.

    Parameters
    ----------
    galaxies
        Number of galaxies of the task.
    classes
        Number of classes.
    replicates
        Number of resamplings.
    seed
        Of the resampling alone; it changes no prediction.
    """

    def __init__(
        self, galaxies: int, classes: int, replicates: int = REPLICATES, seed: int = 0
    ) -> None:
        self.galaxies, self.classes = galaxies, classes
        self.replicates, self.seed = replicates, seed

    def measures(
        self, arms: Sequence[Sequence[Floats]], draws: Sequence[int] | None = None
    ) -> list[dict[str, Floats]]:
        """Measures of each arm, (1 + replicates,): of the sample, then of each resampling.

        Parameters
        ----------
        arms
            For each arm its runs (pretraining seeds): each the `contributions` of one run. Where an
            arm has several, its runs are resampled too, independently of the galaxies.
        draws
            A number for each arm: where two have the same, the same of their runs are drawn, as
            for one arm at two sizes. By default each draws its own.
        """
        draws = range(len(arms)) if draws is None else draws
        runs = [run for arm in arms for run in arm]
        held_out = np.flatnonzero(np.any([run.any(axis=1) for run in runs], axis=0))
        matrix = np.concatenate([run[held_out] for run in runs], axis=1)
        sums = np.concatenate([matrix.sum(axis=0, keepdims=True), self._resample(matrix)])
        per_run = [self._run_measures(part) for part in np.split(sums, len(runs), axis=1)]
        results, first = [], 0
        for number, arm in zip(draws, arms, strict=True):
            chosen = self._choose_runs(len(arm), number)
            own = per_run[first : first + len(arm)]
            first += len(arm)
            results.append({name: _mean_of(chosen, [run[name] for run in own]) for name in METRICS})
        return results

    def _run_measures(self, sums: Floats) -> dict[str, Floats]:
        sample = _measures(sums[:1], self.classes)
        resampled = _measures(sums[1:], self.classes, centre=sample["auc"])
        return {name: np.concatenate([sample[name], resampled[name]]) for name in METRICS}

    def _resample(self, matrix: Floats) -> Floats:
        """Sums of the columns over each resampling, (replicates, columns)."""
        generator = np.random.default_rng([self.seed, 0])
        galaxies = len(matrix)
        sums = np.empty((self.replicates, matrix.shape[1]))
        for row in range(self.replicates):
            drawn = generator.integers(0, galaxies, galaxies)
            sums[row] = np.bincount(drawn, minlength=galaxies) @ matrix
        return sums

    def _choose_runs(self, runs: int, arm: int) -> NDArray[np.int64]:
        """(1 + replicates, runs): which runs make up each resampling; the sample has each once."""
        generator = np.random.default_rng([self.seed, 1, arm])
        drawn = generator.integers(0, runs, (self.replicates, runs))
        return np.concatenate([np.arange(runs)[None], drawn])


def _mean_of(chosen: NDArray[np.int64], runs: Sequence[Floats]) -> Floats:
    return np.asarray(np.take_along_axis(np.stack(runs, axis=1), chosen, axis=1).mean(axis=1))


def estimate(values: Floats) -> Estimate:
    """Sample value and percentile interval of a measure, or of a difference of measures."""
    tail = 50 * (1 - LEVEL)
    low, high = np.nanpercentile(values[1:], [tail, 100 - tail])
    return Estimate(float(values[0]), float(low), float(high))

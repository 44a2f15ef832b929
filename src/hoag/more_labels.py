"""What more labels would bring: errors at nested numbers of labels, continued with care.

The continuation is a power law with a floor, error = floor + scale * labels**-power, fitted to the
measured sizes; its interval comes from refits to bootstrap resamplings of the labelled galaxies. It
goes to four times the labels at most, and not at all from fewer than three sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hoag.linear import fit_linear
from hoag.same_object import fewest_objects
from hoag.scores import Bootstrap, contributions
from hoag.subsets import make_trials

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEVEL = 0.90
_POWERS = np.linspace(0.1, 1.0, 10)
_FOLDS, _SUBSETS = 5, 6
_SIZES, _SMALLEST = 5, 8
_AHEAD = (2, 4)


@dataclass(frozen=True)
class Learning:
    """A measure of the probe against the number of labels.

    Attributes
    ----------
    measure
        What is measured: "AUC", or "RMS error" of numbers.
    sizes, values
        (sizes,) numbers of labels and (sizes, 3) mean, low, high: measured.
    ahead, guesses
        The same for numbers of labels that are not there yet: continued.
    """

    measure: str
    sizes: Ints
    values: Floats
    ahead: Ints
    guesses: Floats

    def sentence(self) -> str:
        """Say in words what more labels would bring."""
        if not len(self.ahead):
            return "Too few labels to say what more of them would bring."
        now, low, high = self.values[-1]
        then, lowest, highest = self.guesses[0]
        return (
            f"{self.measure} {_shown(now)} ({_shown(low)} to {_shown(high)}) with "
            f"{self.sizes[-1]:,} labels; with {self.ahead[0]:,} perhaps {_shown(then)} "
            f"({_shown(lowest)} to {_shown(highest)})."
        )


def _shown(value: float) -> str:
    return f"{value:.3g}" if value >= 10 else f"{value:.2f}"


def sizes_of(labels: int, rarest: int, folds: int) -> list[int]:
    """Numbers of labels to measure at: up to all that the other folds leave, each about 1.5 fold.

    Parameters
    ----------
    labels, rarest
        How many labels there are, and of the rarest class.
    folds
        How many folds they are cut into.
    """
    most = labels - -(-labels // folds)
    least = max(_SMALLEST, most // 8, 4 * labels // max(rarest, 1) // 2)
    if least >= most:
        return [most]
    return sorted({int(round(n)) for n in np.geomspace(least, most, _SIZES)})


def learn_classes(
    ids: Sequence[str], features: NDArray[np.floating], yes: NDArray[np.bool_], seed: int = 0,
    objects: Ints | None = None,
) -> Learning:  # fmt: skip
    """Measure the AUC of a class against the rest at nested numbers of labels, and continue it.

    `objects`, (labelled,), numbers sky objects, whose images are held out together.
    """
    labels = yes.astype(np.int64)
    objects = np.arange(len(yes)) if objects is None else objects
    rarest = int(np.bincount(labels, minlength=2).min())
    folds = min(_FOLDS, fewest_objects(objects, yes))
    if len(yes) < 2 * _SMALLEST or folds < 2:
        return _none("AUC")
    groups = [str(number) for number in objects]
    whole = make_trials(ids, labels, ["all"], folds, 1, seed, groups=groups)
    fewest = min(np.bincount(labels[trial.train_index], minlength=2).min() for trial in whole)
    if fewest < 2:
        return _none("AUC")
    sizes = [size for size in sizes_of(len(yes), rarest, folds) if size < whole[0].size]
    trials = make_trials(ids, labels, [*sizes, "all"], folds, _SUBSETS, seed, groups=groups)
    sizes = sorted({trial.size for trial in trials})
    bootstrap = Bootstrap(len(ids), 2, replicates=300, seed=seed)
    columns = []
    for size in sizes:
        own = [trial for trial in trials if trial.size == size]
        chances = [
            fit_linear(features[t.train_index], labels[t.train_index], 2).probabilities(
                features[t.test_index]
            )
            for t in own
        ]
        tally = contributions(own, chances, labels, 2)
        columns.append(bootstrap.measures([[tally]])[0]["auc"])
    errors = 1 - np.stack(columns, axis=1)
    values, ahead, guesses = _continued(np.array(sizes), errors)
    return Learning("AUC", np.array(sizes), _flipped(values), ahead, _flipped(guesses))


def learn_numbers(
    sizes: Sequence[int], squares: Sequence[Floats], labels: int, seed: int = 0
) -> Learning:
    """Continue the RMS error of a regression.

    Parameters
    ----------
    sizes
        Numbers of labels.
    squares
        For each size (labels,) mean squared held-out error of each labelled galaxy.
    labels
        Number of labelled galaxies.
    seed
        Draws the resamplings.
    """
    if len(sizes) < 2:
        return _none("RMS error")
    generator = np.random.default_rng([seed, labels])
    drawn = generator.multinomial(labels, np.full(labels, 1 / labels), 300)
    weights = np.concatenate([np.ones((1, labels)), drawn])
    errors = np.sqrt(weights @ np.stack(squares, axis=1) / labels)
    values, ahead, guesses = _continued(np.array(sizes), errors)
    return Learning("RMS error", np.array(sizes), values, ahead, guesses)


def _none(measure: str) -> Learning:
    empty = np.empty((0, 3))
    return Learning(measure, np.empty(0, np.int64), empty, np.empty(0, np.int64), empty)


def _flipped(errors: Floats) -> Floats:
    return 1 - errors[:, [0, 2, 1]]


def _continued(sizes: Ints, errors: Floats) -> tuple[Floats, Ints, Floats]:
    """Summarise errors (1 + resamplings, sizes), the sample first, and continue them."""
    values = _interval(errors)
    if len(sizes) < 3:
        return values, np.empty(0, np.int64), np.empty((0, 3))
    ahead = np.array([factor * sizes[-1] for factor in _AHEAD], np.int64)
    return values, ahead, _interval(power_laws(sizes, errors, ahead))


def power_laws(sizes: Ints, errors: Floats, ahead: Ints) -> Floats:
    """Continue each row of errors (rows, sizes) to further sizes: (rows, ahead).

    Least squares on a grid of powers, scale and floor never negative, so that errors neither rise
    with labels nor fall below 0.
    """
    best = np.full(len(errors), np.inf)
    continued = np.empty((len(errors), len(ahead)))
    mean = errors.mean(axis=1)
    for power in _POWERS:
        x, onward = sizes.astype(float) ** -power, ahead.astype(float) ** -power
        centred = x - x.mean()
        slope = np.maximum((errors - mean[:, None]) @ centred / (centred**2).sum(), 0)
        floor = mean - slope * x.mean()
        through = (errors @ x) / (x**2).sum()  # where the floor would be negative
        slope, floor = np.where(floor < 0, through, slope), np.maximum(floor, 0)
        misfit = ((errors - floor[:, None] - slope[:, None] * x) ** 2).sum(axis=1)
        better = misfit < best
        best = np.where(better, misfit, best)
        law = floor[:, None] + slope[:, None] * onward
        continued = np.where(better[:, None], law, continued)
    return continued


def _interval(values: Floats) -> Floats:
    """(columns, 3): the sample's value and the interval of its resamplings."""
    tail = 50 * (1 - LEVEL)
    low, high = np.nanpercentile(values[1:], [tail, 100 - tail], axis=0)
    return np.stack([values[0], np.minimum(low, values[0]), np.maximum(high, values[0])], axis=1)

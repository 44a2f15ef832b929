"""Label-efficiency curves: several arms' predictions on the same held-out galaxies, as a table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hoag.errors import HoagError
from hoag.scores import METRICS, Bootstrap, Estimate, contributions, estimate
from hoag.subsets import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Predictions:
    """Class probabilities of one run of one arm on the held-out galaxies of its trials.

    Attributes
    ----------
    arm
        Its name.
    trials
        Indices count the galaxies of the curve.
    probabilities
        For each trial (held out, classes) float32, rows in the order of ``trial.test_index``.
    """

    arm: str
    trials: tuple[Trial, ...]
    probabilities: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True)
class Curve:
    """Accuracy against number of labels, of one arm or several, on one task.

    Attributes
    ----------
    ids
        Ids of the labelled galaxies, sorted.
    labels
        (galaxies,) int64 class numbers.
    classes
        Names of the classes.
    predictions
        One for each arm and run; an arm that comes more than once was trained with several seeds.
    """

    ids: tuple[str, ...]
    labels: Ints
    classes: tuple[str, ...]
    predictions: tuple[Predictions, ...]

    @staticmethod
    def from_predictions(
        ids: Sequence[str],
        labels: NDArray[np.integer],
        classes: Sequence[str],
        trials: Sequence[Trial],
        probabilities: Sequence[NDArray[np.floating]],
        name: str,
    ) -> "Curve":
        """Make the curve of an arm that was trained on trials of its own, such as Direct.

        Parameters
        ----------
        ids, labels, classes
            The task: the arrays that the trials' indices count.
        trials
            From `make_trials` with these ids and labels.
        probabilities
            For each trial (held out, classes), in the order of its `test_index`.
        name
            Name of the arm.

        Raises
        ------
        HoagError
            If a trial's probabilities have the wrong shape or are not finite.
        """
        for trial, chance in zip(trials, probabilities, strict=True):
            shape = (len(trial.test_index), len(classes))
            if chance.shape != shape or not np.isfinite(chance).all():
                raise HoagError(
                    f"{name}: the probabilities of trial {trial.key} have shape {chance.shape} or "
                    f"are not finite; {shape} finite numbers are needed"
                )
        order = np.argsort(np.array(ids, dtype=object), kind="stable")
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        moved = tuple(
            replace(t, train_index=place[t.train_index], test_index=place[t.test_index])
            for t in trials
        )
        single = tuple(np.asarray(chance, np.float32) for chance in probabilities)
        return Curve(
            tuple(ids[row] for row in order),
            np.asarray(labels, np.int64)[order],
            tuple(classes),
            (Predictions(name, moved, single),),
        )

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms, in the order they came."""
        return tuple(dict.fromkeys(each.arm for each in self.predictions))

    @cached_property
    def table(self) -> pa.Table:
        """One row an arm and size: trials, runs, and each measure with its 95 % interval.

        Columns ``arm``, ``size``, ``trials``, ``runs`` and, for accuracy, balanced_accuracy and
        auc, the mean in [0, 1] with ``_low`` and ``_high``.
        """
        return pa.Table.from_pylist(self._rows())

    def _rows(self) -> list[dict[str, Any]]:
        bootstrap = Bootstrap(len(self.ids), len(self.classes))
        rows = []
        for size in self.sizes:
            groups = {arm: self._runs(arm, size) for arm in self.arms}
            groups = {arm: runs for arm, runs in groups.items() if runs}
            tallies = [[self._tally(run) for run in runs] for runs in groups.values()]
            for (arm, runs), values in zip(
                groups.items(), bootstrap.measures(tallies), strict=True
            ):
                row: dict[str, Any] = {
                    "arm": arm,
                    "size": size,
                    "trials": len(runs[0].trials),
                    "runs": len(runs),
                }
                for metric in METRICS:
                    row |= _interval(metric, values[metric])
                rows.append(row)
        place = {arm: number for number, arm in enumerate(self.arms)}
        return sorted(rows, key=lambda row: (place[row["arm"]], row["size"]))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of labels, ascending."""
        return tuple(sorted({t.size for each in self.predictions for t in each.trials}))

    def _runs(
        self, arm: str, size: int, keys: set[tuple[int, ...]] | None = None
    ) -> list[Predictions]:
        """Runs of an arm, restricted to the trials of a size (and to these keys)."""
        runs = []
        for each in self.predictions:
            if each.arm != arm:
                continue
            kept = [
                (trial, chance)
                for trial, chance in zip(each.trials, each.probabilities, strict=True)
                if trial.size == size and (keys is None or trial.key in keys)
            ]
            if kept:
                runs.append(Predictions(arm, *(tuple(part) for part in zip(*kept, strict=True))))
        return runs

    def _tally(self, run: Predictions) -> NDArray[np.float64]:
        return contributions(run.trials, run.probabilities, self.labels, len(self.classes))

    def compare(self, first: str, second: str, metric: str = "accuracy") -> pa.Table:
        """Differences between two arms on the trials that both have, `first` less `second`.

        Returns
        -------
        pyarrow.Table
            ``a``, ``b``, ``size``, ``metric``, ``difference``, ``low``, ``high`` (95 %, paired over
            galaxies) and ``trials``, the number compared; sizes with no common trial are absent.

        Raises
        ------
        HoagError
            If an arm is not in the curve or the metric is unknown.
        """
        for arm in (first, second):
            self._check(arm, metric)
        rows = []
        for size in self.sizes:
            trials = len(self.shared_trials((first, second), size))
            if not trials:
                continue
            one, other = self.resampled([(first, size), (second, size)], metric)
            found = estimate(one - other)
            rows.append(
                {
                    "a": first,
                    "b": second,
                    "size": size,
                    "metric": metric,
                    "difference": found.value,
                    "low": found.low,
                    "high": found.high,
                    "trials": trials,
                }
            )
        return pa.Table.from_pylist(rows, schema=_COMPARISON)

    def contrast(
        self, weights: Mapping[tuple[str, int], float], metric: str = "accuracy"
    ) -> Estimate:
        """Weighted sum of measures of arms at sizes, with its 95 % interval, paired over galaxies.

        A difference has weights 1 and -1; how much more one arm is ahead of another at size n than
        at m is ``{(a, n): 1, (b, n): -1, (a, m): -1, (b, m): 1}``.

        Parameters
        ----------
        weights
            (arm, size) -> its weight. At each size only the trials that its arms share are used.
        metric
            As in `compare`.

        Raises
        ------
        HoagError
            As `resampled`.
        """
        values = self.resampled(list(weights), metric)
        return estimate(np.asarray(list(weights.values())) @ values)

    def resampled(
        self, points: Sequence[tuple[str, int]], metric: str = "accuracy"
    ) -> NDArray[np.float64]:
        """Measures of arms at sizes over the same resamplings of the held-out galaxies.

        Parameters
        ----------
        points
            (arm, size) pairs. At each size only the trials that its arms share are used.
        metric
            As in `compare`.

        Returns
        -------
        array
            (points, 1 + replicates) float64: of the sample, then of each resampling.

        Raises
        ------
        HoagError
            If an arm is not in the curve, the metric is unknown, or the arms of a size share no
            trial.
        """
        sizes: dict[int, list[str]] = {}
        for arm, size in points:
            self._check(arm, metric)
            sizes.setdefault(size, []).append(arm)
        keys = {size: self.shared_trials(arms, size) for size, arms in sizes.items()}
        for size, shared in keys.items():
            if not shared:
                raise HoagError(f"{', '.join(sizes[size])} share no trial of {size} labels")
        names = list(dict.fromkeys(arm for arm, _ in points))
        runs = [self._runs(arm, size, keys[size]) for arm, size in points]
        found = Bootstrap(len(self.ids), len(self.classes)).measures(
            [[self._tally(run) for run in each] for each in runs],
            draws=[names.index(arm) for arm, _ in points],
        )
        return np.stack([values[metric] for values in found])

    def _check(self, arm: str, metric: str) -> None:
        if arm not in self.arms:
            raise HoagError(f"no arm '{arm}' in this curve; it has {', '.join(self.arms)}")
        if metric not in METRICS:
            raise HoagError(f"no metric '{metric}'; choose among {', '.join(METRICS)}")

    def shared_trials(self, arms: Iterable[str], size: int) -> set[tuple[int, ...]]:
        """Keys of the trials of a size that all runs of these arms have: those that are compared.

        Runs that have no trial of that size do not count; an arm of none leaves nothing.
        """
        runs = [self._runs(arm, size) for arm in arms]
        if not all(runs):
            return set()
        sets: list[set[tuple[int, ...]]] = [
            {trial.key for trial in run.trials} for each in runs for run in each
        ]
        return set.intersection(*sets)

    def plot(self, ax: "Axes | None" = None, metric: str = "accuracy") -> "Axes":
        """Draw the curve, with bands for the intervals, on given axes or a figure of its own."""
        from hoag.figures import plot_curve

        return plot_curve(self.table.to_pylist(), ax=ax, metric=metric)

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold: the classes, the number of labels and the rows of the table."""
        return {
            "classes": list(self.classes),
            "labels": len(self.ids),
            "curve": self.table.to_pylist(),
        }

    def _repr_html_(self) -> str:
        from hoag.notebook import curve_html

        return curve_html(self)

    def __repr__(self) -> str:
        sizes = ", ".join(str(size) for size in self.sizes)
        return f"Curve({', '.join(self.arms)}; {len(self.ids)} galaxies; sizes {sizes})"


_COMPARISON = pa.schema(
    [
        ("a", pa.string()),
        ("b", pa.string()),
        ("size", pa.int64()),
        ("metric", pa.string()),
        ("difference", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("trials", pa.int64()),
    ]
)


def _interval(metric: str, values: NDArray[np.float64]) -> dict[str, float]:
    found = estimate(values)
    return {metric: found.value, f"{metric}_low": found.low, f"{metric}_high": found.high}


def combine(curves: Sequence[Curve]) -> Curve:
    """Join curves of one task; an arm that several of them hold was run with several seeds.

    Raises
    ------
    HoagError
        If they are not of the same galaxies with the same labels.
    """
    if not curves:
        raise HoagError("there is no curve to combine; give one at least")
    first = curves[0]
    for other in curves[1:]:
        if other.ids != first.ids or not np.array_equal(other.labels, first.labels):
            raise HoagError(
                f"curves of {', '.join(first.arms)} and {', '.join(other.arms)} are of different "
                "galaxies or labels; only curves of one task can be combined"
            )
    return replace(first, predictions=tuple(run for curve in curves for run in curve.predictions))

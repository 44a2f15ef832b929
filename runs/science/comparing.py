"""Differences of accuracies with intervals of their own and all together, and where curves cross.

Every interval is a percentile of 2,000 resamplings of the held-out galaxies (and of the training
runs where an arm has several). "All together": intervals that hold at once for all differences of
a claim with 95 %, from the largest standardised deviation in each resampling (max-t).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from hoag.curves import Curve
from hoag.scores import LEVEL, estimate

Row = dict[str, Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """A weighted sum of accuracies: what it is called, its number of labels, (arm, size) -> weight.

    `size` is None where more than one number of labels is involved.
    """

    what: str
    size: int | None
    weights: dict[tuple[str, int], float]


def compared(curve: Curve, differences: Sequence[Difference]) -> list[Row]:
    """Differences over the same resamplings, with intervals each and all together.

    Returns
    -------
    list
        For each its ``what``, ``size``, ``difference``, ``low``, ``high``, and ``low_all``,
        ``high_all``; in accuracy, [-1, 1].
    """
    values = resampled(curve, differences)
    rows = []
    for difference, own, (low, high) in zip(differences, values, together(values), strict=True):
        found = estimate(own)
        rows.append(
            {
                "what": difference.what,
                "size": difference.size,
                "difference": found.value,
                "low": found.low,
                "high": found.high,
                "low_all": low,
                "high_all": high,
            }
        )
    return rows


def resampled(curve: Curve, differences: Sequence[Difference]) -> Floats:
    """(differences, 1 + replicates): each difference in the sample and in each resampling."""
    points = list(dict.fromkeys(point for each in differences for point in each.weights))
    weights = np.array([[each.weights.get(p, 0.0) for p in points] for each in differences])
    return weights @ curve.resampled(points)


def together(values: Floats) -> list[tuple[float, float]]:
    """Intervals that cover all rows at once: the sample's value plus and minus q deviations."""
    sample, spread = values[:, 0], np.nanstd(values[:, 1:], axis=1)
    moved = np.abs(values[:, 1:] - sample[:, None])
    largest = np.nanmax(moved / np.where(spread > 0, spread, np.inf)[:, None], axis=0)
    half = np.nanpercentile(largest, 100 * LEVEL) * spread
    return [
        (float(low), float(high)) for low, high in zip(sample - half, sample + half, strict=True)
    ]


def crossing(curve: Curve, differences: Sequence[Difference]) -> Row:
    """Number of labels at which a difference first falls to 0, with its 95 % interval.

    Parameters
    ----------
    curve
        Holds the arms.
    differences
        The same difference at growing numbers of labels.

    Returns
    -------
    dict
        ``labels``, ``low``, ``high``: None where the difference is at 0 or below from the start
        (``low``; ``labels`` then says "before") or above 0 to the end; ``from`` and ``to``, the
        numbers of labels looked at.
    """
    sizes = np.array([each.size for each in differences], float)
    places = np.array([_first_zero(sizes, own) for own in resampled(curve, differences).T])
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(places[1:], [tail, 1 - tail], method="inverted_cdf")
    return {
        "labels": _finite(places[0]), "low": _finite(low), "high": _finite(high),
        "place": _place(places[0]), "low_place": _place(low), "high_place": _place(high),
        "from": int(sizes[0]), "to": int(sizes[-1]),
    }  # fmt: skip


def _first_zero(sizes: Floats, values: Floats) -> float:
    """Where straight lines against log size first reach 0; -inf before all, inf after all."""
    if values[0] <= 0:
        return -np.inf
    below = np.flatnonzero(values <= 0)
    if not len(below):
        return np.inf
    after = below[0]
    share = values[after - 1] / (values[after - 1] - values[after])
    logs = np.log(sizes)
    return float(np.exp(logs[after - 1] + share * (logs[after] - logs[after - 1])))


def _finite(place: float) -> float | None:
    return float(place) if np.isfinite(place) else None


def _place(place: float) -> str:
    return "within" if np.isfinite(place) else "before" if place < 0 else "after"


def rank_correlation(points: Sequence[Row]) -> Row:
    """Spearman's rank correlation of contrastive loss and accuracy along one run, and its points.

    None where fewer than three points, or points that are all alike, leave it undefined.
    """
    loss, accuracy = ([row[name] for row in points] for name in ("contrastive", "accuracy"))
    defined = len(points) > 2 and len(set(loss)) > 1 and len(set(accuracy)) > 1
    rho = float(spearmanr(loss, accuracy).statistic) if defined else None
    return {"spearman": rho, "validations": len(points)}

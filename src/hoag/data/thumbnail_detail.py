"""Whether two thumbnails show one picture: their fine detail is laid over each other and compared.

Smooth light is alike in thousands of galaxies, but sky noise, neighbours and knots are not. So each
thumbnail is high-passed and divided by its local contrast, which gives the empty sky as much say as
the bright core, and the two are correlated at the best zoom and shift.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Thumbnails = npt.NDArray[np.uint8]
Steps = npt.NDArray[np.int64]


class Scale(NamedTuple):
    """How detail is looked at: pixels across what a pair has in common, and lengths in those."""

    grid: int
    near: float  # Gaussian that is taken away: smooth light
    wide: float  # Gaussian over which contrast is measured
    shift: int  # largest offset of the two


FINE = Scale(48, 2.0, 5.0, 5)  # finer detail is JPEG's as much as the sky's
COARSE = Scale(24, 1.2, 2.5, 3)  # a first look, at a tenth of the cost
STEP = 0.005  # of log zoom: finer is not told apart
# Copies reach 0.6 and more at the best of three looks, and 0.7 in fine detail; others 0.34 and 0.22
# in the median (measured).
LOOKS = (  # coarse: steps beside the guess, and the largest score so far from which to go on
    (0, 0.36),
    (-6, 0.42),
    (6, 0.48),
    (-12, 0.48),
    (12, 0.48),
)
SIDES = 3  # fine: steps to both sides of the best look
CLIMBS = 3  # as long as the best is farther than these
WORTH = 0.5  # score in fine detail from which the sides are compared
FLOOR = 4.0  # variance (of thumbnail's units) below which detail is rounding, not sky
_BATCH = 1024


def detail_similarity(
    first: npt.NDArray[np.uint8],
    second: npt.NDArray[np.uint8],
    log_zoom: npt.NDArray[np.float32],
) -> tuple[Floats, Floats]:
    """Correlate the detail of pairs of thumbnails at their best zoom and shift.

    Parameters
    ----------
    first, second
        (n, size, size) uint8; the second of a pair shows at least as much sky.
    log_zoom
        (n,) a guess of ln(width of the first's sky / width of the second's), at most 0, right to
        about 0.05.

    Returns
    -------
    similarity
        (n,) float32, -1 to 1: normalised correlation of the detail; 0 for a blank thumbnail. Pairs
        that LOOKS at coarse detail tell apart have the correlation of that, below the last of them.
    zoom
        (n,) float32, the first's share of the second's width.
    """
    scores = np.zeros(len(log_zoom), np.float32)
    steps = np.rint(log_zoom / STEP).astype(np.int64)
    for guess in np.unique(steps):
        of_guess = np.flatnonzero(steps == guess)
        for start in range(0, len(of_guess), _BATCH):
            rows = of_guess[start : start + _BATCH]
            a, b = first[rows], second[rows]
            for step, enough in LOOKS:
                score = _correlation(a, b, guess + step, COARSE)
                better = score > scores[rows]
                scores[rows[better]], steps[rows[better]] = score[better], guess + step
                likely = scores[rows] >= enough
                rows, a, b = rows[likely], a[likely], b[likely]
                if not len(rows):
                    break
            else:
                scores[rows], steps[rows] = _best(a, b, steps[rows])
    return scores, np.exp(STEP * steps).astype(np.float32)


def _best(a: Thumbnails, b: Thumbnails, steps: Steps) -> tuple[Floats, Steps]:
    """Correlate fine detail at a zoom; where that is promising, climb to the best zoom about it."""
    best, steps = _fine(a, b, steps), steps.copy()
    rows = np.flatnonzero(best >= WORTH)
    for _ in range(CLIMBS):
        if len(rows):
            middle = steps[rows]
            best[rows], steps[rows] = _climbed(a[rows], b[rows], middle, best[rows])
            rows = rows[np.abs(steps[rows] - middle) > SIDES]
    return best, steps


def _climbed(a: Thumbnails, b: Thumbnails, middle: Steps, score: Floats) -> tuple[Floats, Steps]:
    """Correlate beside the middle, and at the top of the parabola through the three; the best."""
    left, right = (_fine(a, b, middle + side) for side in (-SIDES, SIDES))
    bend = np.maximum(2 * score - left - right, 1e-6)
    top = np.rint(SIDES * (right - left) / (2 * bend)).clip(-3 * SIDES, 3 * SIDES).astype(np.int64)
    scores = np.stack([score, left, right, _fine(a, b, middle + top)])
    steps = middle + np.stack([0 * top, 0 * top - SIDES, 0 * top + SIDES, top])
    best, row = scores.argmax(0), np.arange(len(middle))
    return scores[best, row], steps[best, row]


def _fine(a: Thumbnails, b: Thumbnails, steps: Steps) -> Floats:
    """Correlate the fine detail of pairs, each at its own zoom."""
    score = np.empty(len(a), np.float32)
    for step in np.unique(steps):
        rows = np.flatnonzero(steps == step)
        score[rows] = _correlation(a[rows], b[rows], step, FINE)
    return score


def _correlation(a: Thumbnails, b: Thumbnails, steps: int, scale: Scale) -> Floats:
    """Largest correlation, over shifts, of the details of what both show; (n,) float32."""
    from scipy.fft import irfft2, rfft2

    size, log_zoom = a.shape[1], STEP * int(steps)
    zoom = float(np.exp(log_zoom))
    # All of the first and the middle of the second, or the reverse, at the coarser's resolution.
    coarser = max(zoom, 1 / zoom) if abs(log_zoom) > 0.1 else 1.0
    shares = (
        (min(1.0, 1 / zoom), coarser if zoom < 1 else 1.0),
        (
            min(1.0, zoom),
            coarser if zoom > 1 else 1.0,
        ),
    )
    left, right = (
        _detail(x.astype(np.float32), _resampling(size, *share, scale.grid), scale)
        for x, share in zip((a, b), shares, strict=True)
    )
    product = rfft2(left) * rfft2(right).conj()
    shifts = np.r_[0 : scale.shift + 1, -scale.shift : 0]
    whole = irfft2(product, s=(scale.grid, scale.grid))
    surface = whole[:, shifts][:, :, shifts].reshape(len(a), -1)
    power = np.sqrt((left**2).sum((1, 2)) * (right**2).sum((1, 2)))
    score: Floats = (surface.max(1) / np.maximum(power, 1e-3)).astype(np.float32)
    return score


def _detail(thumbnails: Floats, resampling: Floats, scale: Scale) -> Floats:
    """High-pass, and divide by the local contrast; (n, grid, grid) of mean 0."""
    x = both_ways(resampling, thumbnails)
    x -= both_ways(_blur(scale.near, scale.grid), x)
    contrast = both_ways(_blur(scale.wide, scale.grid), x * x)
    contrast += np.float32(FLOOR)
    x /= np.sqrt(contrast, out=contrast)
    x -= x.mean((1, 2), keepdims=True)
    return x


def both_ways(matrix: Floats, images: Floats) -> Floats:
    """Apply a matrix (m, size) to the columns and rows of images (n, size, size); (n, m, m)."""
    n, size = images.shape[:2]
    # Along rows it is one large product.
    along_rows = (images.reshape(n * size, size) @ matrix.T).reshape(n, size, len(matrix))
    found: Floats = matrix @ along_rows
    return found


@cache
def _resampling(size: int, share: float, blur: float, grid: int) -> Floats:
    """Matrix (grid, size) that takes the central `share` of an axis, `blur` pixels wide at least.

    Antialiasing triangles, as in `images.decode`.
    """
    centres = (np.arange(grid) + 0.5 - grid / 2) * share * size / grid + (size - 1) / 2
    width = max(1.0, share * size / grid, blur)
    weights = np.maximum(0, 1 - np.abs(np.arange(size) - centres[:, None]) / width)
    matrix: Floats = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return matrix


@cache
def _blur(sigma: float, grid: int) -> Floats:
    places = np.arange(grid)
    weights = np.exp(-0.5 * ((places[:, None] - places) / sigma) ** 2)
    return without_tails(weights / weights.sum(1, keepdims=True)).astype(np.float32)


def without_tails(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Weights without those that no sum of single precision sees.

    A Gaussian's tail ends in numbers below 1e-38, with which a processor calculates by a detour: a
    product of matrices that holds 3 % of them took 18 times as long.
    """
    return np.where(np.abs(weights) < 1e-12, 0.0, weights)

"""Whether two thumbnails show one picture: their fine detail is laid over each other and compared.

Smooth light is alike in thousands of galaxies, but sky noise, neighbours and knots are not. So each
thumbnail is high-passed and divided by its local contrast, which gives the empty sky as much say as
the bright core, and the two are correlated at the best zoom and shift.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

GRID = 48  # pixels across the common part of a pair; finer detail is JPEG's as much as the sky's
MAX_SHIFT = 5  # of those pixels
FLOOR = 4.0  # variance (of thumbnail's units) below which detail is rounding, not sky
LADDER = (  # steps of log zoom, and the score from which they are worth trying
    ((-0.08, -0.04, 0.04, 0.08), 0.2),
    ((-0.02, 0.02), 0.4),
    ((-0.01, 0.01), 0.5),
    ((-0.005, 0.005), 0.5),
)
_BATCH = 256


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
        (n,) float32, -1 to 1: normalised correlation of the detail; 0 for a blank thumbnail.
    zoom
        (n,) float32, the first's share of the second's width.
    """
    scores = np.zeros(len(log_zoom), np.float32)
    zooms = np.exp(log_zoom.astype(np.float32))
    for guess in np.unique(log_zoom):
        of_guess = np.flatnonzero(log_zoom == guess)
        for start in range(0, len(of_guess), _BATCH):
            rows = of_guess[start : start + _BATCH]
            scores[rows], zooms[rows] = _best(first[rows], second[rows], float(guess))
    return scores, zooms


def _best(
    first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8], guess: float
) -> tuple[Floats, Floats]:
    """Correlate at the guess; where that is promising, at zooms about it, in ever finer steps."""
    a, b = first.astype(np.float32), second.astype(np.float32)
    best = _correlation(a, b, guess)
    logs = np.full(len(a), guess)
    for steps, enough in LADDER:
        middle = logs.copy()
        for value in np.unique(middle):
            rows = np.flatnonzero((middle == value) & (best >= enough))
            for step in steps if len(rows) else ():
                score = _correlation(a[rows], b[rows], value + step)
                better = rows[score > best[rows]]
                best[better], logs[better] = score[score > best[rows]], value + step
    return best, np.exp(logs).astype(np.float32)


def _correlation(a: Floats, b: Floats, log_zoom: float) -> Floats:
    """Largest correlation within MAX_SHIFT of the details of what both show; (n,) float32."""
    from scipy.fft import irfft2, rfft2

    size, zoom = a.shape[1], float(np.exp(log_zoom))
    # All of the first and the middle of the second, or the reverse, at the coarser's resolution.
    coarser = max(zoom, 1 / zoom) if abs(log_zoom) > 0.1 else 1.0
    left = _detail(a, _resampling(size, min(1.0, 1 / zoom), coarser if zoom < 1 else 1.0))
    right = _detail(b, _resampling(size, min(1.0, zoom), coarser if zoom > 1 else 1.0))
    product = rfft2(left) * rfft2(right).conj()
    shifts = np.r_[0 : MAX_SHIFT + 1, -MAX_SHIFT:0]
    surface = irfft2(product, s=(GRID, GRID))[:, shifts][:, :, shifts].reshape(len(a), -1)
    power = np.sqrt((left**2).sum((1, 2)) * (right**2).sum((1, 2)))
    score: Floats = (surface.max(1) / np.maximum(power, 1e-3)).astype(np.float32)
    return score


def _detail(thumbnails: Floats, resampling: Floats) -> Floats:
    """High-pass, and divide by the local contrast; (n, GRID, GRID) of mean 0."""
    x = resampling @ thumbnails @ resampling.T
    near, wide = _blur(2.0), _blur(5.0)
    x = x - near @ x @ near.T
    x /= np.sqrt(wide @ (x * x) @ wide.T + np.float32(FLOOR))
    detail: Floats = x - x.mean((1, 2), keepdims=True)
    return detail


@cache
def _resampling(size: int, share: float, blur: float) -> Floats:
    """Matrix (GRID, size) that takes the central `share` of an axis, `blur` pixels wide at least.

    Antialiasing triangles, as in `images.decode`.
    """
    centres = (np.arange(GRID) + 0.5 - GRID / 2) * share * size / GRID + (size - 1) / 2
    width = max(1.0, share * size / GRID, blur)
    weights = np.maximum(0, 1 - np.abs(np.arange(size) - centres[:, None]) / width)
    matrix: Floats = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return matrix


@cache
def _blur(sigma: float) -> Floats:
    places = np.arange(GRID)
    weights = np.exp(-0.5 * ((places[:, None] - places) / sigma) ** 2)
    matrix: Floats = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return matrix

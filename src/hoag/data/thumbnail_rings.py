"""What a thumbnail looks like in a few numbers: light and detail in rings about its galaxy.

Rings are spaced evenly in the logarithm of radius, so that seeing the same galaxy at another zoom
moves its numbers from ring to ring, and a centred crop is read off without resampling an image
(the idea of the Fourier-Mellin transform). Of these numbers, those combinations are kept that
differ much between galaxies and little between two copies of a picture: Fisher's linear
discriminant, with the scatter within a class measured on copies made of a sample of the thumbnails.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hoag.data.thumbnail_detail import without_tails

Floats = npt.NDArray[np.float32]
Thumbnails = npt.NDArray[np.uint8]

STEP = 0.08  # of ln(radius), from ring to ring
RINGS = 20  # that describe a picture: a factor 5 in radius
ZOOMS = 9  # crops that are looked for: the whole, exp(-STEP), ... exp(-8 STEP) = 0.53 of the width
LIGHT_HARMONICS, DETAIL_HARMONICS = 6, 8  # of the angle, in each ring
NUMBERS = 40  # kept of all
SAMPLE = 4_000  # thumbnails that the discriminant is learnt from
_OUTERMOST = 0.875  # of half the width: the outermost ring lies whole within the frame
_REACH = 5  # pixels that the galaxy's centre may lie off the frame's
_WINDOW = 4.0  # pixels: width of the Gaussian in which the centre of light is taken
_FAINT = 12.0  # contrast (of thumbnail's units) below which a picture's light says little
_SKY = 4.0  # variance of detail that is rounding, not sky


class Rings(NamedTuple):
    """Angular harmonics of light and of detail: two (n, RINGS + ZOOMS - 1, ...) float32."""

    light: Floats
    detail: Floats


class Descriptor(NamedTuple):
    """The kept combinations: mean (numbers,), basis (numbers, NUMBERS); copies scatter by 1."""

    mean: Floats
    basis: Floats


def ring_numbers(thumbnails: Thumbnails) -> Rings:
    """Measure rings of thumbnails (n, size, size) about their galaxies."""
    n, half = len(thumbnails), thumbnails.shape[1] // 2
    centred = _centred(thumbnails).reshape(n, half, 2, half, 2)
    light = centred.sum((2, 4), dtype=np.uint16).astype(np.float32) / 4
    near, wide = _blur(half, 3.0), _blur(half, 5.0)
    detail = light - near @ light @ near.T
    detail /= np.sqrt(wide @ (detail * detail) @ wide.T + np.float32(_SKY))
    parts = [
        (image.reshape(n, -1) @ _operator(half, harmonics)).reshape(n, RINGS + ZOOMS - 1, -1)
        for image, harmonics in ((light, LIGHT_HARMONICS), (detail, DETAIL_HARMONICS))
    ]
    return Rings(*parts)


def seen_at(rings: Rings, zoom: int) -> Floats:
    """Numbers of the central exp(-STEP zoom) of pictures, free of brightness and contrast; (n, -1).

    Parameters
    ----------
    rings
        Of `ring_numbers`.
    zoom
        Place in the ladder of zooms, 0 to ZOOMS - 1.
    """
    n, window = len(rings.light), slice(zoom, zoom + RINGS)
    light = rings.light[:, window].copy()
    light[:, :, 0] -= light[:, :, 0].mean(1, keepdims=True)
    light /= light[:, :, 0].std(1)[:, None, None] + np.float32(_FAINT)
    parts = [light, rings.detail[:, window]]
    return np.concatenate([part.reshape(n, int(np.prod(part.shape[1:]))) for part in parts], axis=1)


def learn_descriptor(thumbnails: Thumbnails) -> Descriptor:
    """Find the combinations that tell galaxies apart and copies not.

    Parameters
    ----------
    thumbnails
        (n, size, size) uint8, at least two: a sample.
    """
    from scipy.linalg import eigh

    copies, zooms = _copies(thumbnails, np.random.default_rng(0))
    own, rings = seen_at(ring_numbers(thumbnails), 0), ring_numbers(copies)
    theirs = np.empty_like(own)
    for zoom in range(ZOOMS):
        rows = zooms == zoom
        theirs[rows] = seen_at(Rings(rings.light[rows], rings.detail[rows]), zoom)
    difference = (theirs - own).astype(np.float64)
    # Some copies are spoilt (another centre was found): they may not rule the scatter.
    length = np.linalg.norm(difference, axis=1)
    difference = difference[length <= np.quantile(length, 0.9)]
    within = difference.T @ difference / len(difference)
    within += np.eye(len(within)) * (1e-2 * np.trace(within) / len(within) + 1e-9)
    between = np.cov(own.T.astype(np.float64))
    last = len(within) - 1
    basis = eigh(between, within, subset_by_index=(last - NUMBERS + 1, last))[1][:, ::-1]
    return Descriptor(own.mean(0), basis.astype(np.float32))


def describe(rings: Rings, zoom: int, descriptor: Descriptor) -> Floats:
    """Give the kept numbers of pictures at one zoom; (n, NUMBERS) float32."""
    numbers = (seen_at(rings, zoom) - descriptor.mean) @ descriptor.basis
    return numbers.astype(np.float32, copy=False)


def _centred(thumbnails: Thumbnails) -> Thumbnails:
    """Move the centre of light to the middle, by whole pixels; edges are repeated."""
    from numpy.lib.stride_tricks import sliding_window_view

    size = thumbnails.shape[1]
    down, right = _centres(thumbnails)
    margin = ((0, 0), (_REACH, _REACH), (_REACH, _REACH))
    windows = sliding_window_view(np.pad(thumbnails, margin, "edge"), (size, size), (1, 2))
    moved: Thumbnails = windows[np.arange(len(thumbnails)), down, right]
    return moved


def _centres(thumbnails: Thumbnails) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Offsets in rows and columns (0 to 2 _REACH) of the centre of light, by mean shift."""
    size = thumbnails.shape[1]
    edge = max(0, size // 2 - 16)
    x = thumbnails[:, edge : size - edge, edge : size - edge].astype(np.float32)
    places = (np.arange(x.shape[1]) - (x.shape[1] - 1) / 2).astype(np.float32)
    down, right = np.zeros((len(x), 1), np.float32), np.zeros((len(x), 1), np.float32)
    for _ in range(4):
        rows = np.exp(-0.5 * ((places - down) / _WINDOW) ** 2)
        columns = np.exp(-0.5 * ((places - right) / _WINDOW) ** 2)
        along_rows = (x @ columns[:, :, None])[:, :, 0] * rows
        along_columns = (rows[:, None] @ x)[:, 0] * columns
        # Light as wide as the window moves its centroid by half of what it is off.
        for centre, light in ((down, along_rows), (right, along_columns)):
            off = (light * (places - centre)).sum(1, keepdims=True)
            centre += 2 * off / (light.sum(1, keepdims=True) + 1e-3)
            centre.clip(-_REACH, _REACH, out=centre)
    whole = [np.rint(centre[:, 0]).astype(np.int64) + _REACH for centre in (down, right)]
    return whole[0], whole[1]


@cache
def _operator(size: int, harmonics: int) -> Floats:
    """Matrix (pixels, rings x harmonics) of rings with a Gaussian profile in ln(radius)."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    columns = []
    for ring in range(RINGS + ZOOMS - 1):
        off = np.log(radius / (_OUTERMOST * size / 2)) + STEP * ring
        weight = np.exp(-0.5 * (off / (0.9 * STEP)) ** 2) / radius * (radius < size / 2)
        weight /= max(weight.sum(), 1e-12)
        columns.append(weight)
        for m in range(1, harmonics + 1):
            columns += [weight * np.cos(m * angle) * 2**0.5, weight * np.sin(m * angle) * 2**0.5]
    matrix = without_tails(np.stack(columns).reshape(len(columns), -1).T)
    return np.ascontiguousarray(matrix, np.float32)


@cache
def _blur(size: int, sigma: float) -> Floats:
    places = np.arange(size)
    weights = np.exp(-0.5 * ((places[:, None] - places) / sigma) ** 2)
    return without_tails(weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _copies(
    thumbnails: Thumbnails, random: np.random.Generator
) -> tuple[Thumbnails, npt.NDArray[np.int64]]:
    """Copy each zoomed out, shifted, blurred, brighter and noisier; and its place in the zooms."""
    size = thumbnails.shape[1]
    copies = np.empty_like(thumbnails)
    logs = random.uniform(-STEP / 2, STEP * (ZOOMS - 0.5), len(thumbnails))
    for row, log in enumerate(logs):
        light = (thumbnails[row].astype(np.float32) / 255) ** 2
        shifts, blur = random.uniform(-1.5, 1.5, 2), random.uniform(0.0, 1.0)
        down, right = (_zoomed_out(size, np.exp(log), shift, blur) for shift in shifts)
        light = down @ light @ right.T * random.uniform(0.75, 1.3) + random.uniform(-0.03, 0.05)
        light += random.normal(0.0, 0.006, light.shape)
        copies[row] = np.rint(255 * np.sqrt(light.clip(0, 1)))
    return copies, np.rint(logs / STEP).astype(np.int64).clip(0, ZOOMS - 1)


def _zoomed_out(size: int, zoom: float, shift: float, blur: float) -> npt.NDArray[np.float64]:
    """Matrix that shows an axis `zoom` times smaller, its edge pixels repeated outside."""
    centres = (np.arange(size) - (size - 1) / 2) * zoom + (size - 1) / 2 + shift
    distance = np.abs(np.arange(size) - centres.clip(0, size - 1)[:, None])
    weights = np.maximum(0, 1 - distance / (max(1.0, zoom) + blur))
    matrix: npt.NDArray[np.float64] = weights / weights.sum(1, keepdims=True)
    return matrix

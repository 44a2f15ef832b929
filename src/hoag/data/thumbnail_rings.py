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

from hoag.data.thumbnail_detail import both_ways, without_tails

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
_BATCH = 256  # pictures measured at once: a few MB, which stay in the processor's cache
_COPIED = 32  # thumbnails copied at once, likewise


class Rings(NamedTuple):
    """Angular harmonics of light and of detail: two (n, RINGS + ZOOMS - 1, ...) float32."""

    light: Floats
    detail: Floats


class Descriptor(NamedTuple):
    """The kept combinations; copies scatter by 1.

    Light (RINGS x harmonics, NUMBERS) is taken less its mean over the rings, then divided by its
    contrast; detail (RINGS x harmonics, NUMBERS) is added, mean (NUMBERS,) taken away.
    """

    light: Floats
    detail: Floats
    mean: Floats


def ring_numbers(thumbnails: Thumbnails) -> Rings:
    """Measure rings of thumbnails (n, size, size) about their galaxies."""
    parts: list[list[Floats]] = [[], []]
    for start in range(0, max(1, len(thumbnails)), _BATCH):
        light = _half_size(_centred(thumbnails[start : start + _BATCH]))
        detail = light - both_ways(_blur(light.shape[1], 3.0), light)
        contrast = both_ways(_blur(light.shape[1], 5.0), detail * detail)
        contrast += np.float32(_SKY)
        detail /= np.sqrt(contrast, out=contrast)
        parts[0].append(_harmonics(light, LIGHT_HARMONICS))
        parts[1].append(_harmonics(detail, DETAIL_HARMONICS))
    return Rings(*(part[0] if len(part) == 1 else np.concatenate(part) for part in parts))


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

    copies, zooms = copies_of(thumbnails, np.random.default_rng(0))
    own, rings = seen_at(ring_numbers(thumbnails), 0), ring_numbers(copies)
    theirs = np.empty_like(own)
    for zoom in range(ZOOMS):
        rows = zooms == zoom
        theirs[rows] = seen_at(Rings(rings.light[rows], rings.detail[rows]), zoom)
    mean, difference = own.mean(0), theirs - own
    # Some copies are spoilt (another centre was found): they may not rule the scatter.
    length = np.linalg.norm(difference, axis=1)
    difference = difference[length <= np.quantile(length, 0.9)]
    within = (difference.T @ difference).astype(np.float64) / len(difference)
    within += np.eye(len(within)) * (1e-2 * np.trace(within) / len(within) + 1e-9)
    own -= mean
    between = (own.T @ own).astype(np.float64) / len(own)
    last = len(within) - 1
    basis = eigh(between, within, subset_by_index=(last - NUMBERS + 1, last))[1][:, ::-1]
    basis = basis.astype(np.float32)
    harmonics = 1 + 2 * LIGHT_HARMONICS
    light, detail = basis[: RINGS * harmonics].copy(), basis[RINGS * harmonics :].copy()
    light[::harmonics] -= light[::harmonics].mean(0)  # instead of taking the mean off the light
    return Descriptor(light, detail, mean @ basis)


def describe(rings: Rings, descriptor: Descriptor, zooms: int = ZOOMS) -> Floats:
    """Give the kept numbers of pictures at each zoom; (n, zooms, NUMBERS) float32.

    They are those of `seen_at` in the descriptor's basis, without making them.
    """
    n = len(rings.light)
    numbers = np.empty((n, zooms, NUMBERS), np.float32)
    contrast = _contrast(rings.light[:, :, 0])
    for zoom in range(zooms):
        window = slice(zoom, zoom + RINGS)
        light = rings.light[:, window].reshape(n, -1) @ descriptor.light
        light /= contrast[:, zoom, None]
        light += rings.detail[:, window].reshape(n, -1) @ descriptor.detail
        np.subtract(light, descriptor.mean, out=numbers[:, zoom])
    return numbers


def _contrast(profiles: Floats) -> Floats:
    """Deviation of the rings' means in each zoom's window, and what of it is faint; (n, ZOOMS)."""
    window = np.tri(profiles.shape[1], ZOOMS, 0, np.float32)
    window -= np.tri(profiles.shape[1], ZOOMS, -RINGS, np.float32)
    off = profiles - profiles.mean(1, keepdims=True)
    variance = off**2 @ window / RINGS - (off @ window / RINGS) ** 2
    return np.sqrt(variance.clip(0)) + np.float32(_FAINT)


def _half_size(thumbnails: Thumbnails) -> Floats:
    """Mean light of 2 x 2 pixels."""
    two = thumbnails.view(np.uint16)  # neighbours in a row: whole rows are added at once
    across = (two & 0xFF) + (two >> 8)
    light = (across[:, 0::2] + across[:, 1::2]).astype(np.float32)
    light /= 4
    return light


def _harmonics(images: Floats, harmonics: int) -> Floats:
    """Harmonics of images (n, size, size) in rings; (n, rings, 1 + 2 harmonics) float32.

    An image is the sum of four that are even or odd in each axis, of which a quarter says all, and
    each harmonic sees one of the four: a quarter of the work.
    """
    n, half = len(images), images.shape[1] // 2
    found = np.empty((n, RINGS + ZOOMS - 1, 1 + 2 * harmonics), np.float32)
    operators = _operators(2 * half, harmonics)
    top, bottom = images[:, :half], images[:, : -half - 1 : -1]
    first = 0
    for odd_rows, rows in enumerate((top + bottom, top - bottom)):
        left, right = rows[:, :, :half], rows[:, :, : -half - 1 : -1]
        for odd_columns, quarter in enumerate((left + right, left - right)):
            operator = operators[2 * odd_rows + odd_columns]
            part = (quarter.reshape(n, -1) @ operator).reshape(n, RINGS + ZOOMS - 1, -1)
            found[:, :, first : first + part.shape[2]] = part
            first += part.shape[2]
    return found


def _centred(thumbnails: Thumbnails) -> Thumbnails:
    """Move the centre of light to the middle, by whole pixels; edges are repeated."""
    size = thumbnails.shape[1]
    margin = ((0, 0), (_REACH, _REACH), (_REACH, _REACH))
    wider, moved = np.pad(thumbnails, margin, "edge"), np.empty_like(thumbnails)
    places = zip(*(offsets.tolist() for offsets in _centres(thumbnails)), strict=True)
    for row, (down, right) in enumerate(places):
        moved[row] = wider[row, down : down + size, right : right + size]
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
def _operators(size: int, harmonics: int) -> tuple[Floats, ...]:
    """Matrices (pixels, rings x harmonics) of rings with a Gaussian profile in ln(radius).

    One for the quarters even in rows and columns, odd in columns, odd in rows, odd in both; of all,
    the ring's mean is the first of the first.
    """
    half = size // 2
    y, x = np.mgrid[:half, :half] - (size - 1) / 2
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    waves: list[list[npt.NDArray[np.float64]]] = [[np.ones_like(angle)], [], [], []]
    for m in range(1, harmonics + 1):
        # Of x to -x, angle to pi - angle.
        waves[m % 2].append(np.cos(m * angle) * 2**0.5)
        waves[3 - m % 2].append(np.sin(m * angle) * 2**0.5)
    rings = []
    for ring in range(RINGS + ZOOMS - 1):
        off = np.log(radius / (_OUTERMOST * size / 2)) + STEP * ring
        weight = np.exp(-0.5 * (off / (0.9 * STEP)) ** 2) / radius * (radius < size / 2)
        rings.append(weight / max(4 * weight.sum(), 1e-12))
    operators = (
        np.stack([ring * wave for ring in rings for wave in of_kind]).reshape(-1, half * half).T
        for of_kind in waves
    )
    return tuple(
        np.ascontiguousarray(without_tails(operator), np.float32) for operator in operators
    )


@cache
def _blur(size: int, sigma: float) -> Floats:
    places = np.arange(size)
    weights = np.exp(-0.5 * ((places[:, None] - places) / sigma) ** 2)
    return without_tails(weights / weights.sum(1, keepdims=True)).astype(np.float32)


def copies_of(
    thumbnails: Thumbnails, random: np.random.Generator
) -> tuple[Thumbnails, npt.NDArray[np.int64]]:
    """Copy each zoomed out, shifted, blurred, brighter and noisier; and its place in the zooms."""
    n, size = thumbnails.shape[:2]
    copies = np.empty_like(thumbnails)
    logs, blur, gain, offset, *shifts = (
        np.asarray(random.uniform(low, high, n), np.float32)
        for low, high in ((-STEP / 2, STEP * (ZOOMS - 0.5)), (0, 1), (0.75, 1.3), (-0.03, 0.05),
                          (-1.5, 1.5), (-1.5, 1.5))
    )  # fmt: skip
    for start in range(0, n, _COPIED):
        rows = slice(start, start + _COPIED)
        light = (thumbnails[rows].astype(np.float32) / 255) ** 2
        down, right = (
            _zoomed_out(size, np.exp(logs[rows]), shift[rows], blur[rows]) for shift in shifts
        )
        light = down @ light @ right.transpose(0, 2, 1)
        light *= gain[rows, None, None]
        # Of deviation 0.006; even, as a Gaussian takes four times as long to draw.
        light += (random.random(light.shape, np.float32) - 0.5) * np.float32(0.006 * 12**0.5)
        light += offset[rows, None, None]
        copies[rows] = np.rint(255 * np.sqrt(light.clip(0, 1)))
    return copies, np.rint(logs / STEP).astype(np.int64).clip(0, ZOOMS - 1)


def _zoomed_out(size: int, zoom: Floats, shift: Floats, blur: Floats) -> Floats:
    """Matrices (n, size, size): an axis `zoom` times smaller, its edge pixels repeated outside."""
    places = np.arange(size, dtype=np.float32)
    middle = np.float32((size - 1) / 2)
    centres = (places - middle) * zoom[:, None] + middle + shift[:, None]
    weights = places - centres.clip(0, size - 1)[:, :, None]
    np.abs(weights, out=weights)
    weights /= -(np.maximum(1, zoom) + blur)[:, None, None]
    weights += 1
    np.maximum(weights, 0, out=weights)
    weights /= weights.sum(2, keepdims=True)
    return weights

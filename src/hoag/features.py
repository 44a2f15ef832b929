"""Hand-made features: the classical measures of galaxy morphology, as a baseline for learned ones.

Concentration, asymmetry and clumpiness after Conselice (2003, ApJS 147, 1), Gini and M20 after
Lotz, Primack & Madau (2004, AJ 128, 163), on colour images as they are shown: their brightness is
not linear in flux, so the numbers rank galaxies and are not those of the papers. Beside them stand
sizes, the axis ratio, radial profiles and colours. A turn by 90 degrees changes none of them.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

Floats = NDArray[np.float64]

SIZE = 64
"""Side in pixels of the images that are measured."""
BINS, ZONES = 16, 4
_SHIFTS = 2  # pixels, so that the centre of asymmetry moves by up to one
_BLOCK = 256  # images at once
_BOX = 5  # pixels: the light that clumps stand out from is smoothed over it
NAMES = (
    *("concentration", "asymmetry", "clumpiness", "gini", "m20", "axis ratio"),
    *("petrosian radius", "r20", "r50", "r80", "sky", "brightness"),
    *(f"profile {bin}" for bin in range(BINS)),
    *(f"scatter {bin}" for bin in range(BINS)),
    *("red less green", "green less blue"),
    *(f"red less green {zone}" for zone in range(ZONES)),
    *(f"green less blue {zone}" for zone in range(ZONES)),
    *("gradient of red less green", "gradient of green less blue"),
)
"""Names of the features in their order."""


def features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Measure galaxies in the middle of square images.

    Parameters
    ----------
    images
        (galaxies, 3, 64, 64) uint8.

    Returns
    -------
    array
        (galaxies, len(NAMES)) float32, finite, for blank images too. Radii are in pixels and
        brightnesses in [0, 1].
    """
    blocks = [_measure(images[at : at + _BLOCK]) for at in range(0, len(images), _BLOCK)]
    return np.concatenate([np.zeros((0, len(NAMES)), np.float32), *blocks])


def _measure(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    radius = _radii()
    colours = images.reshape(len(images), 3, -1) / 255.0
    sky = np.median(colours[:, :, radius > SIZE / 2], axis=2, keepdims=True)
    colours = colours - sky
    light = colours.mean(1)
    within, r20, r50, r80 = _sizes(light)
    bright = _smooth(light, 3)
    # Lotz+04: the pixels brighter than the galaxy is at its Petrosian radius.
    edge = _at_radius(bright, within)[:, None]
    galaxy = (bright >= np.maximum(edge, 1e-3)) & (radius <= 1.5 * within[:, None])
    mean, scatter = _profile(light)
    each = [
        *(5 * np.log10(np.maximum(r80, 1) / np.maximum(r20, 1)), asymmetry(light)),
        *(clumpiness(light), gini(light, galaxy), m20(light, galaxy), axis_ratio(light, galaxy)),
        *(within, r20, r50, r80, sky.mean((1, 2)), light.mean(1)),
    ]
    found = np.concatenate([np.stack(each, 1), mean, scatter, _colours(colours)], axis=1)
    return found.astype(np.float32)


def asymmetry(light: Floats) -> Floats:
    """Asymmetry under half a turn (Conselice 2003, Eq. 1), without its term for the sky.

    Sum of the differences between an image and itself turned by 180 degrees over twice its light,
    within 29 pixels, at the centre that makes it least, up to a pixel from the middle.

    Parameters
    ----------
    light
        (galaxies, 4096) less the sky.
    """
    square = light.reshape(-1, SIZE, SIZE).astype(np.float32)
    turned = square[:, ::-1, ::-1]
    low, high = _SHIFTS, SIZE - _SHIFTS  # what every shift leaves within the image
    kept = np.ascontiguousarray(square[:, low:high, low:high])
    inside = (_radii().reshape(SIZE, SIZE) <= SIZE / 2 - 3)[low:high, low:high]
    weights = inside.ravel().astype(np.float32)
    least = np.full(len(light), np.inf)
    for down in range(2 * _SHIFTS + 1):
        for right in range(2 * _SHIFTS + 1):
            other = turned[:, down : down + high - low, right : right + high - low]
            apart = np.abs(kept - other).reshape(len(light), -1)
            least = np.minimum(least, apart @ weights)
    everything = np.abs(kept).reshape(len(light), -1) @ weights
    return least / _some(2 * everything.astype(np.float64))


def clumpiness(light: Floats) -> Floats:
    """Share of the light that stands out from its smoothed self (Conselice 2003, Eq. 2).

    Within 29 pixels but for the innermost 3; the box is of 5 pixels for every galaxy.
    """
    radius = _radii()
    ring = (radius > 3) & (radius <= SIZE / 2 - 3)
    above = np.maximum(light - _smooth(light, _BOX), 0)
    return (above * ring).sum(1) / _some((np.abs(light) * ring).sum(1))


def gini(light: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Gini coefficient of the light of some pixels (Lotz+04, Eq. 6); 0 all alike, 1 all in one.

    Parameters
    ----------
    light, inside
        (galaxies, pixels); which pixels count.
    """
    count = inside.sum(1)
    # Pixels that do not count are 0, so first, and add nothing whatever their place.
    ordered = np.sort(np.abs(light) * inside, axis=1)
    rank = np.arange(1, light.shape[1] + 1) - (light.shape[1] - count)[:, None]
    weighted = ((2 * rank - count[:, None] - 1) * ordered).sum(1)
    total = ordered.sum(1)
    return np.where(count > 1, weighted / _some(total * (count - 1)), 0)


def m20(light: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Second moment of the brightest fifth of the light over that of all, log10 (Lotz+04, Eq. 8).

    Arguments as in `gini`; pixels as bright as the last of that fifth count as well.
    """
    weight = np.maximum(light, 0) * inside
    moments = weight * _squared_distance(weight)
    ordered = -np.sort(-weight, axis=1)
    summed = np.cumsum(ordered, axis=1)
    last = (summed < 0.2 * summed[:, -1:] * (1 - 1e-9)).sum(1)
    least = np.take_along_axis(ordered, np.minimum(last, weight.shape[1] - 1)[:, None], 1)
    brightest = (moments * (weight >= least)).sum(1)
    share = brightest / _some(moments.sum(1))
    return np.log10(np.clip(share, 1e-4, 1))


def axis_ratio(light: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Minor over major axis by second moments of some pixels' light, 1 where there is none."""
    weight = np.maximum(light, 0) * inside
    total = _some(weight.sum(1))
    y, x = _places()
    dy, dx = (p - ((weight @ p) / total)[:, None] for p in (y, x))
    yy, xx, xy = ((weight * product).sum(1) / total for product in (dy * dy, dx * dx, dx * dy))
    half, apart = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    small = np.sqrt(np.maximum(half - apart, 0)) / _some(np.sqrt(half + apart))
    return np.where(half > 0, small, 1)


def _sizes(light: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Petrosian radius, where a ring has 0.2 of the mean brightness within, and r20, r50, r80."""
    rings, counts = _rings(SIZE // 2)
    sums = light @ rings
    grown = np.cumsum(sums, axis=1)
    inner = grown / np.cumsum(counts)
    low = sums / counts < 0.2 * inner
    low[:, :2] = False  # noise in the few pixels of the middle
    petrosian = np.where(low.any(1), low.argmax(1) + 0.5, SIZE / 2)
    last = np.minimum(1.5 * petrosian, SIZE // 2 - 1).astype(np.int64)
    total = np.take_along_axis(grown, last[:, None], 1)
    radii = [_reached(grown, share * total) for share in (0.2, 0.5, 0.8)]
    return petrosian, radii[0], radii[1], radii[2]


def _reached(grown: Floats, wanted: Floats) -> Floats:
    """Radius in pixels at which a growing sum reaches what is wanted, linear between rings."""
    ring = (grown >= wanted).argmax(1)
    above = np.take_along_axis(grown, ring[:, None], 1)[:, 0]
    below = np.where(
        ring > 0, np.take_along_axis(grown, np.maximum(ring - 1, 0)[:, None], 1)[:, 0], 0
    )
    part = np.clip((wanted[:, 0] - below) / _some(above - below), 0, 1)
    return np.where(wanted[:, 0] > 0, ring + part, 0)


def _at_radius(light: Floats, radius: Floats) -> Floats:
    """Mean brightness in the ring, a pixel wide, at a radius of each galaxy's own."""
    rings, counts = _rings(SIZE // 2)
    chosen = np.minimum(radius, SIZE // 2 - 1).astype(np.int64)
    return np.take_along_axis((light @ rings) / counts, chosen[:, None], 1)[:, 0]


def _profile(light: Floats) -> tuple[Floats, Floats]:
    """Mean brightness in rings and its scatter along them, (galaxies, BINS) each."""
    rings, counts = _rings(BINS)
    mean = (light @ rings) / counts
    square = (light**2 @ rings) / counts
    return mean, np.sqrt(np.maximum(square - mean**2, 0))


def _colours(colours: Floats) -> Floats:
    """Differences of the colours over their sum: of all, in rings, and outside less inside."""
    rings, counts = _rings(ZONES)
    everywhere = np.concatenate([np.ones((len(rings), 1)), rings], axis=1)
    red, green, blue = np.moveaxis(np.maximum(colours @ everywhere, 0), 1, 0)
    least = 0.01 * np.concatenate([[len(rings)], counts])  # where there is hardly light: no colour
    total = np.maximum(red + green + blue, least)
    one, other = (red - green) / total, (green - blue) / total
    gradients = np.stack([part[:, ZONES] - part[:, 1] for part in (one, other)], axis=1)
    return np.concatenate([one[:, :1], other[:, :1], one[:, 1:], other[:, 1:], gradients], axis=1)


def _smooth(light: Floats, box: int) -> Floats:
    square = light.reshape(-1, SIZE, SIZE)
    return np.asarray(uniform_filter(square, (0, box, box), mode="nearest")).reshape(light.shape)


def _squared_distance(weight: Floats) -> Floats:
    """Squared distance of each pixel from the centre of the weights, which makes M least."""
    total = _some(weight.sum(1))
    y, x = (p - ((weight @ p) / total)[:, None] for p in _places())
    return y**2 + x**2


def _some(values: Floats) -> Floats:
    """Give what may be divided by."""
    return np.maximum(values, 1e-9)


@cache
def _places() -> tuple[Floats, Floats]:
    """Rows and columns of all pixels from the middle of the image, (4096,) each."""
    y, x = np.mgrid[:SIZE, :SIZE].reshape(2, -1) - (SIZE - 1) / 2
    return y, x


@cache
def _radii() -> Floats:
    return np.hypot(*_places())


@cache
def _rings(count: int) -> tuple[Floats, Floats]:
    """Which pixel lies in which of so many rings out to 32 pixels, (4096, count); and how many."""
    number = (_radii() * count / (SIZE / 2)).astype(np.int64)
    rings = (number[:, None] == np.arange(count)).astype(np.float64)
    return rings, rings.sum(0)

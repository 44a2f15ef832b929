"""Real pictures of galaxies as a telescope with worse seeing would have taken them.

A picture is smoothed by the Gaussian that its survey's seeing lacks to the target's, averaged into
the target's pixels, given the noise that it lacks, and brought back to its own frame, so that a
network sees the same field with less in it. It is the picture that is worked on, because cutouts
have lost their fluxes. So this is approximate:

- the stretch of the display is not undone: smoothing acts on stretched, not on linear, light, which
  keeps faint light wider and bright cores lower than a telescope would;
- point spread functions are Gaussian, without the wings of real ones;
- noise is that of the sky alone, the same everywhere, added after the stretch;
- colours, stretch and bands stay those of the source.

Whether that is near enough is asked of a linear probe, which tries to tell degraded pictures from
the target's own (`hoag.degradation`). Nothing is ever sharpened: a target with better seeing than
the source is refused, and noise that a picture has is not taken away.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hoag.errors import HoagError
from hoag.randomness import key_tensor, normal
from hoag.telescopes import Telescope

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]

_STREAM = 1 << 9  # of randomness, away from those of training and of calibration
_BORDER = 0.12  # of the frame's side, in which the sky is measured
_BELOW = 15.865  # per cent of a normal distribution below one sigma under its middle
# Standard deviation that is left of white noise interpolated linearly both ways to a finer grid.
_INTERPOLATED = 2 / 3


def check_degradable(source: Telescope, target: Telescope) -> None:
    """Refuse a target that would need a sharper picture than the source has.

    Raises
    ------
    HoagError
        If its seeing is better than the source's.
    """
    if target.seeing < source.seeing:
        raise HoagError(
            f"{source.title} sees {source.seeing:g} arcsec and {target.title} "
            f"{target.seeing:g}: a picture can be made worse, never sharper, so "
            f"{source.title} cannot be seen as {target.title}"
        )


def degrade(
    images: Images,
    scales: Floats,
    source: Telescope,
    target: Telescope,
    keys: NDArray[np.uint64],
    *,
    noise: float | None = None,
    seed: int = 0,
) -> Images:
    """Give pictures as another telescope would have taken them.

    Parameters
    ----------
    images
        (n, 3, size, size) uint8, stretched for display; never changed.
    scales
        (n,) arcsec of one of these pixels, which need not be the camera's.
    source, target
        What took them, and what they are to look like.
    keys
        (n,) hashes of the ids, which the noise depends on.
    noise
        Standard deviation of the target's sky in one of its own pixels, in units of white (0 to 1);
        by default that of `target`, and none where that has none. A picture that is as noisy after
        smoothing gets no more.
    seed
        Seed of the noise.

    Returns
    -------
    ndarray
        (n, 3, size, size) uint8. A picture depends on itself, its key and the seed alone.

    Raises
    ------
    HoagError
        If the target is sharper than the source.
    """
    check_degradable(source, target)
    noise = target.noise if noise is None else noise
    size = images.shape[-1]
    made = np.empty_like(images)
    tensor = key_tensor(keys)
    for row, (image, scale) in enumerate(zip(images, scales, strict=True)):
        down, up = operators(size, float(scale), source.seeing, target)
        seen = down @ (image.astype(np.float64) / 255) @ down.T
        if noise:
            # Frames coarser than the target's pixels average its noise.
            wanted = noise * min(1.0, target.pixel / (scale * size / len(down)))
            lacking = np.sqrt(np.maximum(wanted**2 - sky_deviation(seen) ** 2, 0))
            drawn = normal(seed, 0, tensor[row : row + 1], seen.size, _STREAM).numpy()
            seen = seen + lacking[:, None, None] * drawn.reshape(seen.shape)
        back = up @ seen @ up.T
        made[row] = np.clip(np.rint(255 * back), 0, 255).astype(np.uint8)
    return made


def sky_noise(images: Images, scales: Floats, telescope: Telescope) -> float:
    """Measure the sky's noise in one of a telescope's own pixels, from pictures it took.

    Parameters
    ----------
    images, scales
        As in `degrade`.
    telescope
        Which took them.

    Returns
    -------
    float
        Standard deviation in units of white, the median over pictures and colours. Sky that the
        stretch made black has none, so it is a lower limit there.
    """
    found = []
    for image, scale in zip(images, scales, strict=True):
        ratio = float(scale) / telescope.pixel
        back = ratio if ratio >= 1 else 1 / _INTERPOLATED
        found.append(sky_deviation(image.astype(np.float64) / 255) * back)
    return float(np.median(found))


def sky_deviation(image: Floats) -> Floats:
    """Standard deviation of the sky in each colour, (3,), of an image (3, size, size).

    From the border of the frame and only from what lies below its median, so that neighbours and
    the galaxy's own outskirts count for little.
    """
    width = max(1, round(_BORDER * image.shape[-1]))
    inner = np.zeros(image.shape[1:], bool)
    inner[width:-width, width:-width] = True
    border = image[:, ~inner]
    middle, low = np.percentile(border, [50, _BELOW], axis=1)
    return np.asarray(middle - low)


@lru_cache(maxsize=64)
def operators(
    size: int, scale: float, seeing: float, target: Telescope
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrices that take one axis of a frame to the target's pixels, smoothed, and back.

    A point source of the source's seeing comes back with the target's: averaging into pixels and
    linear interpolation widen it too, by p**2 / 12 and p**2 / 6 for pixels p, which the Gaussian is
    made the narrower for. Where pixels alone widen more than seeing lacks, there is no Gaussian.

    Parameters
    ----------
    size
        Pixels of the frame.
    scale
        Arcsec of each.
    seeing
        FWHM of the source, arcsec.
    target
        Seeing and pixels to go to; no finer pixels than the frame's are made.

    Returns
    -------
    ndarray, ndarray
        (pixels, size), each row adding up to 1, and (size, pixels).
    """
    pixels = min(size, max(2, round(size * scale / target.pixel)))
    lacking = (target.sigma**2 - (seeing / target.seeing * target.sigma) ** 2) / scale**2
    if pixels == size:
        return _smoothing(size, lacking), np.eye(size)
    width = size / pixels
    spent = width**2 / 4 + 1 / 12  # the last is the frame's own pixel, averaged over
    return _averaging(size, pixels) @ _smoothing(size, lacking - spent), _interpolation(
        size, pixels
    )


def _smoothing(size: int, variance: float) -> NDArray[np.float64]:
    """Discrete Gaussian (Lindeberg 1990, Eq. 19), whose variance is exact however narrow it is.

    Light that would leave the frame is reflected at its edge, so that none is lost.
    """
    from scipy.special import ive

    if variance <= 0:
        return np.eye(size)
    reach = int(np.ceil(6 * np.sqrt(variance))) + 2
    offsets = np.arange(-reach, reach + 1)
    kernel = ive(np.abs(offsets), variance)
    matrix = np.zeros((size, size))
    for offset, weight in zip(offsets, kernel / kernel.sum(), strict=True):
        place = (np.arange(size) + offset) % (2 * size)
        np.add.at(matrix, (np.minimum(place, 2 * size - 1 - place), np.arange(size)), weight)
    return matrix


def _averaging(size: int, pixels: int) -> NDArray[np.float64]:
    """Mean of a frame of `size` pixels over each of fewer ones, by the share of each they cover."""
    edges = np.arange(pixels + 1) * (size / pixels)
    low = np.maximum(edges[:-1, None], np.arange(size))
    high = np.minimum(edges[1:, None], np.arange(size) + 1)
    return np.maximum(high - low, 0) * (pixels / size)


def _interpolation(size: int, pixels: int) -> NDArray[np.float64]:
    """Linear interpolation between the middles of pixels, constant beyond the outermost."""
    place = np.clip((np.arange(size) + 0.5) * (pixels / size) - 0.5, 0, pixels - 1)
    return np.maximum(1 - np.abs(place[:, None] - np.arange(pixels)), 0)

"""Stretches: how the fluxes of one to three bands become 8-bit RGB, by published or own limits."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from hoag.campaigns import closest
from hoag.catalogue import list_names
from hoag.errors import HoagError

Planes = npt.NDArray[np.float64]
Signal = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

# Of the automatic limits, in units of the noise. The sky lies 1.5 above black, so that what is
# fainter than it still shows; brightness grows linearly up to the knee and as its logarithm beyond.
PEDESTAL, KNEE, LEAST_WHITE = 1.5, 3.0, 25.0
_SAMPLE = 8_000  # pixels of a band that sky and noise are measured on
# Below this part of a band's range, what is measured is rounding, not noise.
_NOISELESS = 1e-4


@dataclass(frozen=True)
class Stretch:
    """How fluxes become 8-bit RGB; stretches.toml says what the fields mean.

    Attributes
    ----------
    name, title, source, unconfirmed
        What it is called and where it is from.
    curve
        "lupton", "bands", "automatic" or "values".
    bands
        Filters of red, green, blue; () where any will do.
    unit
        Unit the numbers assume; "" for any.
    """

    name: str
    title: str
    curve: str
    source: str
    unconfirmed: str = ""
    aliases: tuple[str, ...] = ()
    bands: tuple[str, ...] = ()
    scales: tuple[float, float, float] = (1.0, 1.0, 1.0)
    combine: str = "mean"
    pedestal: float = 0.0
    softening: Any = 1.0  # one number, or of "bands" one for each of red, green, blue
    gain: float = 1.0
    saturate: str = "colour"
    low: float = 0.0
    high: float = 0.0
    percentile: float = 0.0
    desaturate: bool = False
    colour: bool = True
    asinh: bool = True
    single: int = 1
    unit: str = ""


@cache
def stretches() -> dict[str, Stretch]:
    """Every stretch by its name, in the order of stretches.toml."""
    content = tomllib.loads((files("hoag.data") / "stretches.toml").read_text())
    found = {}
    for name, entry in content.items():
        fixed: dict[str, Any] = {
            key: tuple(v) if isinstance(v, list) else v for key, v in entry.items()
        }
        found[name] = Stretch(name=name, **fixed)
    return found


def get_stretch(name: str) -> Stretch:
    """Find a stretch by its name or another name of it.

    Raises
    ------
    HoagError
        If there is none, naming the nearest.
    """
    known = stretches()
    if name in known:
        return known[name]
    for stretch in known.values():
        if name in stretch.aliases:
            return stretch
    hint = closest(name, known) or f"; there are {list_names(list(known), 20)}"
    raise HoagError(f"no stretch '{name}'{hint}")


def sky_level(band: Planes) -> tuple[float, float]:
    """Sky and noise of one band: median and spread of its finite pixels, clipped at 3 sigma.

    Measured on about 8,000 pixels spread over the image, always the same ones.
    """
    from astropy.stats import mad_std, sigma_clip

    values = _sample(band)
    values = values[np.isfinite(values)]
    if not values.size:  # the sample fell on nothing but bad pixels
        values = band[np.isfinite(band)]
    kept = sigma_clip(values, sigma=3.0, maxiters=5, stdfunc="mad_std", masked=False)
    return float(np.median(kept)), float(mad_std(kept))


def _sample(plane: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """Take one pixel in so many: eight thousand tell what a million do."""
    return plane.ravel()[:: max(1, plane.size // _SAMPLE)]


def apply_stretch(
    planes: Planes,
    stretch: Stretch,
    *,
    which: int | None = None,
    skies: Sequence[tuple[float, float]] = (),
) -> Pixels:
    """Turn fluxes into 8-bit RGB.

    Parameters
    ----------
    planes
        (1, 2 or 3, height, width) finite fluxes, red first. One is repeated in three; of two, the
        green between them is their mean.
    stretch
        What to apply.
    which
        Of one plane: whose numbers of red, green and blue to use; None for the stretch's own.
    skies
        Sky and noise of each plane, if already measured.

    Returns
    -------
    array
        (height, width, 3) uint8.
    """
    index = _indices(len(planes), stretch, which)
    if stretch.curve == "values":
        values: Signal = np.clip(planes, 0, 255).astype(np.float32)
        rgb = _filled(values) / np.float32(255)
    elif stretch.curve == "automatic":
        rgb = _automatic(planes, stretch, skies)
    elif stretch.curve == "lupton":
        scales = np.array([stretch.scales[i] for i in index])[:, None, None]
        scaled: Signal = (planes * scales).astype(np.float32)
        rgb = _lupton(_filled(scaled) + np.float32(stretch.pedestal), stretch)
    else:
        rgb = _bands(planes, stretch, index)
    eight = (np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(eight, 0, -1))


def _indices(number: int, stretch: Stretch, which: int | None) -> list[int]:
    if number == 1:
        return [stretch.single if which is None else which]
    return [0, 2] if number == 2 else [0, 1, 2]


def _filled(planes: Signal) -> Signal:
    """Make three planes of one or two: grey, or with the mean between them."""
    if len(planes) == 1:
        return np.broadcast_to(planes, (3, *planes.shape[1:]))
    if len(planes) == 2:
        return np.stack([planes[0], planes.mean(axis=0), planes[1]])
    return planes


def _lupton(planes: Signal, stretch: Stretch) -> Signal:
    """Give Lupton et al. (2004) Eq. 2: one factor for the three planes of a pixel."""
    positive = np.maximum(planes, 0)
    intensity = positive.sum(axis=0) if stretch.combine == "sum" else positive.mean(axis=0)
    curve = np.arcsinh(np.float32(float(stretch.softening)) * intensity) * np.float32(stretch.gain)
    rgb = positive * (curve / np.where(intensity > 0, intensity, np.float32(1)))
    return _kept_colour(rgb) if stretch.saturate == "colour" else rgb


def _kept_colour(rgb: Signal) -> Signal:
    return rgb / np.maximum(rgb.max(axis=0), np.float32(1))


def _bands(planes: Planes, stretch: Stretch, index: list[int]) -> Signal:
    """Stretch each plane by itself between two limits of its own."""
    done = []
    for plane, i in zip(planes, index, strict=True):
        value = np.arcsinh((plane * (stretch.scales[i] * stretch.softening[i])).astype(np.float32))
        low = np.arcsinh(stretch.low * stretch.softening[i])
        high = np.arcsinh(stretch.high * stretch.softening[i])
        if stretch.percentile:
            high = np.percentile(_sample(value), stretch.percentile)
        value = (value - np.float32(low)) / np.float32(max(float(high - low), 1e-30))
        done.append(np.clip(value, 0, 1) if stretch.percentile else value)
    rgb = _filled(np.stack(done))
    return _desaturated(rgb) if stretch.desaturate and len(planes) > 1 else rgb


def _desaturated(rgb: Signal) -> Signal:
    """Take colour out of pixels that one band dominates, mostly noise of the sky (D. Lang)."""
    mean = rgb.mean(axis=0)
    mean = np.where(mean == 0, np.float32(1), mean)
    weight = 1 - np.minimum((rgb / mean / np.float32(2.5)).max(axis=0), 1)
    weight = np.sin(weight * np.float32(np.pi / 2))
    return rgb * weight + mean * (1 - weight) + mean * (1 - weight) ** 2 * rgb


def _automatic(planes: Planes, stretch: Stretch, skies: Sequence[tuple[float, float]]) -> Signal:
    """Stretch between limits measured on the image, whatever its unit and its sky."""
    measured = np.array(skies or [sky_level(plane) for plane in planes])
    unit = _units(planes, measured, stretch.percentile)
    above = (planes - measured[:, 0, None, None]) / unit[:, None, None]
    signal = above.astype(np.float32) + np.float32(PEDESTAL)
    if not stretch.colour:
        return _filled(np.stack([_curve(plane, stretch) for plane in signal]))
    positive = np.maximum(signal, 0)
    intensity = positive.mean(axis=0)
    factor = _curve(intensity, stretch) / np.where(intensity > 0, intensity, np.float32(1))
    return _kept_colour(_filled(positive * factor))


def _units(
    planes: Planes, measured: npt.NDArray[np.float64], percentile: float
) -> npt.NDArray[np.float64]:
    """Give the unit of each plane: its noise, or where an image has none, a part of its light."""
    samples = [_sample(plane) - sky for plane, (sky, _) in zip(planes, measured, strict=True)]
    bright = np.array([np.percentile(sample, percentile) for sample in samples])
    spans = np.array([np.ptp(plane) for plane in planes])
    noise = measured[:, 1]
    if (noise > _NOISELESS * spans).all():
        return noise
    return np.where(bright > _NOISELESS * spans, bright, spans) / 300.0


def _curve(signal: Signal, stretch: Stretch) -> Signal:
    """Stretch values above black, in units of the noise, to 0 - 1 (and beyond)."""
    percentile = float(np.percentile(_sample(signal), stretch.percentile))
    white = np.float32(max(percentile, LEAST_WHITE))
    if not stretch.asinh:
        return signal / white
    return np.arcsinh(signal / np.float32(KNEE)) / np.arcsinh(white / np.float32(KNEE))

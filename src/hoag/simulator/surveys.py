"""The five kinds of survey image: telescopes, selections and stretches, read from surveys.toml."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

_REDSHIFTS = np.linspace(0.0, 5.0, 2001)


@dataclass(frozen=True)
class Survey:
    """One kind of survey image; the fields and their units are described in surveys.toml."""

    name: str
    title: str
    bands: tuple[str, str, str]
    pixel: float
    psf_fwhm: tuple[float, float, float]
    psf_scatter: float
    psf_beta: float
    depth: tuple[float, float, float]
    depth_scatter: float
    redshift: tuple[float, float]
    redshift_shape: tuple[float, float]
    radius: tuple[float, float]
    radius_evolution: float
    radius_limits: tuple[float, float]
    surface_brightness: tuple[float, float]
    evolution: float
    field: tuple[float, float]
    gain: tuple[float, float, float]
    pedestal: tuple[float, float, float]
    q: float
    saturation: float
    grain: float
    noise_in_common: float
    hue_scatter: float
    redden: tuple[float, float]
    youth: float
    kinds: tuple[float, float, float]
    disturbed: float
    clumpy: float
    stars: float
    neighbours: float
    spikes: tuple[float, float]

    def noise(self, deeper: float = 0.0) -> tuple[float, ...]:
        """Sky noise of one native pixel, one a band, in nanomaggies/arcsec^2.

        A point source at the depth has a signal-to-noise of 5 over the noise-equivalent area
        4 pi sigma^2 of its Gaussian core; `deeper` adds magnitudes to the depth.
        """
        noise = []
        for depth, fwhm in zip(self.depth, self.psf_fwhm, strict=True):
            flux = 10 ** (-0.4 * (depth + deeper - 22.5))
            area = 4 * np.pi * (fwhm / 2.355) ** 2
            noise.append(float(flux / (5 * np.sqrt(area) * self.pixel)))
        return tuple(noise)


@cache
def load_surveys() -> dict[str, Survey]:
    """Read the surveys, by name: sdss, decals, mzls-bass, hst-hubble, hst-candels."""
    text = files("hoag.simulator").joinpath("surveys.toml").read_text()
    surveys: dict[str, Survey] = {}
    for name, fields in tomllib.loads(text)["surveys"].items():
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()
        }
        surveys[name] = Survey(name=name, **values)
    return surveys


@cache
def _comoving_distances() -> np.ndarray:
    # Flat LCDM with H0 = 70 km/s/Mpc and Omega_m = 0.3, the convention of morphology catalogues.
    rate = 1 / np.sqrt(0.3 * (1 + _REDSHIFTS) ** 3 + 0.7)
    steps = (rate[1:] + rate[:-1]) / 2 * np.diff(_REDSHIFTS)
    return 299792.458 / 70.0 * np.concatenate([[0.0], np.cumsum(steps)])


def kpc_per_arcsec(redshift: float) -> float:
    """Proper kiloparsecs in an arcsecond at a redshift in (0, 5]."""
    comoving = float(np.interp(redshift, _REDSHIFTS, _comoving_distances()))
    return comoving / (1 + redshift) * 1000 * np.pi / 180 / 3600

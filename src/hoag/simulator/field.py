"""What is in a frame: the galaxy, its companion, neighbours, foreground stars and artefacts."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hoag.simulator.light import Plane, galaxy_components
from hoag.simulator.structure import Truth
from hoag.simulator.surveys import Survey


@dataclass(slots=True)
class Scene:
    """The frame being filled: (3, rows, columns) float32 nanomaggies/arcsec^2, blue band first."""

    survey: Survey
    truth: Truth
    size: int
    light: NDArray[np.float32]
    half_field: float  # arcsec
    step: float  # arcsec a pixel

    @property
    def padded(self) -> int:
        """Pixels on a side with the margin that keeps light from wrapping round."""
        return self.light.shape[1]

    def pixel_of(self, x: float, y: float) -> tuple[float, float]:
        """Row and column of a place in arcsec from the centre."""
        middle = (self.padded - 1) / 2
        return middle + y / self.step, middle + x / self.step


@lru_cache(maxsize=8)
def unit_grid(padded: int) -> tuple[Plane, Plane]:
    """Columns and rows of the pixels from the middle of a square frame, in pixels."""
    axis = (np.arange(padded, dtype=np.float32) - np.float32((padded - 1) / 2)).astype(np.float32)
    columns, rows = np.meshgrid(axis, axis)
    columns.flags.writeable = rows.flags.writeable = False
    return columns, rows


def spectrum(survey: Survey, age: float, redshift: float) -> tuple[float, float, float]:
    """Flux of stars of an age in the three bands, relative to the middle one (blue, 1, red)."""
    blue = survey.redden[0] * (0.04 + 0.80 * age) * (1 + redshift * survey.youth * 0.5)
    red = survey.redden[1] * (-0.04 + 0.42 * age)
    return 10 ** (-0.4 * blue), 1.0, 10 ** (0.4 * red)


def total_flux(truth: Truth) -> float:
    """Flux of the galaxy in the middle band, nanomaggies; 90 % lies within its radius."""
    area = np.pi * truth.radius**2 * max(truth.axis_ratio, 0.25)
    return float(10 ** (-0.4 * (truth.surface_brightness - 22.5)) * area / 0.9)


def centre_offset(truth: Truth, rng: np.random.Generator) -> tuple[float, float]:
    """Draw how far the catalogue's position is off the galaxy's centre, in its radii."""
    x, y = 0.02 * truth.half_field * rng.normal(size=2)
    return float(x), float(y)


def add_target(scene: Scene, texture: Plane, rng: np.random.Generator) -> None:
    """Add the galaxy the frame is centred on."""
    truth = scene.truth
    columns, rows = unit_grid(scene.padded)
    scale = scene.step / truth.radius
    offset = centre_offset(truth, rng)
    x = columns * np.float32(scale) - np.float32(offset[0])
    y = rows * np.float32(scale) - np.float32(offset[1])
    _add(scene, truth, x, y, total_flux(truth), texture, rng, (slice(None), slice(None)))


def _add(
    scene: Scene, truth: Truth, x: Plane, y: Plane, flux: float, texture: Plane,
    rng: np.random.Generator, place: tuple[slice, slice],
) -> None:  # fmt: skip
    survey, z = scene.survey, truth.redshift
    hue = 10 ** (0.4 * np.array([truth.hue_blue, 0.0, truth.hue_red]))
    for part in galaxy_components(truth, x, y, texture, rng):
        if part.fraction <= 0:
            continue
        # Old stars fade and young ones shine as a band moves to the rest-frame ultraviolet.
        shift = 10 ** (0.4 * 0.9 * survey.youth * z * (0.5 - part.age))
        total = float(part.light.sum()) * scene.step**2
        colours = spectrum(survey, part.age, z)
        weights = np.array([flux * part.fraction * shift / max(total, 1e-12) * c for c in colours])
        weights *= hue
        scene.light[:, place[0], place[1]] += weights.astype(np.float32)[:, None, None] * part.light


def _patch(scene: Scene, x: float, y: float, reach: float) -> tuple[slice, slice] | None:
    row, column = scene.pixel_of(x, y)
    pixels = reach / scene.step + 2
    low_r, high_r = int(max(row - pixels, 0)), int(min(row + pixels + 1, scene.padded))
    low_c, high_c = int(max(column - pixels, 0)), int(min(column + pixels + 1, scene.padded))
    if high_r - low_r < 3 or high_c - low_c < 3:
        return None
    return slice(low_r, high_r), slice(low_c, high_c)


def _add_other(
    scene: Scene, other: Truth, x: float, y: float, flux: float, texture: Plane,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    place = _patch(scene, x, y, 2.4 * other.radius)
    if place is None:
        return
    columns, rows = unit_grid(scene.padded)
    along = (columns[place] * np.float32(scene.step) - np.float32(x)) * np.float32(1 / other.radius)
    up = (rows[place] * np.float32(scene.step) - np.float32(y)) * np.float32(1 / other.radius)
    _add(scene, other, along, up, flux, texture[place], rng, place)


def add_companion(scene: Scene, texture: Plane, rng: np.random.Generator) -> None:
    """Add the galaxy that merges with the target, if there is one."""
    truth = scene.truth
    if not truth.companion_ratio:
        return
    other = Truth(truth.survey, truth.redshift, kind="smooth")
    other.radius = truth.radius * float(np.sqrt(truth.companion_ratio) * rng.uniform(0.7, 1.1))
    other.axis_ratio = float(rng.uniform(0.4, 1.0))
    other.position_angle = float(rng.uniform(0, np.pi))
    other.sersic = float(rng.uniform(1.0, 3.0))
    other.age = float(np.clip(truth.age + 0.15 * rng.normal(), 0, 1))
    away = truth.companion_separation * truth.radius
    x, y = away * np.cos(truth.companion_angle), away * np.sin(truth.companion_angle)
    _add_other(scene, other, x, y, total_flux(truth) * truth.companion_ratio, texture, rng)


def add_field(scene: Scene, rng: np.random.Generator) -> None:
    """Add unrelated galaxies and foreground stars."""
    survey, truth = scene.survey, scene.truth
    # Larger frames hold more; clustered and crowded fields make the numbers overdispersed.
    area = (scene.half_field / (survey.field[0] * 9 * survey.pixel / 0.3)) ** 2
    area = float(np.clip(area, 0.3, 4.0))
    crowd = rng.gamma(2.0, 0.5, 2)
    plain = np.zeros((scene.padded, scene.padded), np.float32)
    limit = survey.noise(truth.deeper)[1] * survey.pixel * truth.psf_scale * survey.psf_fwhm[1]
    for _ in range(min(int(rng.poisson(survey.neighbours * area * crowd[0])), 14)):
        other = Truth(truth.survey, float(rng.uniform(*survey.redshift)), kind="smooth")
        flux = 14 * limit * rng.pareto(0.9) + 8 * limit
        flux = float(min(flux, 1.5 * total_flux(truth)))
        other.sersic = float(rng.uniform(0.9, 2.5))
        other.radius = float(
            survey.psf_fwhm[1] * 0.6 * (flux / limit / 20) ** 0.35 * rng.lognormal(0, 0.3)
        )
        other.axis_ratio = float(rng.uniform(0.3, 1.0))
        other.position_angle = float(rng.uniform(0, np.pi))
        other.age = float(rng.beta(1.5, 1.2))
        x, y = rng.uniform(-1.1, 1.1, 2) * scene.half_field
        _add_other(scene, other, float(x), float(y), flux, plain, rng)
    for _ in range(min(int(rng.poisson(survey.stars * area * crowd[1])), 14)):
        flux = float(min(25 * limit * rng.pareto(0.75) + 12 * limit, 8e3 * limit))
        x, y = rng.uniform(-1.05, 1.05, 2) * scene.half_field
        add_star(scene, float(x), float(y), flux, float(rng.beta(1.1, 1.1) * 1.4 - 0.2))


def add_star(scene: Scene, x: float, y: float, flux: float, age: float) -> None:
    """Add a point source (bilinear on four pixels) and, if it is bright, its diffraction spikes."""
    row, column = scene.pixel_of(x, y)
    i, j = int(np.floor(row)), int(np.floor(column))
    if not (0 <= i < scene.padded - 1 and 0 <= j < scene.padded - 1):
        return
    fr, fc = row - i, column - j
    corners = np.array([[(1 - fr) * (1 - fc), (1 - fr) * fc], [fr * (1 - fc), fr * fc]], np.float32)
    colours = np.array(spectrum(scene.survey, age, 0.0), np.float32)
    density = colours * np.float32(flux / scene.step**2)
    scene.light[:, i : i + 2, j : j + 2] += density[:, None, None] * corners
    noise = scene.survey.noise(scene.truth.deeper)[1]
    core = flux / (scene.survey.psf_fwhm[1] ** 2)
    if core * scene.survey.spikes[1] > 2 * noise:
        _add_spikes(scene, x, y, density, core)


def _add_spikes(
    scene: Scene, x: float, y: float, density: NDArray[np.float32], core: float
) -> None:
    angle, strength = scene.survey.spikes
    turn = np.radians(angle) + 0.06
    columns, rows = unit_grid(scene.padded)
    dx = columns * np.float32(scene.step) - np.float32(x)
    dy = rows * np.float32(scene.step) - np.float32(y)
    u = np.float32(np.cos(turn)) * dx + np.float32(np.sin(turn)) * dy
    v = np.float32(np.cos(turn)) * dy - np.float32(np.sin(turn)) * dx
    width = np.float32(0.35 * scene.survey.psf_fwhm[1] + 0.4 * scene.step)
    u, v = np.abs(u) / width, np.abs(v) / width
    reach = np.float32(6.0)
    spikes = np.exp(-v * v) / (1 + (u / reach) ** 2) + np.exp(-u * u) / (1 + (v / reach) ** 2)
    peak = density * np.float32(strength * (scene.step / float(width)) ** 2)
    scene.light += peak[:, None, None] * spikes


def add_bright_star(scene: Scene, rng: np.random.Generator) -> None:
    """Add a saturated star at or near the target, which spoils the image."""
    limit = (
        scene.survey.noise(scene.truth.deeper)[1] * scene.survey.psf_fwhm[1] * scene.survey.pixel
    )
    flux = limit * 10 ** (2.8 + 1.9 * scene.truth.artefact_strength)
    x, y = 0.25 * (1.15 - scene.truth.artefact_strength) * scene.half_field * rng.normal(size=2)
    add_star(scene, float(x), float(y), float(flux), float(rng.uniform(-0.2, 1.1)))


def spoil(light: NDArray[np.float32], scene: Scene, rng: np.random.Generator) -> None:
    """Spoil an image, (3, size, size), in place: a satellite trail, or bad stitching."""
    truth, size = scene.truth, scene.size
    noise = np.array(scene.survey.noise(truth.deeper), np.float32)
    strength = truth.artefact_strength
    if truth.artefact == "trail":
        columns, rows = unit_grid(size)
        turn, away = rng.uniform(0, np.pi), rng.uniform(-0.35, 0.35) * size
        width = max(1.0, scene.survey.psf_fwhm[1] / scene.step * 0.6) * rng.uniform(0.6, 1.3)
        line = (columns * np.float32(np.cos(turn)) + rows * np.float32(np.sin(turn)) - away) / width
        bands = rng.permutation(3) < rng.integers(1, 4)
        height = noise * np.float32(4 + 30 * strength**2) * bands.astype(np.float32)
        light += height[:, None, None] * np.exp(np.float32(-0.5) * (line * line).astype(np.float32))
        return
    # Bad stitching: beyond a seam a band is lost, or the sky level of the bands jumps.
    seam = int(rng.uniform(0.15, 0.75) * size)
    part = light[:, seam:, :] if rng.random() < 0.5 else light[:, :, seam:]
    if rng.random() < 0.4:
        part[rng.permutation(3) < rng.integers(1, 4)] = 0
    else:
        jump = noise * (1 + 6 * strength) * rng.normal(size=3).astype(np.float32)
        part += jump[:, None, None].astype(np.float32)

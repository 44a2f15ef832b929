"""From light to a survey's JPEG: neighbours and stars, seeing, noise, artefacts, stretch."""

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft

from hoag.errors import HoagError
from hoag.simulator.field import (
    Scene,
    add_bright_star,
    add_companion,
    add_field,
    add_target,
    spoil,
)
from hoag.simulator.light import Plane
from hoag.simulator.structure import Truth
from hoag.simulator.surveys import Survey, load_surveys

JPEG_QUALITY = 90
_TEXTURE_MODES = 14


def render(
    truth: Truth, size: int, rng_field: np.random.Generator, rng_pixels: np.random.Generator
) -> NDArray[np.uint8]:
    """Render a galaxy as its survey would show it: (size, size, 3) uint8, RGB.

    Parameters
    ----------
    truth
        Structure and circumstances.
    size
        Pixels on a side, 16 to 512; the field of view does not depend on it.
    rng_field, rng_pixels
        Streams for what is in the field and for the noise of its pixels.

    Raises
    ------
    HoagError
        If the size is out of range.
    """
    light = observe(truth, size, rng_field, rng_pixels)
    return stretched(light, load_surveys()[truth.survey])


def observe(
    truth: Truth, size: int, rng_field: np.random.Generator, rng_pixels: np.random.Generator
) -> NDArray[np.float32]:
    """Do what `render` does up to the stretch: (3, size, size) nanomaggies/arcsec^2, blue first."""
    if not 16 <= size <= 512:
        raise HoagError(f"size {size}: simulated images are 16 to 512 pixels on a side")
    survey = load_surveys()[truth.survey]
    margin = max(4, size // 16)
    half_field = truth.half_field * truth.radius
    padded = size + 2 * margin
    light = np.zeros((3, padded, padded), np.float32)
    scene = Scene(survey, truth, size, light, half_field, 2 * half_field / size)
    rough = truth.kind != "smooth" or truth.tail_strength > 0
    texture = _texture(rng_field, padded) if rough else np.zeros((padded, padded), np.float32)
    add_target(scene, texture, rng_field)
    add_companion(scene, texture, rng_field)
    add_field(scene, rng_field)
    if truth.artefact == "star":
        add_bright_star(scene, rng_field)
    light = _telescope(scene, rng_pixels)
    inner = slice(margin, margin + size)
    light = np.ascontiguousarray(light[:, inner, inner])
    if truth.artefact in ("trail", "stitch"):
        spoil(light, scene, rng_field)
    return light


def encode(image: NDArray[np.uint8]) -> bytes:
    """Encode an (height, width, 3) image as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _texture(rng: np.random.Generator, padded: int) -> Plane:
    # Few Fourier modes of a red spectrum, so that every size shows the same irregularities.
    modes = _TEXTURE_MODES
    draws = rng.normal(size=(2, 2 * modes, modes)).astype(np.float32)
    ky = np.concatenate([np.arange(modes), np.arange(-modes, 0)])[:, None]
    power = (np.hypot(ky, np.arange(modes)[None, :]) + 1.5) ** -1.3
    power[0, 0] = 0
    spectrum = np.zeros((padded, padded // 2 + 1), np.complex64)
    block = (draws[0] + 1j * draws[1]) * power
    keep = min(modes, padded // 2)
    spectrum[:keep, :keep], spectrum[-keep:, :keep] = block[:keep, :keep], block[-keep:, :keep]
    field: Plane = fft.irfft2(spectrum, s=(padded, padded))
    return field * np.float32(1 / field.std())


@lru_cache(maxsize=4096)
def _psf_transfer(padded: int, fwhm: float, beta: float) -> Plane:
    # Moffat, averaged over four places in each pixel; the frame is periodic, so it sits at [0, 0].
    core = fwhm / 2 / np.sqrt(2 ** (1 / beta) - 1)
    axis = fft.fftfreq(padded, 1 / padded)
    kernel = np.zeros((padded, padded))
    for dx in (-0.25, 0.25):
        for dy in (-0.25, 0.25):
            squared = (axis[:, None] + dy) ** 2 + (axis[None, :] + dx) ** 2
            kernel += (1 + squared / core**2) ** -beta
    return np.ascontiguousarray(fft.rfft2(kernel / kernel.sum()).real.astype(np.float32))


@lru_cache(maxsize=512)
def _noise_transfer(padded: int, ratio: float) -> Plane:
    # Native pixels larger than ours were resampled, which leaves the noise smooth between them.
    across = np.abs(np.sinc(fft.fftfreq(padded) * ratio)) ** 1.5
    along = np.abs(np.sinc(fft.rfftfreq(padded) * ratio)) ** 1.5
    return np.ascontiguousarray((across[:, None] * along[None, :]).astype(np.float32))


def _step_of(value: float) -> float:
    # Kernels are cached on a grid of 3 % steps.
    return float(np.exp(0.03 * round(np.log(value) / 0.03)))


def _telescope(scene: Scene, rng: np.random.Generator) -> NDArray[np.float32]:
    survey, truth, padded = scene.survey, scene.truth, scene.padded
    sharp = fft.rfft2(scene.light)
    for band in range(3):
        fwhm = survey.psf_fwhm[band] * truth.psf_scale / scene.step
        sharp[band] *= _psf_transfer(padded, _step_of(max(fwhm, 0.8)), survey.psf_beta)
    ratio = survey.pixel / scene.step
    levels = np.array(survey.noise(truth.deeper), np.float32) * np.float32(ratio)
    smooth = ratio > 0.6
    grain = _step_of(ratio * survey.grain)
    if smooth:
        # Drawn as the Fourier transform of white noise, which saves two transforms. The inverse
        # drops half the power of the first and last columns, which have no mirror images.
        draws = rng.standard_normal((3, padded, padded + 2), dtype=np.float32)
        _share(draws, survey.noise_in_common)
        white = draws.view(np.complex64)
        white[:, :, [0, -1]] *= np.float32(np.sqrt(2))
        white *= _noise_transfer(padded, grain)
        white *= (levels * np.float32(padded / np.sqrt(2)))[:, None, None]
        sharp += white
    light: NDArray[np.float32] = fft.irfft2(sharp, s=(padded, padded), overwrite_x=True)
    if not smooth:
        draws = rng.standard_normal(light.shape, dtype=np.float32)
        _share(draws, survey.noise_in_common)
        light += levels[:, None, None] * draws
    return light


def _share(draws: NDArray[np.float32], common: float) -> None:
    # Surveys' composites were compressed as JPEG before they were scaled down, which took from the
    # noise most of its colour; noise that the bands share comes to the same.
    if common:
        draws[1:] *= np.float32(np.sqrt(1 - common))
        draws[1:] += np.float32(np.sqrt(common)) * draws[:1]


def stretched(light: NDArray[np.float32], survey: Survey) -> NDArray[np.uint8]:
    """Colour composite with a Lupton+04 asinh stretch: (rows, columns, 3) uint8, red first.

    The mean of the bands is stretched and colours are kept, pixels beyond white are scaled down as
    one, as Lupton+04 do; `saturation` pulls colours to or from grey.
    """
    image = light * np.array(survey.gain, np.float32)[:, None, None]
    image += np.array(survey.pedestal, np.float32)[:, None, None]
    mean = image.mean(0)
    mean = np.maximum(mean, np.float32(1e-4))
    brightness = np.arcsinh(np.float32(survey.q) * mean) * np.float32(1 / np.arcsinh(survey.q))
    image *= (np.float32(survey.saturation) * brightness / mean)[None]
    image += np.float32(1 - survey.saturation) * brightness
    image *= 1 / np.maximum(image.max(0), 1)
    np.clip(image, 0, 1, out=image)
    image *= np.float32(255)
    image += np.float32(0.5)
    return np.ascontiguousarray(image[::-1].transpose(1, 2, 0).astype(np.uint8))

"""Stretches: closed forms of the published ones, invariances of the automatic ones."""

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoag.data.filters import companion, red_first, same_filter, wavelength
from hoag.data.stretches import apply_stretch, get_stretch, sky_level, stretches
from hoag.errors import HoagError


def galaxy(bands: int = 3, noise: float = 0.02, size: int = 96, seed: int = 0) -> np.ndarray:
    """A disc with a redder bulge over noise, sky at 0; (bands, size, size), red first."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] - size / 2
    disc, bulge = np.exp(-np.hypot(x, 1.5 * y) / 9), np.exp(-np.hypot(x, y) / 3)
    planes = [disc + bulge * (4 - k) for k in range(bands)]
    return np.stack([p + rng.normal(0, noise, p.shape) for p in planes])


def test_every_stretch_says_where_it_is_from() -> None:
    for name, stretch in stretches().items():
        assert stretch.source and stretch.title and stretch.name == name
        assert stretch.curve in ("automatic", "lupton", "bands", "values")
    for name in ("sdss", "hst", "candels", "hsc", "panstarrs", "euclid"):
        assert get_stretch(name).unconfirmed
    assert get_stretch("lupton") == get_stretch("auto")


def test_unknown_stretch_names_the_nearest() -> None:
    with pytest.raises(HoagError, match="no stretch 'legcy'; did you mean 'legacy'"):
        get_stretch("legcy")
    with pytest.raises(HoagError, match="no stretch 'qqq'; there are 'auto'"):
        get_stretch("qqq")


def test_legacy_is_the_viewers_formula() -> None:
    z, r, g = planes = np.abs(galaxy(noise=0.05, size=32))
    scaled = np.stack([z * 2.2, r * 3.4, g * 6.0]) + 0.03
    mean = scaled.mean(axis=0)
    expected = np.clip(scaled * np.arcsinh(20 * mean) / np.sqrt(20) / mean, 0, 1)
    rgb = apply_stretch(planes, get_stretch("legacy"))
    assert np.abs(rgb - np.moveaxis(expected, 0, -1) * 255).max() < 0.6


def test_sdss_is_wherrys_formula() -> None:
    planes = np.abs(galaxy(noise=0.05, size=32))
    scaled = planes * np.array([4.9, 5.7, 7.8])[:, None, None]
    total = scaled.sum(axis=0)
    expected = scaled * np.arcsinh(3 * total) / 3 / total
    expected /= np.maximum(expected.max(axis=0), 1)
    rgb = apply_stretch(planes, get_stretch("sdss"))
    assert np.abs(rgb - np.moveaxis(expected, 0, -1) * 255).max() < 0.6


def test_decals_limits_are_black_and_white() -> None:
    flat = np.ones((3, 4, 4))
    dividers = np.array([0.019, 0.014, 0.008])[:, None, None]
    stretch = get_stretch("decals")
    assert (apply_stretch(flat * dividers * -0.5, stretch) == 0).all()
    assert (apply_stretch(flat * dividers * 300, stretch) == 255).all()
    middle = np.sinh((np.arcsinh(300) + np.arcsinh(-0.5)) / 2)
    value = apply_stretch(planes := flat[:1] * 0.014 * middle, stretch)
    assert planes.shape == (1, 4, 4) and np.abs(value.astype(int) - 128).max() <= 1


def test_euclid_stretches_vis_by_100_up_to_its_percentile() -> None:
    plane = np.linspace(0, 1, 10_000).reshape(1, 100, 100)
    rgb = apply_stretch(plane, get_stretch("euclid"))
    expected = np.arcsinh(100 * plane[0]) / np.arcsinh(100 * 0.9985)
    assert np.abs(rgb[..., 0] - np.clip(expected, 0, 1) * 255).max() < 0.6
    two = apply_stretch(np.concatenate([plane, plane]), get_stretch("euclid")).astype(float)
    assert np.abs(two[..., 1] - two[..., ::2].mean(axis=-1)).max() <= 1


@pytest.mark.parametrize("name", ["auto", "asinh", "linear", "hsc", "panstarrs"])
@pytest.mark.parametrize("bands", [1, 2, 3])
@given(factor=st.floats(1e-12, 1e12), sky=st.floats(-50, 1000), seed=st.integers(0, 5))
@settings(max_examples=12, deadline=None)
def test_scale_and_sky_change_nothing(
    name: str, bands: int, factor: float, sky: float, seed: int
) -> None:
    planes = galaxy(bands, seed=seed)
    first = apply_stretch(planes, get_stretch(name)).astype(int)
    again = apply_stretch((planes + sky) * factor, get_stretch(name)).astype(int)
    assert np.abs(first - again).max() <= 1


@pytest.mark.parametrize("noise", [0.0, 1e-6, 0.02, 0.2])
@pytest.mark.parametrize("name", ["auto", "asinh"])
def test_sky_is_dark_but_not_black_and_the_core_bright(name: str, noise: float) -> None:
    rgb = apply_stretch(galaxy(noise=noise, size=128), get_stretch(name))
    assert 3 < np.median(rgb[:20]) < 60
    assert (rgb == 0).all(axis=-1).mean() < 0.02
    assert rgb[60:68, 60:68].max() > 200


def test_pure_noise_is_not_blown_up() -> None:
    noise = np.random.default_rng(0).normal(7, 3, (1, 96, 96))
    rgb = apply_stretch(noise, get_stretch("auto"))
    assert rgb.mean() < 60 and np.percentile(rgb, 99.9) < 130


@pytest.mark.parametrize("name", [n for n in stretches() if n != "values"])
def test_brighter_is_never_darker(name: str) -> None:
    """Order of flux is kept: of one band everywhere, of colours while nothing saturates."""
    plane = np.random.default_rng(1).gamma(0.3, 0.2, (1, 80, 80)) - 0.02
    rgb = apply_stretch(plane, get_stretch(name))[..., 0].ravel().astype(int)
    assert (np.diff(rgb[np.argsort(plane.ravel(), kind="stable")]) >= 0).all()


@pytest.mark.parametrize("name", ["auto", "sdss"])
def test_bright_cores_keep_their_colour(name: str) -> None:
    planes = galaxy(noise=0.001)
    planes *= np.array([3.0, 1.5, 1.0])[:, None, None] * 5
    rgb = apply_stretch(planes, get_stretch(name)).astype(float)
    core = rgb[46:51, 46:51].mean(axis=(0, 1))
    assert core.max() > 250 and core.min() < 0.8 * core.max()


def test_lupton_keeps_the_ratio_of_bands() -> None:
    planes = np.abs(galaxy(noise=0, size=64)) * 0.01
    rgb = apply_stretch(planes, get_stretch("sdss")).astype(float)
    bright = rgb.min(axis=-1) > 40
    wanted = planes[0] * 4.9 / (planes[2] * 7.8)
    assert bright.any()
    assert np.abs(rgb[bright, 0] / rgb[bright, 2] - wanted[bright]).max() < 0.05


def test_one_band_is_grey_and_two_have_their_mean_between() -> None:
    one = apply_stretch(galaxy(1), get_stretch("auto"))
    assert (one == one[..., :1]).all()
    two = apply_stretch(galaxy(2), get_stretch("auto")).astype(float)
    assert np.abs(two[..., 1] - two[..., ::2].mean(axis=-1)).max() <= 1


def test_sky_level_finds_sky_and_noise_beside_a_galaxy() -> None:
    sky, noise = sky_level(galaxy(1, noise=0.02, size=256)[0] + 100)
    assert sky == pytest.approx(100, abs=0.01) and noise == pytest.approx(0.02, rel=0.2)


def test_stretch_of_a_native_cutout_is_quick() -> None:
    planes = galaxy(size=424)
    spent = []
    for _ in range(5):
        start = time.process_time()
        apply_stretch(planes, get_stretch("auto"))
        spent.append(time.process_time() - start)
    assert min(spent) < 0.06  # 10 ms where nothing else runs


@pytest.mark.parametrize(
    ("name", "nm"),
    [("g", 475), ("HSC-I", 760), ("NIR_Y", 980), ("F160W", 1600), ("F435W", 435),
     ("F850LP", 850), ("VIS", 700), ("NISP.Y", 980), ("decam z", 890), ("thing", None), ("", None)],
)  # fmt: skip
def test_wavelengths(name: str, nm: int | None) -> None:
    assert wavelength(name) == nm


@pytest.mark.parametrize(
    ("names", "wanted", "order"),
    [(["g", "r", "z"], (), [2, 1, 0]), (["g", "r", "i", "z"], (), []),
     (["g", "r", "i", "z"], ("z", "r", "g"), [3, 1, 0]), (["VIS", "NIR_Y"], (), [1, 0]),
     (["", "", ""], (), []), (["g", "what"], (), []), (["g", "g"], (), [])],
)  # fmt: skip
def test_bands_are_ordered_red_first(names: list[str], wanted: Any, order: list[int]) -> None:
    assert red_first(names, wanted) == order


def test_names_beside_an_image() -> None:
    assert companion("MASK") and companion("wht_r") and not companion("SCI")
    assert same_filter("F850LP", "z") and same_filter("F775W", "i")
    assert not same_filter("y", "z") and not same_filter("g", "r")

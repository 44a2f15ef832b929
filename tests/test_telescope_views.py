"""Pictures degraded to another telescope: what a point source, its flux and the sky become."""

import numpy as np
import pytest

from hoag import HoagError
from hoag.hashes import hashes_of
from hoag.simulator import draw
from hoag.simulator.redraw import redraw
from hoag.telescope_views import degrade, operators, sky_deviation, sky_noise
from hoag.telescopes import Telescope, find_telescope, get_telescope, known_telescopes

SHARP = Telescope("sharp", "Sharp", pixel=0.1, seeing=0.8)
BLURRED = Telescope("blurred", "Blurred", pixel=0.1, seeing=2.0)
COARSE = Telescope("coarse", "Coarse", pixel=1.0, seeing=3.0)
SIZE, SCALE = 96, 0.25
KEYS = hashes_of(["a", "b", "c"])


def star(seeing, x=47.3, y=48.9):
    """A point source of Gaussian seeing: (SIZE, SIZE), of flux 1."""
    sigma = seeing / 2.3548 / SCALE
    along, across = (np.exp(-0.5 * ((np.arange(SIZE) - at) / sigma) ** 2) for at in (y, x))
    image = along[:, None] * across
    return image / image.sum()


def variances(image):
    """Second moments about the centre, in arcsec**2: (down, across)."""
    places = (np.arange(SIZE) - SIZE / 2) * SCALE
    moments = []
    for axis in (1, 0):
        profile = image.sum(axis=axis) / image.sum()
        middle = profile @ places
        moments.append(profile @ (places - middle) ** 2)
    return np.array(moments)


def through(image, target, source=SHARP):
    down, up = operators(SIZE, SCALE, source.seeing, target)
    return up @ (down @ image @ down.T) @ up.T


@pytest.mark.parametrize("target", [BLURRED, COARSE, Telescope("c", "C", pixel=0.6, seeing=1.9)])
def test_a_point_source_gets_the_targets_seeing_and_keeps_its_flux(target):
    found = through(star(SHARP.seeing), target)
    np.testing.assert_allclose(variances(found), target.sigma**2, rtol=0.02)
    assert found.sum() == pytest.approx(1, rel=0.01)
    down, up = operators(SIZE, SCALE, SHARP.seeing, target)
    np.testing.assert_allclose(down.sum(axis=1), 1)  # a flat sky stays as it is
    np.testing.assert_allclose(up.sum(axis=1), 1)


def test_a_narrow_difference_is_exact_too():
    """A sampled Gaussian of a tenth of a pixel would be no Gaussian at all."""
    target = Telescope("next", "Next", pixel=0.1, seeing=0.85)
    np.testing.assert_allclose(variances(through(star(0.8), target)), target.sigma**2, rtol=1e-3)


def test_light_that_meets_the_edge_is_not_lost():
    image = np.zeros((SIZE, SIZE))
    image[0, 5] = 1
    assert through(image, BLURRED).sum() == pytest.approx(1)


def test_detail_finer_than_the_pixels_is_gone():
    stripes = np.where(np.arange(SIZE) % 2, 1.0, 0.0) * np.ones((SIZE, 1))
    target = Telescope("pixels", "Pixels", pixel=1.0, seeing=0.81)  # hardly any smoothing
    assert through(stripes, target)[10:-10, 10:-10].std() < 1e-12


def sky(level, noise, seed=0, size=SIZE):
    drawn = np.random.default_rng(seed).normal(level, noise, (3, 3, size, size))
    return np.clip(np.rint(255 * drawn), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("target", [BLURRED, COARSE])
def test_sky_has_the_targets_noise(target):
    """White noise in its own pixels, averaged in coarser ones of the frame."""
    before = sky(0.4, 0.05)
    scales = np.full(3, SCALE)
    after = degrade(before, scales, SHARP, target, KEYS, noise=0.08)
    assert sky_noise(after, scales, target) == pytest.approx(0.08, rel=0.15)
    assert abs(after.mean() - before.mean()) < 0.5
    expected = 0.08 * (min(1, target.pixel / SCALE) if target is BLURRED else 2 / 3)
    assert np.std(after / 255.0) == pytest.approx(expected, rel=0.15)


def test_noise_that_is_there_is_not_added_again_nor_taken_away():
    before, scales = sky(0.4, 0.05), np.full(3, SCALE)
    without = degrade(before, scales, SHARP, BLURRED, KEYS)
    left = float(np.median([sky_deviation(image / 255.0) for image in without]))
    little = degrade(before, scales, SHARP, BLURRED, KEYS, noise=0.3 * left)
    assert np.abs(little.astype(int) - without).mean() < 1.5
    more = degrade(before, scales, SHARP, SHARP, KEYS, noise=0.0)
    np.testing.assert_array_equal(more, before)  # as it was: nothing to smooth, no noise


def test_neighbours_in_the_border_do_not_pass_for_noise():
    image = sky(0.3, 0.02)[0] / 255.0
    image[:, :40, :8] = 0.9
    np.testing.assert_allclose(sky_deviation(image), 0.02, rtol=0.35)


def test_nothing_is_sharpened():
    with pytest.raises(HoagError, match="Coarse sees 3 arcsec and Sharp 0.8: .*never sharper"):
        degrade(sky(0.4, 0.05), np.full(3, SCALE), COARSE, SHARP, KEYS)


def test_a_picture_depends_on_itself_its_id_and_the_seed_alone():
    before, scales = sky(0.4, 0.01), np.array([0.25, 0.3, 0.7])
    kept = before.copy()
    after = degrade(before, scales, SHARP, COARSE, KEYS, noise=0.05)
    np.testing.assert_array_equal(before, kept)
    turned = degrade(before[::-1], scales[::-1], SHARP, COARSE, KEYS[::-1], noise=0.05)
    np.testing.assert_array_equal(turned[::-1], after)
    other = degrade(before, scales, SHARP, COARSE, KEYS, noise=0.05, seed=1)
    assert (other != after).mean() > 0.5
    alike = degrade(before[[0, 0]], scales[[0, 0]], SHARP, COARSE, KEYS[:2], noise=0.05)
    assert (alike[0] != alike[1]).mean() > 0.5  # another id, another noise


def test_a_frame_smaller_than_a_few_pixels_is_still_a_picture():
    after = degrade(sky(0.4, 0.01), np.full(3, 0.001), SHARP, COARSE, KEYS, noise=0.05)
    assert after.shape == (3, 3, SIZE, SIZE)


def test_telescopes_are_known_by_their_surveys_names(tmp_path):
    known = known_telescopes()
    for name, meant in (("SDSS", "sdss"), ("DECaLS", "decals"), ("MzLS/BASS", "mzls-bass"),
                        ("HST (CANDELS)", "hst-candels"), ("legacy", "decals"),
                        ("Pan-STARRS1", "panstarrs")):  # fmt: skip
        assert get_telescope(name, known).name == meant
    assert find_telescope("", known) is None
    with pytest.raises(HoagError, match="'sdsss' is none of sdss.*did you mean 'sdss'"):
        get_telescope("sdsss", known)
    path = tmp_path / "mine.toml"
    path.write_text("[telescopes.mine]\npixel = 1\nseeing = 2.5\nnoise = 0.02\n")
    assert known_telescopes(path)["mine"] == Telescope("mine", "mine", 1.0, 2.5, 0.02)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[telescopes.a]\npixel = 1", "'seeing' is missing"),
        ("[telescopes.a]\npixel = 1\nseing = 1", "unknown key 'seing'; did you mean 'seeing'"),
        ("[telescopes.a]\npixel = 1\nseeing = -1", "'a': seeing = -1 must be a positive number"),
        ("[telescopes.a]\npixel = true\nseeing = 1", "'pixel' must be a number, not True"),
        ("[telescopes]\na = 1", r"written as \[telescopes.NAME\]"),
        ("[telescope.a]\n", "unknown key 'telescope'"),
        ("pixel = ", "not valid TOML"),
    ],
)
def test_what_is_wrong_in_a_file_of_telescopes_is_said(tmp_path, text, complaint):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(HoagError, match=complaint):
        known_telescopes(path)


def detail(image):
    """Log share of a picture's power on scales of 2 to 8 pixels."""
    grey = image.mean(axis=0) - image.mean()
    window = np.hanning(len(grey))
    power = np.abs(np.fft.fft2(grey * window[:, None] * window)) ** 2
    waves = np.hypot(*np.meshgrid(np.fft.fftfreq(len(grey)), np.fft.fftfreq(len(grey))))
    return np.log10(power[(waves > 0.125) & (waves < 0.5)].sum() / power.sum())


def test_degraded_galaxies_have_the_detail_of_those_that_the_telescope_itself_draws():
    """The simulator's truth, of linear light and Moffat profiles, against what pictures give."""
    galaxies = [each for n in range(80) if (each := draw(n, size=96)).survey == "decals"][:12]
    scales = np.array([2 * g.truth.half_field * g.truth.radius for g in galaxies]) / 96
    own, drawn = (
        np.stack([redraw(g.id_str, survey, size=96).transpose(2, 0, 1) for g in galaxies])
        for survey in (None, "mzls-bass")
    )
    known = known_telescopes()
    source, target = known["decals"], known["mzls-bass"]
    noise = sky_noise(drawn, scales, target)
    keys = hashes_of([g.id_str for g in galaxies])
    made = degrade(own, scales, source, target, keys, noise=noise)
    before, after, truth = (np.median([detail(i) for i in each]) for each in (own, made, drawn))
    assert truth < before - 0.2 and abs(after - truth) < 0.5 * abs(before - truth)
    assert sky_noise(made, scales, target) == pytest.approx(noise, rel=0.3)

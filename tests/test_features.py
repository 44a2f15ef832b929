"""Hand-made features: closed forms, and what must not change them."""

import numpy as np
import pytest

from hoag.features import (
    NAMES,
    SIZE,
    asymmetry,
    axis_ratio,
    clumpiness,
    features,
    gini,
    m20,
)

EVERYWHERE = np.ones((1, SIZE * SIZE), bool)


def places():
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    return y, x


def noise(n=6, seed=0):
    rng = np.random.default_rng(seed)
    y, x = places()
    blob = 150 * np.exp(-(y**2 + x**2) / 120)
    made = blob + rng.normal(30, 12, (n, 3, SIZE, SIZE)) + 20 * np.arange(3)[:, None, None]
    return np.clip(made, 0, 255).astype(np.uint8)


def of(name, images):
    return features(images)[:, NAMES.index(name)]


def test_a_point_symmetric_image_has_no_asymmetry():
    y, x = places()
    light = np.exp(-((y + 0.5 * x) ** 2 + x**2) / 90) + 0.2 * np.cos(y * x / 9)
    np.testing.assert_array_equal(asymmetry(light.reshape(1, -1)), [0])
    moved = np.roll(light, 1, axis=0)  # its centre half a pixel down is among those tried
    assert asymmetry(moved.reshape(1, -1))[0] < asymmetry(np.roll(light, 6, 0).reshape(1, -1))[0]


def test_light_on_one_side_alone_is_as_asymmetric_as_can_be():
    light = np.zeros((SIZE, SIZE))
    light[20, 20] = 1
    np.testing.assert_allclose(asymmetry(light.reshape(1, -1)), 1)


def test_gini_is_0_where_all_is_alike_and_1_where_one_pixel_has_all():
    flat, one = np.full((1, 100), 3.0), np.eye(1, 100)
    np.testing.assert_allclose(gini(flat, np.ones((1, 100), bool)), 0, atol=1e-12)
    np.testing.assert_allclose(gini(one, np.ones((1, 100), bool)), 1)
    half = np.arange(100)[None] < 50  # pixels that do not count change nothing
    values = np.random.default_rng(0).random((1, 100))
    np.testing.assert_allclose(gini(values, half), gini(values[:, :50], half[:, :50]))
    # Lotz+04, Eq. 6, by its double sum.
    part = values[0, :50]
    double = np.abs(part[:, None] - part).sum() / (2 * part.mean() * 50 * 49)
    np.testing.assert_allclose(gini(values, half), double)


def test_m20_of_equal_points_and_of_a_disc():
    light = np.zeros((SIZE, SIZE))
    light[10, 10] = light[-11, -11] = light[10, -11] = light[-11, 10] = 1
    np.testing.assert_allclose(m20(light.reshape(1, -1), EVERYWHERE), 0, atol=1e-9)  # ties: all
    y, x = places()
    r = np.hypot(y, x)
    disc = np.where(r < 28, 1 - r / 1000, 0)  # falling slightly: the fifth is the inner fifth
    # Of an even disc M20 = log10(0.2^2).
    np.testing.assert_allclose(m20(disc.reshape(1, -1), EVERYWHERE), np.log10(0.04), atol=0.02)


def test_axis_ratio_of_an_ellipse():
    y, x = places()
    light = np.exp(-(y**2 / 2 / 3**2 + x**2 / 2 / 6**2))
    np.testing.assert_allclose(axis_ratio(light.reshape(1, -1), EVERYWHERE), 0.5, atol=1e-3)


def test_even_light_has_no_clumps_and_points_are_clumps():
    light = np.full((SIZE, SIZE), 0.2)
    np.testing.assert_allclose(clumpiness(light.reshape(1, -1)), 0, atol=1e-12)
    points = np.zeros((SIZE, SIZE))
    points[12::12, 12::12] = 1  # each smoothed over 25 pixels, so 24/25 of it stands out
    np.testing.assert_allclose(clumpiness(points.reshape(1, -1)), 24 / 25)


def test_radii_of_an_even_disc():
    y, x = places()
    disc = np.where(np.hypot(y, x) < 20, 200, 0).astype(np.uint8)
    images = np.broadcast_to(disc, (1, 3, SIZE, SIZE))
    for name, share in (("r20", 0.2), ("r50", 0.5), ("r80", 0.8)):
        np.testing.assert_allclose(of(name, images), 20 * np.sqrt(share), atol=0.3)
    np.testing.assert_allclose(of("concentration", images), 5 * np.log10(2), atol=0.1)
    assert abs(of("petrosian radius", images)[0] - 20.5) <= 1


def test_a_brighter_middle_is_more_concentrated_and_a_red_image_is_red():
    y, x = places()
    r = np.hypot(y, x)
    wide, narrow = (
        np.repeat((220 * np.exp(-r / s))[None, None], 3, 1).astype(np.uint8) for s in (9, 3)
    )
    assert of("r50", narrow) < of("r50", wide)
    red = wide.copy()
    red[:, 1:] //= 2
    assert of("red less green", red)[0] > 0.2 and abs(of("red less green", wide)[0]) < 1e-6


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turn_by_90_degrees_changes_nothing(turns):
    images = noise()
    turned = np.rot90(images, turns, axes=(2, 3))
    np.testing.assert_allclose(features(turned), features(images), rtol=1e-5, atol=1e-6)


def test_blank_and_full_images_give_finite_numbers():
    images = np.zeros((4, 3, SIZE, SIZE), np.uint8)
    images[1], images[2, 0], images[3, :, 32, 32] = 255, 255, 255
    found = features(images)
    assert found.shape == (4, len(NAMES)) and found.dtype == np.float32
    assert np.isfinite(found).all() and len(set(NAMES)) == len(NAMES) >= 50
    assert features(images[:0]).shape == (0, len(NAMES))


def test_a_galaxy_is_measured_alike_alone_and_among_others():
    images = noise(300)
    np.testing.assert_allclose(features(images[290:291]), features(images)[290:291], rtol=1e-5)

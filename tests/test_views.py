import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from hoag.errors import HoagError
from hoag.randomness import VIEW_ONE, VIEW_TWO
from hoag.views import Views, ViewSettings, crop_sizes, evaluation_view

NOTHING = ViewSettings(
    area=(1, 1),
    ratio=(1, 1),
    rotation=0,
    flip_horizontal=0,
    flip_vertical=0,
    jitter_probability=0,
    grey_probability=0,
)
EVERYTHING = ViewSettings(blur_probability=0.3, noise_probability=0.3)


def make(settings: ViewSettings, images: Tensor, size: int | None = None, **where) -> Tensor:
    chosen = {"seed": 0, "step": 0, "keys": torch.arange(len(images)), "stream": VIEW_ONE}
    return Views(settings, size or images.shape[-1])(images, **(chosen | where))


def pictures(n: int, size: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (n, 3, size, size), generator=generator, dtype=torch.uint8)


def coordinates(n: int, size: int = 64) -> Tensor:
    """Red is the column, green the row (times 256 / size), blue white: places can be read back."""
    step = 256 // size
    ramp = torch.arange(size) * step
    image = torch.stack(
        [ramp.expand(size, size), ramp[:, None].expand(size, size), torch.full((size, size), 255)]
    )
    return image.to(torch.uint8).expand(n, -1, -1, -1).clone()


def read_back(views: Tensor, size: int = 64) -> tuple[Tensor, Tensor, Tensor]:
    """Give the affine map of views of `coordinates`, and which show the frame at their centre.

    Linear parts are (n, 2, 2): frame pixels (x, y) per view pixel (x, y).
    """
    frame = views[:, :2].double() * 255 / (256 // size)
    middle = views.shape[-1] // 2
    here = frame[:, :, middle, middle]
    right, down = frame[:, :, middle, middle + 1], frame[:, :, middle + 1, middle]
    area = (slice(None), 2, slice(middle - 2, middle + 3), slice(middle - 2, middle + 3))
    seen = (views[area] > 0.999).flatten(1).all(1)
    return torch.stack([right - here, down - here], dim=2), here, seen


def gaussian(size: int = 64, sigma: float = 4.0, stretch: float = 1.0) -> Tensor:
    axis = torch.arange(size) - (size - 1) / 2
    light = torch.exp(-0.5 * ((axis / (sigma * stretch)) ** 2 + (axis[:, None] / sigma) ** 2))
    return (light * 250).round().to(torch.uint8).expand(3, size, size)


def moments(views: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Second central moments xx, yy, xy of each view's first channel, pixels squared."""
    light = views[:, 0].double()
    axis = torch.arange(views.shape[-1], dtype=torch.float64)
    total = light.sum((1, 2))
    x = (light.sum(1) * axis).sum(1) / total
    y = (light.sum(2) * axis).sum(1) / total
    dx, dy = axis - x[:, None], axis - y[:, None]
    xx = (light.sum(1) * dx**2).sum(1) / total
    yy = (light.sum(2) * dy**2).sum(1) / total
    return xx, yy, torch.einsum("nyx,nx,ny->n", light, dx, dy) / total


def at_rate(changed: Tensor, probability: float) -> bool:
    spread = 4 * math.sqrt(probability * (1 - probability) / len(changed))
    return abs(changed.double().mean().item() - probability) <= spread


# --- nothing asked, nothing done -----------------------------------------------------------------


def test_settings_that_ask_for_nothing_change_nothing():
    images = pictures(5)
    assert torch.equal(make(NOTHING, images), images.float() / 255)


def test_the_same_through_the_warp():
    images = pictures(5)
    warped = make(replace(NOTHING, rotation=1e-9), images)
    torch.testing.assert_close(warped, images.float() / 255, atol=2e-4, rtol=0)


@pytest.mark.parametrize("size", [8, 24])
def test_nothing_but_a_resize_is_the_evaluation_view(size):
    images = pictures(5)
    assert torch.equal(make(NOTHING, images, size), evaluation_view(images, size))


def test_warp_and_resize_agree_on_where_pixels_are():
    smooth = gaussian(32)[None]
    warped = make(replace(NOTHING, rotation=1e-9), smooth, 64)
    torch.testing.assert_close(warped, evaluation_view(smooth, 64), atol=2e-3, rtol=0)


@pytest.mark.parametrize("rotation", [0.0, 1e-9])
@pytest.mark.parametrize(("across", "down"), [(1, 0), (0, 1), (1, 1)])
def test_flips_are_exact_to_the_pixel(across, down, rotation):
    images = pictures(5)
    settings = replace(NOTHING, flip_horizontal=across, flip_vertical=down, rotation=rotation)
    wanted = images.float() / 255
    wanted = wanted.flip(3) if across else wanted
    wanted = wanted.flip(2) if down else wanted
    atol = 2e-4 if rotation else 0
    torch.testing.assert_close(make(settings, images), wanted, atol=atol, rtol=0)


# --- what a view may depend on -------------------------------------------------------------------


@pytest.mark.parametrize("settings", [NOTHING, EVERYTHING, replace(EVERYTHING, fill="reflect")])
@pytest.mark.parametrize("size", [16, 12, 40])
def test_input_is_never_changed_and_output_is_in_range(settings, size):
    images = pictures(20)
    before = images.clone()
    views = make(settings, images, size)
    assert torch.equal(images, before)
    assert views.shape == (20, 3, size, size)
    assert views.dtype == torch.float32
    assert views.min() >= 0 and views.max() <= 1
    assert views.untyped_storage().data_ptr() != images.untyped_storage().data_ptr()


def test_a_view_depends_on_its_galaxy_alone():
    images = pictures(40)
    whole = make(EVERYTHING, images)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    assert torch.equal(make(EVERYTHING, images[order], keys=order), whole[order])
    for row in (0, 13):
        alone = make(EVERYTHING, images[row : row + 1], keys=torch.tensor([row]))
        torch.testing.assert_close(alone, whole[row : row + 1], atol=1e-6, rtol=0)


def test_large_batches_worked_on_in_parts_are_the_same(monkeypatch):
    images = pictures(40)
    whole = make(EVERYTHING, images)
    monkeypatch.setattr("hoag.views._AT_ONCE", 3 * 16 * 16 * 7)
    assert torch.equal(make(EVERYTHING, images), whole)


def test_repeats_whatever_the_global_generator_does():
    images = pictures(10)
    once = make(EVERYTHING, images)
    torch.rand(3)
    state = torch.random.get_rng_state()
    assert torch.equal(make(EVERYTHING, images), once)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("other", [{"stream": VIEW_TWO}, {"step": 1}, {"seed": 1}], ids=str)
def test_other_streams_steps_and_seeds_give_other_views(other):
    images = pictures(10)
    differ = (make(EVERYTHING, images) != make(EVERYTHING, images, **other)).flatten(1).any(1)
    assert differ.all()


def test_autocast_changes_nothing():
    images = pictures(10)
    once = make(EVERYTHING, images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(make(EVERYTHING, images), once)


# --- geometry ------------------------------------------------------------------------------------


def test_flips_happen_at_their_probabilities():
    settings = replace(NOTHING, flip_horizontal=0.3, flip_vertical=0.6)
    linear, _, _ = read_back(make(settings, coordinates(3000)))
    across, down = linear[:, 0, 0] < 0, linear[:, 1, 1] < 0
    assert at_rate(across, 0.3) and at_rate(down, 0.6)
    assert at_rate(across & down, 0.18)


@pytest.mark.parametrize("largest", [20.0, 180.0])
def test_rotation_is_a_rotation_by_a_uniform_angle(largest):
    linear, _, seen = read_back(make(replace(NOTHING, rotation=largest), coordinates(3000)))
    assert seen.all()  # the centre of the frame stays at the centre
    identity = torch.eye(2, dtype=torch.float64).expand_as(linear)
    torch.testing.assert_close(linear @ linear.mT, identity, atol=2e-3, rtol=0)
    assert (torch.linalg.det(linear) > 0).all()
    angle = torch.rad2deg(torch.atan2(linear[:, 1, 0], linear[:, 0, 0]))
    assert stats.kstest(angle.numpy(), "uniform", args=(-largest, 2 * largest)).pvalue > 1e-3


def test_crops_lie_in_the_frame_with_uniform_area_and_loguniform_ratio():
    settings = replace(NOTHING, area=(0.3, 0.7), ratio=(0.8, 1.2))
    linear, here, seen = read_back(make(settings, coordinates(3000)))
    assert seen.all()
    assert linear[:, 0, 1].abs().max() < 1e-3 and linear[:, 1, 0].abs().max() < 1e-3
    width, height = linear[:, 0, 0] * 64, linear[:, 1, 1] * 64
    left = here[:, 0] + 0.5 - 32.5 * linear[:, 0, 0]
    top = here[:, 1] + 0.5 - 32.5 * linear[:, 1, 1]
    assert min(left.min(), top.min()) > -0.05
    assert max((left + width).max(), (top + height).max()) < 64.05
    area, ratio = width * height / 64**2, (width / height).log()
    assert stats.kstest(area.numpy(), "uniform", args=(0.3, 0.4)).pvalue > 1e-3
    start, span = math.log(0.8), math.log(1.2 / 0.8)
    assert stats.kstest(ratio.numpy(), "uniform", args=(start, span)).pvalue > 1e-3
    for share in (left / (64 - width), top / (64 - height)):
        assert stats.kstest(share.numpy(), "uniform").pvalue > 1e-3


def test_crop_sizes_are_distributed_as_torchvisions():
    from torchvision.transforms import RandomResizedCrop

    frame = torch.zeros(1, 400, 300)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = np.array(
            [RandomResizedCrop.get_params(frame, (0.4, 1.0), (0.5, 2.0))[2:] for _ in range(3000)]
        )
        tries = torch.rand(3000, 20)
    width, height = crop_sizes(tries, (0.4, 1.0), (0.5, 2.0), 400, 300)
    assert stats.ks_2samp(theirs[:, 1], width.numpy()).pvalue > 1e-3
    assert stats.ks_2samp(theirs[:, 0], height.numpy()).pvalue > 1e-3


@pytest.mark.parametrize(
    ("height", "width", "ratio"), [(10, 100, (0.8, 1.2)), (100, 10, (0.8, 1.2)), (20, 20, (3, 4))]
)
def test_crops_that_never_fit_become_torchvisions_central_crop(height, width, ratio):
    from torchvision.transforms import RandomResizedCrop

    tries = torch.rand(4, 20, generator=torch.Generator().manual_seed(0))
    crop_width, crop_height = crop_sizes(tries, (1.0, 1.0), ratio, height, width)
    _, _, rows, columns = RandomResizedCrop.get_params(
        torch.zeros(1, height, width), (1.0, 1.0), ratio
    )
    assert crop_width.round().tolist() == [columns] * 4
    assert crop_height.round().tolist() == [rows] * 4


def test_no_axis_is_stretched_in_rotated_crops():
    settings = replace(NOTHING, area=(0.3, 0.85), rotation=180, flip_horizontal=0.5)
    linear, _, seen = read_back(make(settings, coordinates(2000)))
    assert seen.double().mean() > 0.8
    stretch = torch.linalg.svdvals(linear[seen])
    torch.testing.assert_close(stretch[:, 0], stretch[:, 1], atol=5e-3, rtol=0)


def test_a_round_galaxy_stays_round():
    images = gaussian().expand(500, -1, -1, -1)
    settings = replace(NOTHING, area=(0.8, 1.0), rotation=180, flip_horizontal=0.5)
    xx, yy, xy = moments(make(settings, images))
    torch.testing.assert_close(xx / yy, torch.ones_like(xx), atol=0.02, rtol=0)
    assert (xy / xx).abs().max() < 0.02
    assert xx.min() > 15.5 and xx.max() < 16 / 0.8 * 1.03  # sigma 4 px, enlarged by 1 / area


def test_a_round_galaxy_is_stretched_both_ways_alike_and_no_more_than_asked():
    images = gaussian().expand(1000, -1, -1, -1)
    settings = replace(NOTHING, area=(0.7, 0.8), ratio=(0.8, 1.25), rotation=180)
    xx, yy, _ = moments(make(settings, images))
    stretch = (xx / yy).sqrt().log()
    assert stretch.abs().max() < math.log(1.25) + 0.02
    assert abs(stretch.mean()) < 4 * stretch.std() / 1000**0.5


def test_position_angles_become_uniform():
    images = gaussian(stretch=2.0).expand(2000, -1, -1, -1)
    xx, yy, xy = moments(make(replace(NOTHING, rotation=180), images))
    angle = 0.5 * torch.atan2(2 * xy, xx - yy)
    assert stats.kstest(angle.numpy(), "uniform", args=(-math.pi / 2, math.pi)).pvalue > 1e-3


def test_surface_brightness_is_kept_and_flux_goes_with_the_area_shown():
    images = gaussian().expand(300, -1, -1, -1)
    settings = replace(NOTHING, area=(0.8, 0.8), rotation=180, flip_vertical=0.5)
    flux = make(settings, images)[:, 0].double().sum((1, 2)) * 0.8
    original = images[0, 0].double().sum() / 255
    torch.testing.assert_close(flux, original.expand(300), rtol=5e-3, atol=0)


def test_corners_are_black_or_reflected():
    white = torch.full((50, 3, 32, 32), 255, dtype=torch.uint8)
    rotated = replace(NOTHING, rotation=180)
    black = make(rotated, white)
    assert (black[:, :, 16, 16] > 0.999).all()
    assert black.mean((1, 2, 3)).min() < 0.9  # a square turned by 45 degrees loses 17 %
    assert (make(replace(rotated, fill="reflect"), white) > 0.999).all()


def test_frames_much_larger_than_the_view_do_not_alias():
    checks = (torch.arange(256)[:, None] + torch.arange(256)) % 2 * 255
    images = checks.to(torch.uint8).expand(20, 3, 256, 256)
    settings = replace(NOTHING, area=(0.9, 0.9), rotation=180)
    middle = make(settings, images, 32)[:, :, 8:24, 8:24]
    assert (middle - 0.5).abs().max() < 0.02


# --- colours, blur and noise ---------------------------------------------------------------------


def test_grey_and_jitter_happen_at_their_probabilities():
    images = torch.tensor([40, 90, 130]).to(torch.uint8)[None, :, None, None]
    images = images.expand(4000, 3, 8, 8)
    settings = replace(NOTHING, jitter_probability=0.8, grey_probability=0.3)
    views = make(settings, images)
    grey = (views.amax(1) - views.amin(1)).amax((1, 2)) < 1e-5
    assert at_rate(grey, 0.3)
    plain = images.float() / 255
    luma = (plain * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    wanted = torch.where(grey[:, None, None, None], luma, plain)
    jittered = (views - wanted).abs().amax((1, 2, 3)) > 1e-5
    assert at_rate(jittered, 0.8)
    assert at_rate(jittered & grey, 0.24)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_factors_are_uniform(name):
    factors = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0, name: 0.4}
    settings = replace(NOTHING, jitter_probability=1, **factors)
    images = torch.tensor([70, 90, 130]).to(torch.uint8)[None, :, None, None].repeat(3000, 1, 8, 8)
    images[:, :, :, 4:] += 40
    views, plain = make(settings, images).double(), images.double() / 255
    if name == "brightness":
        factor = views.mean((1, 2, 3)) / plain.mean((1, 2, 3))
    elif name == "contrast":
        factor = (views[:, 0, 0, 7] - views[:, 0, 0, 0]) / (40 / 255)
    else:
        factor = (views[:, 2, 0, 0] - views[:, 0, 0, 0]) / (60 / 255)
    assert stats.kstest(factor.numpy(), "uniform", args=(0.6, 0.8)).pvalue > 1e-3


def test_contrast_is_about_the_mean_of_the_view_not_of_the_frame():
    images = torch.zeros(200, 3, 64, 64, dtype=torch.uint8)
    images[:, :, 16:48, 16:48] = 200
    settings = replace(NOTHING, area=(0.3, 0.5), jitter_probability=1)
    jitter = {"brightness": 0.0, "saturation": 0.0, "hue": 0.0}
    plain = make(replace(settings, contrast=0.0, **jitter), images)
    changed = make(replace(settings, contrast=0.1, **jitter), images)
    inside = (changed > 0).flatten(1).all(1) & (changed < 1).flatten(1).all(1)
    assert inside.sum() > 50
    torch.testing.assert_close(
        changed[inside].mean((1, 2, 3)), plain[inside].mean((1, 2, 3)), atol=1e-4, rtol=0
    )


def test_blur_happens_at_its_probability_and_keeps_flux():
    images = torch.zeros(2000, 3, 17, 17, dtype=torch.uint8)
    images[:, :, 8, 8] = 255
    settings = replace(NOTHING, blur_probability=0.4, blur_sigma=(0.5, 1.5))
    views = make(settings, images)
    blurred = views[:, 0, 8, 8] < 0.99
    assert at_rate(blurred, 0.4)
    torch.testing.assert_close(views.sum((2, 3)), torch.ones(2000, 3), atol=1e-5, rtol=0)
    xx, yy, _ = moments(views[blurred])
    torch.testing.assert_close(xx, yy, atol=1e-4, rtol=0)
    # Pixels sampled from a Gaussian of sigma 0.5-1.5 px.
    assert xx.min() > 0.5**2 * 0.8 and xx.max() < 1.5**2 * 1.01


def test_noise_happens_at_its_probability_with_its_sigma():
    images = torch.full((1000, 3, 12, 12), 128, dtype=torch.uint8)
    settings = replace(NOTHING, noise_probability=0.25, noise_sigma=0.05)
    change = make(settings, images) - 128 / 255
    noisy = change.abs().amax((1, 2, 3)) > 0
    assert at_rate(noisy, 0.25)
    assert change[noisy].std().item() == pytest.approx(0.05, rel=0.02)
    assert abs(change[noisy].mean().item()) < 1e-3
    neighbours = torch.corrcoef(change[noisy].flatten(1)[:, :2].T)[0, 1]
    assert abs(neighbours) < 0.3


def test_noise_is_normal_and_no_view_repeats_anothers():
    images = torch.full((60, 3, 40, 40), 128, dtype=torch.uint8)
    settings = replace(NOTHING, noise_probability=1.0, noise_sigma=0.05)
    noise = ((make(settings, images) - 128 / 255) / 0.05).flatten(1)
    for row in noise:
        assert stats.kstest(row.double().numpy(), "norm").pvalue > 1e-5
    assert noise.std(1).sub(1).abs().max() < 0.06
    between = torch.corrcoef(noise)[~torch.eye(60, dtype=torch.bool)]
    assert between.abs().max() < 5.5 / noise.shape[1] ** 0.5
    pixels = noise.view(-1, 3, 40, 40)
    for shift in ((0, 1), (1, 0)):
        moved = pixels.roll(shift, (2, 3))
        assert abs((moved * pixels).mean()) < 0.02
    assert abs((pixels[:, 0] * pixels[:, 1]).mean()) < 0.02


# --- the evaluation view -------------------------------------------------------------------------


def test_evaluation_view_is_deterministic_and_whole():
    images = pictures(4, 48)
    before = images.clone()
    views = evaluation_view(images, 16)
    assert torch.equal(views, evaluation_view(images, 16))
    assert torch.equal(images, before)
    assert views.shape == (4, 3, 16, 16) and views.dtype == torch.float32
    torch.testing.assert_close(
        views.mean((1, 2, 3)), images.float().mean((1, 2, 3)) / 255, atol=5e-3, rtol=0
    )


def test_evaluation_view_is_antialiased():
    checks = ((torch.arange(64)[:, None] + torch.arange(64)) % 2 * 255).to(torch.uint8)
    assert (evaluation_view(checks.expand(1, 3, 64, 64), 16) - 0.5).abs().max() < 0.02


def test_evaluation_view_crops_centrally():
    images = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    images[:, :, 8:24, 8:24] = 255
    assert (evaluation_view(images, 16, area=0.25) == 1).all()
    with pytest.raises(HoagError, match=r"evaluation area: 1.5 must lie in \(0, 1\]"):
        evaluation_view(images, 16, area=1.5)


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("area", (0.9, 0.3), r"views.area: \(0.9, 0.3\) must rise and lie in \(0, 1\]"),
        ("area", (0.5, 1.2), r"views.area: \(0.5, 1.2\) must rise and lie in \(0, 1\]"),
        ("area", (0.0, 1.0), "views.area"),
        ("area", 0.5, "views.area: 0.5 must"),
        ("area", (0.1, 0.2, 0.3), "views.area"),
        ("ratio", (1.2, 0.8), "views.ratio"),
        ("ratio", (float("nan"), 1), "views.ratio"),
        ("rotation", 181, "views.rotation: 181 must lie in"),
        ("flip_horizontal", 1.1, r"views.flip_horizontal: 1.1 must lie in \[0, 1\]"),
        ("grey_probability", -0.1, "views.grey_probability"),
        ("brightness", -1, "views.brightness: -1 must be 0 or more"),
        ("hue", 0.6, "views.hue"),
        ("blur_sigma", (0.0, 1.0), "views.blur_sigma"),
        ("noise_sigma", float("nan"), "views.noise_sigma"),
        ("fill", "white", "views.fill: 'white' must be 'zeros' or 'reflect'"),
    ],
)
def test_unfit_settings_are_one_clear_sentence(option, value, sentence):
    with pytest.raises(HoagError, match=sentence):
        ViewSettings(**{option: value})


def test_lists_from_toml_become_tuples():
    assert ViewSettings(area=[0.3, 1]) == ViewSettings(area=(0.3, 1.0))


@pytest.mark.parametrize(
    "images", [torch.rand(2, 3, 8, 8), torch.zeros(2, 8, 8, 3, dtype=torch.uint8)]
)
def test_images_of_another_kind_are_refused(images):
    with pytest.raises(HoagError, match=r"images must be \(batch, 3, height, width\) uint8"):
        Views(NOTHING, 8)(images, seed=0, step=0, keys=torch.arange(2), stream=VIEW_ONE)
    with pytest.raises(HoagError, match=r"images must be \(batch, 3, height, width\) uint8"):
        evaluation_view(images, 8)

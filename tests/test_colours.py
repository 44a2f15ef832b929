import itertools

import pytest
import torch
from torch import Tensor
from torchvision.transforms import functional as torchvision

from hoag import blurring
from hoag.blurring import Blur, gaussian_blur
from hoag.colours import colour_matrix, coloured

YIQ = torch.tensor(
    [[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]]
)


def images() -> Tensor:
    """Images far enough from black and white that nothing is clamped."""
    generator = torch.Generator().manual_seed(0)
    return 0.35 + 0.2 * torch.rand(4, 3, 9, 9, generator=generator)


def change(pictures: Tensor, **wanted: float) -> Tensor:
    whole = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "turns": 0.0} | wanted
    settings = {name: torch.full((len(pictures),), value) for name, value in whole.items()}
    return coloured(pictures, *colour_matrix(**settings))


def test_no_change_is_no_change():
    torch.testing.assert_close(change(images()), images(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("factor", [0.6, 1.4])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_each_step_is_torchvisions(name, factor):
    theirs = getattr(torchvision, f"adjust_{name}")(images(), factor)
    torch.testing.assert_close(change(images(), **{name: factor}), theirs, atol=2e-4, rtol=0)


def test_grey_is_torchvisions():
    theirs = torchvision.rgb_to_grayscale(images(), 3)
    torch.testing.assert_close(change(images(), saturation=0.0), theirs, atol=2e-4, rtol=0)


@pytest.mark.parametrize(
    "order", [*itertools.permutations(("brightness", "contrast", "saturation"))]
)
def test_together_they_are_torchvisions_in_any_order(order):
    factors = {"brightness": 0.9, "contrast": 1.3, "saturation": 0.7}
    theirs = images()
    for name in order:
        theirs = getattr(torchvision, f"adjust_{name}")(theirs, factors[name])
    torch.testing.assert_close(change(images(), **factors), theirs, atol=3e-4, rtol=0)


def test_hue_turns_chroma_and_keeps_luma():
    before = torch.einsum("ij,njhw->nihw", YIQ, images())
    after = torch.einsum("ij,njhw->nihw", YIQ, change(images(), turns=0.1))
    torch.testing.assert_close(after[:, 0], before[:, 0], atol=1e-5, rtol=0)
    turn = torch.complex(after[:, 1], after[:, 2]) / torch.complex(before[:, 1], before[:, 2])
    torch.testing.assert_close(turn.abs(), torch.ones_like(before[:, 0]), atol=5e-3, rtol=0)
    angle = torch.full_like(before[:, 0], -2 * torch.pi * 0.1)
    torch.testing.assert_close(turn.angle(), angle, atol=5e-3, rtol=0)
    torch.testing.assert_close(change(images(), turns=1.0), images(), atol=1e-5, rtol=0)


def test_hue_leaves_grey_pixels_alone():
    grey = images().mean(1, keepdim=True).expand(-1, 3, -1, -1)
    torch.testing.assert_close(change(grey, turns=0.37), grey, atol=1e-6, rtol=0)


def test_hue_turns_the_way_torchvisions_does():
    red = torch.tensor([0.6, 0.4, 0.4]).view(1, 3, 1, 1)
    ours, theirs = change(red, turns=0.1), torchvision.adjust_hue(red, 0.1)
    assert (ours[0, 1] - ours[0, 2]).sign() == (theirs[0, 1] - theirs[0, 2]).sign()


def test_blur_is_each_images_own_and_torchvisions():
    sigma = torch.tensor([0.5, 1.0, 1.7, 2.0])
    ours = gaussian_blur(images(), sigma, 4)
    for row in range(4):
        theirs = torchvision.gaussian_blur(images()[row], [9, 9], [float(sigma[row])])
        torch.testing.assert_close(ours[row], theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "height,width,radius", [(70, 33, 6), (32, 64, 20), (9, 100, 8), (65, 65, 40)]
)
def test_blocks_of_lines_blur_as_whole_lines(monkeypatch, height, width, radius):
    """Whatever a block's kernel reaches, beyond its neighbours or reflected at an end."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(3, 3, height, width, generator=generator)
    sigma, rows = torch.tensor([0.4, radius / 3]), torch.tensor([0, 2])
    blocks, whole = images.clone(), images.clone()
    blurring._shifts.cache_clear()
    Blur(rows, sigma, radius, images.shape[1:])(blocks)
    monkeypatch.setattr(blurring, "_BLOCK", 1000)
    blurring._shifts.cache_clear()
    Blur(rows, sigma, radius, images.shape[1:])(whole)
    blurring._shifts.cache_clear()
    torch.testing.assert_close(blocks, whole, atol=1e-6, rtol=0)
    assert torch.equal(blocks[1], images[1]) and not torch.equal(blocks[0], images[0])


def test_a_part_of_a_batch_is_blurred_as_in_the_batch():
    batch = images()
    whole, part = batch.clone(), batch[2:].clone()
    blur = Blur(torch.tensor([1, 3]), torch.tensor([0.7, 1.7]), 4, batch.shape[1:])
    blur(whole)
    blur(part, 2)
    assert torch.equal(part, whole[2:])

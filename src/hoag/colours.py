"""Colours of a view: brightness, contrast, saturation and hue as one affine map, and blur.

The map differs from torchvision's ColorJitter in two ways. Hue turns the colour in the plane of I
and Q (there: in HSV, for which no matrix exists). Colours are clamped once at the end (there: after
each step, in a random order). Without clamps between them the four steps commute: saturation and
hue scale and turn the chroma (I, Q) and leave the luma Y; brightness scales everything; contrast
scales everything about the mean luma, which the others move along. So they need no random order.
"""

from functools import cache, lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

# NTSC 1953; the first row is also the grey level of torchvision and of ITU-R BT.601.
_YIQ = torch.tensor(
    [[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]],
    dtype=torch.float64,
)
_RGB = torch.linalg.inv(_YIQ)
_WEIGHTS = _YIQ[0].float()
# RGB to its luma, to its chroma, and to its chroma turned by 90 degrees, red to yellow.
_LUMA = torch.outer(_RGB[:, 0], _YIQ[0]).float()
_CHROMA = (_RGB[:, 1:] @ _YIQ[1:]).float()
_TURNED = (torch.outer(_RGB[:, 1], _YIQ[2]) - torch.outer(_RGB[:, 2], _YIQ[1])).float()

_LEAST = 1e-12  # weight of a pixel in a blur, whose pixels are at most 1: what adds nothing


@cache
def _constants(device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What colours are made of, on a device; copied there once, as each copy waits for a GPU."""
    with torch.inference_mode(False):
        made = (_LUMA, _CHROMA, _TURNED, _WEIGHTS)
        return tuple(part.to(device) for part in made)  # type: ignore[return-value]


def colour_matrix(
    mean: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor, turns: Tensor
) -> tuple[Tensor, Tensor]:
    """Compose brightness, contrast, saturation and hue into one affine map of RGB.

    Parameters
    ----------
    mean
        (batch, 3) mean RGB of each image.
    brightness, contrast, saturation
        (batch,) factors, 1 for no change; saturation 0 is grey.
    turns
        (batch,) change of hue, in turns.

    Returns
    -------
    Tensor, Tensor
        Matrix (batch, 3, 3) and offset (batch, 1): new = matrix @ RGB + offset.
    """
    luma, chroma, chroma_turned, weights = _constants(mean.device)
    angle = 2.0 * torch.pi * turns
    cos = (saturation * angle.cos())[:, None, None]
    sin = (saturation * angle.sin())[:, None, None]
    turned = luma + cos * chroma + sin * chroma_turned
    matrix = (brightness * contrast)[:, None, None] * turned
    grey = (mean * weights).sum(1)
    return matrix, (brightness * (1.0 - contrast) * grey)[:, None]


def coloured(images: Tensor, matrix: Tensor, offset: Tensor, out: Tensor | None = None) -> Tensor:
    """Map the colours of (batch, 3, height, width) as `colour_matrix` says, without clamping.

    The result is written to `out`, other memory than `images`, if that is given.
    """
    # Written out rather than a matrix product, which TF32 would round to 11 bits.
    red, green, blue = matrix[..., None, None].unbind(2)
    out = torch.addcmul(offset[..., None, None], red, images[:, :1], out=out)
    return out.addcmul_(green, images[:, 1:2]).addcmul_(blue, images[:, 2:])


def gaussian_blur(images: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Blur all images as `blur_some` does some; (batch, channels, height, width), new."""
    blurred = images.contiguous().clone()
    blur_some(blurred, torch.arange(len(images), device=images.device), sigma, radius)
    return blurred


def blur_some(images: Tensor, rows: Tensor, sigma: Tensor, radius: int) -> None:
    """Blur some images in place, each by its own Gaussian, reflecting at the borders.

    A convolution of few pixels, by a kernel for each image, is far slower than the same as a matrix
    product, though most of a matrix is zeros.

    Parameters
    ----------
    images
        (batch, channels, height, width), contiguous.
    rows
        (n,) int64, which of them.
    sigma
        (n,) pixels, above 0.
    radius
        Pixels at which the kernels are cut off and renormalised; less than height and width.
    """
    channels, height, width = images.shape[1:]
    offsets = torch.arange(-radius, radius + 1, device=images.device)
    kernels = torch.exp(-0.5 * (offsets / sigma[:, None]) ** 2)
    # Far out weights lose their digits before they vanish, and processors are slow with such.
    kernels = F.threshold(kernels / kernels.sum(1, keepdim=True), _LEAST, 0.0)
    across = _blurs(kernels, width)
    down = across if height == width else _blurs(kernels, height)
    if images.device.type != "cpu":
        chosen = images.index_select(0, rows).view(-1, channels * height, width)
        half = torch.bmm(chosen, across.mT).view(-1, channels, height, width)
        images.index_copy_(0, rows, down[:, None] @ half)
        return
    half = images.new_empty(channels * height, width)
    for row, by_row, by_column in zip(rows.tolist(), across, down, strict=True):
        torch.mm(images[row].view(-1, width), by_row.T, out=half)
        by_column = by_column.expand(channels, -1, -1)
        torch.bmm(by_column, half.view(channels, height, width), out=images[row])


def _blurs(kernels: Tensor, length: int) -> Tensor:
    """Write blurs of lines of `length` pixels by kernels as matrices, (n, length, length)."""
    shifts = _shifts(kernels.shape[1] // 2, length, kernels.device)
    return (kernels @ shifts.flatten(1)).view(len(kernels), length, length)


@lru_cache(maxsize=8)
def _shifts(radius: int, length: int, device: torch.device) -> Tensor:
    """Shifts by -radius to radius pixels as matrices of 0 and 1, mirrored at both ends."""
    last = length - 1
    with torch.inference_mode(False):
        offsets = torch.arange(-radius, radius + 1, device=device)[:, None]
        places = offsets + torch.arange(length, device=device)
        return F.one_hot(last - (last - places.abs()).abs(), length).float()

"""Colours of a view: brightness, contrast, saturation and hue as one affine map, and blur.

The map differs from torchvision's ColorJitter in two ways. Hue turns the colour in the plane of I
and Q (there: in HSV, for which no matrix exists). Colours are clamped once at the end (there: after
each step, in a random order). Without clamps between them the four steps commute: saturation and
hue scale and turn the chroma (I, Q) and leave the luma Y; brightness scales everything; contrast
scales everything about the mean luma, which the others move along. So they need no random order.
"""

from functools import cache

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
    """Blur each image by its own Gaussian, reflecting at the borders.

    Parameters
    ----------
    images
        (batch, channels, height, width).
    sigma
        (batch,) pixels, above 0.
    radius
        Pixels at which the kernels are cut off and renormalised; less than height and width.
    """
    batch, channels, height, width = images.shape
    offsets = torch.arange(-radius, radius + 1, device=images.device)
    kernels = torch.exp(-0.5 * (offsets / sigma[:, None]) ** 2)
    kernels = (kernels / kernels.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    flat = images.reshape(1, batch * channels, height, width)
    flat = F.pad(flat, (radius, radius, radius, radius), mode="reflect")
    flat = F.conv2d(flat, kernels[:, None, :, None], groups=batch * channels)
    flat = F.conv2d(flat, kernels[:, None, None, :], groups=batch * channels)
    return flat.view(batch, channels, height, width)

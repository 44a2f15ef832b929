"""Colours of a view: brightness, contrast, saturation and hue as one affine map.

The map differs from torchvision's ColorJitter in two ways. Hue turns the colour in the plane of I
and Q (there: in HSV, for which no matrix exists). Colours are clamped once at the end (there: after
each step, in a random order). Without clamps between them the four steps commute: saturation and
hue scale and turn the chroma (I, Q) and leave the luma Y; brightness scales everything; contrast
scales everything about the mean luma, which the others move along. So they need no random order.
"""

from functools import cache

import torch
from torch import Tensor

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
    brightness: Tensor, contrast: Tensor, saturation: Tensor, turns: Tensor
) -> tuple[Tensor, Tensor]:
    """Compose brightness, contrast, saturation and hue into one affine map of RGB.

    Parameters
    ----------
    brightness, contrast, saturation
        (batch,) factors, 1 for no change; saturation 0 is grey.
    turns
        (batch,) change of hue, in turns.

    Returns
    -------
    Tensor, Tensor
        Matrix (batch, 3, 3) and share (batch,) of the image's mean luma: new = matrix @ RGB +
        share * mean luma.
    """
    luma, chroma, chroma_turned, _ = _constants(brightness.device)
    angle = 2.0 * torch.pi * turns
    cos = (saturation * angle.cos())[:, None, None]
    sin = (saturation * angle.sin())[:, None, None]
    turned = luma + cos * chroma + sin * chroma_turned
    return (brightness * contrast)[:, None, None] * turned, brightness * (1.0 - contrast)


def coloured(images: Tensor, matrix: Tensor, share: Tensor, out: Tensor | None = None) -> Tensor:
    """Map the colours of (batch, 3, height, width) as `colour_matrix` says, without clamping.

    The result is written to `out`, contiguous and other memory than `images`, if that is given.
    """
    weights = _constants(images.device)[3]
    offset = (share * (images.mean((2, 3)) * weights).sum(1))[:, None, None]
    if images.device.type == "cpu":
        flat = None if out is None else out.flatten(2)
        return torch.baddbmm(offset, matrix, images.flatten(2), out=flat).view(images.shape)
    # Written out, as TF32 would round the numbers of a matrix product to 11 bits.
    red, green, blue = matrix[..., None, None].unbind(2)
    out = torch.addcmul(offset[..., None], red, images[:, :1], out=out)
    return out.addcmul_(green, images[:, 1:2]).addcmul_(blue, images[:, 2:])

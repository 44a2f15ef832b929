"""Gaussian blur of some of a batch's views, each by its own width, reflecting at the borders.

A convolution of few pixels, by a kernel for each image, is far slower in torch than the same as a
matrix product, though most of a matrix is zeros. On a CPU lines are cut in blocks, which leaves
most of the zeros out; on a GPU few products count for more than small ones.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

_LEAST = 1e-12  # weight of a pixel in a blur, whose pixels are at most 1: what adds nothing
_BLOCK = 32  # pixels of a line that a product blurs on a CPU


def gaussian_blur(images: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Blur all images as `Blur` does some; (batch, channels, height, width), new."""
    blurred = images.contiguous().clone()
    rows = torch.arange(len(images), device=images.device)
    Blur(rows, sigma, radius, images.shape[1:])(blurred)
    return blurred


class Blur:
    """Blur some images of a batch, each by its own Gaussian, reflecting at the borders.

    Parameters
    ----------
    rows
        (n,) int64, ascending: which of them.
    sigma
        (n,) pixels, above 0.
    radius
        Pixels at which the kernels are cut off and renormalised; less than height and width.
    shape
        Channels, height and width of the images.
    """

    def __init__(self, rows: Tensor, sigma: Tensor, radius: int, shape: Sequence[int]):
        channels, height, width = shape
        offsets = torch.arange(-radius, radius + 1, device=sigma.device)
        kernels = torch.exp(-0.5 * (offsets / sigma[:, None]) ** 2)
        # Far out weights lose their digits before they vanish, and processors are slow with such.
        kernels = F.threshold(kernels / kernels.sum(1, keepdim=True), _LEAST, 0.0)
        self.rows = rows
        self.across = _matrices(kernels, width)
        self.down = self.across if height == width else _matrices(kernels, height)
        # By row of the batch, its matrices along rows and columns; on a GPU all go at once.
        self.of_row: dict[int, tuple[tuple[Tensor, ...], tuple[Tensor, ...]]] = {}
        if self.on_cpu:
            along = zip(*(weights.mT.unbind() for _, _, weights in self.across), strict=True)
            repeated = (
                weights[:, None].expand(-1, channels, -1, -1) for _, _, weights in self.down
            )
            down = zip(*(weights.unbind() for weights in repeated), strict=True)
            each = zip(along, down, strict=True)
            self.of_row = dict(zip(rows.tolist(), each, strict=True))

    @property
    def on_cpu(self) -> bool:
        """Whether images are in the memory of a processor."""
        return self.rows.device.type == "cpu"

    def __call__(self, images: Tensor, start: int = 0) -> None:
        """Blur in place those of `rows` that are among `images`.

        Parameters
        ----------
        images
            (k, channels, height, width), contiguous: those from `start` of the batch.
        start
            Row in the batch of the first; 0 on a GPU, where a batch is blurred as a whole.
        """
        if self.on_cpu:
            self._by_blocks(images, start)
            return
        channels, height, width = images.shape[1:]
        (_, _, across), (_, _, down) = self.across[0], self.down[0]
        chosen = images.index_select(0, self.rows).view(-1, channels * height, width)
        half = torch.bmm(chosen, across.mT).view(-1, channels, height, width)
        images.index_copy_(0, self.rows, down[:, None] @ half)

    def _by_blocks(self, images: Tensor, start: int) -> None:
        channels, height, width = images.shape[1:]
        half = images.new_empty(channels, height, width)
        lines, half_lines = images.flatten(1, 2), half.flatten(0, 1)
        from_row = [lines[:, :, needed].unbind() for _, needed, _ in self.across]
        to_row = [half_lines[:, made] for made, _, _ in self.across]
        from_column = [half[:, needed] for _, needed, _ in self.down]
        to_column = [images[:, :, made].unbind() for made, _, _ in self.down]
        for row in range(len(images)):
            if start + row not in self.of_row:
                continue
            by_row, by_column = self.of_row[start + row]
            for weights, pixels, out in zip(by_row, from_row, to_row, strict=True):
                torch.mm(pixels[row], weights, out=out)
            for weights, halfway, blurred in zip(by_column, from_column, to_column, strict=True):
                torch.bmm(weights, halfway, out=blurred[row])


def _matrices(kernels: Tensor, length: int) -> list[tuple[slice, slice, Tensor]]:
    """Write blurs of lines by (n, 2 radius + 1) kernels as matrices, a part of the line for each.

    Gives the pixels that are made, those they are made of, and (n, made, needed) weights. A kernel
    that is reflected at an end stays within the pixels that are needed there in any case.
    """
    radius = kernels.shape[1] // 2
    parts = []
    for made, needed, shifts in _shifts(radius, length, kernels.device):
        shape = (len(kernels), made.stop - made.start, needed.stop - needed.start)
        parts.append((made, needed, (kernels @ shifts).view(shape)))
    return parts


@lru_cache(maxsize=8)
def _shifts(radius: int, length: int, device: torch.device) -> list[tuple[slice, slice, Tensor]]:
    """Shifts by -radius to radius pixels as matrices of 0 and 1, mirrored at both ends."""
    last = length - 1
    step = _BLOCK if device.type == "cpu" else length
    with torch.inference_mode(False):
        offsets = torch.arange(-radius, radius + 1, device=device)[:, None]
        places = offsets + torch.arange(length, device=device)
        whole = F.one_hot(last - (last - places.abs()).abs(), length).float()
        parts = []
        for start in range(0, length, step):
            made = slice(start, min(start + step, length))
            needed = slice(max(start - radius, 0), min(made.stop + radius, length))
            parts.append((made, needed, whole[:, made, needed].flatten(1)))
        return parts

"""Gaussian noise on the pixels of views: a stretch of a long row of numbers.

A number drawn anew for each pixel would take half as long as the warp that makes the view. So a
million normal numbers and some are drawn once, and a view takes a stretch of them, from a place and
with a sign that are drawn for it: among its pixels no number comes twice.
"""

from functools import lru_cache
from typing import Final

import torch
from torch import Tensor

from hoag.randomness import PIXEL_NOISE, normal, uniform

_STARTS: Final = 1 << 20  # places that a stretch may begin at


class Noise:
    """Add independent normal numbers to all pixels of some images of a batch.

    Parameters
    ----------
    rows
        (n,) int64, ascending: which of them.
    sigma
        Standard deviation of the noise.
    seed, step, keys, stream
        As in `hoag.randomness.uniform`: keys (n,) int64, of the rows.
    """

    def __init__(
        self, rows: Tensor, sigma: float, seed: int, step: int, keys: Tensor, stream: int
    ) -> None:
        place, sign = uniform(seed, step, keys, 2, stream + PIXEL_NOISE, rows.device).unbind(1)
        self.rows, self.starts = rows, (place * _STARTS).long()
        self.factors = torch.where(sign < 0.5, -sigma, sigma)
        self.of_row: dict[int, tuple[int, float]] = {}
        if rows.device.type == "cpu":
            each = zip(self.starts.tolist(), self.factors.tolist(), strict=True)
            self.of_row = dict(zip(rows.tolist(), each, strict=True))

    def __call__(self, images: Tensor, start: int = 0) -> None:
        """Add it in place to those of `rows` that are among `images`.

        Parameters
        ----------
        images
            (k, channels, height, width), contiguous: those from `start` of the batch.
        start
            Row in the batch of the first; 0 on a GPU, where all of a batch are given.
        """
        flat = images.flatten(1)
        count = flat.shape[1]
        numbers = _numbers(count, images.device)
        if images.device.type != "cpu":
            stretches = numbers.unfold(0, count, 1).index_select(0, self.starts)
            flat.index_add_(0, self.rows, stretches.mul_(self.factors[:, None]))
            return
        for row, pixels in enumerate(flat, start):
            if row in self.of_row:
                place, factor = self.of_row[row]
                pixels.add_(numbers[place : place + count], alpha=factor)


@lru_cache(maxsize=4)
def _numbers(count: int, device: torch.device) -> Tensor:
    """Normal numbers, enough for `count` of them from every start."""
    with torch.inference_mode(False):
        one = torch.zeros(1, dtype=torch.int64, device=device)
        return normal(0, 0, one, _STARTS + count, PIXEL_NOISE, device)[0]

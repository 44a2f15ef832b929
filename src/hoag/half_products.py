"""Products of many vectors in half precision with one, near the pace at which memory is read.

Processors that add and multiply half precision themselves (AVX512-FP16) do so through simsimd, at
nine tenths of that pace; torch makes each number float32 first, which there takes thrice as long.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hoag.half_vectors import Floats

if TYPE_CHECKING:
    import torch

_ROUNDING = 1.1 * 2.0**-11  # of a number to half precision, relative, and some more
_LANES = 32  # numbers that are summed side by side, each sum in half precision


def half_products(rows: torch.Tensor, query: Floats) -> Floats:
    """Multiply vectors (n, dim) float16 with a query (dim,); (n,) float32, off by `off_by`."""
    if _sums_halves():
        import simsimd

        found = simsimd.cdist(query.astype(np.float16)[None], rows.numpy(), metric="inner")
        return np.asarray(found)[0].astype(np.float32)
    import torch

    made: NDArray[np.float32] = torch.mv(rows, torch.from_numpy(query).half()).float().numpy()
    return made


def off_by(dim: int) -> float:
    """By how much a product of two vectors may be off, relative to the product of their lengths.

    The query is rounded, and the result; with sums in half precision each step of a sum too, and
    those steps in which the sums of the lanes become one.
    """
    steps = -(-dim // _LANES) + 5 if _sums_halves() else 0
    return (2 + steps) * _ROUNDING


@cache
def _sums_halves() -> bool:
    import simsimd

    return bool(simsimd.get_capabilities().get("sapphire", False))

"""Randomness without state: every draw is a function of seed, step, galaxy and stream.

Nothing is carried from draw to draw, so a resumed run, another batch size, another order or another
device sees the same views. The generator is splitmix64 (Steele, Lea & Flood 2014, "Fast splittable
pseudorandom number generators") started from a hash of its arguments and used in counter mode.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hoag.hashes import hash_of, hashes_of

key, keys = hash_of, hashes_of  # a galaxy's randomness starts from the hash of its id

# Streams: draws for different purposes at the same step never share numbers.
VIEW_ONE: Final = 1
VIEW_TWO: Final = 2
DROPOUT: Final = 3
DROPOUT_TWO: Final = 4
BATCHES: Final = 5
VOTES_KEPT: Final = 6
PIXEL_NOISE: Final = 1 << 16  # added to the stream of the view that the noise belongs to

_MASK: Final = (1 << 64) - 1
_GAMMA: Final = 0x9E3779B97F4A7C15
_MIX_ONE: Final = 0xBF58476D1CE4E5B9
_MIX_TWO: Final = 0x94D049BB133111EB
_AT_ONCE: Final = 1 << 14  # numbers that are mixed at once, to stay in a processor's caches


def key_tensor(keys: NDArray[np.uint64]) -> Tensor:
    """Give keys to torch as (n,) int64 of the same bits, which is how `uniform` takes them."""
    return torch.from_numpy(np.ascontiguousarray(keys, dtype=np.uint64).view(np.int64).copy())


def uniform(
    seed: int,
    step: int,
    keys: Tensor,
    n: int,
    stream: int,
    device: torch.device | str | None = None,
) -> Tensor:
    """Draw `n` uniform numbers for each galaxy.

    Parameters
    ----------
    seed, step, stream
        Any integers: the run's seed, the optimiser's step, one of this module's streams.
    keys
        (batch,) int64, one key per galaxy.
    n
        Numbers per galaxy.
    device
        Where they are made; by default where `keys` is.

    Returns
    -------
    Tensor
        (batch, n) float32 in [0, 1), multiples of 2^-24. A row depends on its own key alone, and is
        bitwise the same on every device.
    """
    device = keys.device if device is None else torch.device(device)
    bits = _bits(seed, step, keys, n, stream, device)
    return _shift_right(bits, 40).float().mul_(2.0**-24)


def normal(
    seed: int,
    step: int,
    keys: Tensor,
    n: int,
    stream: int,
    device: torch.device | str | None = None,
) -> Tensor:
    """Draw `n` standard normal numbers for each galaxy, (batch, n) float32.

    Arguments as in `uniform`. Made for the noise of pixels, of which there are many: a number is
    one of 65,536 quantiles of the normal distribution, so it takes 16 random bits and none lies
    beyond 4.4. Bitwise the same on every device.
    """
    device = keys.device if device is None else torch.device(device)
    words = _bits(seed, step, keys, (n + 3) // 4, stream, device)
    places = words.view(torch.int16)[:, :n].int().add_(1 << 15)
    return _quantiles(device).index_select(0, places.view(-1)).view(len(keys), n)


@cache
def _quantiles(device: torch.device) -> Tensor:
    """Quantiles of the normal distribution at the middles of 65,536 equal parts of (0, 1)."""
    middles = (torch.arange(1 << 16, dtype=torch.float64, device="cpu") + 0.5) / (1 << 16)
    return torch.special.ndtri(middles).float().to(device)


def _bits(seed: int, step: int, keys: Tensor, n: int, stream: int, device: torch.device) -> Tensor:
    """Draw (batch, n) int64 of 64 random bits."""
    start = _mix(keys.to(device) ^ _signed(_base(seed, step, stream)))
    return _mix(start[:, None] + _counter(n, device))


@lru_cache(maxsize=8)
def _counter(n: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.arange(1, n + 1, device=device, dtype=torch.int64) * _signed(_GAMMA)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let torch's own generator start from `seed` inside the block, and untouched by it after.

    For libraries that draw their initial weights from the global generator (timm, torch.nn).
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed & _MASK)
        yield


def _base(seed: int, step: int, stream: int) -> int:
    state = 0
    for part in (seed, step, stream):
        state = _mix_int((state + (part & _MASK) + _GAMMA) & _MASK)
    return state


def _mix_int(z: int) -> int:
    z = ((z ^ (z >> 30)) * _MIX_ONE) & _MASK
    z = ((z ^ (z >> 27)) * _MIX_TWO) & _MASK
    return z ^ (z >> 31)


def _mix(z: Tensor) -> Tensor:
    """Mix (..., n) int64 of 64 bits; `z` itself is changed."""
    if z.device.type == "cpu":
        _mix_array(z.numpy().reshape(-1).view(np.uint64))
        return z
    z = (z ^ _shift_right(z, 30)).mul_(_signed(_MIX_ONE))
    z.bitwise_xor_(_shift_right(z, 27)).mul_(_signed(_MIX_TWO))
    return z.bitwise_xor_(_shift_right(z, 31))


def _mix_array(z: NDArray[np.uint64]) -> None:
    """Mix (n,) bits in place, by numpy, whose integers are twice as quick as torch's on a CPU."""
    spare = np.empty(min(len(z), _AT_ONCE), np.uint64)
    for start in range(0, len(z), _AT_ONCE):
        part = z[start : start + _AT_ONCE]
        shifted = spare[: len(part)]
        for bits, factor in ((30, _MIX_ONE), (27, _MIX_TWO), (31, 1)):
            np.right_shift(part, np.uint64(bits), out=shifted)
            np.bitwise_xor(part, shifted, out=part)
            if factor != 1:
                np.multiply(part, np.uint64(factor), out=part)


def _shift_right(z: Tensor, bits: int) -> Tensor:
    # int64 shifts copy the sign bit downwards; the mask makes the shift that of an unsigned number.
    return (z >> bits).bitwise_and_((1 << (64 - bits)) - 1)


def _signed(z: int) -> int:
    return z - (1 << 64) if z >= 1 << 63 else z

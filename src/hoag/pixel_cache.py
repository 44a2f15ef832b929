"""Decoded pixels in memory that all worker processes share, filled as they are first needed."""

import os
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hoag.console import say
from hoag.memory import available_memory, in_words

SHARE = 0.4  # of the available memory, over all caches of a process together

_promised = 0


class PixelCache:
    """Square images of one store at one size: (n, size, size, 3) uint8, and which are decoded.

    The memory belongs to no process alone: workers that are forked or spawned see each other's
    pixels. Two that decode one image at once write the same bytes, so no lock is needed.
    """

    def __init__(self, n: int, size: int):
        self.n, self.size = n, size
        self.nbytes = n * (3 * size * size + 1)
        self._path = _shared_file(self.nbytes, self)
        self._map()

    def _map(self) -> None:
        # Only pages that are written take memory.
        everything = np.asarray(np.memmap(self._path, np.uint8, mode="r+", shape=(self.nbytes,)))
        self._pixels = everything[self.n :].reshape(self.n, self.size, self.size, 3)
        self._filled = everything[: self.n]

    def missing(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Positions in `rows` that have not been decoded yet."""
        return np.flatnonzero(self._filled[rows] == 0)

    @contextmanager
    def filling(self, row: int) -> Iterator[npt.NDArray[np.uint8]]:
        """Give the place of one image, (size, size, 3) uint8; it counts if nothing goes wrong."""
        yield self._pixels[row]
        self._filled[row] = 1

    def image(self, row: int) -> npt.NDArray[np.uint8]:
        """One image that is there, not copied; (size, size, 3) uint8."""
        return self._pixels[row]

    def __getstate__(self) -> dict[str, object]:
        return {"n": self.n, "size": self.size, "nbytes": self.nbytes, "_path": self._path}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._map()


def make_cache(n: int, size: int, name: str) -> PixelCache | None:
    """Make a cache if it fits in the memory at hand, and say so either way."""
    global _promised
    need = n * (3 * size * size + 1)
    room = SHARE * available_memory() - _promised
    if need > room:
        say(
            f"{name}: {n:,} images at {size} px take {in_words(need)}, over {SHARE:.0%} of the "
            "free memory, so each is decoded whenever it is needed"
        )
        return None
    _promised += need
    say(f"{name}: decoded images are kept in memory, up to {in_words(need)} at {size} px")
    cache = PixelCache(n, size)
    weakref.finalize(cache, _give_back, need)
    return cache


def _give_back(need: int) -> None:
    global _promised
    _promised -= need


def _shared_file(nbytes: int, owner: object) -> str:
    """Make a file of memory (Linux) or a temporary one that goes with its owner."""
    if hasattr(os, "memfd_create"):
        # Unlike /dev/shm, which containers often limit to 64 MB, this has no size of its own.
        handle = os.memfd_create("hoag-pixels")
        os.ftruncate(handle, nbytes)
        weakref.finalize(owner, os.close, handle)
        return f"/proc/{os.getpid()}/fd/{handle}"
    handle, path = tempfile.mkstemp(prefix="hoag-pixels-")
    os.ftruncate(handle, nbytes)
    os.close(handle)
    weakref.finalize(owner, _remove, path, os.getpid())
    return path


def _remove(path: str, maker: int) -> None:
    if os.getpid() == maker:  # a forked worker that ends must leave it to the others
        Path(path).unlink(missing_ok=True)

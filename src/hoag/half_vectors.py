"""Standardised representations in half precision, in memory or mapped from a copy on disk.

Search, map and find read every vector once or more, so they want them ready: each feature less its
mean over its standard deviation (over all galaxies of the table), as float16. Parquet cannot be
mapped into memory; beside a large table a copy is therefore written once, ``NAME.half``, with its
size said. Delete it whenever you like.

Standardised, because the features of a ReLU network differ in mean and scale by orders of
magnitude: without it a few of them decide every cosine, and all of these are close to 1. Half
precision, because it halves what must be read and its rounding (2**-11 of a feature) is far below
what tells two galaxies apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hoag.errors import HoagError

if TYPE_CHECKING:
    import pyarrow as pa
    import torch

T = TypeVar("T")
Halves = NDArray[np.float16]
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

BLOCK = 1024  # rows made float32 at once: with 512 features 2 MB, which stay in the cache


class Vectors:
    """Ids and standardised vectors of an embeddings table; see `hoag.opening_vectors`.

    Attributes
    ----------
    names
        (galaxies,) ids, a pyarrow array of strings.
    rows
        (galaxies, dim) float16, standardised; maybe mapped from a file.
    mean, scale
        (dim,) float64: what was taken off each feature, and what it was then divided by.
    inverse_norms
        (galaxies,) float32: one over the length of each row, 0 for a row of zeros.
    stamp
        Where the table comes from; empty for other people's.
    source
        What the table is called in messages: its file.
    """

    def __init__(
        self,
        names: pa.Array,
        rows: Halves,
        moments: NDArray[np.float64],
        stamp: dict[str, Any],
        norms: Floats,
        source: str,
    ):
        self.names, self.rows, self.stamp, self.source = names, rows, stamp, source
        self.mean, self.scale = moments
        self.inverse_norms = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dim(self) -> int:
        """Number of features."""
        return int(self.rows.shape[1])

    @property
    def ids(self) -> list[str]:
        """All ids, in the order of the rows."""
        return list(self.names.to_pylist())

    def ids_at(self, rows: NDArray[np.integer]) -> list[str]:
        """Ids of some rows."""
        import pyarrow as pa

        return list(self.names.take(pa.array(rows, pa.int64())).to_pylist())

    def rows_of(self, ids: Sequence[str] | pa.Array | pa.ChunkedArray) -> Ints:
        """Rows of some ids, -1 where the table has no such galaxy; (k,) int64."""
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = ids if isinstance(ids, pa.Array | pa.ChunkedArray) else pa.array(ids, pa.string())
        found = pc.index_in(wanted, value_set=self.names)
        return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), np.int64)

    def require(self, ids: Sequence[str]) -> Ints:
        """Rows of ids that must all be there.

        Raises
        ------
        HoagError
            If the table lacks one.
        """
        rows = self.rows_of(ids)
        missing = np.flatnonzero(rows < 0)
        if len(missing):
            others = f" ({len(missing)} of {len(ids)} are missing)" if len(ids) > 1 else ""
            raise HoagError(
                f"{self.source}: no galaxy '{ids[missing[0]]}'{others}; embed it, or check the id: "
                f"those here look like '{self.names[0].as_py()}'"
            )
        return rows

    def take(self, rows: NDArray[np.integer]) -> Floats:
        """Vectors of some rows, (k, dim) float32, standardised."""
        return self.rows[np.asarray(rows, np.int64)].astype(np.float32)

    def standardise(self, numbers: NDArray[np.floating]) -> Floats:
        """Standardise new vectors (k, dim) as those of the table are."""
        return ((np.asarray(numbers, np.float64) - self.mean) / self.scale).astype(np.float32)

    def halves(self, start: int, stop: int) -> torch.Tensor:
        """Rows from one to before another as they are, (rows, dim) float16; not to be written."""
        import warnings

        import torch

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a mapped file cannot be written: nor do we
            return torch.from_numpy(np.asarray(self.rows[start:stop]))

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, torch.Tensor]]:
        """Go through rows: the first row of each block, and its float32 (rows, dim) tensor.

        The tensor is overwritten by the next block.
        """
        import torch

        stop = len(self) if stop is None else stop
        memory = torch.empty((BLOCK, self.dim))
        for first in range(start, stop, BLOCK):
            halves = self.halves(first, min(first + BLOCK, stop))
            block = memory[: len(halves)].copy_(halves)
            yield first, block

    def in_stretches(self, work: Callable[[int, int], T]) -> list[T]:
        """Do work on stretches of rows (first, one past the last) side by side, results in order.

        One thread each, as many as torch would use: blocks are so small that threads which share
        one wait for each other longer than they work, the more so on a busy machine.
        """
        import torch

        threads = torch.get_num_threads()
        count = max(1, min(threads, len(self) // (4 * BLOCK)))
        edges = np.linspace(0, len(self), count + 1).astype(int).tolist()
        torch.set_num_threads(1)
        try:
            with ThreadPoolExecutor(count) as pool:
                return list(pool.map(work, edges[:-1], edges[1:]))
        finally:
            torch.set_num_threads(threads)

    def sample(self, most: int, seed: int = 0) -> Ints:
        """Rows of a random sample of at most so many galaxies, ascending."""
        if len(self) <= most:
            return np.arange(len(self))
        drawn = np.random.default_rng([seed, len(self)]).choice(len(self), most, replace=False)
        return np.sort(drawn).astype(np.int64)

    def check_model(self, model_hash: str, name: str, size: int | None = None) -> None:
        """Refuse to compare with vectors of another model, or of images of another size.

        Raises
        ------
        HoagError
            If the table was made by another model, or does not say by which.
        """
        made_by = self.stamp.get("model")
        if made_by is None:
            raise HoagError(
                f"{self.source}: does not record which model made it, so vectors of {name} cannot "
                "be compared with it; embed the galaxies with `hoag embed`"
            )
        if made_by != model_hash:
            raise HoagError(
                f"{self.source}: was made by model {made_by}, and {name} is model {model_hash}; "
                "give the model it was made by, or embed the galaxies again"
            )
        made_at = self.stamp.get("size", size)
        if size is not None and made_at != size:
            raise HoagError(
                f"{self.source}: was made of images of {made_at} px, and {name} sees {size} px; "
                f"load it with size={made_at}, or embed the galaxies again"
            )

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

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from hoag.console import progress, say
from hoag.embedding import (
    ID,
    STAMP_KEY,
    canonical,
    ids_of,
    read_embeddings,
    stamp_of,
)
from hoag.embedding import vectors as vectors_of
from hoag.errors import HoagError
from hoag.files import read_json, written_whole

if TYPE_CHECKING:
    import pyarrow as pa
    import torch

T = TypeVar("T")
Halves = NDArray[np.float16]
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Numbers: TypeAlias = Iterator[tuple["pa.Array", Floats]]

LARGE = 128 << 20  # bytes of Parquet from which a copy is written and mapped
READ = 16384  # rows read from Parquet at once
BLOCK = 1024  # rows made float32 at once: with 512 features 2 MB, which stay in the cache
_LIMIT = 6e4  # float16 ends at 65504


class Vectors:
    """Ids and standardised vectors of an embeddings table; made by `open_vectors`.

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

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, torch.Tensor]]:
        """Go through rows: the first row of each block, and its float32 (rows, dim) tensor.

        The tensor is overwritten by the next block.
        """
        import warnings

        import torch

        stop = len(self) if stop is None else stop
        memory = torch.empty((BLOCK, self.dim))
        for first in range(start, stop, BLOCK):
            halves = np.asarray(self.rows[first : min(first + BLOCK, stop)])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a mapped file cannot be written: nor do we
                block = memory[: len(halves)].copy_(torch.from_numpy(halves))
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

    def check_model(self, model_hash: str, name: str) -> None:
        """Refuse to compare with vectors of another model.

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


def open_vectors(source: str | Path | pa.Table | Vectors) -> Vectors:
    """Open embeddings for search, map and find.

    Parameters
    ----------
    source
        A file of ids and vectors, a table of them, or what this function gave before.

    Raises
    ------
    HoagError
        If it is no table of ids and finite vectors; see `hoag.embedding.canonical`.
    """
    if isinstance(source, Vectors):
        return source
    if isinstance(source, str | Path):
        path = Path(source)
        if path.suffix == ".parquet" and path.is_file() and path.stat().st_size > LARGE:
            return _open_large(path)
        return _in_memory(read_embeddings(path), str(path))
    return _in_memory(canonical(source, "the embeddings"), "the embeddings")


def _in_memory(table: pa.Table, where: str) -> Vectors:
    import pyarrow as pa

    numbers = vectors_of(table)
    moments = _moments(lambda: iter([(pa.nulls(0), numbers)]))
    names = pa.array(ids_of(table), pa.string())
    halves = _halves(numbers, moments)
    return Vectors(names, halves, moments, stamp_of(table), _norms(halves), where)


def _moments(parts: Callable[[], Numbers]) -> NDArray[np.float64]:
    """Mean and standard deviation of each feature, (2, dim); 1 for a feature that never varies."""
    count, first, total, squares = 0, None, 0.0, 0.0
    for _, numbers in parts():
        wide = numbers.astype(np.float64)
        first = wide.mean(axis=0) if first is None else first  # keeps the squares from cancelling
        wide -= first
        count += len(wide)
        total = total + wide.sum(axis=0)
        squares = squares + (wide**2).sum(axis=0)
    mean = total / count
    spread = np.sqrt(np.maximum(squares / count - mean**2, 0))
    mean = mean + (0 if first is None else first)
    return np.stack([mean, np.where(spread > 1e-7 * (1 + np.abs(mean)), spread, 1.0)])


def _halves(numbers: Floats, moments: NDArray[np.float64]) -> Halves:
    scaled = (numbers - moments[0]) / moments[1]
    return np.clip(scaled, -_LIMIT, _LIMIT).astype(np.float16)


def _norms(halves: Halves) -> Floats:
    return np.linalg.norm(halves.astype(np.float32), axis=1)


def _open_large(path: Path) -> Vectors:
    copy = path.with_suffix(".half")
    about = _fingerprint(path)
    if not (copy / "about.json").is_file() or read_json(copy / "about.json")["of"] != about:
        _write_copy(path, copy, about)
    return _open_copy(path, copy)


def _fingerprint(path: Path) -> dict[str, int]:
    state = path.stat()
    return {"bytes": state.st_size, "modified": state.st_mtime_ns}


def _write_copy(path: Path, copy: Path, about: dict[str, int]) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rows = pq.read_metadata(path).num_rows
    moments = _moments(lambda: _parts(path, "measuring features"))
    dim = moments.shape[1]
    say(f"{copy}: the vectors of {path.name} in half precision, {2e-9 * rows * dim:.1f} GB, "
        "written once; delete it whenever you like")  # fmt: skip
    with written_whole(copy) as folder:
        folder.mkdir()
        halves = np.lib.format.open_memmap(
            folder / "vectors.npy", "w+", np.dtype(np.float16), (rows, dim)
        )
        names, norms, start = [], np.empty(rows, np.float32), 0
        for part, numbers in _parts(path, "writing half precision"):
            if numbers.shape[1] != dim:
                raise HoagError(f"{path}: vectors of {numbers.shape[1]} and of {dim} features")
            stop = start + len(numbers)
            halves[start:stop] = _halves(numbers, moments)
            norms[start:stop] = _norms(halves[start:stop])
            names.append(part)
            start = stop
        halves.flush()
        np.save(folder / "norms.npy", norms)
        ids = pa.chunked_array(names)
        if pc.count_distinct(ids).as_py() < rows:
            counts = pc.value_counts(ids.combine_chunks())
            twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")[0]
            raise HoagError(f"{path}: id '{twice}' comes more than once; keep one of its rows")
        with pa.OSFile(str(folder / "ids.arrow"), "wb") as sink:
            with pa.ipc.new_file(sink, pa.schema([(ID, pa.string())])) as writer:
                writer.write_table(pa.table({ID: ids.combine_chunks()}))
        np.save(folder / "moments.npy", moments)
        stamp = (pq.read_schema(path).metadata or {}).get(STAMP_KEY, b"{}")
        content = {"of": about, "stamp": json.loads(stamp)}
        (folder / "about.json").write_text(json.dumps(content))


def _parts(path: Path, doing: str) -> Numbers:
    """Read ids and vectors of a Parquet file a stretch at a time, each checked."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        total, first = -(-file.metadata.num_rows // READ), 0
        batches = file.iter_batches(READ)
        for batch in progress(batches, f"{path.name}: {doing}", total=total, unit="blocks"):
            where = f"{path} (counting rows from row {first + 1})"
            table = canonical(pa.table(batch), where)
            yield table[ID].combine_chunks(), vectors_of(table)
            first += len(batch)


def _open_copy(path: Path, copy: Path) -> Vectors:
    import pyarrow as pa

    try:
        halves = np.load(copy / "vectors.npy", mmap_mode="r", allow_pickle=False)
        moments = np.load(copy / "moments.npy", allow_pickle=False)
        norms = np.load(copy / "norms.npy", allow_pickle=False)
        with pa.memory_map(str(copy / "ids.arrow")) as file:
            names = pa.ipc.open_file(file).read_all()[ID].combine_chunks()
    except (OSError, ValueError, pa.ArrowInvalid) as error:
        raise HoagError(f"{copy}: damaged ({error}); delete it, and it is written again") from None
    stamp = read_json(copy / "about.json")["stamp"]
    return Vectors(names, halves, moments, stamp, norms, str(path))

"""Opening embeddings as `hoag.half_vectors.Vectors`: small tables in memory, large ones mapped.

The copy of a large table, ``NAME.half``, holds ``vectors.npy`` (float16), ``norms.npy``,
``moments.npy``, ``ids.arrow`` and ``about.json`` with the table's size and time, by which a changed
table is noticed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hoag.console import progress, say
from hoag.embedding import ID, STAMP_KEY, canonical, ids_of, read_embeddings, stamp_of
from hoag.embedding import vectors as vectors_of
from hoag.errors import HoagError
from hoag.files import read_json, written_whole
from hoag.half_vectors import Floats, Halves, Vectors

if TYPE_CHECKING:
    import pyarrow as pa

Numbers: TypeAlias = Iterator[tuple["pa.Array", Floats]]

LARGE = 128 << 20  # bytes of Parquet from which a copy is written and mapped
READ = 16384  # rows read from Parquet at once
_LIMIT = 6e4  # float16 ends at 65504


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

"""A folder of simulated galaxies: Parquet in the Hub's layout, truth, and roles of the tables."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hoag.console import progress, say
from hoag.errors import HoagError
from hoag.files import written_whole
from hoag.provenance import cores, stamp
from hoag.schema import Schema, load_schema
from hoag.simulator.frozen import fingerprint
from hoag.simulator.sample import (
    EVO,
    LABELLED,
    RING,
    RINGS,
    UNLABELLED,
    VERSION,
    SimulatedGalaxy,
    draw,
)

ROW_GROUP = 256
SHARD_BYTES = 256 * 2**20
_BATCH = 128

Columns = dict[str, list[Any]]
Batch = dict[str, Columns]

DATASET = """\
# What each table of this folder is for. Made by `hoag simulate`.
name = "Simulated GZ-Evo"
description = "Simulated galaxies; simulator {version} ({fingerprint}), seed {seed}, {size} px."

[[pretraining]]
table = "{pretraining}"

[[unlabelled]]
table = "{unlabelled}"

[[downstream]]
name = "rings"
labels = "{rings}"
images = "{rings}"
key = "id_str"
label = "ring"
protocol = "halves"
"""


def simulate(
    out: str | Path,
    *,
    galaxies: int = 20_000,
    seed: int = 0,
    size: int = 128,
    workers: int | None = None,
    rings: int | None = None,
) -> Path:
    """Make a folder of simulated galaxies and their votes.

    Writes ``pretraining.parquet`` (labelled galaxies: id_str, image, survey, campaign, 206
    answers), ``unlabelled.parquet``, ``rings.parquet`` (id_str, image, ring, ring_votes of 10),
    ``truth.parquet`` (the exact structure of every galaxy) and ``dataset.toml``. A table beyond
    256 MB is cut into shards, ``pretraining-00000-of-00003.parquet``.

    Parameters
    ----------
    out
        The folder; replaced if it holds an earlier simulation, whole or not at all.
    galaxies
        Galaxies labelled and unlabelled together, in the paper's proportion of 552 to 1,340.
    seed
        Seed from 0. The n-th galaxy of a seed is always the same.
    size
        Pixels on a side; a smaller image shows the same field.
    workers
        Processes; all cores by default. The result does not depend on it.
    rings
        Galaxies of the ring task, numbered by themselves; by default in the paper's proportion
        (93 to 1,892).

    Raises
    ------
    HoagError
        If a number is out of range, or `out` holds something that is not a simulation.
    """
    out = Path(out)
    if rings is None:
        rings = round(galaxies * RINGS / (LABELLED + UNLABELLED))
    if galaxies < 1 or rings < 0:
        raise HoagError(f"galaxies {galaxies}, rings {rings}: make at least 1 galaxy and 0 rings")
    if not 16 <= size <= 512:
        raise HoagError(f"size {size}: simulated images are 16 to 512 pixels on a side")
    if seed < 0:
        raise HoagError(f"seed {seed}: seeds start at 0")
    if (
        out.exists()
        and not (out / "truth.parquet").exists()
        and (out.is_file() or any(out.iterdir()))
    ):
        raise HoagError(f"{out}: exists and is not a simulation; choose another folder")
    schema = load_schema("gz-evo")
    metadata = {**stamp(seed=seed, schema_hash=schema.hash), "size": size}
    metadata |= {"simulator": VERSION, "fingerprint": fingerprint()}
    jobs = [(EVO, first, min(first + _BATCH, galaxies)) for first in range(0, galaxies, _BATCH)]
    jobs += [(RING, first, min(first + _BATCH, rings)) for first in range(0, rings, _BATCH)]
    with written_whole(out) as folder:
        folder.mkdir()
        tables = _Tables(folder, schema, metadata)
        with tables:
            batches = _batches(jobs, seed, size, workers)
            for batch in progress(
                batches, "simulating", total=len(jobs), unit=f"x{_BATCH} galaxies"
            ):
                tables.add(batch)
        names = tables.names
        made = {"version": VERSION, "fingerprint": fingerprint(), "seed": seed, "size": size}
        text = DATASET.format(**made, **names)
        (folder / "dataset.toml").write_text(text)
    say(
        f"{out}: {galaxies} simulated galaxies and {rings} of the ring task, {size} px, seed {seed}"
    )
    return out


def _batches(
    jobs: list[tuple[int, int, int]], seed: int, size: int, workers: int | None
) -> Iterable[Batch]:
    workers = min(workers or cores(), len(jobs))
    if workers <= 1:
        return (make_batch(sample, first, stop, seed, size) for sample, first, stop in jobs)
    # loky starts fresh processes without running the user's script again, and bounds their threads.
    from joblib import Parallel, delayed, parallel_config  # type: ignore[import-untyped]

    with parallel_config("loky", inner_max_num_threads=1):
        pool = Parallel(n_jobs=workers, return_as="generator", pre_dispatch="4*n_jobs")
        return pool(delayed(make_batch)(*job, seed, size) for job in jobs)


def make_batch(sample: int, first: int, stop: int, seed: int, size: int) -> Batch:
    """Draw galaxies `first` to `stop` of a sample; give the rows of every table, as columns."""
    batch: Batch = {"pretraining": {}, "unlabelled": {}, "rings": {}, "truth": {}}
    for n in range(first, stop):
        galaxy = draw(n, seed=seed, size=size, sample=sample)
        for table, row in _rows(galaxy):
            for name, value in row.items():
                batch[table].setdefault(name, []).append(value)
    return batch


def _rows(galaxy: SimulatedGalaxy) -> Iterator[tuple[str, dict[str, Any]]]:
    image = {"bytes": galaxy.encoded(), "path": f"{galaxy.id_str}.jpg"}
    row: dict[str, Any] = {"id_str": galaxy.id_str, "image": image}
    if galaxy.role == "pretraining":
        row |= {"survey": galaxy.survey, "campaign": galaxy.campaign, "votes": galaxy.votes}
    elif galaxy.role == "unlabelled":
        row |= {"survey": galaxy.survey}
    else:
        row |= {"ring": galaxy.ring, "ring_votes": galaxy.ring_votes}
    yield galaxy.role, row
    truth: dict[str, Any] = {
        "id_str": galaxy.id_str,
        "role": galaxy.role,
        "campaign": galaxy.campaign,
    }
    truth |= asdict(galaxy.truth)
    truth |= {f"seen_{name}": value for name, value in asdict(galaxy.perception).items()}
    truth["seen_ring_probability"] = galaxy.ring_probability
    yield "truth", truth


class _Tables:
    """The folder's Parquet files, written as rows come, cut into shards when they grow."""

    def __init__(self, folder: Path, schema: Schema, metadata: dict[str, Any]) -> None:
        self.schema = schema
        self.names: dict[str, str] = {}
        tables = ("pretraining", "unlabelled", "rings", "truth")
        self.shards = {name: _Shards(folder, name, metadata) for name in tables}
        self.layouts = {name: _layout(name, schema) for name in tables}

    def __enter__(self) -> "_Tables":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for name, shards in self.shards.items():
            self.names[name] = shards.close(self.layouts[name])

    def add(self, batch: Batch) -> None:
        """Add rows to the tables."""
        for name, columns in batch.items():
            if columns:
                self.shards[name].add(_table(columns, self.schema, self.layouts[name]))


def _table(columns: Columns, schema: Schema, layout: pa.Schema | None) -> pa.Table:
    arrays: dict[str, Any] = {name: values for name, values in columns.items() if name != "votes"}
    if "votes" in columns:
        votes = np.stack(columns["votes"])
        arrays |= {name: votes[:, k] for k, name in enumerate(schema.columns)}
    return pa.table(arrays, schema=layout)


def _layout(name: str, schema: Schema) -> pa.Schema | None:
    if name == "truth":
        return None
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    fields: list[tuple[str, pa.DataType]] = [("id_str", pa.string()), ("image", image)]
    if name == "rings":
        return pa.schema([*fields, ("ring", pa.int16()), ("ring_votes", pa.int16())])
    fields.append(("survey", pa.string()))
    if name == "pretraining":
        fields.append(("campaign", pa.string()))
        fields += [(column, pa.int16()) for column in schema.columns]
    return pa.schema(fields)


class _Shards:
    """One table as one file, or several once it is large; rows wait until a row group is full."""

    def __init__(self, folder: Path, name: str, metadata: dict[str, Any]) -> None:
        self.folder, self.name = folder, name
        self.metadata = {"hoag": json.dumps(metadata)}
        self.waiting: list[pa.Table] = []
        self.writer: pq.ParquetWriter | None = None
        self.paths: list[Path] = []

    def add(self, table: pa.Table) -> None:
        """Add rows."""
        self.waiting.append(table)
        if sum(part.num_rows for part in self.waiting) >= ROW_GROUP:
            rows = pa.concat_tables(self.waiting)
            full = rows.num_rows - rows.num_rows % ROW_GROUP
            self._write(rows.slice(0, full))
            self.waiting = [rows.slice(full)]

    def _write(self, rows: pa.Table) -> None:
        if self.writer is None:
            self.paths.append(self.folder / f"{self.name}-{len(self.paths):05d}.parquet")
            layout = rows.schema.with_metadata(self.metadata)
            # JPEG bytes do not compress, and dictionaries only help columns that repeat.
            self.writer = pq.ParquetWriter(
                self.paths[-1], layout, compression="zstd", use_dictionary=["survey", "campaign"]
            )
        self.writer.write_table(rows, row_group_size=ROW_GROUP)
        if self.paths[-1].stat().st_size > SHARD_BYTES:
            self.writer.close()
            self.writer = None

    def close(self, layout: pa.Schema | None) -> str:
        """Write what waits, name the shards; give the file's name, or the pattern of several."""
        rest = [part for part in self.waiting if part.num_rows]
        if rest:
            self._write(pa.concat_tables(rest))
        elif not self.paths and layout is not None:
            self._write(layout.empty_table())
        if self.writer is not None:
            self.writer.close()
        if len(self.paths) == 1:
            os.replace(self.paths[0], self.folder / f"{self.name}.parquet")
            return f"{self.name}.parquet"
        for number, path in enumerate(self.paths):
            path.rename(self.folder / f"{self.name}-{number:05d}-of-{len(self.paths):05d}.parquet")
        return f"{self.name}-*.parquet"

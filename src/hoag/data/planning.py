"""Which table each galaxy of a build goes to, and how tables are cut into shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hoag.data.joining import Joined
from hoag.data.labelling import JoinedTask
from hoag.data.mapped import Mapped, write_mapped
from hoag.data.reading import ReadSource
from hoag.data.shards import TABLES, Members, Shard, Sources, plan_shards


@dataclass(frozen=True)
class Plan:
    """Tables, shards and members of a build.

    Attributes
    ----------
    table
        (galaxies,) number of each galaxy's table in `TABLES`.
    held_out
        (galaxies,) bool: kept from the pretraining tables because a task is tested on its group.
    shards
        All shards, table after table.
    members
        Rows of each table's galaxies.
    """

    table: npt.NDArray[np.int8]
    held_out: npt.NDArray[np.bool_]
    shards: tuple[Shard, ...]
    members: dict[str, Members]


def make_plan(sources: Sources, joined: Joined, tasks: Sequence[JoinedTask], folder: Path) -> Plan:
    """Put every galaxy in one table, and write down which rows it is made from."""
    folder.mkdir(exist_ok=True)
    table, held_out = _tables(sources, joined, tasks)
    kept = np.flatnonzero(joined.galaxy >= 0)
    order = kept[np.argsort(joined.galaxy[kept], kind="stable")]  # rows of a galaxy stay in order
    heads = order[np.searchsorted(joined.galaxy[order], np.arange(len(table)))]
    sizes, members = {}, {}
    for code, name in enumerate(TABLES):
        galaxies = np.flatnonzero(table == code)
        number = np.full(len(table), -1)
        number[galaxies] = np.arange(len(galaxies))
        rows = order[number[joined.galaxy[order]] >= 0]
        members[name] = _write(name, joined, rows, number, galaxies, folder)
        sizes[name] = joined.sizes[heads[galaxies]]
    return Plan(table, held_out, tuple(plan_shards(sizes)), members)


def _tables(
    sources: Sources, joined: Joined, tasks: Sequence[JoinedTask]
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_]]:
    """Number of the table of each galaxy, and whether it is held out for a task."""
    import pyarrow as pa
    import pyarrow.compute as pc

    n = len(joined.ids)
    labelled, pretraining = np.zeros(n, bool), np.zeros(n, bool)
    for k, read in enumerate(sources.reads):
        here = np.flatnonzero((joined.source == k) & (joined.galaxy >= 0))
        if read.source.kind != "downstream":
            pretraining[joined.galaxy[here]] = True
        if read.source.campaign:
            voted = with_votes(read, sources.answers)
            labelled[joined.galaxy[here[voted[joined.place[here]]]]] = True
    tested = sorted(frozenset().union(*(task.tested for task in tasks)))
    closed = pc.is_in(joined.groups, value_set=pa.array(tested, pa.string())).to_numpy(False)
    held_out = closed & pretraining
    table = np.where(labelled, TABLES.index("labelled"), TABLES.index("unlabelled"))
    table = np.where(pretraining & ~closed, table, TABLES.index("downstream"))
    return table.astype(np.int8), held_out


def with_votes(read: ReadSource, answers: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Tell which rows of a source have any vote; (n,) bool."""
    rows = Mapped(read.rows)
    names = [name for name in answers if name in rows.schema.names]
    parts = []
    for batch in rows.batches:
        voted = np.zeros(batch.num_rows, bool)
        for name in names:
            voted |= batch.column(name).to_numpy() > 0
        parts.append(voted)
    return np.concatenate(parts)


def _write(
    name: str, joined: Joined, rows: npt.NDArray[np.int64], number: npt.NDArray[np.int64],
    galaxies: npt.NDArray[np.int64], folder: Path,
) -> Members:  # fmt: skip
    import pyarrow as pa

    members = Members(folder / f"{name}-rows.arrow", folder / f"{name}-galaxies.arrow")
    columns = {
        "number": number[joined.galaxy[rows]],
        "source": joined.source[rows],
        "place": joined.place[rows],
    }
    write_mapped(pa.table(columns), members.plan)
    chosen = pa.array(galaxies)
    known = {"id_str": joined.ids.take(chosen), "group": joined.groups.take(chosen)}
    write_mapped(pa.table(known), members.galaxies)
    return members

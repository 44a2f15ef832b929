"""Labels of downstream tasks, joined to the galaxies of a build; and what must stay out for them.

A task is tested on some of its galaxies. Those, and every galaxy of their groups, are held out of
the pretraining tables, so that whoever takes a built set cannot train on them by accident.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hoag import splits
from hoag.catalogue import list_names, read_table, require_columns
from hoag.conditions import parse_conditions, rows_where
from hoag.console import say
from hoag.data.inputs import SMALL_TASK, Task
from hoag.data.joining import Joined
from hoag.data.label_columns import is_rings
from hoag.data.mapped import Mapped
from hoag.data.published import open_votes
from hoag.data.reading import ReadSource
from hoag.errors import HoagError
from hoag.schema import Schema

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class JoinedTask:
    """A task whose labels have found their galaxies.

    Attributes
    ----------
    task
        As it was asked for.
    protocol
        "halves" or "repeated".
    table
        id_str, the label and the columns of its conditions, one row a galaxy.
    galaxies
        (n,) numbers of those galaxies.
    tested
        Groups that must not be trained on.
    without_image
        Labels that found no galaxy.
    doubtful
        Labels that contradict another of the same galaxy, both left out.
    """

    task: Task
    protocol: str
    table: pa.Table
    galaxies: npt.NDArray[np.int64]
    tested: frozenset[str]
    without_image: int
    doubtful: int


def join_task(
    task: Task, reads: Sequence[ReadSource], joined: Joined, schema: Schema
) -> JoinedTask:
    """Find the galaxies of a task's labels, and the groups it is tested on.

    Raises
    ------
    HoagError
        If a column is missing, a label has no galaxy at all, or the settings contradict each other.
    """
    import pyarrow as pa

    labels = _labels(task, schema)
    keys = labels[task.key].cast(pa.string()).combine_chunks()
    found = _galaxies_of_keys(task, keys, reads, joined)
    if not (found >= 0).any():
        raise HoagError(
            f"downstream task '{task.name}': no label has a galaxy with an image; column "
            f"'{task.key}' of {task.labels[0]} must hold the ids of the galaxies"
        )
    values = labels[task.label].to_pylist()
    kept, doubtful = _one_label_a_galaxy(found, values)
    names = [n for n in labels.column_names if n not in (task.key, "id_str")]
    table = labels.select(names).take(pa.array(kept))
    table = table.add_column(0, "id_str", joined.ids.take(pa.array(found[kept])))
    lost = int((found < 0).sum())
    protocol = task.content.get("protocol") or _protocol(task, len(kept))
    tested = _tested(task, protocol, joined, found[kept], table)
    _say(task, protocol, len(kept), lost, doubtful)
    return JoinedTask(task, protocol, table, found[kept], tested, lost, doubtful)


def _labels(task: Task, schema: Schema) -> pa.Table:
    """Read the label, the key and the columns of the conditions from a task's tables."""
    import pyarrow as pa
    import pyarrow.compute as pc

    where = parse_conditions(task.content.get("where", ""), f"downstream task '{task.name}'")
    parts = []
    for path in task.labels:
        if task.label == "ring" and is_rings(path):
            reader = open_votes(path, "rings", schema)
            whole = pa.concat_tables([part.table for part in reader.parts()])
        else:
            whole = read_table(path, text=("id_str", "group", task.key))
        wanted = list(dict.fromkeys([task.key, task.label, *(c.column for c in where)]))
        require_columns(whole.column_names, wanted, str(path))
        rows_where(whole, where, str(path))  # refuses conditions that make no sense
        parts.append(whole.select(wanted))
    try:
        table = pa.concat_tables(parts, promote_options="permissive")
    except pa.ArrowException as error:
        raise HoagError(
            f"downstream task '{task.name}': its tables of labels differ ({error})"
        ) from None
    return table.filter(pc.is_valid(table[task.label]))


def _galaxies_of_keys(
    task: Task, keys: pa.Array, reads: Sequence[ReadSource], joined: Joined
) -> npt.NDArray[np.int64]:
    """Galaxy of each value of the task's key, looked for in the task's own sources first; or -1."""
    import pyarrow as pa
    import pyarrow.compute as pc

    own = {path.resolve() for path in task.images}
    order = sorted(
        range(len(reads)),
        key=lambda n: own.isdisjoint(path.resolve() for path in reads[n].source.tables),
    )
    known = False
    unique = keys.unique()
    of_unique = np.full(len(unique), -1)
    for number in order:
        rows = Mapped(reads[number].rows)
        if task.key not in rows.schema.names:
            continue
        known = True
        here = np.flatnonzero((joined.source == number) & (joined.galaxy >= 0))
        values = rows.column(task.key).take(pa.array(joined.place[here])).cast(pa.string())
        place = pc.fill_null(pc.index_in(values, value_set=unique), -1).to_numpy()
        hits = np.flatnonzero(place >= 0)[::-1]  # of several, the first is kept
        galaxy = np.full(len(unique), -1)
        galaxy[place[hits]] = joined.galaxy[here[hits]]
        of_unique = np.where(of_unique >= 0, of_unique, galaxy)
    if not known:
        raise HoagError(
            f"downstream task '{task.name}': no source of galaxies has a column '{task.key}'; "
            f"there are {list_names([read.source.name for read in reads])}"
        )
    return of_unique[pc.index_in(keys, value_set=unique).to_numpy(False)]


def _one_label_a_galaxy(
    galaxies: npt.NDArray[np.int64], values: Sequence[Any]
) -> tuple[npt.NDArray[np.int64], int]:
    """Rows of the first label of each galaxy; galaxies whose labels differ are left out."""
    first: dict[int, int] = {}
    differ: set[int] = set()
    for row, galaxy in enumerate(galaxies.tolist()):
        if galaxy < 0:
            continue
        earlier = first.setdefault(galaxy, row)
        if values[earlier] != values[row]:
            differ.add(galaxy)
    kept = [row for galaxy, row in first.items() if galaxy not in differ]
    return np.array(sorted(kept), np.int64), len(differ)


def _protocol(task: Task, n: int) -> str:
    return "halves" if n >= SMALL_TASK else "repeated"


def _tested(
    task: Task, protocol: str, joined: Joined, galaxies: npt.NDArray[np.int64], table: pa.Table
) -> frozenset[str]:
    """Groups a task is tested on, by the rule of `hoag.role_tables.tested_groups`."""
    content = task.content
    if content.get("may_leak", False):
        return frozenset()
    where = parse_conditions(content.get("where", ""))
    meets = rows_where(table, where)
    keys = joined.groups.take(galaxies[meets]).to_pylist()
    split = content.get("split", "")
    if split:
        names = splits.split_names(keys)
        keys = [key for key, name in zip(keys, names, strict=True) if name == split]
    if content.get("keep_out", protocol == "repeated" and split != "test"):
        return frozenset(keys)
    if protocol == "repeated":
        return frozenset()
    halves = splits.half_names(keys)
    return frozenset(key for key, half in zip(keys, halves, strict=True) if half == "test")


def _say(task: Task, protocol: str, n: int, lost: int, doubtful: int) -> None:
    notes = [f"{lost:,} labels without a galaxy"] if lost else []
    notes += [f"{doubtful:,} galaxies with contradicting labels left out"] if doubtful else []
    if "protocol" not in task.content and protocol == "repeated":
        notes.append("too few for a test half, so cut into folds repeatedly")
    say(f"downstream task '{task.name}': {n:,} galaxies" + "".join(f"; {note}" for note in notes))


def write_labels(joined: JoinedTask, path: Path) -> None:
    """Write a task's labels as Parquet."""
    import pyarrow.parquet as pq

    pq.write_table(joined.table.combine_chunks(), path)

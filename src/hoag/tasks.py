"""A downstream task ready to be judged: its galaxies, their classes, and which may be looked at."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hoag.galaxies import Galaxies
from hoag.roles import DownstreamTask, Roles, load_downstream
from hoag.splits import half_names

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """A downstream task.

    Attributes
    ----------
    name, description
        What it is called, and a sentence on it.
    galaxies
        All of its galaxies.
    labels
        (n,) int64 class numbers.
    classes
        Names of the classes.
    halves
        Whether it has a test half; else it is too small for one and is cut into folds, repeatedly.
    repeats
        Fresh cuts into folds where it has no halves; 0: as many as the protocol says.
    balance
        Whether equal numbers of each class are drawn, afresh for each repeat.
    open_rows
        Rows that may be learned from and scored on: the train half, or all.
    closed_rows
        Rows of the test half, for the final score only.
    """

    name: str
    description: str
    galaxies: Galaxies
    labels: Rows
    classes: tuple[str, ...]
    halves: bool
    balance: bool
    repeats: int
    open_rows: Rows
    closed_rows: Rows

    @property
    def hash(self) -> str:
        """Content hash of galaxies, labels and which of them are open; 32 hex digits."""
        digest = hashlib.blake2b(self.galaxies.hash.encode(), digest_size=16)
        for rows in (self.labels, self.open_rows, self.closed_rows):
            digest.update(np.ascontiguousarray(rows, "<i8").tobytes())
        digest.update("\n".join(self.classes).encode())
        return digest.hexdigest()

    @property
    def groups(self) -> dict[str, str]:
        """Key of each galaxy's group by its id: rows of one sky object share it."""
        return dict(zip(self.galaxies.ids, self.galaxies.groups.tolist(), strict=True))

    def labels_of(self, rows: Rows) -> dict[str, int]:
        """Class numbers by id, of some rows."""
        return {self.galaxies.ids[row]: int(self.labels[row]) for row in rows}


def load_task(task: DownstreamTask) -> Task:
    """Load the galaxies and labels of a task and find its halves."""
    loaded = load_downstream(task)
    halves = task.protocol == "halves"
    everyone = np.arange(len(loaded.labels))
    closed = half_names(loaded.keys) == "test" if halves else np.zeros(len(everyone), bool)
    return Task(
        task.name, task.description, loaded.galaxies, loaded.labels, loaded.classes, halves,
        task.balance, task.repeats, everyone[~closed], everyone[closed],
    )  # fmt: skip


def load_tasks(roles: Roles, names: Sequence[str] = ()) -> list[Task]:
    """Load the downstream tasks of a folder: all, or those named, in the folder's order.

    Raises
    ------
    HoagError
        If a name is not that of a task.
    """
    chosen = {roles.task(name).name for name in names} or {task.name for task in roles.downstream}
    return [load_task(task) for task in roles.downstream if task.name in chosen]

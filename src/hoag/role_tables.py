"""Loading tables by their roles, with one grouping over all of them so that nothing leaks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hoag import splits
from hoag.catalogue import PARQUET, column_names, read_table
from hoag.conditions import rows_where
from hoag.console import say
from hoag.errors import HoagError
from hoag.galaxies import Galaxies, concatenate, open
from hoag.hashes import Hashes
from hoag.opening import open_shards, parquet_columns
from hoag.stores import Store
from hoag.task_labels import classes_of, labels_by_key, rows_with_label

if TYPE_CHECKING:
    import pyarrow as pa

    from hoag.roles import DownstreamTask, Roles, TableRole
    from hoag.schema import Schema


class Downstream(NamedTuple):
    """Galaxies of a task: labels (n,) int64 into `classes`, group keys (n,)."""

    galaxies: Galaxies
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    keys: npt.NDArray[np.object_]


class Pretraining(NamedTuple):
    """Galaxies to train on, and what was taken out of train and validation.

    `removed` counts galaxies, once for each task that they would have leaked into;
    `removed_in_all` counts each once.
    """

    galaxies: Galaxies
    removed: dict[str, int]
    removed_in_all: int


class Tables:
    """Tables of a folder, each opened once, and the groups of their galaxies taken together."""

    def __init__(self, folder: Path, group: str, arrow: Path | None, schema: Schema):
        self.folder, self.group, self.arrow, self.schema = folder, group, arrow, schema
        self.tables: tuple[Path, ...] = ()
        self.downstream: dict[tuple[str, str], Downstream] = {}
        self._opened: dict[tuple[tuple[Path, ...], str], Galaxies] = {}
        self._shards: dict[Store, tuple[Path, ...]] = {}
        self._keys: dict[str, str] | None = None

    def columns(self, path: Path) -> list[str]:
        """Names of a table's columns."""
        if path.suffix.lower() in PARQUET and path.is_file():
            return parquet_columns(path, self._arrow(path))
        return column_names(path)

    def galaxies(self, paths: Sequence[Path], schema: Schema) -> Galaxies:
        """Open tables, or give what was opened before; shards of one table are one store."""
        return self.join([self._open(table, schema) for table in _tables_of(paths)])

    def join(self, parts: Sequence[Galaxies]) -> Galaxies:
        """Put galaxies of tables one after another."""
        if len(parts) == 1:
            return parts[0]
        shards = [path for part in parts for s in part._images.stores for path in self._shards[s]]
        apart = len(set(shards)) == len(shards) and self._own_column_says_all
        return concatenate(parts, distinct=apart)

    def _open(self, shards: tuple[Path, ...], schema: Schema) -> Galaxies:
        if (shards, schema.hash) not in self._opened:
            if len(shards) == 1:
                opened = open(shards[0], schema=schema, arrow=self._arrow(shards[0]))
            else:
                opened = open_shards(shards, schema, arrow=self.arrow)
            self._opened[shards, schema.hash] = opened
            self._shards |= {store: shards for store in opened._images.stores}
        return self._opened[shards, schema.hash]

    def _arrow(self, path: Path) -> Path | None:
        return None if self.arrow is None else self.arrow / path.stem

    def grouped(self, galaxies: Galaxies) -> Galaxies:
        """Give galaxies the groups they are in over all tables, whichever table they come from."""
        if self._keys is None and self._own_column_says_all:
            return galaxies
        if self._keys is None:
            self._keys = self._joint_keys()
        return galaxies.with_groups([self._keys.get(name, name) for name in galaxies.ids])

    @cached_property
    def _own_column_says_all(self) -> bool:
        """Whether column `group` of each table is all there is to know about groups.

        So it is where the user says so, and no galaxy is in two of the tables that have it.
        """
        if self.group != "group":
            return False
        having = [path for path in self.tables if "group" in self.columns(path)]
        if any("image" not in self.columns(path) for path in having):
            return False
        images = [path for path in self.tables if {"image", "id_str"} <= set(self.columns(path))]
        if not having or len(images) != len(having):
            return False
        try:
            opened = [self._open(table, self.schema)._images for table in _tables_of(images)]
        except HoagError:  # as whoever needs that table will be told
            return False
        # A hash that is there twice, be it by chance, is for the joint groups to look into.
        ids = np.concatenate([store.records.keys for part in opened for store in part.stores])
        ids.sort()
        return not (ids[1:] == ids[:-1]).any()

    def _joint_keys(self) -> dict[str, str]:
        """Group the rows of all tables at once: a galaxy may be in several, under several ids."""
        position = self.group in ("", "sky")
        column = self.group if self.group not in ("", "sky", "id_str") else "group"
        use_column = self.group not in ("sky", "id_str")
        parts = []
        for path in self.tables:
            have = set(self.columns(path)) if path.is_file() else set()
            wanted = ["id_str"] if "id_str" in have else []
            wanted += [column] if use_column and column in have else []
            wanted += ["ra", "dec"] if position and {"ra", "dec"} <= have else []
            if len(wanted) > 1:
                parts.append(read_table(path, wanted, text=("id_str", column)))
        if not parts and self.group not in ("", "id_str"):
            wanted_name = "'ra' and 'dec'" if self.group == "sky" else f"'{self.group}'"
            raise HoagError(
                f"{self.folder}: group = '{self.group}', but no table has {wanted_name}"
            )
        if not parts:
            return {}
        ids = [id_str for part in parts for id_str in part["id_str"].to_pylist()]
        keys = splits.group_keys(
            ids, _column(parts, column, None), _column(parts, "ra", np.nan),
            _column(parts, "dec", np.nan),
        )  # fmt: skip
        joined = len(set(ids)) - len(set(keys.tolist()))
        if joined:
            say(f"{self.folder}: {joined:,} galaxies share a group with another, and so its split")
        return dict(zip(ids, keys.tolist(), strict=True))


def _column(parts: Sequence[pa.Table], name: str, missing: Any) -> list[Any]:
    values: list[Any] = []
    for part in parts:
        has = name in part.column_names
        column = part[name].to_pylist() if has else [None] * part.num_rows
        values += [missing if value is None else value for value in column]
    return values


def load_downstream(task: DownstreamTask, schema: Schema | None = None) -> Downstream:
    """Join a task's labels to its images.

    Labels without an image, rows without a label and, if the task has them, other splits are left
    out, and their number said.

    Returns
    -------
    downstream
        (galaxies, labels (n,) int64, class names, group keys (n,)) in the order of the images.

    Raises
    ------
    HoagError
        If nothing is left, a key is repeated, or a label is not among the classes.
    """
    chosen_schema = schema or task.source.schema
    remembered = task.source.downstream.get((task.name, chosen_schema.hash))
    if remembered is not None:
        return remembered
    where = f"task '{task.name}'"
    images = task.source.galaxies(task.images, chosen_schema)
    labelled, unlabelled = labels_by_key(task)
    rows, values, lost = rows_with_label(images, task.key, labelled)
    galaxies = task.source.grouped(images.take(rows))
    if task.split:
        inside = splits.split_names(galaxies.group_hashes) == task.split
        galaxies = galaxies.where(inside)
        values = [value for value, has in zip(values, inside, strict=True) if has]
    if not values:
        raise HoagError(f"{where}: no galaxy has both a label and an image")
    classes = classes_of(values, task.classes, where)
    numbers = {value: number for number, value in enumerate(classes)}
    labels = np.array([numbers[value] for value in values], np.int64)
    left_out = [
        f"{count:,} {what}"
        for count, what in ((lost, "labels without an image"), (unlabelled, "rows without a label"))
        if count
    ]
    counts = ", ".join(
        f"{name}: {count:,}" for name, count in zip(classes, np.bincount(labels), strict=False)
    )
    split = f" of the {task.split} split" if task.split else ""
    say(
        f"{where}: {len(labels):,} galaxies{split} ({counts})" + "".join(f"; {x}" for x in left_out)
    )
    loaded = Downstream(galaxies, labels, tuple(str(name) for name in classes), galaxies.groups)
    task.source.downstream[task.name, chosen_schema.hash] = loaded
    return loaded


_SHARD = re.compile(r"(.+)-\d{5}-of-\d{5}\.parquet")


def _tables_of(paths: Sequence[Path]) -> list[tuple[Path, ...]]:
    """Put the shards of a table together, named as the Hub has them; any other path is alone."""
    tables: dict[str, list[Path]] = {}
    for path in paths:
        shard = _SHARD.fullmatch(path.name)
        tables.setdefault(str(path.with_name(shard[1]) if shard else path), []).append(path)
    return [tuple(shards) for shards in tables.values()]


def load_pretraining(roles: Roles, schema: Schema | None = None) -> Pretraining:
    """Open everything there is to train on, without the galaxies that models are tested on.

    Every group in the test half of a downstream task, and every group of a task that keeps all its
    galaxies out, is taken out of the train and validation splits; the number is said. Votes of
    tables that are declared unlabelled are not used.

    Raises
    ------
    HoagError
        If the roles name no table to train on.
    """
    chosen = schema or roles.source.schema
    parts = [_rows(roles, role, chosen) for role in roles.pretraining]
    parts += [_rows(roles, role, chosen).without_votes() for role in roles.unlabelled]
    if not parts:
        raise HoagError(f"{roles.file}: names no [[pretraining]] and no [[unlabelled]] table")
    forbidden = {task.name: tested_groups(task, schema) for task in roles.downstream}
    everyone = roles.source.grouped(roles.source.join(parts))
    keys = everyone.group_hashes
    everything = np.concatenate([np.zeros(0, np.uint64), *forbidden.values()])
    stays, in_all = splits.remove_leaks(keys, everything)
    leaking = keys[~stays]
    removed = {name: splits.remove_leaks(leaking, groups)[1] for name, groups in forbidden.items()}
    say(
        f"{roles.name}: {in_all:,} of {len(everyone):,} galaxies taken out of the training and "
        "validation splits, because downstream tasks are tested on them"
    )
    for task in roles.downstream:
        if task.may_leak:
            say(f"{roles.name}: galaxies that task '{task.name}' is tested on may be trained on, "
                "as its may_leak says; its results say nothing of new galaxies")  # fmt: skip
    return Pretraining(everyone.where(stays) if in_all else everyone, removed, in_all)


def _rows(roles: Roles, role: TableRole, schema: Schema) -> Galaxies:
    galaxies = roles.source.galaxies(role.tables, schema)
    if not role.where:
        return galaxies
    names = ", ".join(path.name for path in role.tables)
    table = galaxies.select(list(dict.fromkeys(term.column for term in role.where)))
    return galaxies.where(rows_where(table, role.where, names))


def tested_groups(task: DownstreamTask, schema: Schema | None = None) -> Hashes:
    """Groups of a task that must not be trained on: its test half, or all if it keeps them out.

    Returns
    -------
    array
        (k,) uint64 hashes of their keys.
    """
    nothing = np.zeros(0, np.uint64)
    if task.may_leak:
        return nothing
    groups = load_downstream(task, schema).galaxies.group_hashes
    if task.keep_out:
        return groups
    if task.protocol == "repeated":  # in the test split, which nothing trains on
        return nothing
    return groups[splits.half_names(groups) == "test"]

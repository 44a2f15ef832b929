"""Loading tables by their roles, with one grouping over all of them so that nothing leaks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hoag import splits
from hoag.catalogue import column_names, read_table
from hoag.conditions import rows_where
from hoag.console import say
from hoag.errors import HoagError
from hoag.galaxies import Galaxies, concatenate, open

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
        self._opened: dict[tuple[Path, str], Galaxies] = {}
        self._keys: dict[str, str] | None = None

    def galaxies(self, path: Path, schema: Schema) -> Galaxies:
        """Open one table, or give what was opened before; images are shared."""
        if (path, schema.hash) not in self._opened:
            arrow = None if self.arrow is None else self.arrow / path.stem
            self._opened[path, schema.hash] = open(path, schema=schema, arrow=arrow)
        return self._opened[path, schema.hash]

    def groups(self, ids: Sequence[str]) -> npt.NDArray[np.object_]:
        """Group keys of galaxies by id, the same whichever table they come from; (n,) str."""
        if self._keys is None:
            self._keys = self._joint_keys()
        return np.array([self._keys.get(id_str, id_str) for id_str in ids], dtype=object)

    def _joint_keys(self) -> dict[str, str]:
        """Group the rows of all tables at once: a galaxy may be in several, under several ids."""
        position = self.group in ("", "sky")
        column = self.group if self.group not in ("", "sky", "id_str") else "group"
        use_column = self.group not in ("sky", "id_str")
        parts = []
        for path in self.tables:
            have = set(column_names(path)) if path.is_file() else set()
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
    images = _joined(task.source, task.images, schema)
    remembered = task.source.downstream.get((task.name, images.schema.hash))
    if remembered is not None:
        return remembered
    where = f"task '{task.name}'"
    by_key, unlabelled = _labels_by_key(task)
    keys = images.table[task.key].to_pylist()
    known = [by_key.get(None if key is None else str(key)) for key in keys]
    chosen = np.array([value is not None for value in known])
    lost = len(by_key) - len({key for key, has in zip(keys, chosen, strict=True) if has})
    groups = task.source.groups(images.ids)
    if task.split:
        chosen &= splits.split_names(groups) == task.split
    if not chosen.any():
        raise HoagError(f"{where}: no galaxy has both a label and an image")
    values = [v for v, has in zip(known, chosen, strict=True) if has and v is not None]
    classes = _classes(values, task.classes, where)
    labels = np.array([classes.index(value) for value in values], np.int64)
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
    taken = images.where(chosen).with_groups(groups[chosen])
    loaded = Downstream(taken, labels, tuple(str(name) for name in classes), groups[chosen])
    task.source.downstream[task.name, images.schema.hash] = loaded
    return loaded


def _joined(source: Tables, paths: Sequence[Path], schema: Schema | None) -> Galaxies:
    chosen = schema or source.schema
    parts = [source.galaxies(path, chosen) for path in paths]
    return parts[0] if len(parts) == 1 else concatenate(parts)


def _labels_by_key(task: DownstreamTask) -> tuple[dict[str | None, str | int], int]:
    """Labels of the rows that meet the conditions, by key, and how many rows had none."""
    labels: dict[str | None, str | int] = {}
    missing = 0
    for path in task.labels:
        wanted = [task.key, task.label, *(condition.column for condition in task.where)]
        table = read_table(path, list(dict.fromkeys(wanted)), text=(task.key,))
        meets = rows_where(table, task.where, str(path))
        entries = zip(table[task.key].to_pylist(), table[task.label].to_pylist(), strict=True)
        for row, (key, value) in enumerate(entries):
            if not meets[row]:
                continue
            if value is None or key is None:
                missing += 1
                continue
            if key in labels:
                raise HoagError(
                    f"{path}: column '{task.key}', row {row}: '{key}' has two labels; keep one"
                )
            labels[key] = _label(value, f"{path}: column '{task.label}', row {row}")
    return labels, missing


def _label(value: Any, where: str) -> str | int:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    raise HoagError(f"{where}: {value!r} is no class; labels are text or whole numbers")


def _classes(
    values: Sequence[str | int], given: Sequence[str | int], where: str
) -> list[str | int]:
    found = set(values)
    if len({isinstance(value, str) for value in found}) > 1:
        raise HoagError(f"{where}: its labels mix text and numbers")
    unknown = sorted(str(value) for value in found - set(given))
    if given and unknown:
        raise HoagError(f"{where}: label '{unknown[0]}' is not among its classes {list(given)}")
    classes = list(given) or sorted(found, key=lambda v: (isinstance(v, str), v))
    if len(found) < 2:
        raise HoagError(f"{where}: all its galaxies are of one class, {classes[0]!r}")
    return classes


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
    parts = [_rows(roles, role, schema) for role in roles.pretraining]
    parts += [_rows(roles, role, schema).without_votes() for role in roles.unlabelled]
    if not parts:
        raise HoagError(f"{roles.file}: names no [[pretraining]] and no [[unlabelled]] table")
    everyone = concatenate(parts) if len(parts) > 1 else parts[0]
    keys = roles.source.groups(everyone.ids)
    forbidden = {task.name: tested_groups(task, schema) for task in roles.downstream}
    removed = {name: splits.remove_leaks(keys, groups)[1] for name, groups in forbidden.items()}
    stays, in_all = splits.remove_leaks(keys, frozenset().union(*forbidden.values()))
    say(
        f"{roles.name}: {in_all:,} of {len(everyone):,} galaxies taken out of the training and "
        "validation splits, because downstream tasks are tested on them"
    )
    return Pretraining(everyone.with_groups(keys).where(stays), removed, in_all)


def _rows(roles: Roles, role: TableRole, schema: Schema | None) -> Galaxies:
    galaxies = _joined(roles.source, role.tables, schema)
    if not role.where:
        return galaxies
    names = ", ".join(path.name for path in role.tables)
    return galaxies.where(rows_where(galaxies.table, role.where, names))


def tested_groups(task: DownstreamTask, schema: Schema | None = None) -> frozenset[str]:
    """Groups of a task that must not be trained on: its test half, or all if it keeps them out."""
    keys = load_downstream(task, schema).keys
    if task.keep_out:
        return frozenset(keys.tolist())
    if task.protocol == "repeated":  # in the test split, which nothing trains on
        return frozenset()
    return frozenset(keys[splits.half_names(keys) == "test"].tolist())

"""Roles of tables in a folder of galaxies: what is trained on, and what tasks are judged.

They stand in the folder's ``dataset.toml``, or in a file given beside it, so no table's name is
known to the code.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hoag.campaigns import closest
from hoag.catalogue import require_columns
from hoag.conditions import Condition, parse_conditions
from hoag.errors import HoagError
from hoag.role_tables import Downstream as Downstream
from hoag.role_tables import Pretraining as Pretraining
from hoag.role_tables import Tables
from hoag.role_tables import load_downstream as load_downstream
from hoag.role_tables import load_pretraining as load_pretraining
from hoag.schema import load_schema
from hoag.toml_entries import Entry

FILE_NAME = "dataset.toml"
PROTOCOLS = ("halves", "repeated")


@dataclass(frozen=True)
class TableRole:
    """Tables that are trained on, and which of their rows.

    Attributes
    ----------
    tables
        Paths of tables with images.
    where
        Conditions their rows meet.
    """

    tables: tuple[Path, ...]
    where: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class DownstreamTask:
    """A task that representations are judged on.

    Attributes
    ----------
    name
        What it is called in results.
    labels, images
        Tables of labels, and of the images they belong to.
    key
        Column that joins labels to images.
    label
        Column of the label: whole numbers, true/false or text.
    classes
        Labels in the order of their numbers; () takes them sorted.
    where
        Conditions the rows of the labels meet.
    balance
        Whether equal numbers of each class are drawn, anew for each repeat, by whoever judges.
    protocol
        "halves": a 50/50 split by group, 5 folds in the train half; "repeated": 5 folds over all,
        repeated, for tasks too small for a test half.
    split
        Only galaxies in this split of 70/10/20, "" for all: "test" ones are in no training split.
    repeats
        Fresh cuts into folds of a "repeated" task; 0: as many as the protocol's settings say.
    keep_out
        Whether all of its galaxies, not the test half alone, stay out of pretraining.
    may_leak
        Whether its tested galaxies may be trained on; results then say nothing of new galaxies.
    description
        A sentence for the report.
    """

    name: str
    labels: tuple[Path, ...]
    images: tuple[Path, ...]
    key: str
    label: str
    classes: tuple[str | int, ...]
    where: tuple[Condition, ...]
    balance: bool
    protocol: str
    split: str
    repeats: int
    keep_out: bool
    may_leak: bool
    description: str
    source: Tables = field(repr=False, compare=False)


@dataclass(frozen=True)
class Roles:
    """What the tables of a folder are for; made by `read_roles`."""

    folder: Path
    file: Path
    name: str
    description: str
    pretraining: tuple[TableRole, ...]
    unlabelled: tuple[TableRole, ...]
    downstream: tuple[DownstreamTask, ...]
    source: Tables = field(repr=False, compare=False)

    def task(self, name: str) -> DownstreamTask:
        """Give a downstream task by name."""
        names = [task.name for task in self.downstream]
        if name not in names:
            raise HoagError(
                f"{self.file}: no downstream task '{name}'; there are {names}{closest(name, names)}"
            )
        return self.downstream[names.index(name)]


def read_roles(
    folder: str | Path, roles_file: str | Path | None = None, *, arrow: str | Path | None = None
) -> Roles:
    """Read and check the roles of a folder's tables.

    Parameters
    ----------
    folder
        Folder that the tables' paths are relative to.
    roles_file
        TOML file; None: the folder's ``dataset.toml``.
    arrow
        Folder for Arrow copies of the tables; None: beside them.

    Raises
    ------
    HoagError
        If a key is unknown, a table or column does not exist, or a value makes no sense.
    """
    folder = Path(folder).expanduser()
    path = folder / FILE_NAME if roles_file is None else Path(roles_file)
    content = _read_toml(path, folder, roles_file is None)
    top = Entry(content, str(path))
    top.only("name", "description", "schema", "group", "pretraining", "unlabelled", "downstream")
    schema = load_schema([_schema_source(name, folder) for name in top.names("schema", "gz-evo")])
    copies = None if arrow is None else Path(arrow)
    source = Tables(folder, top.text("group", ""), copies, schema)
    roles = Roles(
        folder=folder,
        file=path,
        name=top.text("name", folder.resolve().name),
        description=top.text("description", ""),
        pretraining=tuple(_table_role(e, folder, source) for e in top.entries("pretraining")),
        unlabelled=tuple(_table_role(e, folder, source) for e in top.entries("unlabelled")),
        downstream=tuple(_task(e, folder, source) for e in top.entries("downstream")),
        source=source,
    )
    names = [task.name for task in roles.downstream]
    for name in names:
        if names.count(name) > 1:
            raise HoagError(f"{path}: two downstream tasks are named '{name}'")
    source.tables = _all_tables(roles)
    return roles


def _schema_source(name: str, folder: Path) -> str | Path:
    return folder / name if (folder / name).is_file() else name


def _read_toml(path: Path, folder: Path, is_default: bool) -> dict[str, Any]:
    if not folder.is_dir():
        raise HoagError(f"{folder}: no such folder")
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        hint = "; say what its tables are for with a roles file (--roles)" if is_default else ""
        raise HoagError(f"{path}: no such file{hint}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise HoagError(f"{path}: cannot be read ({error})") from None
    except tomllib.TOMLDecodeError as error:
        raise HoagError(f"{path}: not valid TOML ({error})") from None


def _all_tables(roles: Roles) -> tuple[Path, ...]:
    trained = [path for role in (*roles.pretraining, *roles.unlabelled) for path in role.tables]
    judged = [path for task in roles.downstream for path in (*task.images, *task.labels)]
    return tuple(dict.fromkeys([*trained, *judged]))


def _table_role(entry: Entry, folder: Path, source: Tables) -> TableRole:
    entry.only("table", "where")
    tables = entry.paths("table", folder)
    role = TableRole(tables, parse_conditions(entry.text("where", ""), entry.where))
    for table in tables:
        require_columns(source.columns(table), ["id_str", *_columns(role.where)], str(table))
    return role


def _columns(conditions: Sequence[Condition]) -> list[str]:
    return [condition.column for condition in conditions]


def _task(entry: Entry, folder: Path, source: Tables) -> DownstreamTask:
    entry.only(
        "name", "labels", "images", "key", "label", "classes", "where", "balance", "protocol",
        "split", "repeats", "keep_out", "may_leak", "description",
    )  # fmt: skip
    labels = entry.paths("labels", folder)
    protocol = entry.choice("protocol", PROTOCOLS, "halves")
    split = entry.choice("split", ("", "train", "val", "test"), "")
    may_leak = entry.truth("may_leak", False)
    # Every galaxy of a repeated task is tested in some fold.
    must_keep_out = protocol == "repeated" and split != "test" and not may_leak
    task = DownstreamTask(
        name=entry.text("name"),
        labels=labels,
        images=entry.paths("images", folder) if "images" in entry.content else labels,
        key=entry.text("key", "id_str"),
        label=entry.text("label"),
        classes=entry.classes("classes"),
        where=parse_conditions(entry.text("where", ""), entry.where),
        balance=entry.truth("balance", False),
        protocol=protocol,
        split=split,
        repeats=entry.count("repeats"),
        keep_out=entry.truth("keep_out", must_keep_out),
        may_leak=may_leak,
        description=entry.text("description", ""),
        source=source,
    )
    if task.may_leak and task.keep_out:
        raise HoagError(
            f"{entry.where}: keep_out keeps its galaxies out of pretraining and may_leak lets them "
            "in; choose one"
        )
    if must_keep_out and not task.keep_out:
        raise HoagError(
            f"{entry.where}: with protocol 'repeated' every galaxy is tested, so keep_out cannot "
            'be false; leave it out, or set split = "test"'
        )
    for table in task.labels:
        wanted = [task.key, task.label, *_columns(task.where)]
        require_columns(source.columns(table), wanted, str(table))
    for table in task.images:
        require_columns(source.columns(table), ["id_str", task.key], str(table))
    return task

"""What a build joins: sources of galaxies and downstream tasks, from the command line or a file.

A source is tables with images, tables and a folder of image files, or a folder of images alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hoag.campaigns import read_toml
from hoag.catalogue import list_names
from hoag.data.fits_images import FitsSettings
from hoag.data.places import find_tables, has_images
from hoag.data.published import open_votes
from hoag.data.table_parts import open_table
from hoag.errors import HoagError
from hoag.roles import PROTOCOLS
from hoag.schema import Schema
from hoag.toml_entries import Entry

KINDS = ("campaign", "unlabelled", "downstream")
SMALL_TASK = 2_000  # labels: below this a test half leaves too few to tell anything

# Keys of a [[downstream]] table that go into the built set's dataset.toml as they are.
_KEPT = ("description", "classes", "where", "balance", "protocol", "split", "repeats", "keep_out",
         "may_leak")  # fmt: skip

Place = str | Path


@dataclass(frozen=True)
class Source:
    """Galaxies that come from one place.

    Attributes
    ----------
    name
        How records and messages call it.
    kind
        "campaign", "unlabelled" or "downstream".
    tables
        Tables in order; () for a folder of images alone.
    images
        Folder of image files, for tables without images of their own.
    campaign
        Column suffix of its votes; "" for none.
    survey
        Survey of its images where the table does not say; "" where unknown.
    fits
        How FITS images become RGB.
    """

    name: str
    kind: str
    tables: tuple[Path, ...]
    images: Path | None = None
    campaign: str = ""
    survey: str = ""
    fits: FitsSettings = field(default_factory=FitsSettings)


@dataclass(frozen=True)
class Task:
    """A downstream task of the set that is built: a table of labels, joined to galaxies by a key.

    `images` are the tables whose galaxies are looked through first; `content` holds what is written
    to the set's dataset.toml: where, balance, protocol and so on.
    """

    name: str
    labels: tuple[Path, ...]
    label: str
    key: str = "id_str"
    images: tuple[Path, ...] = ()
    content: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Inputs:
    """Everything a build is made from."""

    sources: tuple[Source, ...]
    tasks: tuple[Task, ...]
    name: str = ""
    description: str = ""


def inputs_from_arguments(
    campaigns: Mapping[str, Place],
    unlabelled: Sequence[Place],
    downstream: Mapping[str, Place],
    images: Mapping[str, Place],
    surveys: Mapping[str, str],
    fits: FitsSettings,
    schema: Schema,
) -> Inputs:
    """Make the inputs that the command line's options name.

    Parameters
    ----------
    campaigns
        Place of the votes by campaign: a table, a folder of tables, or a folder of a table and
        images.
    unlabelled
        Places of galaxies without votes; a folder of images will do.
    downstream
        Table of labels by task; ``TABLE:COLUMN`` names the column of the label.
    images
        Folder of image files by the name of a source.
    surveys
        Survey by the name of a source.
    fits
        How FITS images become RGB.
    schema
        Whose campaigns there are.

    Raises
    ------
    HoagError
        If a place or a name does not exist.
    """
    sources, tasks = [], []
    for name, place in campaigns.items():
        sources.append(_source(name, "campaign", place, images, surveys, fits))
    names = _distinct([Path(place).name for place in unlabelled])
    for name, place in zip(names, unlabelled, strict=True):
        sources.append(_source(name, "unlabelled", place, images, surveys, fits))
    for name, place in downstream.items():
        path, column = _label_column(name, place)
        tasks.append(Task(name, (path,), column, images=(path,)))
    given = {*campaigns, *names, *downstream}
    for option, named in (("--images", images), ("--survey", surveys)):
        for name in named:
            if name not in given:
                raise HoagError(f"{option} {name}=...: no source is named '{name}'; there are "
                                f"{list_names(sorted(given))}")  # fmt: skip
    sources += _sources_of_tasks(tasks, sources, images, surveys, fits)
    _check(sources, tasks, schema, "build")
    return Inputs(tuple(sources), tuple(tasks))


def inputs_from_file(path: Place, schema: Schema | None) -> tuple[Inputs, list[str]]:
    """Read a file of sources; gives the inputs and the names of the schemas they are made by.

    ``[[campaign]]`` (name, table, images, survey, stretch, bands), ``[[unlabelled]]`` (the same)
    and ``[[downstream]]`` as in a dataset.toml; places are relative to the file.
    """
    path = Path(path)
    folder = path.parent
    top = Entry(read_toml(path), str(path))
    top.only("name", "description", "schema", *KINDS)
    from hoag.schema import load_schema

    names = top.names("schema", "gz-evo")
    names = [str(folder / n) if (folder / n).is_file() else n for n in names]
    chosen = schema or load_schema(names)
    sources = [
        _source_of(entry, kind, number, folder)
        for kind in ("campaign", "unlabelled")
        for number, entry in enumerate(top.entries(kind))
    ]
    tasks = [_task_of(entry, folder) for entry in top.entries("downstream")]
    sources += _sources_of_tasks(tasks, sources, {}, {}, FitsSettings())
    _check(sources, tasks, chosen, str(path))
    inputs = Inputs(tuple(sources), tuple(tasks), top.text("name", path.stem),
                    top.text("description", ""))  # fmt: skip
    return inputs, names


def _source_of(entry: Entry, kind: str, number: int, folder: Path) -> Source:
    entry.only("name", "table", "images", "survey", "stretch", "bands", "extension", "mask")
    place = entry.names("table", "") if "table" in entry.content else []
    images = entry.text("images", "")
    if not place and not images:
        raise HoagError(f"{entry.where}: give a 'table', or 'images', a folder of image files")
    tables = tuple(table for name in place for table in find_tables(folder / name))
    default = f"{kind}-{number + 1}" if not place else Path(place[0]).name
    name = entry.text("name", "" if kind == "campaign" else default)
    if not name:
        raise HoagError(f"{entry.where}: 'name' is missing: which campaign, say \"gz2\"")
    settings = FitsSettings(
        entry.text("stretch", "auto"),
        tuple(entry.names("bands", "")) if "bands" in entry.content else (),
        entry.text("extension", ""),
        entry.text("mask", ""),
    )
    return Source(
        name, kind, tables, folder / images if images else _images_beside(place, tables, folder),
        name if kind == "campaign" else "", entry.text("survey", ""), settings,
    )  # fmt: skip


def _images_beside(place: Sequence[str], tables: Sequence[Path], folder: Path) -> Path | None:
    return folder / place[0] if place and not tables else None


def _task_of(entry: Entry, folder: Path) -> Task:
    entry.only("name", "labels", "images", "key", "label", *_KEPT)
    name = entry.text("name")
    labels = tuple(folder / path for path in entry.names("labels", ""))
    for path in labels:
        if not path.is_file():
            raise HoagError(f"{entry.where}: 'labels': no table {path}")
    entry.choice("protocol", ("", *PROTOCOLS), "")
    content = {key: entry.content[key] for key in _KEPT if key in entry.content}
    places = [folder / n for n in entry.names("images", "")] if "images" in entry.content else []
    images = tuple(table for place in places for table in find_tables(place))
    key = entry.text("key", "id_str")
    return Task(name, labels, entry.text("label"), key, images or labels, content)


def _sources_of_tasks(
    tasks: Sequence[Task], sources: Sequence[Source], images: Mapping[str, Place],
    surveys: Mapping[str, str], fits: FitsSettings,
) -> list[Source]:  # fmt: skip
    """Give the tables of tasks that bring images no other source has, as sources."""
    known = {table.resolve() for source in sources for table in source.tables}
    found = []
    for task in tasks:
        folder = _folder(images.get(task.name))
        new = [t for t in task.images if t.resolve() not in known and (folder or has_images(t))]
        known |= {table.resolve() for table in new}
        if new:
            survey = surveys.get(task.name, "")
            found.append(Source(task.name, "downstream", tuple(new), folder, "", survey, fits))
    return found


def _source(
    name: str, kind: str, place: Place, images: Mapping[str, Place], surveys: Mapping[str, str],
    fits: FitsSettings,
) -> Source:  # fmt: skip
    tables = find_tables(Path(place))
    folder = _folder(images.get(name)) or (None if tables else Path(place))
    campaign = name if kind == "campaign" else ""
    return Source(name, kind, tuple(tables), folder, campaign, surveys.get(name, ""), fits)


def _folder(place: Place | None) -> Path | None:
    if place is None:
        return None
    if not Path(place).is_dir():
        raise HoagError(f"{place}: no such folder of images")
    return Path(place)


def _label_column(task: str, place: Place) -> tuple[Path, str]:
    """Find the column of a task's label: named, or the only one it can be."""
    text = str(place)
    path, _, column = text.rpartition(":") if not Path(text).is_file() else (text, "", "")
    path = path or text
    if not Path(path).is_file():
        raise HoagError(f"--downstream {task}={place}: no such table")
    if is_rings(Path(path)):
        return Path(path), "ring"
    names = open_table(path).names
    if column:
        if column not in names:
            raise HoagError(f"{path}: no column '{column}'; it has {list_names(names)}")
        return Path(path), column
    for name in ("label", task):
        if name in names:
            return Path(path), name
    other = [n for n in names if n not in ("id_str", "image", "file_loc", "ra", "dec", "group")]
    if len(other) == 1:
        return Path(path), other[0]
    raise HoagError(
        f"--downstream {task}={place}: which column is the label? It has {list_names(other)}; "
        f"write {task}={place}:COLUMN"
    )


def is_rings(path: Path) -> bool:
    """Tell whether a table is Galaxy Zoo Rings as published, whose label follows from its votes."""
    try:
        return open_votes(path, "rings").kind == "labels"
    except HoagError:
        return False


def _distinct(names: Sequence[str]) -> list[str]:
    """Make names differ by numbering those that come again."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return result


def _check(sources: Sequence[Source], tasks: Sequence[Task], schema: Schema, where: str) -> None:
    if not sources:
        raise HoagError(f"{where}: nothing to build from; name campaigns or unlabelled galaxies")
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise HoagError(f"{where}: two sources are named '{name}'; give one another name")
    for name in (task.name for task in tasks):
        if [task.name for task in tasks].count(name) > 1:
            raise HoagError(f"{where}: two downstream tasks are named '{name}'")
    for source in sources:
        if source.kind == "campaign":
            schema.select(source.campaign)
            if not source.tables:
                raise HoagError(
                    f"{source.images}: a campaign needs a table of votes, and there is none; give "
                    "the folder as --unlabelled, or the table as --campaign and the folder as "
                    "--images"
                )
        for table in source.tables:
            if source.images is None and not has_images(table):
                raise HoagError(
                    f"{table}: has no images: no column 'image' or 'file_loc'; give the folder of "
                    f"its image files, named by id: --images {source.name}=FOLDER"
                )

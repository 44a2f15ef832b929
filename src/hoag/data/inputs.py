"""What a build joins: sources of galaxies and downstream tasks, from the command line or a file.

A source is tables with images, tables and a folder of image files, or a folder of images alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hoag.catalogue import list_names
from hoag.data.fits_images import FitsSettings
from hoag.data.label_columns import label_column
from hoag.data.places import find_tables, has_images
from hoag.errors import HoagError
from hoag.schema import Schema

KINDS = ("campaign", "unlabelled", "downstream")
SMALL_TASK = 2_000  # labels: below this a test half leaves too few to tell anything

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
        path, column = label_column(name, place)
        tasks.append(Task(name, (path,), column, images=(path,)))
    given = {*campaigns, *names, *downstream}
    for option, named in (("--images", images), ("--survey", surveys)):
        for name in named:
            if name not in given:
                raise HoagError(f"{option} {name}=...: no source is named '{name}'; there are "
                                f"{list_names(sorted(given))}")  # fmt: skip
    sources += sources_of_tasks(tasks, sources, images, surveys, fits)
    check_inputs(sources, tasks, schema, "build")
    return Inputs(tuple(sources), tuple(tasks))


def sources_of_tasks(
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


def _distinct(names: Sequence[str]) -> list[str]:
    """Make names differ by numbering those that come again."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return result


def check_inputs(
    sources: Sequence[Source], tasks: Sequence[Task], schema: Schema, where: str
) -> None:
    """Refuse sources and tasks that contradict each other, or have no images, or no votes."""
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

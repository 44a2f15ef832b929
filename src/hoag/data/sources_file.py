"""Files of sources: what a build joins, said in TOML, with more settings for each source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hoag.campaigns import read_toml
from hoag.data.fits_images import FitsSettings
from hoag.data.inputs import KINDS, Inputs, Source, Task, check_inputs, sources_of_tasks
from hoag.data.places import find_tables
from hoag.errors import HoagError
from hoag.roles import PROTOCOLS
from hoag.schema import Schema, load_schema
from hoag.toml_entries import Entry

# Keys of a [[downstream]] table that go into the built set's dataset.toml as they are.
_KEPT = ("description", "classes", "where", "balance", "protocol", "split", "repeats", "keep_out",
         "may_leak")  # fmt: skip


def inputs_from_file(path: str | Path, schema: Schema | None) -> tuple[Inputs, list[str]]:
    """Read a file of sources; gives the inputs and the names of the schemas they are made by.

    ``[[campaign]]`` (name, table, images, survey, stretch, bands), ``[[unlabelled]]`` (the same)
    and ``[[downstream]]`` as in a dataset.toml; places are relative to the file.
    """
    path = Path(path)
    folder = path.parent
    top = Entry(read_toml(path), str(path))
    top.only("name", "description", "schema", *KINDS)
    names = top.names("schema", "gz-evo")
    names = [str(folder / n) if (folder / n).is_file() else n for n in names]
    chosen = schema or load_schema(names)
    sources = [
        _source_of(entry, kind, number, folder)
        for kind in ("campaign", "unlabelled")
        for number, entry in enumerate(top.entries(kind))
    ]
    tasks = [_task_of(entry, folder) for entry in top.entries("downstream")]
    sources += sources_of_tasks(tasks, sources, {}, {}, FitsSettings())
    check_inputs(sources, tasks, chosen, str(path))
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

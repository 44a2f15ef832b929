"""Which column of a table is the label of a task."""

from __future__ import annotations

from pathlib import Path

from hoag.catalogue import list_names
from hoag.data.published import open_votes
from hoag.data.table_parts import open_table
from hoag.errors import HoagError


def label_column(task: str, place: str | Path) -> tuple[Path, str]:
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

"""Opening galaxies: Parquet shards, one table, images alone, a Hub data set, or a list of those."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from hoag.answers import votes_from_table
from hoag.arrow_copy import beside, can_write, checked_ids, refuse_repeats, write_copies
from hoag.catalogue import (
    PARQUET,
    SUFFIXES,
    TEXT_COLUMNS,
    column_names,
    list_names,
    plain_types,
    read_table,
    require_columns,
)
from hoag.console import say
from hoag.copied import open_copy
from hoag.errors import HoagError
from hoag.galaxies import Galaxies, concatenate
from hoag.hashes import first_repeat
from hoag.parquet_images import CopiedImages, ParquetImages, open_copies
from hoag.records import MappedRecords, TableRecords, joined, shared_id, unified
from hoag.schema import Schema, load_schema
from hoag.selection import Selection
from hoag.stores import ColumnImages, ImageFiles, Images, NoImages, Store

if TYPE_CHECKING:
    import pyarrow as pa

Place = str | Path

LARGE = 200_000  # rows: above it, the Arrow copies are made before anything is read
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def open_places(
    where: Place | Sequence[Place], schema: Schema | str | None, id_column: str, arrow: Place | None
) -> Galaxies:
    """Open galaxies as `hoag.open` says."""
    chosen = load_schema(schema) if isinstance(schema, str) else schema
    if isinstance(where, str | Path):
        return _open_one(where, chosen, id_column, None if arrow is None else Path(arrow))
    copies = [None if arrow is None else Path(arrow) / str(n) for n in range(len(where))]
    parts = [_open_one(p, chosen, id_column, c) for p, c in zip(where, copies, strict=True)]
    return concatenate(parts)


def _open_one(where: Place, schema: Schema | None, id_column: str, arrow: Path | None) -> Galaxies:
    path = Path(where).expanduser()
    if (path / "dataset.toml").is_file():
        from hoag.roles import load_pretraining, read_roles

        return load_pretraining(read_roles(path, arrow=arrow), schema=schema).galaxies
    chosen = load_schema("gz-evo") if schema is None else schema
    if path.is_dir():
        return _open_folder(path, chosen, id_column, arrow)
    if path.is_file():
        return _open_file(path, chosen, id_column, arrow)
    if _HUB_ID.fullmatch(str(where)) and path.suffix.lower() not in SUFFIXES:
        return _open_hub(str(where), chosen, id_column)
    raise HoagError(f"{where}: no such file or folder")


def _open_folder(folder: Path, schema: Schema, id_column: str, arrow: Path | None) -> Galaxies:
    shards = _shards(folder) or _shards(folder / "data")
    if shards:
        return open_shards(shards, schema, id_column, arrow)
    return _open_own_folder(folder, schema, id_column)


def _open_own_folder(folder: Path, schema: Schema, id_column: str) -> Galaxies:
    """Open a user's own folder: one table with paths of images, or images alone."""
    tables = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    named = [path for path in tables if "file_loc" in column_names(path)]
    if len(named) > 1:
        raise HoagError(
            f"{folder}: {list_names([path.name for path in named])} all name image files; open one "
            "of them"
        )
    if named:
        return _open_file(named[0], schema, id_column, None)
    files = image_files(folder)
    if not files:
        raise HoagError(
            f"{folder}: no .parquet file with a column 'image' there, no table with 'file_loc', "
            "and no JPEG or PNG image"
        )
    if tables:
        raise HoagError(
            f"{folder}: {list_names([path.name for path in tables])} has no column 'file_loc' that "
            "says which image is whose; add it, or move the table away to open the images alone"
        )
    return _open_images(folder, files, schema)


def image_files(folder: Path) -> list[str]:
    """JPEG and PNG files in a folder and those within it, relative to it, in order of their names.

    What is hidden (``.name``) is passed over.
    """
    found = []
    for path, inner, names in os.walk(folder):
        inner[:] = [name for name in inner if name[0] != "."]
        place = Path(path).relative_to(folder)
        found += [
            (place / name).as_posix()
            for name in names
            if name[0] != "." and name.lower().endswith(IMAGE_SUFFIXES)
        ]
    return sorted(found)


def _open_images(folder: Path, files: list[str], schema: Schema) -> Galaxies:
    import pyarrow as pa

    ids = [Path(file).stem for file in files]
    if len(set(ids)) < len(ids):  # then the folders belong to the name
        ids = [str(PurePosixPath(file).with_suffix("")) for file in files]
    first: dict[str, str] = {}
    for id_str, file in zip(ids, files, strict=True):
        if first.setdefault(id_str, file) != file:
            raise HoagError(
                f"{folder}: '{first[id_str]}' and '{file}' would both be galaxy '{id_str}'; rename "
                "or remove one"
            )
    table = pa.table({"id_str": pa.array(ids), "file_loc": pa.array(files)})
    return galaxies_of_table(table, ImageFiles(folder, files), str(folder), schema)


def _shards(folder: Path) -> list[Path]:
    """Parquet files of a folder that hold images, by name; the others are named, not read."""
    files = sorted(p for p in folder.glob("*.parquet") if p.is_file() and p.name[0] != ".")
    with_images = [path for path in files if "image" in parquet_columns(path)]
    others = [path.name for path in files if path not in with_images]
    if others and with_images:
        say(f"{folder}: {list_names(others)} left out, having no column 'image'")
    return with_images


def _open_file(path: Path, schema: Schema, id_column: str, arrow: Path | None) -> Galaxies:
    is_parquet = path.suffix.lower() in PARQUET
    if is_parquet and "image" in parquet_columns(path, arrow):
        return open_shards([path], schema, id_column, arrow)
    table = read_table(path, text=(*TEXT_COLUMNS, id_column))
    images: Images = NoImages(str(path), table.num_rows)
    if "file_loc" in table.column_names:
        locations = table["file_loc"].to_pylist()
        if None in locations:
            row = locations.index(None)
            raise HoagError(f"{path}: column 'file_loc', row {row}: the path is missing")
        images = ImageFiles(path.parent, locations)
    return galaxies_of_table(table, images, str(path), schema, id_column)


def open_shards(
    shards: Sequence[Path], schema: Schema, id_column: str = "id_str", arrow: Path | None = None
) -> Galaxies:
    """Open Parquet files with images as one store, by their Arrow copies if they are there.

    Parameters
    ----------
    shards
        Parquet files with a column `image`, one after another.
    schema
        Whose answers are read as votes.
    id_column
        Column of ids.
    arrow
        Folder for the Arrow copies: itself the copy of one file, or a folder of several. None:
        beside the files.
    """
    if arrow is None:
        places = [beside(shard) for shard in shards]
    else:
        places = [arrow] if len(shards) == 1 else [arrow / shard.stem for shard in shards]
    name = str(shards[0]) if len(shards) == 1 else f"{os.path.commonprefix(shards)}*"
    copies = open_copies(shards, places, id_column)
    if copies is None and _is_large(shards) and can_write(places[0]):
        write_copies(shards, places, id_column)  # first: the table would not fit in memory
        copies = open_copies(shards, places, id_column)
    if copies is not None:
        records = MappedRecords(copies, schema)
        return Galaxies(Selection.of(Store(CopiedImages(copies), records, name)), schema)
    parts = [_read_records(shard, schema, id_column) for shard in shards]
    images = ParquetImages(shards, places, id_column, asked_for=arrow is not None)
    return Galaxies(Selection.of(Store(images, _one_table(parts, shards), name)), schema)


def _is_large(shards: Sequence[Path]) -> bool:
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(shard).num_rows for shard in shards) > LARGE


def _read_records(path: Path, schema: Schema, id_column: str) -> TableRecords:
    table = read_table(path, text=(*TEXT_COLUMNS, id_column))
    return checked_records(table, str(path), schema, id_column)


def _one_table(parts: Sequence[TableRecords], shards: Sequence[Path]) -> TableRecords:
    if len(parts) == 1:
        return parts[0]
    owners = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    fields = unified([part.fields for part in parts])
    table = joined([part.table(None, part.fields.names) for part in parts], fields.names)
    repeat = first_repeat(
        np.concatenate([part.keys for part in parts]),
        lambda rows: table["id_str"].take(rows).to_pylist(),
    )
    if repeat is not None:
        first, second, id_str = repeat
        raise shared_id(id_str, *(str(shards[owners[row]]) for row in (first, second)))
    votes = np.concatenate([part.votes(np.arange(len(part))) for part in parts])
    return TableRecords(table.combine_chunks(), votes)


def parquet_columns(path: Path, arrow: Path | None = None) -> list[str]:
    """Columns of a Parquet file, from its Arrow copy if that is there: its footer can be large."""
    copy = open_copy(beside(path) if arrow is None else arrow, path)
    return column_names(path) if copy is None else ["image", *copy.about["columns"]]


class HubImages(ColumnImages):
    """Images of a data set of the Hub, mapped from the files `datasets` keeps."""

    def __init__(self, dataset: Any, name: str):
        super().__init__(dataset.data.table["image"], name)
        self.dataset = dataset

    def __reduce__(self) -> tuple[Any, ...]:
        return HubImages, (self.dataset, self.name)  # which knows its files and is mapped again


def _open_hub(name: str, schema: Schema, id_column: str) -> Galaxies:
    import datasets

    say(f"{name}: no such file here, so taken for a data set of the Hugging Face Hub; its files "
        f"are kept in {datasets.config.HF_DATASETS_CACHE}")  # fmt: skip
    try:
        parts = datasets.load_dataset(name)
    except Exception as error:  # the Hub's clients raise a dozen kinds, most of them for "offline"
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise HoagError(
            f"{name}: neither a file here nor a data set the Hugging Face Hub lets us read "
            f"({reason}); check the name and the connection, or give a local folder"
        ) from None
    sets = [part.cast_column("image", datasets.Image(decode=False)) for part in parts.values()]
    whole = datasets.concatenate_datasets(sets).flatten_indices()
    data = whole.data.table
    table = plain_types(data.drop_columns(["image"]), (*TEXT_COLUMNS, id_column), name)
    return galaxies_of_table(table, HubImages(whole, name), name, schema, id_column)


def galaxies_of_table(
    table: pa.Table, images: Images, name: str, schema: Schema, id_column: str = "id_str"
) -> Galaxies:
    """Make galaxies of a table and its images, checking ids and votes.

    Raises
    ------
    HoagError
        If the table is empty, an id is missing or repeated, or a vote is odd.
    """
    records = checked_records(table, name, schema, id_column)
    return Galaxies(Selection.of(Store(images, records, name)), schema)


def checked_records(table: pa.Table, name: str, schema: Schema, id_column: str) -> TableRecords:
    """Keep a table in memory, with its ids and votes checked; see `galaxies_of_table`."""
    require_columns(table.column_names, [id_column], f"{name} (pass id_column= for the ids)")
    if table.num_rows == 0:
        raise HoagError(f"{name}: has no rows")
    table = table.rename_columns(["id_str" if n == id_column else n for n in table.column_names])
    checked_ids(table["id_str"], id_column, name)
    # One chunk a column, or taking one row would look through every row group.
    records = TableRecords(table.combine_chunks(), votes_from_table(table, schema, name))
    refuse_repeats(records.keys, table["id_str"], id_column, name)
    return records

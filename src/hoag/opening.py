"""Opening galaxies: a folder of Parquet shards, one table, a Hub data set, or a list of those."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hoag.answers import votes_from_table
from hoag.arrow_copy import ParquetImages
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
from hoag.errors import HoagError
from hoag.galaxies import Galaxies, concatenate
from hoag.stores import ColumnImages, ImageFiles, Images, NoImages, Selection, Store

if TYPE_CHECKING:
    import pyarrow as pa

    from hoag.schema import Schema

Place = str | Path
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def open_places(
    where: Place | Sequence[Place], schema: Schema | str | None, id_column: str, arrow: Place | None
) -> Galaxies:
    """Open galaxies as `hoag.open` says."""
    from hoag.schema import load_schema

    chosen = (
        load_schema(schema or "gz-evo") if schema is None or isinstance(schema, str) else schema
    )
    if isinstance(where, str | Path):
        return _open_one(where, chosen, id_column, None if arrow is None else Path(arrow))
    copies = [None if arrow is None else Path(arrow) / str(n) for n in range(len(where))]
    parts = [_open_one(p, chosen, id_column, c) for p, c in zip(where, copies, strict=True)]
    return concatenate(parts)


def _open_one(where: Place, schema: Schema, id_column: str, arrow: Path | None) -> Galaxies:
    path = Path(where).expanduser()
    if path.is_dir():
        return _open_folder(path, schema, id_column, arrow)
    if path.is_file():
        return _open_file(path, schema, id_column, arrow)
    if _HUB_ID.fullmatch(str(where)) and path.suffix.lower() not in SUFFIXES:
        return _open_hub(str(where), schema, id_column)
    raise HoagError(f"{where}: no such file or folder")


def _open_folder(folder: Path, schema: Schema, id_column: str, arrow: Path | None) -> Galaxies:
    if (folder / "dataset.toml").is_file():
        from hoag.roles import load_pretraining, read_roles

        return load_pretraining(read_roles(folder), schema=schema).galaxies
    shards = _shards(folder) or _shards(folder / "data")
    if not shards:
        raise HoagError(f"{folder}: no .parquet file with a column 'image' there")
    if len(shards) == 1:
        return _open_file(shards[0], schema, id_column, arrow)
    return _open_parquet(shards, str(folder), schema, id_column, arrow)


def _shards(folder: Path) -> list[Path]:
    """Parquet files of a folder that hold images, by name; the others are named, not read."""
    files = sorted(p for p in folder.glob("*.parquet") if p.is_file() and p.name[0] != ".")
    with_images = [path for path in files if "image" in column_names(path)]
    others = [path.name for path in files if path not in with_images]
    if others and with_images:
        say(f"{folder}: {list_names(others)} left out, having no column 'image'")
    return with_images


def _open_file(path: Path, schema: Schema, id_column: str, arrow: Path | None) -> Galaxies:
    is_parquet = path.suffix.lower() in PARQUET
    if is_parquet and "image" in column_names(path):
        return _open_parquet([path], str(path), schema, id_column, arrow)
    table = read_table(path, text=(*TEXT_COLUMNS, id_column))
    images: Images = NoImages(str(path), table.num_rows)
    if "file_loc" in table.column_names:
        locations = table["file_loc"].to_pylist()
        if None in locations:
            row = locations.index(None)
            raise HoagError(f"{path}: column 'file_loc', row {row}: the path is missing")
        images = ImageFiles(path.parent, locations)
    return galaxies_of_table(table, Store(images, table.num_rows, str(path)), schema, id_column)


def _open_parquet(
    shards: list[Path], name: str, schema: Schema, id_column: str, arrow: Path | None
) -> Galaxies:
    parts = [_checked(shard, schema, id_column) for shard in shards]
    joined = concatenate(parts) if len(parts) > 1 else parts[0]
    store = Store(ParquetImages(shards, arrow, id_column), len(joined), name)
    return Galaxies(joined.table, Selection.of(store), schema, joined.votes)


def _checked(path: Path, schema: Schema, id_column: str) -> Galaxies:
    table = read_table(path, text=(*TEXT_COLUMNS, id_column))
    store = Store(NoImages(str(path), table.num_rows), table.num_rows, str(path))
    return galaxies_of_table(table, store, schema, id_column)


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
    store = Store(HubImages(whole, name), data.num_rows, name)
    return galaxies_of_table(table, store, schema, id_column)


def galaxies_of_table(
    table: pa.Table, store: Store, schema: Schema, id_column: str = "id_str"
) -> Galaxies:
    """Make galaxies of a table and its images, checking ids and votes.

    Raises
    ------
    HoagError
        If the table is empty, an id is missing or repeated, or a vote is odd.
    """
    require_columns(table.column_names, [id_column], f"{store.name} (pass id_column= for the ids)")
    if table.num_rows == 0:
        raise HoagError(f"{store.name}: has no rows")
    if id_column != "id_str":
        table = table.rename_columns(
            ["id_str" if name == id_column else name for name in table.column_names]
        )
    first: dict[str, int] = {}
    for row, id_str in enumerate(table["id_str"].to_pylist()):
        if not id_str:
            raise HoagError(f"{store.name}: column '{id_column}', row {row}: the id is missing")
        if first.setdefault(id_str, row) != row:
            raise HoagError(
                f"{store.name}: column '{id_column}', rows {first[id_str]} and {row}: both are "
                f"'{id_str}'; ids must be unique"
            )
    votes = votes_from_table(table, schema, store.name)
    # One chunk a column, or taking one row would look through every row group.
    return Galaxies(table.combine_chunks(), Selection.of(store), schema, votes)

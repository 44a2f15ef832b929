"""Tables in and out: Parquet, CSV, FITS and VOTable, with ids that stay text and a stamp kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hoag.answers import votes_from_table as votes_from_table
from hoag.errors import HoagError
from hoag.files import written_whole
from hoag.provenance import stamp as make_stamp

if TYPE_CHECKING:
    import pyarrow as pa

PARQUET = (".parquet", ".pq")
CSV = (".csv",)
FITS = (".fits", ".fit")
VOTABLE = (".vot", ".votable", ".xml")
SUFFIXES = PARQUET + CSV + FITS + VOTABLE

# Columns whose entries are names, even where all of them look like numbers.
TEXT_COLUMNS = ("id_str", "file_loc", "group")


def read_table(
    path: str | Path, columns: Sequence[str] | None = None, *, text: Sequence[str] = TEXT_COLUMNS
) -> pa.Table:
    """Read a table; the suffix of its name says the format.

    Ids keep leading zeros and all their digits. In CSV an empty field is missing, and text that a
    number would not keep (leading zeros, more digits than 64 bits hold) stays text. FITS and
    VOTable have no missing text or floats but "" and NaN, which become missing.

    Parameters
    ----------
    path
        A .parquet, .csv, .fits or .vot/.xml file.
    columns
        Names to read; None reads all but `image`, which is large.
    text
        Columns made text whatever they look like; integers are converted digit by digit.

    Returns
    -------
    table
        With the stamp of the program that wrote it, if any, in `schema.metadata[b"hoag"]`.

    Raises
    ------
    HoagError
        If the file is missing, of an unknown format, damaged, or lacks a column asked for.
    """
    path = Path(path)
    suffix = suffix_of(path)
    if not path.is_file():
        raise HoagError(f"{path}: no such file")
    try:
        if suffix in PARQUET:
            table = _read_parquet(path, columns)
        elif suffix in CSV:
            table = _read_csv(path, text)
        else:
            from hoag.fits_tables import read_with_astropy

            table = read_with_astropy(path)
    except HoagError:
        raise
    except Exception as error:  # every reader has its own family of errors for a damaged file
        reason = " ".join(str(error).split())[:200]
        raise HoagError(f"{path}: cannot be read as {suffix[1:]} ({reason})") from error
    if columns is not None:
        require_columns(table.column_names, columns, str(path))
        table = table.select(list(columns))
    return plain_types(table, text, str(path))


def column_names(path: str | Path) -> list[str]:
    """Names of a table's columns; of Parquet without reading it, and of a folder, its shards'."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    if path.is_dir():
        shards = sorted([*path.glob("*.parquet"), *path.glob("data/*.parquet")])
        return list(dict.fromkeys(name for shard in shards for name in column_names(shard)))
    if suffix_of(path) not in PARQUET:
        return list(read_table(path).column_names)
    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise HoagError(f"{path}: not a readable Parquet file ({error})") from None


def require_columns(have: Sequence[str], wanted: Sequence[str], where: str) -> None:
    """Refuse a table that lacks a column, listing those it has."""
    for name in wanted:
        if name not in have:
            raise HoagError(f"{where}: no column '{name}'; it has {list_names(have)}")


def list_names(names: Sequence[str], most: int = 12) -> str:
    """List names for an error message, cut when there are many."""
    shown = ", ".join(f"'{name}'" for name in list(names)[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "") or "none"


def suffix_of(path: Path) -> str:
    """Suffix of a table's name, lower case; one that names no format is refused."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise HoagError(
            f"{path}: tables are read and written as {', '.join(SUFFIXES)}, not '{path.suffix}'"
        )
    return suffix


def _read_parquet(path: Path, columns: Sequence[str] | None) -> pa.Table:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        if columns is None:
            columns = [name for name in names if name != "image"]
        require_columns(names, columns, str(path))
        return file.read(columns=list(columns))


def _read_csv(path: Path, text: Sequence[str]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.csv as csv

    with path.open("rb") as file:
        header = file.readline()
    if not header.strip():
        raise HoagError(f"{path}: empty; the first line must name the columns")
    # Read as text first: pyarrow's own guess would drop leading zeros and round long integers.
    first = csv.read_csv(
        path, read_options=csv.ReadOptions(autogenerate_column_names=False, block_size=1 << 26),
        convert_options=csv.ConvertOptions(column_types=_all_text(path), null_values=[""],
            strings_can_be_null=True, quoted_strings_can_be_null=False),
        parse_options=csv.ParseOptions(newlines_in_values=True),
    )  # fmt: skip
    if len(set(first.column_names)) < len(first.column_names):
        raise HoagError(f"{path}: two columns have one name; rename one")
    arrays = [
        first[name] if name in text else _numbers_if_lossless(first[name])
        for name in first.column_names
    ]
    return pa.table(arrays, names=first.column_names)


def _all_text(path: Path) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.csv as csv

    with csv.open_csv(path, parse_options=csv.ParseOptions(newlines_in_values=True)) as reader:
        return {name: pa.string() for name in reader.schema.names}


def _numbers_if_lossless(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    def every(pattern: str) -> bool:
        return pc.all(pc.match_substring_regex(column, pattern)).as_py() is True

    if column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column))])
    if every(r"^-?(0|[1-9][0-9]*)$"):
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid:  # more than 64 bits
            return column
    # A long integer among floats would be rounded, so 16 digits and more before a point are text.
    number = (
        r"^[+-]?((0|[1-9][0-9]{0,14})(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$|^[+-]?(nan|inf|NaN)$"
    )
    if every(number):
        return pc.replace_substring_regex(column, r"^\+", "").cast(pa.float64())
    if every("^(true|false|True|False)$"):
        return pc.equal(pc.utf8_lower(column), "true")
    return column


def plain_types(table: pa.Table, text: Sequence[str], where: str) -> pa.Table:
    """Turn large and dictionary types into plain ones, and the text columns into text."""
    import pyarrow as pa

    for number, field in enumerate(table.schema):
        kind, name = field.type, field.name
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            kind = pa.string()
        if name in text and not pa.types.is_string(kind):
            if not pa.types.is_integer(kind) and not pa.types.is_null(kind):
                raise HoagError(
                    f"{where}: column '{name}' is {field.type}; ids and names must be text or "
                    "whole numbers, or digits are lost"
                )
            kind = pa.string()
        if kind != field.type:
            kept = field.with_type(kind)  # with its unit and description
            table = table.set_column(number, kept, table[name].cast(kind))
    return table


def write_table(table: pa.Table, path: str | Path, *, stamp: dict[str, Any] | None = None) -> None:
    """Write a table as Parquet, CSV, FITS or VOTable, whole or not at all.

    Units, UCDs and descriptions that fields carry as metadata (`hoag.column_labels`) go with them
    into Parquet, FITS and VOTable. In the latter two names are made of letters, digits and
    underscores, for TOPCAT's expressions; reading gives them back as they were.

    Parameters
    ----------
    table
        Columns of numbers and text; lists of one length (representations) go into any format but
        CSV, images into Parquet alone.
    path
        Its suffix chooses the format.
    stamp
        What to record about the making, in Parquet's metadata, the FITS keyword HOAG or a VOTable
        INFO; None keeps the table's own, else `provenance.stamp`. CSV has no place for it.

    Raises
    ------
    HoagError
        If the format is unknown or cannot hold a column.
    """
    write_parts(lambda: [table], path, stamp=stamp or read_stamp(table))


def write_parts(
    parts: Callable[[], Iterable[pa.Table]],
    path: str | Path,
    *,
    stamp: dict[str, Any] | None = None,
) -> None:
    """Write tables of the same columns under one another, holding one of them in memory at a time.

    Parameters
    ----------
    parts
        Gives the tables, at least one, from the first on each time it is called.
    path, stamp
        As in `write_table`.

    Raises
    ------
    HoagError
        If the format is unknown or cannot hold a column.
    """
    path = Path(path)
    suffix = suffix_of(path)
    record = stamp or make_stamp()
    with written_whole(path) as temporary:
        if suffix in PARQUET:
            _write_parquet(parts(), temporary, record)
        elif suffix in CSV:
            _write_csv(parts(), temporary, path)
        else:
            from hoag.astropy_writing import write_with_astropy

            write_with_astropy(parts, temporary, str(path), record)


def _write_parquet(parts: Iterable[pa.Table], temporary: Path, record: dict[str, Any]) -> None:
    import pyarrow.parquet as pq

    writer = None
    try:
        for part in parts:
            metadata = {**(part.schema.metadata or {}), b"hoag": json.dumps(record).encode()}
            part = part.replace_schema_metadata(metadata)
            writer = writer or pq.ParquetWriter(temporary, part.schema)
            writer.write_table(part)
    finally:
        if writer is not None:
            writer.close()


def read_stamp(table: pa.Table) -> dict[str, Any] | None:
    """Give the record a table carries about its making, None if hoag did not write it."""
    record = (table.schema.metadata or {}).get(b"hoag")
    return None if record is None else json.loads(record)


def _write_csv(parts: Iterable[pa.Table], temporary: Path, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.csv as csv

    writer = None
    try:
        for part in parts:
            for field in part.schema:
                if pa.types.is_nested(field.type) or pa.types.is_binary(field.type):
                    raise HoagError(
                        f"{path}: CSV cannot hold column '{field.name}' ({field.type}); drop it"
                    )
            writer = writer or csv.CSVWriter(temporary, part.schema)
            writer.write_table(part)
    finally:
        if writer is not None:
            writer.close()

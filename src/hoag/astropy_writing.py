"""Catalogues of millions of rows as FITS or VOTable in bounded memory: parts made into columns.

Both formats need to know the longest text and where integers are missing before the first row, so
the parts are gone through twice. Rows are written by `hoag.fits_writing` and
`hoag.votable_writing`, behind headers that astropy makes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hoag.column_labels import described, labels_of, safe_names
from hoag.errors import HoagError
from hoag.fits_writing import MOST_FITS_COLUMNS, write_fits
from hoag.votable_writing import write_votable

if TYPE_CHECKING:
    import pyarrow as pa

Parts = Callable[[], Iterable["pa.Table"]]


@dataclass
class _Layout:
    """What has to be known of all rows before the first can be written."""

    rows: int = 0
    widths: dict[str, int] = field(default_factory=dict)  # bytes of the longest text
    missing: dict[str, bool] = field(default_factory=dict)  # whether an entry is


def write_with_astropy(parts: Parts, temporary: Path, path: str, record: dict[str, Any]) -> None:
    """Write tables of the same columns under one another as FITS or VOTable, by the suffix.

    Parameters
    ----------
    parts
        Gives the tables from the first on each time it is called; at least one.
    temporary
        The file to write.
    path
        What it is called in messages.
    record
        Kept in the FITS keyword HOAG or a VOTable INFO.

    Raises
    ------
    HoagError
        If the format cannot hold a column, or so many.
    """
    is_fits = temporary.suffix.lower() in (".fits", ".fit")
    layout = _survey(parts)
    columns = next(iter(parts())).column_names
    if is_fits and len(columns) > MOST_FITS_COLUMNS:
        raise HoagError(
            f"{path}: FITS holds at most {MOST_FITS_COLUMNS} columns and this table has "
            f"{len(columns)}; write .parquet or .vot, or fewer columns"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about units that other programs wrote
        tables = (_to_astropy(part, layout, path, is_fits) for part in parts())
        with temporary.open("wb") as file:
            if is_fits:
                write_fits(tables, layout.rows, record, file)
            else:
                write_votable(tables, record, file)


def _survey(parts: Parts) -> _Layout:
    import pyarrow as pa
    import pyarrow.compute as pc

    layout = _Layout()
    for part in parts():
        layout.rows += len(part)
        for name, column in zip(part.column_names, part.columns, strict=True):
            layout.missing[name] = layout.missing.get(name, False) or column.null_count > 0
            if _is_text(column.type):
                text = pc.binary_length(column.cast(pa.string()))
                longest = pc.max(text).as_py() or 0
                layout.widths[name] = max(layout.widths.get(name, 1), longest)
    return layout


def _to_astropy(table: pa.Table, layout: _Layout, path: str, is_fits: bool) -> Any:
    """Give an Arrow table as astropy's, its columns laid out alike in every part."""
    from astropy.table import Column, MaskedColumn, Table
    from astropy.units import Unit

    columns = []
    for field_, safe in zip(table.schema, safe_names(table.column_names), strict=True):
        name, labels = field_.name, labels_of(field_)
        where = f"{path}: column '{name}'"
        text = described(name, safe, labels.get("description", ""))
        if is_fits:
            text = _ascii(text, where)
        about: dict[str, Any] = {"name": safe, "description": text or None}
        about["meta"] = {"ucd": labels["ucd"]} if "ucd" in labels else {}
        if "unit" in labels:
            about["unit"] = Unit(labels["unit"], parse_strict="silent")
        values = _from_arrow(table[name], where, is_fits, layout, name)
        kind = MaskedColumn if np.ma.isMaskedArray(values) else Column
        columns.append(kind(values, **about))
        if kind is MaskedColumn:
            columns[-1].fill_value = np.iinfo(values.dtype.name).min
    return Table(columns)


def _from_arrow(
    column: pa.ChunkedArray, where: str, is_fits: bool, layout: _Layout, name: str
) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind, missing = column.type, column.is_null().to_numpy()
    if _is_text(kind):
        text = pc.fill_null(column.cast(pa.string()), "").to_pylist()
        _check_text(text, where, is_fits)
        return np.array(text, dtype=f"U{layout.widths[name]}")
    if pa.types.is_fixed_size_list(kind):
        width, chunks = kind.list_size, column.chunks
        parts = [c.values.slice(c.offset * width, len(c) * width) for c in chunks]
        inner = pa.chunked_array(parts, kind.value_type)
        flat, absent = inner.to_numpy().reshape(-1, width), np.repeat(missing[:, None], width, 1)
        return _numbers(flat, absent, layout.missing[name], where, kind.value_type)
    if pa.types.is_boolean(kind) and not layout.missing[name]:
        return column.to_numpy().astype(bool)
    if pa.types.is_floating(kind):
        return _numbers(np.asarray(pc.fill_null(column, float("nan"))), missing, False, where, kind)
    if pa.types.is_integer(kind):
        filled = pc.fill_null(column, 0).to_numpy()
        return _numbers(filled, missing, layout.missing[name], where, kind)
    what = "with missing entries " if layout.missing[name] else ""
    raise HoagError(f"{where}: {kind} {what}cannot be written there; write Parquet, or drop it")


def _numbers(values: Any, missing: Any, may_miss: bool, where: str, kind: pa.DataType) -> Any:
    import pyarrow as pa

    if pa.types.is_floating(kind):
        values = values.astype(np.float32) if values.dtype == np.float16 else values
        return np.where(missing, np.float32("nan"), values) if missing.any() else values
    if not pa.types.is_integer(kind):
        raise HoagError(f"{where}: lists of {kind} cannot be written there; write Parquet")
    # Neither format has all the integer types; 32 and 64 bits with a sign are in both.
    wide = kind.bit_width > 32 or pa.types.is_unsigned_integer(kind)
    if values.dtype == np.uint64 and (values > np.uint64(2**63 - 1)).any():
        raise HoagError(f"{where}: a value is larger than 63 bits; write it as text")
    integers = np.where(missing, 0, values).astype(np.int64 if wide else np.int32)
    if not may_miss:
        return integers
    return np.ma.MaskedArray(integers, mask=missing, fill_value=np.iinfo(integers.dtype.name).min)


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind)
                or pa.types.is_null(kind))  # fmt: skip


def _ascii(text: str, where: str) -> str:
    name, _, rest = text.partition(": ")
    if not name.isascii():
        raise HoagError(f"{where}: FITS holds ASCII names only; rename it, or write .parquet")
    return f"{name}: {rest.encode('ascii', 'replace').decode()}" if rest else name


def _check_text(text: list[str], where: str, is_fits: bool) -> None:
    if not is_fits:
        return
    for row, value in enumerate(text):
        if not value.isascii():
            raise HoagError(
                f"{where}, row {row}: FITS holds ASCII text only, not {value!r}; write .parquet, "
                ".csv or .vot"
            )
        if value.endswith(" "):
            raise HoagError(f"{where}, row {row}: FITS drops the spaces at the end of {value!r}")

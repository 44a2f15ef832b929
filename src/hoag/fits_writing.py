"""Rows of a FITS table, streamed behind headers that astropy makes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

MOST_FITS_COLUMNS = 999
_BLOCK = 2880  # bytes: FITS files are made of these


def write_fits(tables: Iterator[Any], count: int, record: dict[str, Any], file: BinaryIO) -> None:
    """Write astropy tables, laid out alike, under one another as one FITS table.

    Parameters
    ----------
    tables
        With unit, description and ``meta["ucd"]`` of each column.
    count
        How many rows they have in all.
    record
        Kept in the keyword HOAG.
    file
        Open for writing, at its beginning.
    """
    size = 0
    for table in tables:
        rows = _fits_rows(table)
        if not size:
            file.write(_fits_header(table, count, record))
        file.write(rows)
        size += len(rows)
    file.write(b"\0" * (-size % _BLOCK))


def _fits_header(table: Any, rows: int, record: dict[str, Any]) -> bytes:
    """Give the headers of a file with one table, laid out as this part of it, of so many rows."""
    from astropy.io import fits

    hdu = fits.table_to_hdu(_bare(table[:1]))
    for place, column in enumerate(table.columns.values(), 1):
        for keyword, text in (
            ("TUNIT", "" if column.unit is None else str(column.unit)),
            ("TUCD", column.meta.get("ucd", "")),
            ("TCOMM", column.description or ""),
        ):
            if text:
                hdu.header[f"{keyword}{place}"] = text
        if np.ma.isMaskedArray(column):  # even where nothing is missing in this part
            hdu.header[f"TNULL{place}"] = int(column.fill_value)
    hdu.header["NAXIS2"] = rows
    hdu.header["HOAG"] = json.dumps(record)
    headers = (fits.PrimaryHDU().header, hdu.header)
    return b"".join(header.tostring().encode("ascii") for header in headers)


def _fits_rows(table: Any) -> bytes:
    """Give rows as FITS holds them: columns side by side, big-endian (FITS 4.0, sec. 7.3.3)."""
    columns = {}
    for name, column in table.columns.items():
        values = np.asarray(column.filled()) if np.ma.isMaskedArray(column) else np.asarray(column)
        if values.dtype.kind == "U":
            values = np.char.encode(values, "ascii").astype(f"S{values.dtype.itemsize // 4}")
        elif values.dtype.kind == "b":
            values = np.where(values, b"T", b"F")
        columns[name] = values
    kinds = [(n, v.dtype.newbyteorder(">"), v.shape[1:]) for n, v in columns.items()]
    rows = np.empty(len(table), kinds)
    for name, values in columns.items():
        rows[name] = values
    return rows.tobytes()


def _bare(table: Any) -> Any:
    # astropy would write descriptions as YAML in comments, where TOPCAT does not look.
    from astropy.table import Table

    bare = Table(table, copy=True)
    for column in bare.columns.values():
        column.description, column.unit, column.meta = None, None, {}
    return bare

"""Rows of a VOTable in its binary serialisation, streamed between what astropy writes around them.

BINARY2 (VOTable 1.4, sec. 5.4) is base64 of rows side by side, a bit a column before each row
saying what is missing. As text, a catalogue of two million rows would be three times as large, and
astropy would take an hour to write it cell by cell.
"""

from __future__ import annotations

import binascii
import io
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

_LINE = 3 << 14  # bytes of rows in a line of base64, a multiple of 3


def write_votable(tables: Iterator[Any], record: dict[str, Any], file: BinaryIO) -> None:
    """Write astropy tables, laid out alike, under one another as one VOTable.

    Parameters
    ----------
    tables
        With unit, description and ``meta["ucd"]`` of each column.
    record
        Kept in an INFO.
    file
        Open for writing, at its beginning.
    """
    left, tail = b"", b""
    for number, table in enumerate(tables):
        if number == 0:
            head, tail = _around(table, record)
            file.write(head)
        rows = left + _rows(table)
        whole = len(rows) - len(rows) % _LINE
        for start in range(0, whole, _LINE):
            file.write(binascii.b2a_base64(rows[start : start + _LINE]))
        left = rows[whole:]
    if left:
        file.write(binascii.b2a_base64(left))
    file.write(tail)


def _around(table: Any, record: dict[str, Any]) -> tuple[bytes, bytes]:
    """Give what stands before and after the rows."""
    from astropy.io.votable import from_table, writeto
    from astropy.io.votable.tree import Info

    votable = from_table(table[:1])
    for field in votable.get_first_table().fields:
        field.ucd = table[field.name].meta.get("ucd")
        if field.datatype == "bit":  # of which readers disagree where in its byte it lies
            field.datatype = "boolean"
    votable.infos.append(Info(name="hoag", value=json.dumps(record)))
    memory = io.BytesIO()
    writeto(votable, memory, tabledata_format="binary2")
    # A table without rows has no such element, and is whole as it is.
    head, mark, rest = memory.getvalue().partition(b'<STREAM encoding="base64">\n')
    return head + mark, rest[rest.find(b"</STREAM>") :] if mark else b""


def _rows(table: Any) -> bytes:
    """Give rows as BINARY2 holds them: bits of what is missing, then big-endian columns."""
    columns, missing = [], []
    for column in table.columns.values():
        masked = np.ma.getmaskarray(column)
        missing.append(masked.all(axis=tuple(range(1, masked.ndim))))
        values = np.asarray(column.filled() if np.ma.isMaskedArray(column) else column)
        if values.dtype.kind == "U":
            width = values.dtype.itemsize // 4
            values = np.char.encode(values, "utf-16-be").astype(f"S{2 * width}")
        elif values.dtype.kind == "b":
            values = np.where(values, b"T", b"F")
        columns.append(values)
    columns.insert(0, np.packbits(np.stack(missing, axis=1), axis=1))
    kinds = [(str(n), v.dtype.newbyteorder(">"), v.shape[1:]) for n, v in enumerate(columns)]
    rows = np.empty(len(table), kinds)
    for number, values in enumerate(columns):
        rows[str(number)] = values
    return rows.tobytes()

"""VOTables streamed in binary: the very bytes that astropy writes, and tables without rows."""

import base64
import io

import numpy as np
import pyarrow as pa
from astropy.io.votable import from_table, parse, writeto
from astropy.table import Column, MaskedColumn, Table

from hoag.catalogue import read_table, write_parts, write_table
from hoag.votable_writing import write_votable


def stream(content):
    return base64.b64decode(content.partition(b'"base64">')[2].partition(b"</STREAM>")[0])


def test_the_rows_are_those_of_astropy():
    table = Table()
    table["name"] = np.array(["a", "Ωb", ""])
    table["x"] = np.array([1.5, np.nan, -2], np.float32)
    table["lists"] = np.arange(6, dtype=np.float64).reshape(3, 2)
    table["n"] = MaskedColumn([1, 2, 3], mask=[False, True, False], fill_value=-(2**63))
    for number in range(9):  # so that the bits of what is missing fill more than a byte
        table[f"k{number}"] = MaskedColumn(np.arange(3, dtype=np.int32), mask=[number == 6, 0, 0])
    ours, theirs = io.BytesIO(), io.BytesIO()
    write_votable(iter([table[:1], table[1:]]), {"by": "test"}, ours)
    writeto(from_table(table), theirs, tabledata_format="binary2")
    found, wanted = (
        parse(io.BytesIO(each.getvalue())).get_first_table() for each in (ours, theirs)
    )
    for name in table.colnames:
        np.testing.assert_array_equal(found.array[name], wanted.array[name])
        np.testing.assert_array_equal(found.array.mask[name], wanted.array.mask[name])
    plain = table["name", "x", "lists"]  # astropy writes a zero for what is missing, and we a null
    ours, theirs = io.BytesIO(), io.BytesIO()
    write_votable(iter([plain]), {}, ours)
    writeto(from_table(plain), theirs, tabledata_format="binary2")
    assert stream(ours.getvalue()) == stream(theirs.getvalue())


def test_truths_are_written_as_letters():
    ours = io.BytesIO()
    write_votable(iter([Table([Column([True, False])], names=["edge_on"])]), {}, ours)
    assert stream(ours.getvalue()) == b"\0T\0F" and b'datatype="boolean"' in ours.getvalue()


def test_a_table_without_rows_keeps_its_columns(tmp_path):
    table = pa.table({"id_str": pa.array([], pa.string()), "x": pa.array([], pa.float32())})
    write_table(table, tmp_path / "none.vot", stamp={"by": "test"})
    assert read_table(tmp_path / "none.vot").column_names == ["id_str", "x"]


def test_many_lines_are_one_stream(tmp_path):
    rows = pa.table({"id_str": [str(n) for n in range(20_000)], "x": np.arange(20_000)})
    cuts = [rows.slice(0, 7), rows.slice(7, 9_001), rows.slice(9_008)]
    write_parts(lambda: iter(cuts), tmp_path / "long.vot")
    assert (tmp_path / "long.vot").read_bytes().count(b"\n") < 40
    written = read_table(tmp_path / "long.vot")
    assert written["id_str"].equals(rows["id_str"]) and written["x"].equals(rows["x"])

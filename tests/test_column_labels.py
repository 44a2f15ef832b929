"""Units, UCDs, descriptions and TOPCAT-safe names: written to every format and read back."""

import re

import astropy.io.fits
import numpy as np
import pyarrow as pa
import pytest
from astropy.io.votable import parse
from astropy.io.votable.ucd import check_ucd
from hypothesis import given, settings
from hypothesis import strategies as st

from hoag import HoagError, load_schema
from hoag.catalogue import column_names, read_table, write_parts, write_table
from hoag.column_labels import (
    described,
    labelled,
    labels_of,
    name_and_description,
    safe_names,
    with_usual_labels,
)

SAFE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def labelled_table(rows=5):
    """A column of every kind that FITS and VOTable hold, most of them with something missing."""
    missing = np.arange(rows) % 3 == 1
    whole = pa.array(np.arange(rows * 2, dtype=np.int32))
    lists = pa.FixedSizeListArray.from_arrays(whole, 2, mask=pa.array(missing))
    floats = pa.array(np.arange(rows * 3, dtype=np.float32) / 4)
    columns = {
        labelled("id_str", pa.string(), ucd="meta.id;meta.main"): [f"id-{n:0{1 + n}d}" for n in
                                                                   range(rows)],
        labelled("ra", pa.float64(), unit="deg", ucd="pos.eq.ra;meta.main",
                 description="Right ascension: J2000"): np.linspace(0, 300, rows),
        labelled("bar-gz2_yes", pa.int32(), description="Votes for yes: whole, as given"):
            pa.array(np.arange(rows), pa.int32(), mask=missing),
        labelled("spiral-arm-count-gz2_more-than-4_fraction", pa.float32(),
                 ucd="src.morph;arith.ratio"): pa.array(np.arange(rows) / 8, pa.float32(),
                                                        mask=missing),
        labelled("2mass", pa.float64(), unit="mag"): np.arange(rows) / 2.0,
        labelled("pairs-of_x", lists.type): lists,
        labelled("three", pa.list_(pa.float32(), 3)): pa.FixedSizeListArray.from_arrays(floats, 3),
        labelled("face on", pa.bool_()): np.arange(rows) % 2 == 0,
        labelled("bar_gz2_yes", pa.string()): [None if m else "x" * n for n, m in
                                               enumerate(missing)],
    }  # fmt: skip
    arrays = [pa.array(v, f.type) if not isinstance(v, pa.Array) else v for f, v in columns.items()]
    return pa.Table.from_arrays(arrays, schema=pa.schema(list(columns)))


@pytest.mark.parametrize("suffix", [".parquet", ".fits", ".vot"])
def test_labels_names_and_gaps_survive_every_format(tmp_path, suffix):
    table, path = labelled_table(), tmp_path / f"t{suffix}"
    write_table(table, path)
    again = read_table(path)
    assert again.column_names == table.column_names == column_names(path)
    assert [labels_of(f) for f in again.schema] == [labels_of(f) for f in table.schema]
    expected = table.to_pydict() | {"bar_gz2_yes": [None, None, "xx", "xxx", None]}
    if suffix == ".parquet":
        expected = table.to_pydict()
    assert again.to_pydict() == expected


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".fits", ".vot"])
def test_parts_written_one_by_one_are_the_whole(tmp_path, suffix):
    table = labelled_table(11)
    if suffix == ".csv":
        table = table.drop(["pairs-of_x", "three"])
    cuts = [table.slice(0, 1), table.slice(1, 6), table.slice(7)]
    write_parts(lambda: iter(cuts), tmp_path / f"parts{suffix}", stamp={"hoag": "x"})
    write_table(table, tmp_path / f"whole{suffix}", stamp={"hoag": "x"})
    parts, whole = (read_table(tmp_path / f"{n}{suffix}") for n in ("parts", "whole"))
    assert parts.equals(whole, check_metadata=True)
    if suffix in (".fits", ".csv", ".vot"):
        contents = [(tmp_path / f"{n}{suffix}").read_bytes() for n in ("parts", "whole")]
        assert contents[0] == contents[1]


def test_fits_is_laid_out_as_topcat_reads_it(tmp_path):
    write_table(labelled_table(), tmp_path / "t.fits")
    with astropy.io.fits.open(tmp_path / "t.fits") as file:
        file.verify("exception")
        header = file[1].header
        names = file[1].columns.names
        assert len(file[1].data) == 5
    assert all(SAFE.fullmatch(name) for name in names)
    assert header["TUNIT2"] == "deg" and header["TUCD2"] == "pos.eq.ra;meta.main"
    assert header["TTYPE3"] == "bar_gz2_yes_2"  # another column has the name already
    assert header["TCOMM3"] == "bar-gz2_yes: Votes for yes: whole, as given"
    assert header["TTYPE5"] == "_2mass" and header["TNULL3"] == -(2**31)


def test_votable_is_valid_and_labelled(tmp_path):
    write_table(labelled_table(), tmp_path / "t.vot")
    votable = parse(tmp_path / "t.vot", verify="exception")
    fields = {field.name: field for field in votable.get_first_table().fields}
    assert all(SAFE.fullmatch(name) for name in fields)
    assert str(fields["ra"].unit) == "deg" and fields["ra"].ucd == "pos.eq.ra;meta.main"
    assert fields["_2mass"].description == "2mass"


def test_every_answer_of_gz_evo_gets_a_name_of_its_own():
    names = list(load_schema().columns)
    safe = safe_names(names)
    assert all(SAFE.fullmatch(name) for name in safe)
    assert len({name.lower() for name in safe}) == len(names)
    read = [name_and_description(s, described(n, s, "of: x")) for n, s in zip(names, safe)]  # noqa: B905
    assert read == [(name, "of: x") for name in names]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1,
                        max_size=12), min_size=1, max_size=8, unique=True),
       st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=20))  # fmt: skip
def test_any_names_come_back(names, text):
    names = [name for name in names if ": " not in name and not name.endswith((":", " "))]
    safe = safe_names(names)
    assert all(SAFE.fullmatch(name) for name in safe)
    for name, written in zip(names, safe, strict=True):
        if written != name:
            assert name_and_description(written, described(name, written, text))[0] == name


def test_other_peoples_descriptions_are_left_alone():
    assert name_and_description("ra", "Right ascension: J2000") == ("ra", "Right ascension: J2000")
    assert name_and_description("a_b", "a and b") == ("a_b", "a and b")


def test_usual_columns_are_labelled_unless_they_are():
    assert labels_of(with_usual_labels(pa.field("ra", pa.float64())))["unit"] == "deg"
    own = labelled("ra", pa.float64(), unit="hourangle")
    assert labels_of(with_usual_labels(own))["unit"] == "hourangle"
    for name in ("id_str", "ra", "dec", "redshift"):
        ucd = labels_of(with_usual_labels(pa.field(name, pa.float64())))["ucd"]
        assert check_ucd(ucd, check_controlled_vocabulary=True)


def test_what_fits_cannot_hold_is_said(tmp_path):
    wide = pa.table({f"c{n}": [1] for n in range(1000)})
    with pytest.raises(HoagError, match="at most 999 columns and this table has 1000"):
        write_table(wide, tmp_path / "t.fits")
    with pytest.raises(HoagError, match="FITS holds ASCII names only"):
        write_table(pa.table({"größe": [1]}), tmp_path / "t.fits")
    with pytest.raises(HoagError, match="'big': a value is larger than 63 bits"):
        write_table(pa.table({"big": pa.array([2**63], pa.uint64())}), tmp_path / "t.vot")
    with pytest.raises(HoagError, match="'b': bool with missing entries"):
        write_table(pa.table({"b": [True, None]}), tmp_path / "t.fits")
    assert not list(tmp_path.iterdir())

"""Catalogue: ids and values survive every format; odd votes are refused by file, column, row."""

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoag import HoagError, load_schema
from hoag.answers import may_be_answer, may_be_predicted
from hoag.catalogue import column_names, read_stamp, read_table, votes_from_table, write_table
from hoag.prediction_tables import Columns

GZ2 = load_schema("gz2")
FORMATS = [".parquet", ".csv", ".fits", ".vot"]
IDS = ["1237648720693755918", "0007", "9223372036854775807", "18446744073709551616", "J00+12.5"]


def catalogue(ids=IDS):
    return pa.table(
        {
            "id_str": ids,
            "bar-gz2_yes": pa.array(range(len(ids)), pa.int32()),
            "object": pa.array([1237648720693755918] * len(ids), pa.int64()),
            "ra": np.linspace(0.1, 359.9, len(ids)),
            "survey": ["SDSS"] * len(ids),
        }
    )


@pytest.mark.parametrize("suffix", FORMATS)
def test_round_trip(tmp_path, suffix):
    table, path = catalogue(), tmp_path / f"t{suffix}"
    write_table(table, path)
    again = read_table(path)
    assert again.column_names == table.column_names == column_names(path)
    assert again.to_pydict() == table.to_pydict()
    assert pa.types.is_string(again["id_str"].type)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".vot"])
def test_unicode_round_trip(tmp_path, suffix):
    table = catalogue(["Ω Cen", 'Hoag\'s "object"', "a,b", "銀河", "line\nbreak"])
    write_table(table, tmp_path / f"t{suffix}")
    assert read_table(tmp_path / f"t{suffix}").to_pydict() == table.to_pydict()


def test_fits_refuses_what_it_would_change(tmp_path):
    for bad, row in (("Ω Cen", 1), ("a ", 1)):
        with pytest.raises(HoagError, match=f"t.fits: column 'id_str', row {row}.*FITS"):
            write_table(catalogue(["x", bad]), tmp_path / "t.fits")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", FORMATS)
def test_missing_values_stay_missing(tmp_path, suffix):
    table = pa.table(
        {
            "id_str": ["a", "b", "c"],
            "count": pa.array([1, None, 3], pa.int32()),
            "long": pa.array([None, 2**60, 3], pa.int64()),
            "mag": [None, 1.5, -2.0],
            "name": ["x", None, "z"],
        }
    )
    write_table(table, tmp_path / f"t{suffix}")
    assert read_table(tmp_path / f"t{suffix}").to_pydict() == table.to_pydict()


@pytest.mark.parametrize("suffix", [".parquet", ".fits", ".vot"])
def test_representations_and_stamp_round_trip(tmp_path, suffix):
    vectors = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 4)
    table = pa.table({"id_str": ["a", "b", "c"], "representation": column})
    record = {"hoag": "9.9", "model": "m" * 100, "seed": 3}
    write_table(table, tmp_path / f"t{suffix}", stamp=record)
    again = read_table(tmp_path / f"t{suffix}")
    assert again["representation"].to_pylist() == vectors.tolist()
    assert read_stamp(again) == record
    write_table(again, tmp_path / f"u{suffix}")
    assert read_stamp(read_table(tmp_path / f"u{suffix}")) == record


def test_every_table_is_stamped(tmp_path):
    write_table(catalogue(), tmp_path / "t.parquet")
    assert read_stamp(read_table(tmp_path / "t.parquet"))["hoag"]
    assert read_stamp(catalogue()) is None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.from_regex(r"[0-9]{1,20}", fullmatch=True), min_size=1, unique=True))
def test_digits_survive_csv_in_any_column(tmp_path_factory, ids):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_text("id_str,other\n" + "".join(f"{i},{i}\n" for i in ids))
    table = read_table(path)
    assert table["id_str"].to_pylist() == ids
    assert [str(value) for value in table["other"].to_pylist()] == ids


def test_csv_columns_get_the_types_they_show(tmp_path):
    (tmp_path / "t.csv").write_text(
        "id_str,n,x,flag,word,none\n1,1,1e3,true,a,\n2,-2,.5,false,nan,\n"
    )
    table = read_table(tmp_path / "t.csv")
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds == {
        "id_str": "string", "n": "int64", "x": "double", "flag": "bool", "word": "string",
        "none": "null",
    }  # fmt: skip
    assert table["x"].to_pylist() == [1000.0, 0.5]


@pytest.mark.parametrize("ids", [["1.50", "2"], ["true", "false"], ["1e5", "nan"], ["", "x"]])
def test_csv_ids_are_text_even_where_they_look_like_something_else(tmp_path, ids):
    (tmp_path / "t.csv").write_text("id_str,x\n" + "".join(f"{i},1\n" for i in ids))
    assert read_table(tmp_path / "t.csv")["id_str"].to_pylist() == [i or None for i in ids]


def test_csv_integers_too_long_for_a_float_are_not_rounded_among_decimals(tmp_path):
    (tmp_path / "t.csv").write_text("id_str,x\na,1237648720693755918\nb,1.5\n")
    values = read_table(tmp_path / "t.csv")["x"].to_pylist()
    assert values == ["1237648720693755918", "1.5"]


def test_integer_ids_become_text_digit_by_digit(tmp_path):
    pq.write_table(pa.table({"id_str": [1237648720693755918, 7]}), tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet")["id_str"].to_pylist() == ["1237648720693755918", "7"]
    pq.write_table(pa.table({"id_str": [1.2376487206937559e18]}), tmp_path / "f.parquet")
    with pytest.raises(HoagError, match="f.parquet: column 'id_str' is double"):
        read_table(tmp_path / "f.parquet")


def test_images_are_not_read_unless_asked_for(tmp_path):
    table = pa.table({"id_str": ["a"], "image": pa.array([{"bytes": b"x", "path": "a.jpg"}])})
    pq.write_table(table, tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").column_names == ["id_str"]
    assert "image" in read_table(tmp_path / "t.parquet", ["id_str", "image"]).column_names


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.csv", None, "gone.csv: no such file"),
        ("t.xlsx", b"x", "not '.xlsx'"),
        ("t.parquet", b"not parquet", "t.parquet: cannot be read as parquet"),
        ("t.fits", b"SIMPLE", "t.fits: cannot be read as fits"),
        ("t.vot", b"<a>", "t.vot: cannot be read as vot"),
        ("t.csv", b"", "t.csv: empty"),
        ("t.csv", b"a,b\n1\n", "t.csv: cannot be read as csv"),
        ("t.csv", b"a,a\n1,2\n", "two columns have one name"),
    ],
)
def test_files_that_are_no_tables_get_one_sentence(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(HoagError, match=message) as caught:
        read_table(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_an_unknown_column_is_refused_with_those_there_are(tmp_path):
    write_table(catalogue(), tmp_path / "t.csv")
    for path in ("t.csv",):
        with pytest.raises(HoagError, match="no column 'rings'; it has 'id_str', 'bar-gz2_yes'"):
            read_table(tmp_path / path, ["rings"])


def test_csv_refuses_lists(tmp_path):
    with pytest.raises(HoagError, match="CSV cannot hold column 'v'"):
        write_table(pa.table({"v": [[1, 2]]}), tmp_path / "t.csv")


# Votes


def test_votes_are_matched_by_name_in_any_order_and_type():
    table = pa.table(
        {
            "bar-gz2_no": pa.array([3.0, None, 0.0]),
            "id_str": ["a", "b", "c"],
            "bar-gz2_yes": pa.array([1, None, 2], pa.int8()),
            "disk-edge-on-gz2_yes": pa.nulls(3),
        }
    )
    votes = votes_from_table(table, GZ2)
    assert votes.dtype == np.int32 and votes.shape == (3, len(GZ2.columns))
    assert votes[:, GZ2.columns.index("bar-gz2_yes")].tolist() == [1, 0, 2]
    assert votes[:, GZ2.columns.index("bar-gz2_no")].tolist() == [3, 0, 0]
    assert votes.sum() == 6


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (-3.0, "-3 is negative"),
        (0.4, "0.4 is not a whole number"),
        (float("nan"), "NaN is not a count"),
        (float("inf"), "inf is not a count"),
        (2e6, "2000000 is more votes"),
    ],
)
def test_odd_votes_are_refused_by_file_column_row_and_id(value, word):
    table = pa.table({"id_str": ["a", "b", "c"], "bar-gz2_yes": pa.array([1.0, None, value])})
    with pytest.raises(HoagError) as caught:
        votes_from_table(table, GZ2, "votes.fits")
    assert str(caught.value).startswith("votes.fits: column 'bar-gz2_yes', row 2 (id c): " + word)


def test_negative_integers_and_text_are_refused():
    with pytest.raises(HoagError, match="row 1: -1 is negative"):
        votes_from_table(pa.table({"bar-gz2_yes": [4, -1]}), GZ2)
    with pytest.raises(HoagError, match="row 1.*'many' is string"):
        votes_from_table(pa.table({"bar-gz2_yes": [None, "many"]}), GZ2)
    with pytest.raises(HoagError, match="bool"):
        votes_from_table(pa.table({"bar-gz2_yes": [True]}), GZ2)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("bar-gz2_maybe", "bar-gz2"),
        ("bar-gz2_YES", "bar-gz2_yes"),
        ("Bar-gz2_yes", "bar-gz2_yes"),
        ("spiral-windng-gz2_tight", "spiral-winding-gz2_tight"),
        ("bar-gz2_yes_", "bar-gz2_yes"),
    ],
)
def test_columns_that_are_nearly_answers_are_refused(name, meant):
    with pytest.raises(HoagError, match=f"t: column '{name}' is no answer.*did you mean '{meant}"):
        votes_from_table(pa.table({name: [1]}), GZ2, "t")


def test_derived_and_foreign_columns_are_passed_over():
    names = [
        "bar-gz2_yes_fraction", "bar-gz2_total-votes", "bar-gz2_yes_count", "bar-dr5_no",
        "smooth-or-featured-dr8_smooth", "dr8_id", "iauname", "source-note", "swiped-ring_fraction",
    ]  # fmt: skip
    votes = votes_from_table(pa.table({name: [0.3] for name in names}), GZ2)
    assert votes.shape == (1, len(GZ2.columns)) and not votes.any()


@pytest.mark.parametrize("arrays", [False, True])
def test_predictions_are_no_votes(arrays):
    """All that `hoag predict` writes is passed over, whatever its numbers, and is no answer."""
    named = [field.name for field in Columns(GZ2, 0.9, 40, arrays).fields()]
    votes = votes_from_table(pa.table({name: [7] for name in named}), GZ2)
    assert not votes.any() and not any(may_be_answer(name) for name in named)
    assert all(may_be_predicted(name) for name in named)
    answers = load_schema("gz-evo").columns
    assert all(may_be_answer(name) and not may_be_predicted(name) for name in answers)

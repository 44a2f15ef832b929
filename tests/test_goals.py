import numpy as np
import pyarrow as pa
import pytest

import hoag
from hoag.catalogue import write_table
from hoag.errors import HoagError
from hoag.goals import is_known, read_goal
from hoag.writing import write_galaxies

from .made_galaxies import rows


@pytest.fixture(scope="module")
def galaxies(tmp_path_factory):
    path = tmp_path_factory.mktemp("goals") / "g.parquet"
    own = ({**row, "kind": "ab"[n % 2], "ra": n / 10, "dec": 0.0} for n, row in enumerate(rows()))
    write_galaxies(own, path)
    return hoag.open(path, schema="gz2")


def table(galaxies, **columns):
    return pa.table({"id_str": galaxies.ids, **columns})


def test_classes_are_sorted_names_in_the_order_of_the_galaxies(galaxies):
    mapping = {name: "spiral" if n % 3 else "disk" for n, name in enumerate(galaxies.ids)}
    del mapping[galaxies.ids[0]]
    goal, values = read_goal(mapping, galaxies)
    assert (goal.kind, goal.names, goal.columns) == ("classes", ("disk", "spiral"), ("label",))
    assert values.tolist() == [-1, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1]
    assert is_known(values, "classes").tolist() == [False] + [True] * 11


def test_yes_and_no_in_any_spelling_are_no_then_yes(galaxies):
    goal, values = read_goal(table(galaxies, ring=[1, 0] * 6), galaxies)
    assert (goal.names, goal.columns) == (("no", "yes"), ("ring",))
    assert values.tolist() == [1, 0] * 6


def test_the_one_column_that_may_be_meant_is_found(galaxies):
    labels = table(galaxies, ra=[1.0] * 12, dec=[2.0] * 12, group=["x"] * 12, bulge=["a", "b"] * 6)
    assert read_goal(labels, galaxies)[0].columns == ("bulge",)
    assert read_goal(None, galaxies)[0].columns == ("kind",)  # of the galaxies' own table


def test_several_that_may_be_meant_are_listed(galaxies):
    labels = table(galaxies, ring=[0, 1] * 6, bar=[0, 1] * 6)
    with pytest.raises(
        HoagError, match=r"which column holds the labels\? .*'ring', 'bar'.*--label"
    ):
        read_goal(labels, galaxies)


def test_several_columns_of_yes_and_no_are_labels(galaxies):
    labels = table(galaxies, ring=["yes", None, "n"] * 4, bar=[True, False, None, True] * 3)
    goal, values = read_goal(labels, galaxies, columns=["ring", "bar"])
    assert (goal.kind, goal.names) == ("labels", ("ring", "bar"))
    np.testing.assert_array_equal(values[:4], [[1, 1], [np.nan, 0], [0, np.nan], [1, 1]])


def test_one_label_may_be_read_as_labels_and_whole_numbers_as_numbers(galaxies):
    labels = table(galaxies, ring=[0, 1] * 6)
    assert read_goal(labels, galaxies, kind="labels")[1].shape == (12, 1)
    goal, values = read_goal(labels, galaxies, kind="numbers")
    assert goal.kind == "numbers" and values[:, 0].tolist() == [0, 1] * 6


def test_numbers_may_be_several(galaxies):
    mass = [float(n) + 0.5 for n in range(12)]
    goal, values = read_goal(
        table(galaxies, mass=mass, z=[0.1] * 11 + [None]), galaxies, columns=["mass", "z"]
    )
    assert goal.kind == "numbers" and values[:, 0].tolist() == mass
    assert np.isnan(values[11, 1]) and is_known(values, "numbers").all()


def test_votes_come_by_the_schemas_columns(galaxies):
    schema = hoag.load_schema("gz2")
    counts = table(galaxies, **{"bar-gz2_yes": list(range(12)), "bar-gz2_no": [0] * 12})
    goal, values = read_goal(counts, galaxies, schema=schema)
    assert goal.kind == "votes" and goal.columns == schema.columns
    assert values[:, schema.columns.index("bar-gz2_yes")].tolist() == list(range(12))
    assert is_known(values, "votes").tolist() == [False] + [True] * 11
    np.testing.assert_array_equal(read_goal(None, galaxies, schema=schema)[1], galaxies.votes)


def test_ids_are_found_by_key_whatever_their_type(galaxies, tmp_path):
    path = tmp_path / "labels.csv"
    write_table(pa.table({"name": galaxies.ids, "kind": ["a", "b"] * 6}), path)
    assert read_goal(path, galaxies, key="name")[1].tolist() == [0, 1] * 6


WRONG = [
    ({"nobody": "a", "else": "b"}, {}, "no id there is that of a galaxy \\(such as 'nobody'"),
    ({"0000": "a", "0001": "a"}, {}, "all of column 'label' is 'a'; two classes are needed"),
    ({"0000": "a", "0001": 2}, {}, "text \\('a'\\) and numbers \\(2\\) mixed"),
    ({"0000": "a"}, {"kind": "magic"}, "kind = 'magic' must be one of classes, labels, numbers"),
    ({"0000": "a"}, {"kind": "votes"}, "--kind votes --schema MY.toml"),
    ({"0000": "a", "0001": "b"}, {"kind": "numbers"}, "galaxy '0000' has 'a', which is no finite"),
    ({"0000": None}, {}, "no row has a label in column 'label'"),
]


@pytest.mark.parametrize(("labels", "options", "said"), WRONG)
def test_what_is_wrong_is_said(labels, options, said, galaxies):
    with pytest.raises(HoagError, match=said):
        read_goal(labels, galaxies, **options)


def test_what_is_wrong_with_a_table_is_said(galaxies):
    mixed = table(galaxies, ring=[0, 1] * 6, kind=["a", "b"] * 6)
    with pytest.raises(HoagError, match="yes or no each, or numbers each; 'kind' holds 'a', 'b'"):
        read_goal(mixed, galaxies, columns=["ring", "kind"])
    with pytest.raises(HoagError, match="classes stand in one column"):
        read_goal(mixed, galaxies, columns=["ring", "kind"], kind="classes")
    with pytest.raises(HoagError, match="is 'a'; labels that may be several at once are yes or no"):
        read_goal(mixed, galaxies, columns=["ring", "kind"], kind="labels")
    alike = table(galaxies, ring=["yes"] * 12, bar=[0, 1] * 6)
    with pytest.raises(HoagError, match="all of column 'ring' is alike; give some of yes and no"):
        read_goal(alike, galaxies, columns=["ring", "bar"])
    with pytest.raises(HoagError, match="no column 'size'"):
        read_goal(mixed, galaxies, columns=["size"])
    schema = hoag.load_schema("gz2")
    with pytest.raises(HoagError, match="there are no votes for gz2, whose columns are called"):
        read_goal(mixed, galaxies, schema=schema)
    twice = pa.table({"id_str": ["0000", "0000"], "bar-gz2_yes": [1, 2]})
    with pytest.raises(HoagError, match="id '0000' comes more than once; add up its votes"):
        read_goal(twice, galaxies, schema=schema)

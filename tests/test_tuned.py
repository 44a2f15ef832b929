import numpy as np
import pytest

import hoag
from hoag.catalogue import read_table
from hoag.errors import HoagError
from hoag.goal_heads import Goal
from hoag.objectives import make_objective
from hoag.recipe import load_recipe
from hoag.tuned import Tuned, predict_table, predict_table_to

from .conftest import TINY


def make(*names, kind="classes", column="kind"):
    columns = (column,) if kind == "classes" else names
    recipe = load_recipe("hoag/finetune").changed(TINY)
    schema = hoag.load_schema("gz-evo")
    objective = make_objective(recipe, schema, goal=Goal(kind, names, columns))
    return Tuned(objective, recipe, schema, device="cpu")


@pytest.fixture(scope="module")
def rings(simulated):
    return hoag.open(simulated / "rings.parquet")


def test_columns_of_the_galaxies_go_before_the_predictions(rings):
    table = predict_table(make("elliptical", "spiral"), rings, quiet=True)
    made = ["kind_predicted", "kind_elliptical", "kind_spiral"]
    assert table.column_names == [*rings.columns, *made]
    assert predict_table(make("a", "b"), rings, keep=["ring"]).column_names[:2] == [
        "id_str",
        "ring",
    ]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".fits", ".vot"])
def test_a_catalogue_in_parts_is_the_table(suffix, rings, tmp_path, monkeypatch):
    import hoag.prediction_parts as home

    monkeypatch.setattr(home, "PART", 50)
    model = make("early-type", "late-type")
    path = predict_table_to(tmp_path / f"out{suffix}", model, rings, keep=["ring"])
    back, whole = read_table(path), predict_table(model, rings, keep=["ring"], quiet=True)
    assert back.column_names == whole.column_names
    assert back["kind_predicted"].to_pylist() == whole["kind_predicted"].to_pylist()
    for name in ("kind_early-type", "kind_late-type"):
        np.testing.assert_allclose(back[name].to_numpy(), whole[name].to_numpy(), rtol=1e-5)


def test_parquet_says_what_each_column_is_and_where_it_is_from(rings, tmp_path):
    from hoag.catalogue import read_stamp

    model = make("mass", kind="numbers")
    table = read_table(predict_table_to(tmp_path / "out.parquet", model, rings, keep=[]))
    assert table.schema.field("mass_scatter").metadata[b"ucd"] == b"stat.stdev"
    assert read_stamp(table)["models"] == [model.head_hash]
    assert read_stamp(table)["goal"]["kind"] == "numbers"


def test_eight_symmetries_are_blind_to_orientation(rings):
    model = make("ring", kind="labels")
    few = rings.take([0, 1, 2])
    one, eight = (model.answer(few, symmetries=n, quiet=True) for n in (1, 8))
    assert one.shape == eight.shape == (3, 1) and not np.array_equal(one, eight)


def test_predictions_of_a_galaxy_depend_on_no_other(rings):
    model = make("a", "b")
    whole = model.answer(rings, quiet=True)
    np.testing.assert_allclose(model.answer(rings.take([7]), quiet=True)[0], whole[7], rtol=1e-5)


def test_what_is_wrong_is_said(rings, tmp_path):
    model = make("a", "b", column="kind")
    with pytest.raises(HoagError, match="there is no column 'rung' to keep"):
        predict_table(model, rings, keep=["rung"])
    with pytest.raises(HoagError, match="there are no galaxies to predict for"):
        predict_table(model, rings.take([]))
    votes = make("votes", kind="labels", column="ring_votes")
    assert "votes_probability" in predict_table(votes, rings, quiet=True).column_names
    clash = make("votes", column="ring")  # its ring_votes is a column of the galaxies
    with pytest.raises(HoagError, match="have a column 'ring_votes' already.*--keep"):
        predict_table(clash, rings)
    with pytest.raises(HoagError, match="out.txt"):
        predict_table_to(tmp_path / "out.txt", model, rings)

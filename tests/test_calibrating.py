"""hoag calibrate end to end: splits, temperatures kept, the page and its numbers, bad input."""

import json

import numpy as np
import pytest

import hoag
from hoag import HoagError
from hoag.calibrating import calibrate, open_held_out
from hoag.cli_predict import calibrate as verb
from hoag.training import train


@pytest.fixture(scope="module")
def run(tmp_path_factory, simulated):
    from hoag.recipe import load_recipe

    from .conftest import TINY

    recipe = load_recipe("paper/pretrained").changed(TINY)
    out = tmp_path_factory.mktemp("runs") / "run"
    return train(recipe, simulated / "pretraining.parquet", out, device="cpu")


def test_the_verb_writes_page_numbers_and_temperatures(run, simulated, tmp_path, capsys):
    where = str(simulated / "pretraining.parquet")
    verb(run, where, tmp_path, by=["campaign"], device="cpu")
    said = capsys.readouterr()
    assert "calibration.html" in said.out and "temperatures written" in said.err
    results = json.loads((tmp_path / "calibration.json").read_text())
    page = (tmp_path / "calibration.html").read_text()
    assert "<svg" in page and "most off" in page
    assert not any(outside in page for outside in ("<script", "<link", 'src="', "url(http"))
    galaxies = hoag.open(where)
    assert results["data"]["judged"] == len(galaxies.split("test"))
    assert results["data"]["trained_on_their_train_split"] is True
    assert {group["by"] for group in results["groups"]} >= {"question", "campaign", "survey"}
    loaded = hoag.load(run, device="cpu")
    assert loaded.temperatures.by_question == results["temperatures"]
    # Temperatures alone are fitted on what is not judged, and they make the judged more likely.
    assert results["all"]["after"]["pairs"] == results["all"]["before"]["pairs"] > 0
    raw, cooled = (loaded.predict(galaxies, calibrated=c, quiet=True) for c in (False, True))
    each = loaded.temperatures.of(loaded.schema)[loaded.schema.question_index]
    np.testing.assert_allclose(cooled, raw / each, rtol=1e-5)


def test_looking_alone_leaves_the_model_as_it_was(run, simulated, tmp_path):
    import shutil

    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (copy / "best" / "temperatures.json").unlink(missing_ok=True)
    before = {p.name: p.read_bytes() for p in (copy / "best").iterdir()}
    model = hoag.load(copy, device="cpu")
    galaxies = open_held_out(simulated / "pretraining.parquet", model.schema)
    one = calibrate(model, galaxies, store=False)
    assert {p.name: p.read_bytes() for p in (copy / "best").iterdir()} == before
    two = calibrate(hoag.load(copy, device="cpu"), galaxies)  # the stamp has the time
    assert one["all"] == two["all"] and one["temperatures"] == two["temperatures"]
    now = {p.name: p.read_bytes() for p in (copy / "best").iterdir()}
    assert set(now) == {*before, "temperatures.json"}
    assert all(now[name] == content for name, content in before.items())


def test_some_galaxies_of_a_folder_with_roles_are_judged_as_part_of_all(run, simulated):
    model = hoag.load(run, device="cpu")
    galaxies = open_held_out(simulated, model.schema)
    assert len(galaxies) == 240
    results = calibrate(model, galaxies, where="survey == 'decals'", store=False)
    assert {group["name"] for group in results["groups"] if group["by"] == "survey"} == {"decals"}
    whole = hoag.open(simulated / "pretraining.parquet")
    of_all = calibrate(model, whole, where="survey == 'decals'", store=False)
    assert of_all["data"]["trained_on_their_train_split"] is True
    assert of_all["data"]["judged"] < len(whole.split("test"))


def test_what_cannot_be_judged_is_said(run, simulated):
    model = hoag.load(run, device="cpu")
    with pytest.raises(HoagError, match="no column 'redshift'"):
        calibrate(model, hoag.open(simulated / "pretraining.parquet"), by=["redshift"])
    with pytest.raises(HoagError, match="has votes and lies in the val split"):
        calibrate(model, hoag.open(simulated / "unlabelled.parquet"))
    with pytest.raises(HoagError, match="--where: 'survey sdss' is not understood"):
        calibrate(model, hoag.open(simulated / "pretraining.parquet"), where="survey sdss")

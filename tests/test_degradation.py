"""The same pictures degraded: what changes is measured right, and the page is made of real runs."""

import json

import numpy as np
import pyarrow as pa
import pytest

import hoag
from hoag import HoagError
from hoag.catalogue import read_table, write_table
from hoag.cli_predict import surveys as verb
from hoag.degradation import fields_of, through_worse_telescopes
from hoag.surveying import compare_surveys
from hoag.telescopes import known_telescopes
from hoag.training import train
from hoag.view_changes import Seen, compare_views, neighbours_kept, question_shifts, see

from .conftest import TINY

OWN = """
[telescopes.poor]
title = "a poor telescope"
pixel = 2.0
seeing = 6.0
noise = 0.05
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a run, and with galaxies."""
    from hoag.recipe import load_recipe

    folder = tmp_path_factory.mktemp("degraded")
    sim = hoag.simulate(folder / "sim", galaxies=500, rings=1, seed=5, size=32, workers=1)
    table = sim / "pretraining.parquet"
    train(load_recipe("paper/pretrained").changed(TINY), table, folder / "run", device="cpu")
    both = [table, sim / "unlabelled.parquet"]
    parts = [read_table(path, [*read_table(path).column_names, "image"]) for path in both]
    whole = pa.concat_tables(parts, promote_options="default")
    # Called by two surveys' names, whatever they are, so that there are enough of each.
    names = np.where(np.arange(len(whole)) % 3, "decals", "sdss")
    whole = whole.set_column(whole.column_names.index("survey"), "survey", [names.tolist()])
    write_table(whole, folder / "ground.parquet")
    (folder / "mine.toml").write_text(OWN)
    return folder


@pytest.fixture(scope="module")
def model(made):
    return hoag.load(made / "run", device="cpu")


@pytest.fixture(scope="module")
def ground(made):
    return hoag.open(made / "ground.parquet")


def test_neighbours_kept_of_rotated_and_of_unrelated_representations():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(600, 8)).astype(np.float32)
    turned = (vectors @ np.linalg.qr(rng.normal(size=(8, 8)))[0]).astype(np.float32) + 3
    assert neighbours_kept(vectors, turned, 10) > 0.995
    chance = neighbours_kept(vectors, rng.permutation(vectors), 10)
    assert chance == pytest.approx(10 / 599, abs=0.01)


def test_nothing_changed_is_said_of_the_same_and_a_common_shift_of_a_moved_one(model, ground):
    seen = see(model, ground.pixels(np.arange(len(ground)), model.recipe.images.stored))
    same = compare_views(model, ground, seen, seen, seen)
    assert (same["shift"], same["common"], same["mirrored"], same["kept"]) == (0, 0, 0, 1)
    assert same["calibration"]["before"] == same["calibration"]["after"]
    assert all(row["rms"] == 0 for row in same["questions"])
    moved = Seen(seen.vectors + 2, seen.concentrations)
    found = compare_views(model, ground, seen, moved, seen)
    assert found["common"] == pytest.approx(1) and found["kept"] > 0.99
    # Two different galaxies are sqrt(2) standard deviations apart, in all features together.
    spread = np.sqrt(2 * seen.vectors.var(axis=0).sum())
    assert found["shift"] == pytest.approx(2 * seen.vectors.shape[1] ** 0.5 / spread, rel=1e-4)


def test_shifts_of_fractions_are_those_put_in(model, ground):
    schema = model.schema
    first = next(q for q in schema.questions if q.campaign == ground.campaign[0])
    one = ground.where(ground.campaign == ground.campaign[0])
    before = np.ones((len(one), len(schema.columns)), np.float32)
    after = before.copy()
    after[:, first.start] = 3  # thirds become three fifths and one fifth each
    vectors = np.zeros((len(one), 2), np.float32)
    rows = question_shifts(model, one, Seen(vectors, before), Seen(vectors, after))
    assert {row["question"] for row in rows} == {
        q.name for q in schema.questions if q.campaign == first.campaign
    }
    assert rows[0]["asked"] == 1 and len(first.answers) == 3
    shifts = [answer["shift"] for answer in rows[0]["answers"]]
    np.testing.assert_allclose(shifts, [3 / 5 - 1 / 3, 1 / 5 - 1 / 3, 1 / 5 - 1 / 3], atol=1e-6)
    assert rows[0]["rms"] == pytest.approx(np.sqrt(np.mean(np.square(shifts))), rel=1e-6)


def test_the_page_shows_what_degrading_did(made, capsys):
    verb(made / "run", str(made / "ground.parquet"), made / "out", redrawn=0, degrade_to=["SDSS",
         "poor"], telescopes=made / "mine.toml", field="50", device="cpu")  # fmt: skip
    told = capsys.readouterr().out
    results = json.loads((made / "out" / "surveys.json").read_text())
    pairs = [(each["from"], each["to"]) for each in results["degraded"]]
    assert sorted(pairs) == [("decals", "poor"), ("decals", "sdss"), ("sdss", "poor")]
    assert "seen as by a poor telescope: representations move" in told
    for each in results["degraded"]:
        assert each["shift"] > 0 and 0 <= each["kept"] <= 1 and each["calibration"]
        assert "pictures" not in each
        assert (each["told_apart"] is not None) == (each["to"] == "sdss")
    known = {each["to"]: each["noise"] for each in results["degraded"]}
    assert known["poor"] == 0.05 and 0 < known["sdss"] < 0.3
    shift = {pair: each["shift"] for pair, each in zip(pairs, results["degraded"], strict=True)}
    assert shift["decals", "poor"] > shift["decals", "sdss"]  # more is lost, more changes
    page = (made / "out" / "surveys.html").read_text()
    assert "DECaLS seen as by SDSS" in page and page.count("data:image/jpeg") == 2 * 6 * 3
    again = compare_surveys(
        hoag.load(made / "run", device="cpu"), hoag.open(made / "ground.parquet"), redrawn=0,
        degrade_to=["poor"], telescopes=made / "mine.toml", field=50.0,
    )  # fmt: skip
    assert again["degraded"][0] == next(e for e in results["degraded"] if e["to"] == "poor")


def test_galaxies_of_one_survey_can_be_degraded_too(made, model, ground):
    table = read_table(made / "ground.parquet", ["id_str", "image"])
    write_table(table, made / "bare.parquet")
    bare = hoag.open(made / "bare.parquet", schema=model.schema)
    results = compare_surveys(
        model, bare, made / "bare", telescope="HST", degrade_to=["DECaLS"], field=8.0
    )
    assert results["probe"] is None and results["calibration"] is None
    assert results["degraded"][0]["calibration"] is None
    learned = model.record["trained_on"]["campaigns"]
    assert {row["question"] for row in results["degraded"][0]["questions"]} == {
        q.name for q in model.schema.questions if q.campaign in learned
    }
    assert "Can the survey be read" not in (made / "bare" / "surveys.html").read_text()
    with pytest.raises(HoagError, match="no column 'survey'"):
        compare_surveys(model, bare, degrade_to=["DECaLS"])


def test_what_cannot_be_degraded_is_said(model, ground):
    names = ground.table["survey"].to_pylist()

    def through(*targets, field=50.0, surveys=names):
        return through_worse_telescopes(model, ground, surveys, targets, known, field=field)

    known = known_telescopes()
    with pytest.raises(HoagError, match="DECaLS 1.18: a picture can be made worse, never sharper"):
        through("decals", surveys=["sdss"] * len(ground))
    with pytest.raises(HoagError, match="'sds' is none of .*did you mean 'sdss'"):
        through("sds")
    with pytest.raises(HoagError, match="all galaxies here are of the telescope to degrade to"):
        through("sdss", surveys=["sdss"] * len(ground))
    with pytest.raises(HoagError, match="galaxies of 'moon' are not degraded, as that telescope"):
        through("sdss", surveys=["moon"] * len(ground))
    with pytest.raises(HoagError, match="no column 'cutout_arcsec'.*give --field"):
        through("sdss", field=None)
    with pytest.raises(HoagError, match="no column 'side'"):
        fields_of(ground, "side")
    with pytest.raises(HoagError, match="column 'survey': sides of pictures are numbers"):
        fields_of(ground, "survey")
    with pytest.raises(HoagError, match="galaxy '.*' has -1 arcsec"):
        fields_of(ground, -1.0)

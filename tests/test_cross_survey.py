"""The telescope in a representation: found where it is, and only there; galaxies redrawn."""

import json

import numpy as np
import pytest

import hoag
from hoag import HoagError
from hoag.cli_predict import surveys as verb
from hoag.cross_survey import mix_of_neighbours, probe_surveys
from hoag.hashes import hashes_of
from hoag.simulator import draw
from hoag.simulator.redraw import is_simulated, redraw
from hoag.surveying import compare_surveys
from hoag.training import train

N = 900
GROUPS = hashes_of(f"g{n}" for n in range(N))
SURVEYS = [("sdss", "decals", "hst")[n % 3] for n in range(N)]


def test_a_survey_that_is_not_there_is_not_found():
    vectors = np.random.default_rng(0).normal(size=(N, 8))
    found = probe_surveys(vectors, SURVEYS, GROUPS)
    assert found["chance"] == pytest.approx(1 / 3)
    assert abs(found["accuracy"] - 1 / 3) < 4 * found["error"]
    mix = mix_of_neighbours(vectors, SURVEYS)
    np.testing.assert_allclose(mix["shares"], 1 / 3, atol=0.06)
    np.testing.assert_allclose(np.sum(mix["shares"], axis=1), 1)


def test_a_survey_that_is_there_is_found():
    vectors = np.random.default_rng(0).normal(size=(N, 8))
    vectors[np.arange(N), np.arange(N) % 3] += 8
    found = probe_surveys(vectors, SURVEYS, GROUPS)
    assert found["accuracy"] > 0.99 and found["surveys"] == ["decals", "hst", "sdss"]
    np.testing.assert_allclose(found["confusion"], np.eye(3), atol=0.03)
    shares = np.array(mix_of_neighbours(vectors, SURVEYS, k=5)["shares"])
    assert (np.diag(shares) > 0.99).all()


def test_unequal_surveys_have_an_equal_chance():
    vectors = np.random.default_rng(1).normal(size=(N, 4))
    names = ["a"] * 840 + ["b"] * 60
    assert probe_surveys(vectors, names, GROUPS)["galaxies"] == 120
    assert mix_of_neighbours(vectors, names)["even"] == 0.5


def test_too_few_are_said():
    with pytest.raises(HoagError, match="two or more with 20 galaxies each; there are a 900"):
        probe_surveys(np.zeros((N, 2)), ["a"] * N, GROUPS)


def test_a_galaxy_is_drawn_again_as_it_was():
    from io import BytesIO

    from PIL import Image

    galaxy = draw(4, seed=3, size=48)
    with Image.open(BytesIO(galaxy.encoded())) as stored:
        np.testing.assert_array_equal(redraw(galaxy.id_str, size=48), np.asarray(stored))
    np.testing.assert_array_equal(
        redraw(galaxy.id_str, galaxy.survey, size=48), redraw(galaxy.id_str, size=48)
    )


def test_another_telescope_changes_more_than_another_exposure():
    galaxy = next(g for n in range(60) if (g := draw(n, size=64)).survey == "hst-hubble")
    first, again, ground = (
        redraw(galaxy.id_str, survey, size=64, noise=noise).astype(float)
        for survey, noise in ((None, 0), (None, 1), ("sdss", 0))
    )
    assert 0 < np.abs(again - first).mean() < np.abs(ground - first).mean()


def test_only_simulated_galaxies_can_be_drawn_again():
    assert is_simulated("sim2-0-r0000007") and not is_simulated("1237648720693755918")
    with pytest.raises(HoagError, match="no id of a simulated galaxy"):
        redraw("J000000")
    with pytest.raises(HoagError, match="'sds' is none of sdss.*did you mean"):
        redraw("sim2-0-0000007", "sds")


def test_the_page_is_made_of_held_out_galaxies(tmp_path, capsys):
    from hoag.recipe import load_recipe

    from .conftest import TINY

    folder = hoag.simulate(tmp_path / "sim", galaxies=1500, rings=1, seed=0, size=24, workers=1)
    table = folder / "pretraining.parquet"
    run = train(load_recipe("paper/pretrained").changed(TINY), table, tmp_path / "run",
                device="cpu")  # fmt: skip
    ground = tmp_path / "ground.parquet"
    from hoag.catalogue import read_table, write_table

    whole = read_table(table, [*read_table(table).column_names, "image"])
    names = np.array(whole["survey"].to_pylist())
    write_table(whole.filter(np.isin(names, ["sdss", "decals"])), ground)
    verb(run, str(ground), tmp_path / "out", redrawn=3, device="cpu")
    assert "surveys.html" in capsys.readouterr().out
    results = json.loads((tmp_path / "out" / "surveys.json").read_text())
    assert results["data"]["galaxies"] == len(hoag.open(ground).split("test"))
    assert results["telescopes"]["from"] == ["decals", "sdss"]
    assert np.shape(results["telescopes"]["rms"]) == (2, 5)
    assert [row["name"] for row in results["calibration"]] == ["decals", "sdss"]
    model, one = hoag.load(run, device="cpu"), names == "sdss"
    with pytest.raises(HoagError, match="names 1 survey.s. in the test split"):
        compare_surveys(model, hoag.open(table).where(one))
    with pytest.raises(HoagError, match="no column 'telescope'"):
        compare_surveys(model, hoag.open(table), column="telescope")

"""hoag predict: columns against closed forms, every format, stopping and going on, bad input."""

import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io.votable.ucd import check_ucd
from scipy import stats

import hoag
from hoag import HoagError, predicting, prediction_parts
from hoag.catalogue import read_stamp, read_table, write_table
from hoag.cli_predict import predict as verb
from hoag.column_labels import labels_of
from hoag.predicting import predict, predict_to
from hoag.prediction_choices import own_campaigns
from hoag.temperatures import Temperatures, write_temperatures
from hoag.training import train

GZ2 = hoag.load_schema("gz2")


@pytest.fixture(scope="module")
def runs(tmp_path_factory, simulated):
    """Two small runs that predict votes."""
    from hoag.recipe import load_recipe

    from .conftest import TINY

    folder, recipe = tmp_path_factory.mktemp("runs"), load_recipe("paper/pretrained").changed(TINY)
    made = []
    for seed in (0, 1):
        galaxies = hoag.open(simulated / "pretraining.parquet")
        made.append(
            train(recipe.changed({"seed": seed}), galaxies, folder / f"run{seed}", device="cpu")
        )
    return made


@pytest.fixture
def models(runs):
    return [hoag.load(run, device="cpu") for run in runs]


@pytest.fixture(scope="module")
def voted(simulated):
    return hoag.open(simulated / "pretraining.parquet")


def test_columns_are_the_posteriors(models, voted):
    some = voted.take(np.arange(9))
    table = predict(models[0], some, campaign="gz2", volunteers=25, level=0.8)
    alpha = models[0].predict(some, quiet=True).astype(np.float64)
    schema = models[0].schema
    assert table["id_str"].to_pylist() == some.ids
    for question in GZ2.questions:
        place = schema.columns.index(question.columns[0])
        own = alpha[:, place : place + len(question.answers)]
        whole = own.sum(1)
        share = own / whole[:, None]
        np.testing.assert_allclose(
            table[f"{question.name}_entropy"], stats.entropy(share, base=2, axis=1), rtol=1e-5
        )
        for n, column in enumerate(question.columns):
            this, rest = own[:, n], whole - own[:, n]
            belief, votes = stats.beta(this, rest), stats.betabinom(25, this, rest)
            np.testing.assert_allclose(table[f"{column}_fraction"], share[:, n], rtol=1e-5)
            np.testing.assert_allclose(table[f"{column}_fraction_low"], belief.ppf(0.1), rtol=1e-5)
            np.testing.assert_allclose(table[f"{column}_fraction_high"], belief.ppf(0.9), rtol=1e-5)
            np.testing.assert_array_equal(table[f"{column}_votes_low"], votes.ppf(0.1))
            np.testing.assert_array_equal(table[f"{column}_votes_high"], votes.ppf(0.9))
    featured = np.array(table["smooth-or-featured-gz2_featured-or-disk_fraction"])
    np.testing.assert_allclose(table["disk-edge-on-gz2_asked"], featured, rtol=1e-6)


def test_every_column_is_labelled(models, voted):
    table = predict(models[0], voted.take([0, 1]), campaign="gz2")
    for field in list(table.schema)[len(voted.select(["id_str"]).schema) :]:
        labels = labels_of(field)
        if "gz2" in field.name:
            assert labels["description"] and len(labels["description"]) < 100
            assert check_ucd(labels["ucd"], check_controlled_vocabulary=True)
    assert labels_of(table.schema.field("bar-gz2_entropy"))["unit"] == "bit"


def test_own_campaign_is_the_one_that_asked(models, voted):
    table = predict(models[0], voted, volunteers="own")
    own = voted.campaign
    assert set(own) > {"gz2", "dr5"}
    for campaign, column in (("gz2", "smooth-or-featured-gz2"), ("dr5", "merging-dr5")):
        given = np.array(table[f"{column}_asked"].is_valid())
        np.testing.assert_array_equal(given, own == campaign)
    # Where a galaxy was not asked there is no number of volunteers, but there is a belief.
    place = voted.schema.columns.index("bar-gz2_yes")
    asked = voted.votes[:, place : place + 2].sum(1) > 0
    np.testing.assert_array_equal(np.array(table["bar-gz2_yes_votes_low"].is_valid()), asked)
    high = table["bar-gz2_yes_votes_high"].to_numpy()
    assert (high[asked] <= voted.votes[asked, place : place + 2].sum(1)).all()


def test_a_column_says_the_campaign_where_there_are_no_votes(models, voted, simulated):
    silent = voted.without_votes()
    named = np.array(voted.select(["campaign"])["campaign"].to_pylist())
    np.testing.assert_array_equal(own_campaigns(silent), named)
    unlabelled = hoag.open(simulated / "unlabelled.parquet")
    with pytest.raises(HoagError, match="in no campaign .* --campaign all, or one of dr12"):
        predict(models[0], unlabelled)
    assert predict(models[0], unlabelled.take([0]), campaign="dr5").num_rows == 1


def test_several_models_are_mixed_and_temperatures_applied(models, voted):
    some = voted.take(np.arange(6))
    each = [predict(model, some, campaign="gz2") for model in models]
    both = predict(models, some, campaign="gz2")
    name = "bar-gz2_yes_fraction"
    np.testing.assert_allclose(both[name], np.mean([t[name] for t in each], axis=0), rtol=1e-5)
    for end in ("low", "high"):
        ends = [np.array(t[f"{name}_{end}"]) for t in each]
        mixed = np.array(both[f"{name}_{end}"])
        assert (mixed >= np.min(ends, axis=0) - 1e-6).all()
        assert (mixed <= np.max(ends, axis=0) + 1e-6).all()
    models[0].temperatures = Temperatures({"bar-gz2": 6.0}, {})
    wider = predict(models[0], some, campaign="gz2")
    np.testing.assert_allclose(wider[name], each[0][name], rtol=1e-5)
    assert (np.array(wider[f"{name}_low"]) < np.array(each[0][f"{name}_low"])).all()
    assert wider["disk-edge-on-gz2_yes_fraction_low"].equals(
        each[0]["disk-edge-on-gz2_yes_fraction_low"]
    )


def test_eight_symmetries_are_blind_to_orientation(models, voted):
    alpha = models[0].predict(voted.take(np.arange(4)), symmetries=8, quiet=True)
    assert alpha.shape == (4, 206) and (alpha > 1).all()
    assert not np.allclose(alpha, models[0].predict(voted.take(np.arange(4)), quiet=True))


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".fits", ".vot"])
def test_every_format_holds_the_same(models, voted, tmp_path, suffix, capsys):
    some = voted.take(np.arange(7))
    path = predict_to(tmp_path / f"p{suffix}", models[0], some, campaign="gz2")
    assert not path.with_name(path.name + ".parts").exists()
    written, table = read_table(path), predict(models[0], some, campaign="gz2")
    assert written.column_names == table.column_names
    for name in table.column_names:
        if table[name].type in ("float", "int32"):
            np.testing.assert_allclose(written[name], table[name], rtol=2e-6, err_msg=name)
    if suffix != ".csv":
        assert read_stamp(written)["models"] == [models[0].votes_hash]
    assert "has no temperatures" in capsys.readouterr().err


def test_all_campaigns_fit_into_fits_as_arrays(models, voted, tmp_path):
    some = voted.take(np.arange(5))
    path = predict_to(tmp_path / "all.fits", models[0], some, campaign="all")
    written, table = read_table(path), predict(models[0], some, campaign="all")
    assert len(written.column_names) < 999 < len(table.column_names)
    for question in models[0].schema.questions:
        lists = np.array(written[f"{question.name}_fraction_high"].to_pylist())
        for n, column in enumerate(question.columns):
            np.testing.assert_allclose(lists[:, n], table[f"{column}_fraction_high"], rtol=1e-6)
    about = labels_of(written.schema.field("bar-gz2_fraction"))["description"]
    assert about == "expected vote fraction of yes, no"


def test_own_campaigns_as_arrays_are_null_elsewhere(models, voted, tmp_path):
    path = predict_to(tmp_path / "own.fits", models[0], voted)
    written = read_table(path)
    gz2 = voted.campaign == "gz2"
    np.testing.assert_array_equal(np.array(written["bar-gz2_votes_low"].is_valid()), gz2)
    np.testing.assert_array_equal(np.array(written["bar-gz2_fraction"].is_valid()), gz2)


# Each format in a process of its own, killed in the middle; torch is imported but once.
KILLED = """
import os, sys
from pathlib import Path
from hoag import loading, prediction_parts, predicting
from hoag.cli_predict import predict
prediction_parts.PART = 8
whole = predicting.Prediction.part
def part(self, start, stop):
    if start >= 16:
        os.kill(os.getpid(), 9)
    return whole(self, start, stop)
predicting.Prediction.part = part
for suffix in sys.argv[3:]:
    child = os.fork()
    if child == 0:
        out = Path(sys.argv[2]).with_name("killed" + suffix)
        predict(Path(sys.argv[1]), sys.argv[2], out, campaign="gz2", device="cpu")
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == 9
"""


def test_a_killed_prediction_goes_on_to_the_same_bytes(
    runs, simulated, tmp_path, monkeypatch, capsys
):
    suffixes = [".parquet", ".csv", ".fits", ".vot"]
    galaxies = str(tmp_path / "galaxies.parquet")
    write_table(pq.read_table(simulated / "pretraining.parquet").slice(0, 30), galaxies)
    command = [sys.executable, "-c", KILLED, str(runs[0]), galaxies, *suffixes]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    monkeypatch.setattr(prediction_parts, "PART", 8)
    for suffix in suffixes:
        out, whole = (tmp_path / f"{name}{suffix}" for name in ("killed", "whole"))
        assert len(list((tmp_path / f"killed{suffix}.parts").glob("part-*"))) == 2
        assert not out.exists()
        verb(runs[0], galaxies, out, campaign="gz2", device="cpu")
        assert "2 of 4 parts left" in capsys.readouterr().err
        verb(runs[0], galaxies, whole, campaign="gz2", device="cpu")
        assert out.read_bytes() == whole.read_bytes()


def test_parts_of_another_prediction_are_not_mixed_in(models, voted, tmp_path, monkeypatch):
    out = tmp_path / "p.parquet"
    whole = predicting.Prediction.part
    monkeypatch.setattr(prediction_parts, "PART", 40)
    monkeypatch.setattr(
        predicting.Prediction, "part", lambda job, a, b: 1 / 0 if a else whole(job, a, b)
    )
    with pytest.raises(ZeroDivisionError):
        predict_to(out, models[0], voted, volunteers=40, campaign="gz2")
    with pytest.raises(HoagError, match="another prediction .its volunteers is 40, now 30.*delete"):
        predict_to(out, models[0], voted, volunteers=30, campaign="gz2")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"campaign": "gz3"}, "'gz3' is none of own, all, dr12.*did you mean"),
        ({"volunteers": 0}, "volunteers = 0 must be a whole number"),
        ({"volunteers": "many"}, "volunteers = 'many'"),
        ({"volunteers": 2.5}, "volunteers = 2.5"),
        ({"symmetries": 4}, "symmetries = 4 must be 1 or 8"),
        ({"level": 90}, "level = 90 is not between 0 and 1"),
        ({"keep": ["rα"]}, "no column 'rα' to keep"),
    ],
)
def test_odd_options_are_said_in_a_sentence(models, voted, options, words):
    with pytest.raises(HoagError, match=words):
        predict(models[0], voted, **options)


def test_what_cannot_be_predicted_is_said(models, voted, tmp_path, simulated, tiny):
    with pytest.raises(HoagError, match="no galaxies to predict for"):
        predict(models[0], voted.take([]))
    other = hoag.open(simulated / "pretraining.parquet", schema="gz2")
    with pytest.raises(HoagError, match="opened with schema gz2, and the model answers gz-evo"):
        predict(models[0], other)
    with pytest.raises(HoagError, match="catalogues are written as"):
        predict_to(tmp_path / "p.txt", models[0], voted)
    contrastive = hoag.loading.random_model(tiny("contrastive"), voted.schema, device="cpu")
    contrastive.objective.vote_head = None
    with pytest.raises(HoagError, match="no vote head"):
        predict(contrastive, voted)
    with pytest.raises(HoagError, match="give a model"):
        predict([], voted)


def test_a_column_the_format_cannot_hold_is_met_before_the_work(
    models, simulated, tmp_path, monkeypatch
):
    table = pq.read_table(simulated / "pretraining.parquet").slice(0, 8)
    table = table.append_column("names", [["Ω Cen"] * 8])
    write_table(table, tmp_path / "named.parquet")
    galaxies = hoag.open(tmp_path / "named.parquet")
    monkeypatch.setattr(predicting.Prediction, "part", lambda *_: 1 / 0)
    with pytest.raises(HoagError, match="column 'names', row 0: FITS holds ASCII text only"):
        predict_to(tmp_path / "p.fits", models[0], galaxies, campaign="gz2")


def test_a_prediction_is_not_predicted_twice_into_one_table(models, simulated, tmp_path):
    table = pq.read_table(simulated / "pretraining.parquet").slice(0, 4)
    table = table.append_column("bar-gz2_yes_fraction", [[0.5] * 4])
    write_table(table, tmp_path / "again.parquet")
    galaxies = hoag.open(tmp_path / "again.parquet")
    with pytest.raises(HoagError, match="'bar-gz2_yes_fraction' already.*--keep"):
        predict(models[0], galaxies, campaign="gz2")
    assert predict(models[0], galaxies, campaign="gz2", keep=["survey"]).column_names[:2] == [
        "id_str", "survey",
    ]  # fmt: skip


def test_temperatures_of_other_weights_are_refused(runs, models, tmp_path):
    import shutil

    run = tmp_path / "run"
    shutil.copytree(runs[1], run)
    write_temperatures(run / "best", Temperatures({"bar-gz2": 2.0}, {"weights": "other"}))
    with pytest.raises(HoagError, match="was fitted to weights other"):
        hoag.load(run, device="cpu")
    about = {"weights": models[1].votes_hash}
    write_temperatures(run / "best", Temperatures({"bar-gz2": 2.0}, about))
    assert hoag.load(run, device="cpu").temperatures.by_question == {"bar-gz2": 2.0}


def test_a_prediction_that_fails_at_once_leaves_nothing(models, voted, tmp_path, monkeypatch):
    monkeypatch.setattr(predicting.Prediction, "part", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        predict_to(tmp_path / "p.vot", models[0], voted, campaign="gz2")
    assert not list(tmp_path.iterdir())

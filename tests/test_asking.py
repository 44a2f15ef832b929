"""hoag.predict and hoag.calibrate: opened or by name, in memory or on disk, they are the same."""

import numpy as np
import pytest

import hoag
from hoag.asking import Calibration
from hoag.catalogue import read_table
from hoag.predicting import predict as predict_votes

from .conftest import TINY


@pytest.fixture(scope="module")
def run(tmp_path_factory, simulated):
    from hoag.recipe import load_recipe

    recipe = load_recipe("paper/pretrained").changed(TINY)
    out = tmp_path_factory.mktemp("runs") / "run"
    return hoag.train(recipe, simulated / "pretraining.parquet", out, device="cpu")


def test_by_name_or_opened_in_memory_or_on_disk_it_is_one_prediction(run, simulated, tmp_path):
    place = simulated / "pretraining.parquet"
    model, galaxies = hoag.load(run, device="cpu"), hoag.open(place)
    table = hoag.predict(model, galaxies, campaign="gz2")
    assert table.equals(predict_votes(model, galaxies, campaign="gz2"))
    assert table.equals(hoag.predict(run, str(place), campaign="gz2", device="cpu"))
    out = hoag.predict(model, galaxies, tmp_path / "votes.parquet", campaign="gz2")
    assert read_table(out).to_pydict() == table.to_pydict()
    mixed = hoag.predict([run, model], galaxies, campaign="gz2", device="cpu")
    for name in (n for n in table.column_names if n.endswith("_fraction")):
        np.testing.assert_allclose(mixed[name], table[name], rtol=1e-5)


def test_a_finetuned_model_predicts_what_it_has_learned(run, simulated, tmp_path):
    rings = hoag.open(simulated / "rings.parquet")
    changes = ["training.steps=2", "training.validate_every=1", "training.precision=32-true"]
    tuned = hoag.finetune(
        run, rings, out=tmp_path / "tuned", label="ring", overrides=changes, device="cpu"
    )
    table = hoag.predict(tuned, rings, keep=[])
    assert table.to_pydict() == tuned.predict(rings, quiet=True).to_pydict()
    out = hoag.predict(tuned, rings, tmp_path / "rings.csv", keep=[])
    assert read_table(out, text=("id_str",)).column_names == table.column_names
    with pytest.raises(hoag.HoagError, match="only models of votes are mixed"):
        hoag.predict([tuned, run], rings, device="cpu")
    with pytest.raises(hoag.HoagError, match="give a model"):
        hoag.predict([], rings)


def test_a_calibration_says_what_was_found(run, simulated):
    model = hoag.load(run, device="cpu")
    found = hoag.calibrate(model, simulated, store=False)
    again = hoag.calibrate(run, hoag.open(simulated / "pretraining.parquet"), store=False)
    assert isinstance(found, Calibration) and found["all"] == again["all"]
    assert model.temperatures is not None  # predictions are calibrated from now on
    lines = repr(found).splitlines()
    assert lines[1].startswith("all") and "->" in lines[1]
    assert len(found.plot().axes) > 1

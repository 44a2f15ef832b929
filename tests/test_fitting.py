"""The training loop: resuming is exact, stopping is kind, trouble is named."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

import hoag
from hoag.errors import HoagError
from hoag.files import read_json
from hoag.fitting import fit
from hoag.objectives import Contrastive

from .conftest import TINY

ARMS = ["direct", "pretrained", "contrastive", "hybrid"]


def run(recipe, galaxies, out, **options):
    train, validation = galaxies.split("train"), galaxies.split("val")
    if recipe.arm == "pretrained":
        train, validation = train.where(train.labelled), validation.where(validation.labelled)
    if recipe.arm == "direct":
        for name, part in (("train_labels", train), ("validation_labels", validation)):
            options[name] = (part.keys % np.uint64(2)).astype(np.int64)
        options["classes"] = ["even", "odd"]
    return fit(recipe, train, validation, out, device="cpu", quiet=True, **options)


def files_of(run):
    names = ("last/model.safetensors", "last/training.safetensors", "best/model.safetensors")
    return {name: (run / name).read_bytes() for name in names}


def metrics_of(run):
    timing = ("seconds", "galaxies_per_second", "wait_share")
    with (run / "metrics.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in timing} for row in csv.DictReader(file)]


@pytest.mark.parametrize("arm", ARMS)
def test_a_run_leaves_all_that_it_should(arm, galaxies, tiny, tmp_path):
    out = run(tiny(arm), galaxies, tmp_path / "run")
    names = {path.name for path in out.iterdir()}
    assert names == {
        "recipe.toml", "schema.json", "run.json", "metrics.csv", "tensorboard", "best", "last",
    }  # fmt: skip
    record = read_json(out / "run.json")
    assert record["finished"] and record["seed"] == 0
    assert record["schema_hash"] == galaxies.schema.hash
    assert not list(out.rglob("*.ckpt")) and not list(out.rglob("*.pt"))
    rows = metrics_of(out)
    monitor = "val/contrastive" if arm in ("contrastive", "hybrid") else "val/supervised"
    assert [row["step"] for row in rows if row[monitor]] == ["3", "6"]
    if arm == "hybrid":
        assert all(row["val/supervised"] for row in rows if row[monitor])


@pytest.mark.parametrize("preset", ["paper", "hoag"])
@pytest.mark.parametrize("arm", ARMS)
def test_stopped_and_resumed_ends_bitwise_the_same(arm, preset, galaxies, tiny, tmp_path):
    """Stopped after 4 of 6 steps, off every validation: weights, optimiser and log are equal."""
    changes = {"optimiser.warmup_steps": 2, "heads.vote_hidden": 8} if preset == "hoag" else {}
    recipe = tiny(arm, preset, **changes)
    whole = run(recipe, galaxies, tmp_path / "whole")
    train = recipe.changed({"training.steps": 6})
    stop_after(4, train, galaxies, tmp_path / "parts")
    assert read_json(tmp_path / "parts/last/state.json")["progress"]["step"] == 4
    parts = run(train, galaxies, tmp_path / "parts", resume=True)
    assert files_of(parts) == files_of(whole)
    assert metrics_of(parts) == metrics_of(whole)


def stop_after(steps, recipe, galaxies, out):
    """Send SIGTERM, as Slurm does, in the middle of a step."""
    from hoag import meter
    from hoag.interruption import Interrupted

    class Stopping(meter.Meter):
        def count(self, result):
            super().count(result)
            if self.steps == steps:
                os.kill(os.getpid(), signal.SIGTERM)

    import hoag.fitting as home

    original, home.Meter = home.Meter, Stopping
    try:
        with pytest.raises(Interrupted, match="stopped at step 4; go on with --resume"):
            run(recipe, galaxies, out)
    finally:
        home.Meter = original


def test_killed_outright_it_resumes_from_the_last_save(simulated, galaxies, tiny, tmp_path):
    galaxies.prepare()
    changed = TINY | {"training.steps": 400, "training.validate_every": 200}
    script = (
        "import sys, json, hoag; from hoag.fitting import fit\n"
        "from hoag.recipe import load_recipe\n"
        "names = ('pretraining', 'unlabelled')\n"
        "g = hoag.open([f'{sys.argv[1]}/{name}.parquet' for name in names])\n"
        "r = load_recipe('paper/contrastive').changed(json.loads(sys.argv[3]))\n"
        "fit(r, g.split('train'), g.split('val'), sys.argv[2], device='cpu', quiet=True)\n"
    )
    out = tmp_path / "run"
    arguments = [sys.executable, "-c", script, str(simulated), str(out), json.dumps(changed)]
    process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (out / "last" / "state.json").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    step = read_json(out / "last" / "state.json")["progress"]["step"]
    assert step % 2 == 0 and 0 < step < 400
    shorter = tiny("contrastive", **{"training.validate_every": 200, "training.steps": step + 2})
    resumed = run(shorter, galaxies, out, resume=True)
    fresh = run(shorter, galaxies, tmp_path / "fresh")
    assert files_of(resumed)["last/model.safetensors"] == files_of(fresh)["last/model.safetensors"]


def test_the_same_seed_repeats_and_another_differs(galaxies, tiny, tmp_path):
    first, again = (run(tiny("hybrid"), galaxies, tmp_path / name) for name in "ab")
    other = run(tiny("hybrid", seed=1), galaxies, tmp_path / "c")
    assert files_of(first) == files_of(again)
    assert files_of(first) != files_of(other)


def test_validation_changes_nothing_in_training(galaxies, tiny, tmp_path):
    often = run(tiny("hybrid", **{"training.validate_every": 1}), galaxies, tmp_path / "often")
    seldom = run(tiny("hybrid", **{"training.validate_every": 6}), galaxies, tmp_path / "seldom")
    name = "last/model.safetensors"
    assert files_of(often)[name] == files_of(seldom)[name]


def test_patience_stops_a_run_that_no_longer_improves(galaxies, tiny, tmp_path):
    recipe = tiny(
        "pretrained",
        **{
            "training.steps": 60, "training.validate_every": 1, "training.patience": 2,
            "optimiser.learning_rate": 1e-12,
        },
    )  # fmt: skip
    out = run(recipe, galaxies, tmp_path / "run")
    progress = read_json(out / "run.json")["progress"]
    assert progress["stopped"] and progress["step"] < 60
    assert progress["unimproved"] == 2


def test_a_loss_that_is_no_number_stops_with_the_ids(galaxies, tiny, tmp_path):
    recipe = tiny("contrastive", **{"optimiser.learning_rate": 1e30, "training.steps": 20})
    with pytest.raises(HoagError, match="the loss is .*nan at step") as raised:
        run(recipe, galaxies, tmp_path / "run")
    record = read_json(tmp_path / "run" / "nan-batch.json")
    assert record["ids"][0] in str(raised.value)
    assert len(record["ids"]) == 16
    assert set(record["ids"]) <= set(galaxies.split("train").ids)


def test_a_collapsed_representation_is_said(galaxies, tiny, tmp_path, monkeypatch, capsys):
    original = Contrastive.forward
    monkeypatch.setattr(
        Contrastive, "forward",
        lambda self, batch: original(self, batch) | {"feature_std": torch.tensor(0.01)},
    )  # fmt: skip
    train, validation = galaxies.split("train"), galaxies.split("val")
    fit(tiny("contrastive"), train, validation, tmp_path / "run", device="cpu")
    assert "the representation has collapsed, feature_std 0.010" in capsys.readouterr().err


def test_a_folder_with_a_run_is_not_overwritten(galaxies, tiny, tmp_path):
    run(tiny("pretrained"), galaxies, tmp_path / "run")
    with pytest.raises(HoagError, match="holds a run already"):
        run(tiny("pretrained"), galaxies, tmp_path / "run")
    with pytest.raises(HoagError, match=r"was started with batch.size = 16, not 8"):
        run(tiny("pretrained", **{"batch.size": 8}), galaxies, tmp_path / "run", resume=True)
    with pytest.raises(HoagError, match="was started on other galaxies"):
        run(tiny("pretrained"), galaxies.take(np.arange(60)), tmp_path / "run", resume=True)


def test_resuming_a_finished_run_does_nothing(galaxies, tiny, tmp_path):
    out = run(tiny("pretrained"), galaxies, tmp_path / "run")
    before = files_of(out)
    run(tiny("pretrained"), galaxies, tmp_path / "run", resume=True)
    assert files_of(out) == before


def test_a_batch_without_votes_trains_hybrid_as_contrastive(galaxies, tiny, tmp_path):
    """Votes absent everywhere: Hybrid's encoder takes the very steps of Contrastive's."""
    from safetensors.torch import load_file

    bare = galaxies.without_votes()
    hybrid = run(tiny("hybrid"), bare, tmp_path / "hybrid")
    contrastive = run(tiny("contrastive"), bare, tmp_path / "contrastive")
    ours, theirs = (load_file(out / "last/model.safetensors") for out in (hybrid, contrastive))
    for name, value in theirs.items():
        assert torch.equal(ours[name], value), name


def test_tensorboard_logs_are_real(galaxies, tiny, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = run(tiny("hybrid"), galaxies, tmp_path / "run")
    events = EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    assert {"train/loss", "val/contrastive", "val/supervised"} <= set(events.Tags()["scalars"])


def test_bf16_trains_with_a_float32_vote_loss(galaxies, tiny, tmp_path):
    recipe = tiny("hybrid", **{"training.precision": "bf16-mixed"})
    rows = metrics_of(run(recipe, galaxies, tmp_path / "run"))
    assert all(np.isfinite(float(row["val/supervised"])) for row in rows if row["val/supervised"])


def test_the_trained_model_is_what_load_gives(galaxies, tiny, tmp_path):
    out = run(tiny("hybrid"), galaxies, tmp_path / "run")
    model = hoag.load(out, device="cpu")
    assert repr(model).startswith("Model(hybrid, resnet18, 24 px, 16 features")
    assert model.predict(galaxies.take([0, 1])).shape == (2, 206)


def test_half_precision_on_a_cpu_is_said_and_recorded(galaxies, tiny, tmp_path, capsys):
    from hoag.recipe import load_recipe

    recipe = tiny("pretrained", **{"training.precision": "16-mixed"})
    out = run(recipe, galaxies, tmp_path / "run")
    assert "a CPU has no 16-mixed, so 32-true is used" in capsys.readouterr().err
    assert load_recipe(out / "recipe.toml").training.precision == "32-true"


def test_a_run_can_be_made_longer_but_not_under_a_cosine(galaxies, tiny, tmp_path):
    from hoag.recipe import load_recipe

    out = run(tiny("pretrained"), galaxies, tmp_path / "run")
    run(tiny("pretrained", **{"training.steps": 8}), galaxies, out, resume=True)
    assert load_recipe(out / "recipe.toml").training.steps == 8
    assert read_json(out / "run.json")["resumed"][0]["steps"] == 8
    cosine = {"optimiser.schedule": "cosine"}
    other = run(tiny("pretrained", **cosine), galaxies, tmp_path / "cosine")
    with pytest.raises(HoagError, match="its cosine schedule was laid over 6 steps"):
        run(tiny("pretrained", **cosine, **{"training.steps": 8}), galaxies, other, resume=True)

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

import hoag
from hoag.checkpoint import load_weights
from hoag.errors import HoagError
from hoag.files import read_json
from hoag.finetuning import split
from hoag.fitting import fit
from hoag.interruption import Interrupted
from hoag.models import Model
from hoag.recipe import load_recipe
from hoag.splits import split_names
from hoag.writing import write_galaxies

from .conftest import TINY
from .made_galaxies import rows

QUICK = ["training.steps=6", "training.validate_every=3", "training.save_every=2", "batch.size=16"]


@pytest.fixture(scope="module")
def start(galaxies, tmp_path_factory):
    """The folder of a Hybrid run."""
    out = tmp_path_factory.mktemp("start") / "hybrid"
    recipe = load_recipe("paper/hybrid").changed(TINY)
    return fit(
        recipe, galaxies.split("train"), galaxies.split("val"), out, device="cpu", quiet=True
    )


@pytest.fixture(scope="module")
def rings(simulated):
    return hoag.open(simulated / "rings.parquet")


def tune(start, galaxies, out, *overrides, labels=None, **how):
    how = {"label": "ring"} | how if labels is None else how
    return hoag.finetune(
        start, galaxies, labels, out=out, overrides=[*QUICK, *overrides], device="cpu", **how
    )


def test_three_lines_from_a_model_to_predictions(start, rings, tmp_path):
    model = hoag.load(start, device="cpu")
    tuned = hoag.finetune(model, rings, label="ring", out=tmp_path / "tuned", overrides=QUICK)
    table = tuned.predict(rings)
    assert table.column_names == ["id_str", "ring_predicted", "ring_no", "ring_yes"]
    assert table["id_str"].to_pylist() == rings.ids
    chances = np.stack([table["ring_no"].to_numpy(), table["ring_yes"].to_numpy()], 1)
    np.testing.assert_allclose(chances.sum(1), 1, rtol=1e-5)
    likeliest = np.array(["no", "yes"])[chances.argmax(1)].tolist()
    assert table["ring_predicted"].to_pylist() == likeliest


def test_the_folder_holds_all_that_prediction_needs(start, rings, tmp_path):
    tuned = tune(start, rings, tmp_path / "tuned")
    again = hoag.load(tmp_path / "tuned", device="cpu")
    assert again.predict(rings).equals(tuned.predict(rings))
    assert again.goal.names == ("no", "yes") and again.recipe.images.size == 24
    assert again.recipe.finetune.start == hoag.load(start).hash
    assert not list((tmp_path / "tuned").rglob("*.p*kl")) + list((tmp_path / "tuned").rglob("*.pt"))


def test_it_starts_from_the_models_weights_and_a_frozen_encoder_stays_bit_for_bit(
    start, rings, tmp_path
):
    before = hoag.load(start, device="cpu").encoder.state_dict()
    tune(start, rings, tmp_path / "head", "finetune.train=head")
    for which in ("best", "last"):
        after = load_weights(tmp_path / "head" / which)
        for name, value in before.items():
            assert torch.equal(after[f"encoder.{name}"], value), name
    heads = [
        load_weights(tmp_path / "head" / w)["head.classes.linear.weight"] for w in ("best", "last")
    ]
    assert hoag.load(tmp_path / "head").hash == hoag.load(start).hash
    assert len(heads) == 2


def test_frozen_blocks_stay_bit_for_bit_and_the_last_moves(start, rings, tmp_path):
    before = hoag.load(start, device="cpu").encoder.state_dict()
    tune(start, rings, tmp_path / "tuned", "finetune.train=last-blocks", "finetune.blocks=2")
    after = load_weights(tmp_path / "tuned" / "last")
    moved = {name for name in before if not torch.equal(after[f"encoder.{name}"], before[name])}
    assert {name.split(".")[0] for name in moved} == {"layer3", "layer4"}
    assert any(name.endswith("running_mean") for name in moved)


def test_measuring_the_heads_input_leaves_the_encoder_as_it_was(start, rings):
    from hoag.finetuning import _features, _objective, _settings
    from hoag.goal_heads import Goal

    model = hoag.load(start, device="cpu")
    recipe = _settings("hoag/finetune", [], model)
    goal = Goal("classes", ("a", "b"), ("c",))
    objective = _objective(recipe, model.schema, goal, model, np.array([0, 1]))
    features = _features(objective, rings, recipe, "cpu")
    assert features.shape == (160, 16)
    for name, value in model.encoder.state_dict().items():
        assert torch.equal(objective.encoder.state_dict()[name], value)


def test_early_blocks_learn_more_slowly(start, rings, tmp_path):
    before = hoag.load(start, device="cpu").encoder.state_dict()
    how = ("finetune.decay=0.3", "optimiser.warmup_steps=0", "optimiser.weight_decay=0")
    tune(start, rings, tmp_path / "tuned", *how, "training.steps=1", "training.validate_every=1")
    after = load_weights(tmp_path / "tuned" / "last")
    # Adam's first step moves a weight by its learning rate, if its gradient is not tiny.
    for name, share in (("layer4.1.conv2.weight", 0.3), ("layer1.0.conv1.weight", 0.3**4)):
        steps = (after[f"encoder.{name}"] - before[name]).abs()
        assert float(steps.max()) == pytest.approx(0.001 * share, rel=0.01)


def test_stopped_and_resumed_ends_bitwise_the_same(start, rings, tmp_path, monkeypatch):
    whole = tmp_path / "whole"
    tune(start, rings, whole)
    import hoag.fitting as home

    class Stopping(home.Meter):
        def count(self, result):
            super().count(result)
            if self.job.progress.step == 4:
                import signal

                signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(home, "Meter", Stopping)
        with pytest.raises(Interrupted, match="go on with --resume"):
            tune(start, rings, tmp_path / "parts")
    tune(start, rings, tmp_path / "parts", resume=True)
    for name in ("best/model.safetensors", "last/model.safetensors"):
        assert (whole / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


def test_another_start_or_other_labels_are_refused_on_resuming(start, rings, tmp_path):
    out = tmp_path / "tuned"
    tune(start, rings, out)
    with pytest.raises(HoagError, match="holds a run already"):
        tune(start, rings, out)
    other = hoag.load("timm:resnet18", size=24, device="cpu")
    with pytest.raises(HoagError, match="was started with encoder.options|finetune.start"):
        tune(other, rings, out, resume=True)
    flipped = {name: "ab"[n % 2] for n, name in enumerate(rings.ids)}
    with pytest.raises(HoagError, match="was started on other galaxies"):
        tune(start, rings, out, labels=flipped, resume=True)


def test_groups_never_straddle_splits_and_the_fixed_test_split_is_kept_out(tmp_path):
    path = tmp_path / "g.parquet"
    write_galaxies(({**row, "group": f"g{n // 2}"} for n, row in enumerate(rows(0, 200))), path)
    galaxies = hoag.open(path, schema="gz2")
    parts = split(galaxies, load_recipe("hoag/finetune"))
    groups = {name: set(galaxies.groups[index]) for name, index in parts.items()}
    assert all(
        not groups[a] & groups[b] for a, b in (("train", "val"), ("val", "test"), ("train", "test"))
    )
    names = split_names(galaxies.group_hashes)
    assert all((names[index] == name).all() for name, index in parts.items())
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(200))
    every = split(galaxies, load_recipe("hoag/finetune").changed({"finetune.test": 0.0}))
    assert len(every["test"]) == 0 and set(parts["val"]) <= set(every["train"])


def test_results_are_those_of_the_galaxies_kept_out(start, rings, tmp_path):
    tuned = tune(start, rings, tmp_path / "tuned")
    results = read_json(tmp_path / "tuned" / "results.json")
    held = rings.where(split_names(rings.group_hashes) == "test")
    truth = ["yes" if value else "no" for value in held.table["ring"].to_pylist()]
    predicted = tuned.predict(held)["ring_predicted"].to_pylist()
    right = np.mean([a == b for a, b in zip(truth, predicted, strict=True)])
    assert results["test"]["accuracy"] == pytest.approx(right)
    assert results["galaxies"]["test"] == len(held) == np.sum(results["test"]["confusion"])
    assert results["test"]["by"]["yes"]["galaxies"] == truth.count("yes")


def test_it_learns_what_can_be_learned(tmp_path):
    """Galaxies whose blob is red or green, from random weights."""
    from hoag.images import encode_jpeg

    y, x = np.mgrid[:32, :32]
    blob = np.exp(-((x - 16) ** 2 + (y - 16) ** 2) / 60)

    def galaxy(n):
        colour = [220, 60, 60] if n % 2 else [60, 220, 60]
        return {"id_str": f"{n:03d}", "image": encode_jpeg((blob[..., None] * colour).astype("u1"))}

    path = tmp_path / "g.parquet"
    write_galaxies([{**galaxy(n), "colour": ["green", "red"][n % 2]} for n in range(150)], path)
    start = hoag.load("timm:resnet18", size=24, device="cpu")
    small = start.recipe.changed({"encoder.options": {"channels": [4, 8, 8, 16]}})
    from hoag.objectives import make_objective

    start = Model(make_objective(small, start.schema), small, start.schema, device="cpu")
    steps = ["training.steps=60", "training.validate_every=20", "batch.size=32"]
    steps += ["optimiser.learning_rate=0.01", "optimiser.warmup_steps=5"]
    tuned = hoag.finetune(
        start, path, label="colour", out=tmp_path / "run", overrides=steps, device="cpu"
    )
    assert read_json(tmp_path / "run" / "results.json")["test"]["accuracy"] == 1.0
    assert tuned.goal.names == ("green", "red")


def test_labels_and_numbers_and_votes_of_another_campaign(start, rings, galaxies, tmp_path):
    labels = pa.table(
        {"id_str": rings.ids, "a": [n % 2 for n in range(len(rings))], "b": ["yes", "no"] * 80}
    )
    balanced = "finetune.class_weights=balanced"
    tuned = tune(start, rings, tmp_path / "l", balanced, labels=labels, label=["a", "b"])
    assert tuned.predict(rings).column_names == ["id_str", "a_probability", "b_probability"]

    numbers = {name: n / 10 for n, name in enumerate(rings.ids)}
    tuned = tune(start, rings, tmp_path / "n", "finetune.train=head", labels=numbers)
    table = tuned.predict(rings)
    assert table.column_names == ["id_str", "label_predicted", "label_scatter"]
    assert min(table["label_scatter"].to_pylist()) > 0
    assert abs(np.mean(table["label_predicted"].to_numpy()) - 8) < 3  # near the mean, in its unit

    mine = tmp_path / "mine.toml"
    mine.write_text(
        'campaign = "mine"\ntitle = "Mine"\nsurvey = "Mine"\ncite = []\n\n'
        '[[question]]\nname = "ring"\nanswers = ["yes", "no"]\n'
    )
    schema = hoag.load_schema(mine)
    votes = pa.table(
        {"id_str": rings.ids, schema.columns[0]: [n % 9 for n in range(len(rings))],
         schema.columns[1]: [8 - n % 9 for n in range(len(rings))]}
    )  # fmt: skip
    tuned = tune(start, rings, tmp_path / "v", labels=votes, kind="votes", schema=mine)
    assert tuned.schema.hash == schema.hash and type(tuned) is Model
    assert tuned.predict(rings).shape == (len(rings), 2)
    assert hoag.load(tmp_path / "v").schema.hash == schema.hash
    assert "ring-mine" in read_json(tmp_path / "v" / "results.json")["test"]["by"]


def test_a_model_of_elsewhere_may_be_the_start(rings, tmp_path):
    tuned = tune("timm:mobilenetv3_small_050", rings, tmp_path / "t", "images.size=32")
    assert tuned.recipe.images.size == 32
    record = json.loads((tmp_path / "t" / "run.json").read_text())
    assert record["started_from"]["name"] == "timm:mobilenetv3_small_050 (random, seed 0)"


WRONG = [
    (["encoder.name=resnet34"], {}, "encoder.name: the encoder is that of the model"),
    (["finetune.train=tail"], {}, "one of head, last-blocks, all"),
    (["finetune.test=0.95"], {}, "shares that leave some to learn"),
    (["finetune.weights={maybe=2.0}"], {}, "finetune.weights names 'maybe'; there are no, yes"),
    (["finetune.train=last-blocks", "finetune.blocks=9"], {}, "has 4 blocks and a stem"),
    ([], {"recipe": "hoag/hybrid"}, "is a recipe of the arm hybrid, not of finetuning"),
    ([], {"label": "rung"}, "the galaxies' table: no column 'rung'|no column 'rung'"),
]


@pytest.mark.parametrize(("overrides", "how", "said"), WRONG)
def test_what_is_wrong_is_said(overrides, how, said, start, rings, tmp_path):
    with pytest.raises(HoagError, match=said):
        tune(start, rings, tmp_path / "t", *overrides, **how)
    assert not (tmp_path / "t").exists()


def test_too_few_labels_are_said(start, rings, tmp_path):
    names = split_names(rings.group_hashes)
    train = [name for name, part in zip(rings.ids, names, strict=True) if part == "train"]
    with pytest.raises(HoagError, match="of 2 labelled galaxies none is in the val split"):
        tune(start, rings, tmp_path / "t", labels={train[0]: "a", train[1]: "b"})
    labels = {name: "common" for name in rings.ids}
    labels[next(n for n, part in zip(rings.ids, names, strict=True) if part == "test")] = "rare"
    with pytest.raises(HoagError, match="there are no galaxies of 'rare'; label more of them"):
        tune(start, rings, tmp_path / "t", labels=labels)


def test_finetune_recipes_are_not_for_hoag_train(rings, tmp_path):
    with pytest.raises(HoagError, match="use hoag finetune MODEL"):
        hoag.train("hoag/finetune", rings, tmp_path / "t", device="cpu")
    assert not (Path(tmp_path) / "t").exists()

"""`hoag.train`: what a user calls, from a recipe's name and a folder to a run."""

import csv
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hoag
from hoag.errors import HoagError
from hoag.files import read_json
from hoag.roles import load_downstream, load_pretraining, read_roles
from hoag.splits import direct_names, half_names, split_names


def rows_of(run):
    with (run / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_folder_with_roles_trains_without_any_tested_galaxy(simulated, tiny, tmp_path):
    recipe = tiny("hybrid", **{"probe.tasks": ["rings"], "probe.galaxies": 60})
    out = hoag.train(recipe, simulated, tmp_path / "run", device="cpu")
    probed = [row for row in rows_of(out) if row["probe/rings/accuracy"]]
    assert len(probed) == 2
    assert all(0 <= float(row["probe/rings/accuracy"]) <= 1 for row in probed)


def test_no_galaxy_of_a_test_half_is_in_any_training_split(simulated, tmp_path):
    """Ring galaxies are put among the pretraining galaxies: those of the test half must go."""
    folder = tmp_path / "data"
    shutil.copytree(simulated, folder, ignore=shutil.ignore_patterns("*.arrow"))
    rings = pq.read_table(folder / "rings.parquet")
    unlabelled = pq.read_table(folder / "unlabelled.parquet")
    both = pa.concat_tables([part.select(["id_str", "image"]) for part in (unlabelled, rings)])
    pq.write_table(both, folder / "unlabelled.parquet")
    roles = read_roles(folder)
    left = load_pretraining(roles)
    task = load_downstream(roles.task("rings"))
    closed = set(np.array(task.galaxies.ids)[half_names(task.keys) == "test"])
    splits = split_names(left.galaxies.groups)
    trained = {i for i, s in zip(left.galaxies.ids, splits, strict=True) if s != "test"}
    assert len(closed) > 20 and not closed & trained
    named = sorted(closed)
    would_have_leaked = int((split_names(named) != "test").sum())
    assert left.removed_in_all == would_have_leaked > 20


def test_direct_learns_a_column_of_the_table_but_not_its_test_half(
    simulated, tiny, tmp_path, capsys
):
    recipe = tiny("direct", **{"labels.column": "ring"})
    out = hoag.train(recipe, simulated / "rings.parquet", tmp_path / "run", device="cpu")
    galaxies = hoag.open(simulated / "rings.parquet")
    closed = int((half_names(galaxies.groups) == "test").sum())
    assert f"the test half of the labels, {closed}, is kept out" in capsys.readouterr().err
    data = read_json(out / "run.json")["data"]
    names = direct_names(galaxies.groups)
    assert data["train"] == galaxies.where(names == "train").hash
    assert not set(galaxies.where(names != "test").ids) & set(
        galaxies.where(half_names(galaxies.groups) == "test").ids
    )
    model = hoag.load(out, device="cpu")
    assert model.classes == ["0", "1"]
    chances = model.classify(hoag.open(simulated / "rings.parquet"))
    np.testing.assert_allclose(chances.sum(1), 1, rtol=1e-5)


def test_direct_learns_labels_of_a_mapping_or_file(simulated, tiny, tmp_path):
    galaxies = hoag.open(simulated / "rings.parquet")
    labels = {
        name: "odd" if key % 2 else "even"
        for name, key in zip(galaxies.ids, galaxies.keys.tolist(), strict=True)
    }
    out = hoag.train(tiny("direct"), galaxies, tmp_path / "a", device="cpu", labels=labels)
    path = tmp_path / "labels.csv"
    path.write_text("id_str,kind\n" + "".join(f"{k},{v}\n" for k, v in labels.items()))
    again = hoag.train(tiny("direct"), galaxies, tmp_path / "b", device="cpu", labels=path)
    weights = [(run / "last/model.safetensors").read_bytes() for run in (out, again)]
    assert weights[0] == weights[1]
    assert read_json(out / "run.json")["classes"] == ["even", "odd"]


def test_a_probe_may_choose_the_checkpoint_when_asked(simulated, tiny, tmp_path):
    recipe = tiny("contrastive", **{"probe.select": "rings", "probe.galaxies": 60})
    out = hoag.train(recipe, simulated, tmp_path / "run", device="cpu")
    assert read_json(out / "best/state.json")["monitor"] == "probe/rings/accuracy"


@pytest.mark.parametrize(
    ("arm", "changes", "said"),
    [
        ("hybrid", {"probe.tasks": ["rigns"]}, "no downstream task of .*; there are rings"),
        ("direct", {}, "labels.column = '' is no column of the galaxies' table; it has id_str"),
    ],
)
def test_a_recipe_that_does_not_fit_the_folder_is_named(
    arm, changes, said, simulated, tiny, tmp_path
):
    with pytest.raises(HoagError, match=said):
        hoag.train(tiny(arm, **changes), simulated, tmp_path / "run", device="cpu")


@pytest.mark.parametrize("arm", ["pretrained", "hybrid"])
def test_votes_are_demanded_where_the_arm_learns_from_them(arm, simulated, tiny, tmp_path):
    bare = simulated / "unlabelled.parquet"
    with pytest.raises(HoagError, match=f"the {arm} arm learns from votes, and none of the"):
        hoag.train(tiny(arm), bare, tmp_path / "run", device="cpu")


def test_overrides_reach_the_run(simulated, tiny, tmp_path):
    out = hoag.train(
        tiny("contrastive"),
        simulated,
        tmp_path / "run",
        device="cpu",
        overrides=["training.steps=3"],
    )
    assert read_json(out / "run.json")["progress"]["step"] == 3


def test_votes_of_a_users_own_campaign_are_learned(simulated, tiny, tmp_path):
    """A campaign file beside the tables, named by dataset.toml, is a seventh campaign."""
    folder = tmp_path / "data"
    shutil.copytree(simulated, folder, ignore=shutil.ignore_patterns("*.arrow"))
    (folder / "mine.toml").write_text(
        'campaign = "mine"\ntitle = "Mine"\n[[question]]\nname = "bar"\nanswers = ["yes", "no"]\n'
    )
    votes = pq.read_table(folder / "pretraining.parquet")
    counts = pa.array([3] * votes.num_rows, pa.int16())
    for answer in ("yes", "no"):
        votes = votes.append_column(f"bar-mine_{answer}", counts)
    pq.write_table(votes, folder / "pretraining.parquet")
    text = (folder / "dataset.toml").read_text()
    (folder / "dataset.toml").write_text('schema = ["gz-evo", "mine.toml"]\n' + text)
    out = hoag.train(tiny("pretrained"), folder, tmp_path / "run", device="cpu")
    model = hoag.load(out, device="cpu")
    assert model.schema.columns[-1] == "bar-mine_no" and len(model.schema.columns) == 208
    table = folder / "pretraining.parquet"
    again = hoag.train(
        tiny("pretrained"), table, tmp_path / "b", device="cpu",
        schema=["gz-evo", folder / "mine.toml"],
    )  # fmt: skip
    assert hoag.load(again, device="cpu").schema.hash == model.schema.hash

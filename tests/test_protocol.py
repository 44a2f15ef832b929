"""The whole protocol, tiny: everything is written, nothing is lost when stopped, a seed repeats."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from hoag.errors import HoagError
from hoag.files import read_json
from hoag.protocol import PROTOCOLS, load_protocol, run_protocol
from hoag.roles import read_roles
from hoag.saved_curves import read_curve
from hoag.stages import _inner_split

TOML = """
galaxies_seen = 128
validations = 2
sizes = [16, "all"]
subsets = 3
repeats = 2
direct_sizes = [16]
direct_trials = [2]
direct_epochs = 1
direct_steps = [2, 3]
pixels = 8
probed = 60
caveats = ["far too small to show anything"]
[every]
"encoder.name" = "resnet18"
"encoder.options" = {channels = [4, 8, 8, 16]}
"images.size" = 24
"images.decode" = 0
"heads.projector_hidden" = 16
"heads.projector_out" = 8
"heads.predictor_hidden" = 16
"batch.size" = 32
"training.precision" = "32-true"
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    path = tmp_path_factory.mktemp("protocol") / "tiny.toml"
    path.write_text(TOML)
    return load_protocol(path)


@pytest.fixture(scope="module")
def done(simulated, settings, tmp_path_factory):
    out = tmp_path_factory.mktemp("protocol") / "out"
    results = run_protocol(read_roles(simulated), settings, out, device="cpu", final=True)
    return out, results


def numbers_of(results):
    """All that a seed must repeat: everything but times and the record of the machine."""
    timing = ("seconds", "galaxies_per_second", "wait_share")
    arms = {
        arm: [{k: v for k, v in row.items() if k not in timing} for row in entry["history"]]
        for arm, entry in results["arms"].items()
    }
    return json.loads(json.dumps([results["tasks"], results["fig2"], results["dataset"], arms]))


def test_it_leaves_results_figures_and_a_page(done):
    out, results = done
    assert json.loads((out / "results.json").read_text()) == json.loads(json.dumps(results))
    page = (out / "report.html").read_text()
    assert "far too small to show anything" in page
    assert not any(f'src="{start}' in page for start in ("http", "/", "file"))  # self-contained
    figures = {path.name for path in (out / "figures").iterdir()}
    assert {"fig1-rings.png", "fig2.png", "posteriors.png", "training.png"} <= figures
    assert "gallery-rings-hybrid.png" in figures


def test_every_arm_and_baseline_is_in_the_curve(done):
    _, results = done
    (task,) = results["tasks"]
    arms = {row["arm"] for row in task["curve"]}
    assert arms == {
        "direct", "pretrained", "contrastive", "hybrid", "random weights", "raw pixels",
        "hand-made features",
    }  # fmt: skip
    trials = {(row["arm"], row["size"]): row["trials"] for row in task["curve"]}
    assert trials["hybrid", 16] == 15 and trials["direct", 16] == 2
    compared = {(row["a"], row["b"]): row["trials"] for row in task["paired"] if row["size"] == 16}
    assert compared["hybrid", "pretrained"] == 15
    assert compared["hybrid", "direct"] == 2


def test_pretraining_arms_see_the_same_number_of_galaxies(done):
    _, results = done
    assert {arm["galaxies_seen"] for arm in results["arms"].values()} == {128}
    assert [row["galaxies_seen"] for row in results["fig2"]] == [64, 128] * 2


def test_the_test_half_is_scored_only_when_final(done, simulated, settings, tmp_path):
    _, results = done
    assert results["tasks"][0]["final"]
    open_only = run_protocol(read_roles(simulated), settings, tmp_path / "o", device="cpu")
    assert open_only["tasks"][0]["final"] is None
    # The same seed gave the same numbers, too.
    open_only["tasks"][0]["final"] = results["tasks"][0]["final"]
    assert numbers_of(open_only) == numbers_of(results)


def test_what_is_done_is_not_done_again(done, simulated, settings, tmp_path):
    out, results = done
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    shutil.rmtree(copy / "direct" / "rings")
    (copy / "embeddings" / "rings" / "hybrid.parquet").unlink()
    before = (copy / "runs" / "hybrid" / "last" / "model.safetensors").stat().st_mtime_ns
    again = run_protocol(
        read_roles(simulated), settings, copy, device="cpu", resume=True, final=True
    )
    assert numbers_of(again) == numbers_of(results)
    assert (copy / "runs/hybrid/last/model.safetensors").stat().st_mtime_ns == before


def test_fewer_arms_and_chosen_tasks_are_all_that_is_judged(done, simulated, settings, tmp_path):
    _, results = done
    fewer = dataclasses.replace(
        settings, arms=("pretrained",), tasks=("rings",), direct_trials=(0,)
    )
    here = run_protocol(read_roles(simulated), fewer, tmp_path / "o", device="cpu")
    arms = ("pretrained", "random weights", "hand-made features", "raw pixels")
    assert set(here["arms"]) == {"pretrained"} and here["fig2"] == []
    before, now = (
        [
            (r["arm"], r["size"], r["accuracy"])
            for r in each["tasks"][0]["curve"]
            if r["arm"] in arms
        ]
        for each in (results, here)
    )
    assert now == before and len(here["tasks"][0]["curve"]) == len(before)
    assert not (tmp_path / "o/runs/hybrid").exists()
    assert "Random weights" in (tmp_path / "o/report.html").read_text()
    # More arms later, in the same folder.
    again = dataclasses.replace(fewer, arms=("pretrained", "contrastive"))
    more = run_protocol(read_roles(simulated), again, tmp_path / "o", device="cpu", resume=True)
    assert set(more["arms"]) == {"pretrained", "contrastive"}
    assert json.loads((tmp_path / "o/protocol.json").read_text())["arms"] == list(again.arms)


def test_baselines_alone_can_be_judged(simulated, settings, tmp_path):
    alone = dataclasses.replace(settings, arms=(), direct_trials=(0,))
    results = run_protocol(read_roles(simulated), alone, tmp_path / "o", device="cpu")
    assert results["arms"] == {} and len(results["tasks"][0]["curve"]) >= 4


def test_an_unknown_task_is_named_with_the_closest(simulated, settings, tmp_path):
    wrong = dataclasses.replace(settings, tasks=("rigns",))
    with pytest.raises(HoagError, match="no downstream task 'rigns'; .* did you mean 'rings'"):
        run_protocol(read_roles(simulated), wrong, tmp_path / "o", device="cpu")


def test_an_unknown_question_is_named_before_anything_is_written(simulated, settings, tmp_path):
    every = {**settings.every, "votes.leave_out": ["rign"]}
    wrong = dataclasses.replace(settings, every=every)
    with pytest.raises(HoagError, match="votes.leave_out names 'rign', which is no question"):
        run_protocol(read_roles(simulated), wrong, tmp_path / "o", device="cpu")
    assert not (tmp_path / "o").exists()


def test_results_carry_the_hashes_of_their_data(done, simulated):
    out, results = done
    data = read_json(out / "protocol.json")["data"]
    assert results["dataset"]["hashes"] == data and set(data) == {"pretraining", "rings"}
    assert len(data["rings"]) == 32


def test_predictions_are_kept_and_say_what_the_results_do(done):
    out, results = done
    (task,) = results["tasks"]
    kept = read_curve(out / "predictions" / "rings.npz")
    assert kept.table.to_pylist() == task["curve"]
    paired = [row for row in task["paired"] if (row["a"], row["b"]) == ("hybrid", "pretrained")]
    assert kept.compare("hybrid", "pretrained").to_pylist() == paired
    assert read_curve(out / "predictions" / "rings-final.npz").arms[0] == "pretrained"


def test_a_folder_begun_before_an_option_was_there_goes_on(done, simulated, settings, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(done[0], copy)
    before = read_json(copy / "protocol.json")
    for name in ("arms", "tasks"):
        del before[name]
    (copy / "protocol.json").write_text(json.dumps(before))
    again = run_protocol(
        read_roles(simulated), settings, copy, device="cpu", resume=True, final=True
    )
    assert numbers_of(again) == numbers_of(done[1])


def test_a_folder_of_another_run_is_refused(done, simulated, settings):
    out, _ = done
    roles = read_roles(simulated)
    with pytest.raises(HoagError, match="holds an earlier run; go on with --resume"):
        run_protocol(roles, settings, out, device="cpu")
    with pytest.raises(HoagError, match="was begun with another seed"):
        run_protocol(roles, settings, out, device="cpu", resume=True, seed=5)


def test_a_folder_begun_on_other_galaxies_is_refused(done, settings, tmp_path):
    from hoag import simulate

    out, _ = done
    other = simulate(tmp_path / "other", galaxies=240, rings=160, seed=4, size=32, workers=1)
    with pytest.raises(HoagError, match="was begun with another data"):
        run_protocol(read_roles(other), settings, out, device="cpu", resume=True)


def test_data_that_do_not_load_leave_nothing_behind(simulated, settings, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(simulated, folder, ignore=shutil.ignore_patterns("*.arrow"))
    (folder / "rings.parquet").write_bytes(b"broken")
    with pytest.raises(HoagError, match="rings.parquet"):
        run_protocol(read_roles(folder), settings, tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


def test_every_result_says_where_it_comes_from(done):
    out, results = done
    stamp = results["stamp"]
    assert stamp["hoag"] and stamp["schema_hash"] and stamp["machine"]["processor"]
    assert stamp["seed"] == 0 and "command" in stamp and "commit" in stamp
    assert read_json(out / "runs/hybrid/run.json")["schema_hash"] == stamp["schema_hash"]


def test_inner_split_keeps_a_fifth_of_each_class_apart():
    labels = np.array([0] * 20 + [1] * 5)
    learned, kept = _inner_split(np.arange(25), labels)
    assert sorted(np.r_[learned, kept]) == list(range(25))
    assert np.bincount(labels[kept]).tolist() == [4, 1]


@pytest.mark.parametrize("path", sorted(PROTOCOLS.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_protocols_make_recipes(path):
    settings = load_protocol(path.stem)
    assert settings.caveats
    recipes = [settings.recipe(arm, 0) for arm in ("pretrained", "contrastive", "hybrid", "direct")]
    assert len({recipe.encoder.name for recipe in recipes}) == 1
    assert len({recipe.training.steps * recipe.batch.size for recipe in recipes[:3]}) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("galaxies_sen = 3", "unknown option 'galaxies_sen'; did you mean 'galaxies_seen'"),
        ('checkpoint = "first"', "must be best or last"),
        ('arms = ["hybird"]', "did you mean 'hybrid'"),
        ('arms = ["direct"]', "must be some of pretrained, contrastive, hybrid"),
        ("folds = 1", "folds = 1 must be 2 or more"),
        ("sizes = [1.5]", "sizes"),
    ],
)
def test_a_bad_protocol_is_named(text, said, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(HoagError, match=".") as raised:
        load_protocol(path)
    assert said in str(raised.value) and "mine.toml" in str(raised.value)


@pytest.mark.parametrize("text", ['[every]\n"encoder.nam" = "x"', '[every]\n"views.area" = [2, 1]'])
def test_a_bad_option_for_the_recipes_is_named_when_used(text, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(HoagError, match="recipe: "):
        load_protocol(path).recipe("hybrid", 0)


def test_trials_of_direct_go_by_sizes_that_rise(settings):
    wanted = {"direct_sizes": (20, 40, "all"), "direct_trials": (3, 2, 1)}
    assert dataclasses.replace(settings, **wanted).direct_trials == (3, 2, 1)
    for sizes in ((40, 20, "all"), ("all", 20), (20, "all")):
        with pytest.raises(HoagError, match="goes by direct_sizes, so these must rise"):
            dataclasses.replace(settings, **(wanted | {"direct_sizes": sizes}))

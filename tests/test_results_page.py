"""results/README.md is what the JSON files say, and is written from runs without a typed number."""

import dataclasses
import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from hoag.errors import HoagError
from hoag.files import read_json, write_json
from hoag.protocol import load_protocol, run_protocol
from hoag.roles import read_roles

from .conftest import TINY

ROOT = Path(__file__).parents[1]
SCIENCE = ROOT / "runs" / "science"
TOML = """
galaxies_seen = 64
validations = 2
sizes = [16, "all"]
subsets = 2
direct_sizes = [16]
direct_trials = [1]
direct_epochs = 1
direct_steps = [2, 3]
pixels = 8
probed = 40
caveats = ["far too small to show anything"]
[every]
"""


@pytest.fixture
def science(monkeypatch):
    """Import a module of runs/science by name."""
    monkeypatch.syspath_prepend(str(SCIENCE))
    return importlib.import_module


@pytest.fixture(scope="module")
def out(simulated, tmp_path_factory):
    """A folder of runs: the protocol in miniature, and one cell of a sweep by `hoag probe`."""
    from hoag.judging import probe_files

    folder = tmp_path_factory.mktemp("science")
    kept = {name: value for name, value in TINY.items() if not name.startswith("training.")}
    kept["training.precision"] = "32-true"
    options = kept.pop("encoder.options")["channels"]
    lines = [f'"{name}" = {json.dumps(value)}' for name, value in kept.items()]
    lines.append(f'"encoder.options" = {{channels = {options}}}')
    (folder / "tiny.toml").write_text(TOML + "\n".join(lines))
    run_protocol(
        read_roles(simulated), load_protocol(folder / "tiny.toml"), folder / "main", device="cpu",
        commands=["hoag reproduce sim"],
    )  # fmt: skip
    kept = read_json(folder / "main" / "results.json")
    kept["tasks"][0]["final"] = kept["tasks"][0]["curve"]  # as if --final had been said
    write_json(folder / "main" / "results.json", kept)
    for name in ("second", "real", "share-10"):
        shutil.copytree(folder / "main", folder / name)
    tables = folder / "main" / "embeddings" / "rings"
    (folder / "cell").mkdir()
    for name in ("fixed-0.3", "paper-1"):
        shutil.copy(tables / "hybrid.parquet", folder / "cell" / f"{name}.parquet")
    probe_files(
        [tables / "pretrained.parquet", *sorted((folder / "cell").iterdir())], simulated,
        sizes=[16, 40], subsets=2, out=folder / "sweep" / "first",
    )  # fmt: skip
    return folder


def test_the_page_in_the_repository_is_what_its_json_files_say(science):
    written = science("write_results").rendered(ROOT / "results")
    assert (ROOT / "results" / "README.md").read_text() == written, (
        "write it again: python runs/science/write_results.py"
    )
    places = ("results/science/fig1.png", "docs/fig1.png")
    assert len({(ROOT / place).read_bytes() for place in places}) == 1


def test_the_page_is_written_from_the_folders_of_runs(
    science, out, simulated, tmp_path, monkeypatch
):
    results = tmp_path / "results"
    content = science("verdicts").verdicts(out / "main", out / "second")
    assert [claim["number"] for claim in content["claims"]][:6] == ["1", "2", "3", "4", "5", "6"]
    (results / "science").mkdir(parents=True)
    write_json(results / "science" / "verdicts.json", content)
    known = science("ceiling").ceiling(simulated, out / "main")
    write_json(results / "science" / "ceiling.json", known)
    told = {"1": "Too few: {{ found.main.arms.hybrid.galaxies_seen }} galaxies."}
    monkeypatch.setattr(science("write_results"), "why", lambda: told)
    page = science("write_results").write(results, out).read_text()
    assert "*What was found:* Too few: 64 galaxies." in page
    assert "On the test half, looked at once" in page
    assert f"called ringed: {100 * known['rows'][0]['accuracy']:.1f} (" in page
    for claim in content["claims"]:
        assert f"| {claim['number']} | {claim['claim']} |" in page
        assert f"**{claim['verdict']}** |" in page
    assert "far too small to show anything" in page and "hoag reproduce sim" in page
    assert "| fixed | 0.3 |" in page and "| 10 % | hybrid − pretrained |" in page
    # All links lead somewhere, every figure is shown, and all is small enough to be kept.
    linked = {results / place for place in re.findall(r"\]\(((?!\.\.|simulator)[^)]+)\)", page)}
    assert all(place.exists() for place in linked)
    drawn = set((results / "science").glob("*.png"))
    assert {path.stem for path in drawn} == {"fig1", "fig2", "sweep", "real", "shares"}
    assert drawn <= linked
    assert all(path.stat().st_size < 150_000 for path in drawn)
    # What was not run is listed with its command.
    assert "| `runs/science.sh left-out` |" in page and "| `runs/science.sh share-1` |" in page
    assert "| `runs/science.sh real` |" not in page


def test_short_copies_leave_out_only_what_was_logged_between_validations(science, out, tmp_path):
    collected = science("collect").collect(
        out, tmp_path, {"main": {"kind": "protocol"}, "absent": {"kind": "protocol"}}
    )
    assert collected == ["main"]
    whole, short = read_json(out / "main" / "results.json"), read_json(tmp_path / "main.json")
    for arm in short["arms"]:
        history = short["arms"][arm].pop("history")
        assert [row["galaxies_seen"] for row in history] == [32, 64]
        assert all(any(n.startswith("probe/") for n in row) for row in history)
        whole["arms"][arm].pop("history")
    assert short == whole
    outcomes = science("outcomes")
    assert outcomes.losses_of(read_json(tmp_path / "main.json"), "rings") == whole["fig2"]


def test_verdicts_are_those_of_the_predictions_that_the_run_kept(science, out):
    content = science("verdicts").verdicts(out / "main")
    [row] = [r for r in content["claims"][2]["rows"]]
    paired = read_json(out / "main" / "results.json")["tasks"][0]["paired"]
    [same] = [
        r for r in paired if (r["a"], r["b"], r["size"]) == ("hybrid", "pretrained", row["size"])
    ]
    assert row["difference"] == pytest.approx(same["difference"], abs=0.01)
    assert content["notes"][1].startswith("Every arm was pretrained once")
    assert {c["verdict"] for c in content["claims"] if c["number"] in ("6b", "6c")} == {
        "not tested"
    }


def test_a_sweep_must_have_one_reference(science, out, tmp_path):
    shutil.copytree(out / "sweep", tmp_path / "sweep")
    path = tmp_path / "sweep" / "first" / "curve.json"
    content = read_json(path)
    content["paired"][0]["b"] = "fixed-0.3"
    write_json(path, content)
    with pytest.raises(HoagError, match="compared with one reference, such as pretrained"):
        science("collect").read_sweep(tmp_path / "sweep")


def test_verdicts_of_another_run_are_refused(science, out, tmp_path):
    results = tmp_path / "results"
    content = science("verdicts").verdicts(out / "main")
    content["inputs"][0]["time"] = "2001-01-01T00:00:00+00:00"
    (results / "science").mkdir(parents=True)
    write_json(results / "science" / "verdicts.json", content)
    with pytest.raises(HoagError, match="verdicts.json is of another run than main.json"):
        science("write_results").write(results, out)


def test_the_ceiling_is_that_of_the_best_threshold(science):
    ceiling = science("ceiling")
    chance = np.linspace(0, 1, 2001)
    assert ceiling.best_threshold(chance, chance > 0.6) == pytest.approx(0.6)
    assert ceiling.right_by_threshold(chance, chance > 0.6).mean() > 0.999
    labels = np.random.default_rng(0).random(2001) < chance
    best = np.maximum(chance, 1 - chance).mean()
    assert ceiling.right_by_threshold(chance, labels).mean() == pytest.approx(best, abs=0.03)
    assert ceiling.best_threshold(chance, np.zeros(2001, bool)) == 1.0


def test_every_part_is_a_step_and_every_protocol_loads(science):
    text = (ROOT / "runs" / "science.sh").read_text()
    steps = re.search(r"^all=\((.*)\)$", text, re.MULTILINE)[1].split()
    for part in science("write_results").PARTS.values():
        assert part["command"].removeprefix("runs/science.sh ") in steps
    files = [path for path in SCIENCE.glob("*.toml") if "preset = " in path.read_text()]
    protocols = {path.stem: load_protocol(path) for path in files}
    assert {"main", "second", "left-out", "share-10", "real"} <= set(protocols)
    # The task is judged in the very folder that the arms are then trained in.
    assert (
        dataclasses.replace(protocols["difficulty"], arms=protocols["main"].arms)
        == (protocols["main"])
    )
    left_out = protocols["left-out"].recipe("hybrid", 0).votes.leave_out
    assert left_out == tuple(science("bars_and_mergers").TASKS)


def test_bars_and_mergers_are_what_a_majority_says_of_each(science, simulated):
    module = science("bars_and_mergers")
    table = pq.read_table(simulated / "pretraining.parquet")
    labels = module.labels_of([simulated / "pretraining.parquet"], "bar")
    assert labels.num_rows and sum(labels["label"].to_pylist()) * 2 == labels.num_rows
    rows = {name: row for row, name in enumerate(table["id_str"].to_pylist())}
    for name, label in zip(*(labels[c].to_pylist() for c in labels.column_names), strict=True):
        row = table.slice(rows[name], 1)
        asked = {c: row[c][0].as_py() for c in row.column_names if c.startswith("bar-")}
        no = sum(count for column, count in asked.items() if column.endswith("_no"))
        assert sum(asked.values()) >= module.LEAST
        assert (2 * no < sum(asked.values())) == bool(label)


def test_first_rows_are_the_first(simulated, tmp_path):
    whole = pq.read_table(simulated / "rings.parquet")
    out = tmp_path / "some.parquet"
    command = [sys.executable, str(SCIENCE / "first_rows.py"), str(simulated / "rings.parquet")]
    subprocess.run([*command, "7", str(out)], check=True)
    assert pq.read_table(out).equals(whole.slice(0, 7))

"""The page of real galaxies says what was measured; its script is made of commands there are."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from hoag.cli import app
from hoag.files import read_json

ROOT = Path(__file__).parents[1]
RUNS, DOCS = ROOT / "runs", ROOT / "docs"
SCRIPTS = sorted(RUNS.glob("*.sh"))
PAGE, PICTURES = DOCS / "real-galaxies.md", DOCS / "pictures"


@pytest.fixture
def runs(monkeypatch):
    """What `python runs/NAME.py` imports."""
    monkeypatch.syspath_prepend(str(RUNS))


def parses(words):
    app.parse_args(words, exit_on_error=False, print_error=False)


def test_every_number_of_the_page_is_that_of_the_run(runs):
    from write_page import rendered

    assert PAGE.read_text() == rendered(), "write the page again: python runs/write_page.py"


def parts_of(content):
    if isinstance(content, dict):
        if "made_by" in content:
            yield content
        for value in content.values():
            yield from parts_of(value)


def test_every_part_says_what_made_it():
    parts = list(parts_of(read_json(PICTURES / "real-galaxies.json")))
    assert len(parts) >= 10
    for part in parts:
        for made in part["made_by"]:
            assert re.fullmatch(r"[0-9a-f]{40}", made["commit"]), made
            assert made["command"] and made["time"] and made["processor"]
            assert "/tmp/" not in made["command"], "a path of one machine"


def test_pictures_are_small_wide_enough_and_all_shown():
    shown = {
        PICTURES.parent / name for name in re.findall(r"!\[[^]]+\]\(([^)]+)\)", PAGE.read_text())
    }
    assert shown == set(PICTURES.glob("*.png"))
    for place in shown:
        with Image.open(place) as picture:
            assert picture.format == "PNG" and picture.width >= 700, place
        assert place.stat().st_size < 120_000, place


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_are_sound_and_their_commands_are_hoags(script, tmp_path):
    subprocess.run(["bash", "-n", script], check=True)
    said = tmp_path / "said"
    for name in ("hoag", "python"):  # take down what they are asked for, and do nothing
        stub = tmp_path / "bin" / name
        stub.parent.mkdir(exist_ok=True)
        stub.write_text(
            f"#!/bin/sh\n{{ printf '{name}'; printf '\\037%s' \"$@\"; echo; }} >> {said}\n"
        )
        stub.chmod(0o755)
    shared = tmp_path / "galaxies"
    shared.mkdir()
    (shared / "gz2.parquet").touch()
    given = [shared, tmp_path / "out"]
    if script.name == "science.sh":  # takes steps; those left out copy what a real run has left
        given = [*"simulate learnable difficulty main second sweep share-10 real verdicts".split()]
    done = subprocess.run(
        ["bash", script, *given], cwd=ROOT, capture_output=True, text=True, timeout=120,
        env={"PATH": f"{tmp_path / 'bin'}:{os.defpath}", "OUT": str(tmp_path / "out"),
             "SHARED": str(shared)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    verbs = set()
    for line in said.read_text().splitlines():
        name, *words = line.split("\x1f")
        if name == "hoag":
            parses(words)
            verbs.add(words[0])
        else:
            assert (ROOT / words[0]).is_file(), line
    assert verbs
    if script.name == "real-galaxies.sh":
        assert verbs >= {"train", "calibrate", "predict", "embed", "find", "search", "finetune"}
        assert verbs >= {"export", "map", "surveys"}


def test_commands_on_the_page_are_hoags():
    commands = []
    for block in re.findall(r"```text\n(.*?)```", PAGE.read_text(), flags=re.S):
        commands += block.replace("\\\n", "").splitlines()
    hoags = [shlex.split(line)[1:] for line in commands if line.startswith("hoag ")]
    assert len(hoags) >= 9
    for words in hoags:
        parses(words)


def test_drawn_labels_depend_on_ids_alone(tmp_path):
    lines = [f"g{n},{n % 2}" for n in range(60)]
    drawn = []
    for number, order in enumerate((lines, lines[::-1])):
        (tmp_path / "all.csv").write_text("\n".join(["id_str,ring", *order, "none,"]) + "\n")
        out = tmp_path / f"{number}.csv"
        subprocess.run(
            [sys.executable, RUNS / "draw_labels.py", tmp_path / "all.csv", "ring", "--labels", "7",
             "--of", "1", "--draw", "2", "--out", out], check=True,
        )  # fmt: skip
        drawn.append(sorted(out.read_text().splitlines()[1:]))
    assert drawn[0] == drawn[1] and len(drawn[0]) == 7
    assert all(line.endswith(",1") for line in drawn[0])


def test_weighted_auc_is_scikit_learns(runs):
    from rankings import weighted_auc

    generator = np.random.default_rng(1)
    truth, weights = generator.random(90) < 0.4, generator.integers(0, 4, 90).astype(float)
    expected = roc_auc_score(truth, -np.arange(90), sample_weight=weights)
    assert weighted_auc(truth, weights) == pytest.approx(expected, abs=1e-12)

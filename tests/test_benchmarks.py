"""The benchmarks run, small: their numbers mean nothing here, but they cannot rot."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def rows_of(script, *options):
    done = subprocess.run(
        [sys.executable, script, *options], cwd=BENCHMARKS, text=True, capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert {"commit", "machine", "rows"} <= set(found)
    return found["rows"]


def test_simulating_is_measured():
    options = ["--size", "32", "--galaxies", "10", "--repeats", "2"]
    done = subprocess.run(
        [sys.executable, "simulate.py", *options], cwd=BENCHMARKS, text=True, capture_output=True
    )
    assert done.returncode == 0 and "galaxies/s/core" in done.stdout, done.stderr[-3000:]


def test_opening_and_reading_a_store_is_measured(tmp_path):
    options = ["--galaxies", "600", "--shard", "200", "--batches", "2"]
    (row,) = rows_of("data_store.py", *options, "--folder", str(tmp_path))
    assert row["galaxies"] == 600 and row["ratio"] > 0 and row["open MB"] > 10
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options", [["--side", "64"], ["--small", "--kinds", "7"], ["--small"]], ids=str
)
def test_building_is_measured(tmp_path, options):
    pytest.importorskip("hoag.data.building")
    (row,) = rows_of("build.py", *options, "--galaxies", "60", "--folder", str(tmp_path))
    assert row["galaxies"] == 60 and row["memory MB"] > row["not files MB"] > 0
    assert ("ratio" in row) == ("--small" not in options)
    assert list(tmp_path.iterdir()) == []


def test_predicting_is_measured(tmp_path):
    options = ["--galaxies", "120", "--formats", "vot", "--folder", str(tmp_path)]
    (row,) = rows_of("predict.py", *options)
    assert row["galaxies"] == 120 and row["memory MB"] >= row["not files MB"] > 0
    assert list(tmp_path.iterdir()) == []


def test_the_stages_of_a_step_are_measured():
    rows = rows_of("profile_step.py", "--tiny", "--encoders", "resnet18", "--steps", "1")
    milliseconds = {row["stage"]: row["ms"] for row in rows}
    whole = milliseconds.pop("the step")
    assert min(milliseconds.values()) > 0 and "two views" in milliseconds
    assert abs(sum(milliseconds.values()) - whole) < 0.01 * len(rows)


def test_every_case_runs_and_its_table_can_be_written(tmp_path):
    path = tmp_path / "results.json"
    rows = rows_of("run.py", "all", "--tiny", "--out", str(path))
    assert {row["case"].split()[0] for row in rows} >= {"vote-loss", "hybrid-step", "search"}
    for row in rows:
        assert row["hoag ms wall"] > 0 and row["hoag ms processor"] > 0 and row["asked"]
    readme = tmp_path / "README.md"
    shutil.copy(BENCHMARKS / "README.md", readme)
    code = "import json, sys; from pathlib import Path; from table import write_table;"
    code += "write_table(Path(sys.argv[2]), [json.loads(Path(sys.argv[1]).read_text())])"
    command = [sys.executable, "-c", code, str(path), str(readme)]
    subprocess.run(command, cwd=BENCHMARKS, check=True)
    assert all(f"| {row['case']} |" in readme.read_text() for row in rows)

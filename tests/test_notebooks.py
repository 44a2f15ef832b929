"""The notebooks of docs/notebooks run as they stand, and give what they are committed with."""

import importlib.util
import re
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
# Numbers with a point, which another processor may round otherwise; all other digits, as those of
# hashes and ids of what was ranked, may then differ too.
FLOAT = re.compile(r"(?<![\w.])-?\d+\.\d+(?![\w.])")
OTHER = re.compile(r"\b[0-9a-f]{16}\b|-?\d+(\.\d+)?|[-\s]+")


def runner():
    """The script that made them."""
    spec = importlib.util.spec_from_file_location("run_notebooks", FOLDER / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def texts(notebook):
    """What its cells printed and gave as text, a list for each cell."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [
        [output["text"] if "text" in output else output["data"]["text/plain"]
         for output in cell.outputs]
        for cell in cells
    ]  # fmt: skip


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_gives_what_it_shows(path, tmp_path):
    committed = nbformat.read(path, as_version=4)
    made = runner().executed(path, tmp_path)
    assert len(texts(made)) == len(texts(committed)) > 5
    for now, before in zip(texts(made), texts(committed), strict=True):
        assert len(now) == len(before)
        for one, other in zip(now, before, strict=True):
            assert OTHER.sub("#", FLOAT.sub("#", one)) == OTHER.sub("#", FLOAT.sub("#", other))
            numbers = [[float(n) for n in FLOAT.findall(text)] for text in (one, other)]
            assert numbers[0] == pytest.approx(numbers[1], rel=0.3, abs=0.3)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_committed_is_small_and_says_nothing_of_where_it_ran(path):
    text = path.read_text()
    assert path.stat().st_size < 600_000
    notebook = nbformat.read(path, as_version=4)
    outputs = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    assert outputs and all(o.get("name") != "stderr" for o in outputs)
    assert not any(o.output_type == "error" for o in outputs)
    assert not re.search(r'/(home|tmp|root|work|Users)/|"execution"', text)


def test_there_are_two():
    assert [path.stem for path in NOTEBOOKS] == ["find-and-trust", "first-look"]

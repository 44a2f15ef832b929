"""Every command and code block of README and docs is run, smaller where a number says how large."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import TINY
from .cutout_server import CutoutServer

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SMALLER = [
    (r"^make demo$", "hoag demo --out demo --scale 0.01"),
    (r"--galaxies \d+", "--galaxies 240 --rings 160 --size 32 --workers 1"),
    # What the page changes of the recipe must exist; its values give way to tiny ones.
    (r"^(hoag train .*?) --out", r"\1 TINY --out"),
    # No page may need the network: the test's own server answers as the CDS's does.
    (r"^hoag data cutouts .*", r"\g<0> --server SERVER --pixels 64"),
]
EXCEPTED = {"make test"}


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), flags=re.S)


def smaller(line):
    for pattern, replacement in SMALLER:
        line = re.sub(pattern, replacement, line)
    options = []
    for name, value in TINY.items():
        if name == "encoder.options":
            value = "{channels = [4, 8, 8, 16]}"
        options.append(f"'{name}={value}'")
    return line.replace("TINY", " ".join(options))


def ran(command, folder, **more):
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "OMP_NUM_THREADS": "2"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, **more
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_code_run_as_they_stand(page, tmp_path):
    """Blocks run in the order of the page, in one folder, as a reader would type them."""
    with CutoutServer() as server:
        for language, block in re.findall(
            r"```(bash|python)\n(.*?)```", page.read_text(), flags=re.S
        ):
            if language == "python":
                warnings = ["-W", "error::DeprecationWarning:__main__"]
                done = ran([sys.executable, *warnings, "-c", block], tmp_path)
                assert done.returncode == 0, f"{block}\n{done.stderr[-3000:]}"
                continue
            for line in block.strip().splitlines():
                if line in EXCEPTED or line.startswith("#"):
                    continue
                command = smaller(line).replace("SERVER", server.url)
                done = ran(command, tmp_path, shell=True)
                assert done.returncode == 0, f"{line}\n{done.stderr[-3000:]}"


def test_the_readme_leaves_what_it_promises():
    text = (ROOT / "README.md").read_text()
    for name in re.findall(r"\]\(([^)#]+)\)", text):
        assert name.startswith("http") or (ROOT / name).exists(), name


def test_the_tree_names_every_module_and_no_other():
    text = (ROOT / "README.md").read_text()
    tree = blocks(ROOT / "README.md", "text")[0]
    named = set(re.findall(r"\b(\w+\.py)\b", tree))
    real = {path.name for path in (ROOT / "src" / "hoag").glob("*.py") if path.name[0] != "_"}
    assert named == real, (named ^ real, len(text))

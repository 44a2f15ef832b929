"""Every command and code block of README and docs is run, smaller where a number says how large."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import TINY
from .cutout_server import CutoutServer

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SMALLER = [
    (r"^make demo$", "hoag demo --out demo --scale 0.01"),
    (r"--galaxies \d+( --rings \d+)?", "--galaxies 240 --rings 160 --size 32 --workers 1"),
    (r"galaxies=\d+\)", "galaxies=240, rings=160, size=32, workers=1)"),
    # What the page changes of the recipe must exist; its values give way to tiny ones.
    (r"^(hoag train .*?) --out", r"\1 TINY --out"),
    (r"^hoag finetune .*", r"\g<0> training.steps=4 training.validate_every=2"),
    # No page may need the network: the test's own server answers as the CDS's does.
    (r"^hoag data cutouts .*", r"\g<0> --server SERVER --pixels 64"),
]
EXCEPTED = {"make test"}
# A block in one of these languages is run. All others show a file, or say that they are not run.
RUN = r"^```(bash|python)\n(.*?)^```"
SHOWN = {"text", "toml", "bibtex"}
FOLLOWS = r"goes on where \[[^\]]+\]\((\w+\.md)\) ended"


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), flags=re.S)


def smaller(text):
    for pattern, replacement in SMALLER:
        text = re.sub(pattern, replacement, text)
    options = []
    for name, value in TINY.items():
        if name == "encoder.options":
            value = "{channels = [4, 8, 8, 16]}"
        options.append(f"'{name}={value}'")
    return text.replace("TINY", " ".join(options))


def ran(command, folder, **more):
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, **more
    )


def run_blocks(page, folder):
    """Run the blocks in the order of the page, in one folder, as a reader would type them."""
    with CutoutServer() as server:
        for language, block in re.findall(RUN, page.read_text(), flags=re.S | re.M):
            if language == "python":
                warnings = ["-W", "error::DeprecationWarning:__main__"]
                done = ran([sys.executable, *warnings, "-c", smaller(block)], folder)
                assert done.returncode == 0, f"{block}\n{done.stderr[-3000:]}"
                continue
            for line in block.replace("\\\n", " ").strip().splitlines():
                if line in EXCEPTED or line.startswith("#"):
                    continue
                command = smaller(line).replace("SERVER", server.url)
                done = ran(command, folder, shell=True)
                assert done.returncode == 0, f"{line}\n{done.stderr[-3000:]}"


@pytest.fixture(scope="module")
def folder_after(tmp_path_factory):
    """The folder that a page leaves, which may begin with a copy of that of another page."""
    left = {}

    def after(page):
        if page not in left:
            folder = tmp_path_factory.mktemp(page.stem)
            followed = re.search(FOLLOWS, page.read_text().replace("\n", " "))
            if followed:
                shutil.copytree(after(page.parent / followed[1]), folder, dirs_exist_ok=True)
            run_blocks(page, folder)
            left[page] = folder
        return left[page]

    return after


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_and_code_run_as_they_stand(page, folder_after):
    folder_after(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_block_is_left_out_in_silence(page):
    """Blocks that are not run are marked as files or text, and nothing escapes the pattern."""
    text = page.read_text()
    fences = re.findall(r"^ *```(.*)$", text, flags=re.M)
    run = len(re.findall(RUN, text, flags=re.S | re.M))
    marked = [language.split()[0] if language else "" for language in fences[::2]]
    assert set(fences[1::2]) <= {""}, page
    assert run + sum(language in SHOWN for language in marked) == len(marked), marked


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

"""The documentation builds strictly and without a network, and has every name and verb."""

import os
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest

import hoag

ROOT = Path(__file__).parents[1]
# What a browser fetches without being asked to; links that a reader may follow are not among it.
FETCHED = {
    "script": "src", "img": "src", "source": "src", "iframe": "src", "link": "href",
    "video": "src", "audio": "src", "embed": "src", "object": "data",
}  # fmt: skip
NO_PROXY = "http://127.0.0.1:9"  # nothing answers there


class Tags(HTMLParser):
    """The tags of a page with their attributes, and the ids."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)
        self.ids = {found["id"] for _, found in self.found if found.get("id")}

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; warnings of a build that is not clean are in the failure."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
        env=os.environ | {
            "NO_MKDOCS_2_WARNING": "1", "http_proxy": NO_PROXY, "https_proxy": NO_PROXY,
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {path: Tags(path.read_text()) for path in sorted(site.rglob("*.html"))}


def test_every_page_of_docs_is_built(site):
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs")).with_suffix(".html").is_file(), page


def test_links_and_anchors_lead_somewhere(site, pages):
    for path, tags in pages.items():
        if path.name == "404.html":  # its links are those of a server's root
            continue
        for tag, found in tags.found:
            address = urlsplit(found.get("href" if tag in ("a", "link") else "src") or "")
            if address.scheme or address.netloc or not (address.path or address.fragment):
                continue
            target = (path.parent / unquote(address.path)).resolve() if address.path else path
            assert target.exists(), f"{path.name}: {tag} {address.geturl()}"
            if tag == "a" and address.fragment and target.suffix == ".html":
                if not address.fragment.startswith("__"):  # material's own, made by its script
                    assert unquote(address.fragment) in pages[target].ids, (
                        f"{path.relative_to(site)}: {address.geturl()}"
                    )


def test_reading_asks_no_other_server(site, pages):
    for path, tags in pages.items():
        for tag, found in tags.found:
            if tag == "link" and found.get("rel") == "canonical":
                continue
            for address in (found.get(FETCHED.get(tag, "")), found.get("srcset")):
                assert not re.match(r"\s*(https?:)?//", address or ""), f"{path.name}: {found}"
    for path in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", path.read_text()), path


def test_equations_are_drawn_by_the_browser(site, pages):
    for path in pages:
        text = path.read_text()
        assert "arithmatex" not in text and "MathJax" not in text, path
        assert not re.search(r"<merror|\\\[|\\\(", text), path
    assert sum(tag == "math" for tag, _ in pages[site / "method.html"].found) > 10


def test_every_public_name_is_in_the_reference(pages):
    ids = set().union(*(tags.ids for path, tags in pages.items() if path.parent.name == "api"))
    missing = {f"hoag.{name}" for name in hoag.__all__} - ids
    assert not missing


def verbs(app, before="hoag"):
    """Names of all verbs, as they are typed."""
    for name in app:
        if name.startswith("-"):
            continue
        yield f"{before} {name}"
        yield from verbs(app[name], f"{before} {name}")


def test_every_verb_is_on_the_page_of_the_command_line(site):
    from hoag.cli import app

    text = re.sub(r"<[^>]+>", "", (site / "command-line.html").read_text())
    named = list(verbs(app))
    assert len(named) > 25
    assert not [verb for verb in named if verb not in text]


def test_guarantees_name_tests_that_exist():
    text = (ROOT / "docs" / "guarantees.md").read_text()
    named = re.findall(r"(test_\w+\.py)::(test_\w+)", text)
    assert len(named) > 30
    for file, test in named:
        assert f"\ndef {test}(" in (ROOT / "tests" / file).read_text(), f"{file}::{test}"


NAMED = r"`(hoag(?:\.\w+)+)(?:\(\))?`"


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_names_in_prose_are_names(page):
    """Where the reference has them they become links; a typo would only stay text."""
    for name in re.findall(NAMED, page.read_text()):
        found = hoag
        for part in name.split(".")[1:]:
            if isinstance(found, ModuleType) and not hasattr(found, part):
                import_module(f"{found.__name__}.{part}")
            assert hasattr(found, part), name
            found = getattr(found, part)


SCRIPTS = sorted((ROOT / "docs" / "slurm").glob("*.sbatch"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_slurm_scripts_are_scripts_whose_commands_hoag_knows(script):
    """Syntax by bash, options by the command line itself; no cluster is at hand to run them."""
    from hoag.cli import app
    from hoag.recipe import load_recipe

    checked = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    text = script.read_text().replace("\\\n", " ")
    commands = re.findall(r"\bhoag (train .*)", text)
    assert len(commands) == 1
    _, bound, _ = app.parse_args(shlex.split(commands[0]), exit_on_error=False)
    settings = load_recipe(bound.arguments["recipe"], bound.arguments["overrides"])
    given = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)", text, flags=re.M))
    devices = int(given["nodes"]) * int(given["gpus-per-node"])
    assert settings.batch.size % devices == 0 and 1 <= devices <= 16
    # Lightning reads these; with --ntasks or --gpus-per-task it stops, or sees one device alone.
    processes = 1 if "torchrun" in text else int(given["gpus-per-node"])
    assert int(given["ntasks-per-node"]) == processes
    assert not {"ntasks", "gpus-per-task"} & set(given)

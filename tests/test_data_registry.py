"""The registry of data sets: complete, safe addresses, references that exist."""

import re
import tomllib
from importlib.resources import files

import pytest

from hoag import HoagError
from hoag.data.registry import find_set, hub_hosts, list_sets, parse_registry

CHECKSUM = re.compile(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}")
FILES = '[[set]]\nname = "a"\ntitle = "A"\n'
GOOD = '[[set]]\nname = "a"\ntitle = "A"\nhub = "u/a"\n'


@pytest.mark.parametrize(
    "name",
    ["gz_evo", "gz2", "gz_hubble", "gz_candels", "gz_decals_5", "gz_rings", "gz2_votes"],
)  # fmt: skip
def test_the_sets_of_the_paper_have_names(name):
    assert find_set(name).name == name
    assert find_set(name).title


def test_names_are_different_and_unknown_ones_give_none():
    names = [one.name for one in list_sets()]
    assert len(set(names)) == len(names) > 15
    assert find_set("gz3") is None


@pytest.mark.parametrize("one", list_sets(), ids=lambda one: one.name)
def test_each_set_says_where_it_is_and_what_is_not_known(one):
    assert one.source.startswith("https://")
    assert bool(one.hub) != bool(one.urls)
    for file in one.urls:
        assert file.url.startswith("https://")
        assert re.fullmatch(r"[\w.]+\.(csv|csv\.gz|parquet|zip)", file.name)
        assert CHECKSUM.fullmatch(file.checksum) or "No checksum" in one.unconfirmed
    if not one.licence:
        assert "licence" in one.unconfirmed or "No such set" in one.unconfirmed


@pytest.mark.parametrize("one", list_sets(), ids=lambda one: one.name)
def test_references_are_known_or_in_plain_words(one):
    known = tomllib.loads((files("hoag") / "citations.toml").read_text())["paper"]
    for cited in one.cite:
        assert cited in known or ("(" in cited and " " in cited)


def test_hub_sets_may_be_sent_to_the_hubs_own_hosts_and_files_nowhere():
    assert "*.hf.co" in hub_hosts()
    assert find_set("gz_evo").hosts == hub_hosts()
    assert find_set("gz2_votes").hosts == ()


def test_a_file_is_named_as_in_its_url():
    assert find_set("gz2_votes").urls[0].name == "gz2_hart16.csv.gz"
    assert find_set("dr5_votes").urls[0].name == "gz_decals_volunteers_5.parquet"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[set", "not valid TOML"),
        (GOOD + GOOD, "'a' is there twice"),
        (GOOD + 'licence = 3\n', "'licence' must be text"),
        (GOOD + 'license = "x"\n', "unknown key 'license'; did you mean 'licence'"),
        (FILES, "needs either 'hub' or"),
        (GOOD + '[[set.file]]\nurl = "https://a/b"\n', "needs either 'hub' or"),
        (FILES + '[[set.file]]\nurl = "http://a/b"\n', "must begin with https"),
        (FILES + '[[set.file]]\nurl = "https://a/b"\nsha1 = "x"\n', "unknown key"),
        ('[[sets]]\nname = "a"\n', "unknown key 'sets'; did you mean 'set'"),
    ],
)  # fmt: skip
def test_mistakes_in_a_registry_are_named(text, words):
    with pytest.raises(HoagError, match=re.escape(words)) as caught:
        parse_registry(text, "mine.toml")
    assert "mine.toml" in str(caught.value)

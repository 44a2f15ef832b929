"""Column maps: each maps every answer of its campaign once, and mistakes in one are named."""

import json
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from hoag import HoagError
from hoag.data.column_maps import MAPS, load_map, map_names
from tests.conftest import SHARED
from tests.published_tables import SCHEMA

HEADERS = SHARED / "published-headers.json"
VOTES = [name for name in map_names() if name != "rings"]


def test_every_campaign_of_gz_evo_has_a_map() -> None:
    assert set(VOTES) == set(SCHEMA.campaigns)


@pytest.mark.parametrize("campaign", VOTES)
def test_a_map_has_every_answer_once_in_the_schemas_order(campaign: str) -> None:
    known = load_map(campaign, SCHEMA)
    assert tuple(known.stems) == SCHEMA.select(campaign).columns
    assert len(set(known.stems.values())) == len(known.stems)
    assert known.kind == "votes"


@pytest.mark.parametrize("name", map_names())
def test_a_map_says_where_its_table_comes_from(name: str) -> None:
    known = load_map(name, SCHEMA)
    papers = tomllib.loads((files("hoag") / "citations.toml").read_text())["paper"]
    assert known.title and known.paper and known.source and known.survey
    assert known.cite and set(known.cite) <= set(papers)
    assert known.unconfirmed or known.licence
    about = known.about()
    assert about["licence"] and json.dumps(about)


@pytest.mark.skipif(not HEADERS.is_file(), reason=f"{HEADERS} is not there")
def test_the_maps_agree_with_the_published_headers() -> None:
    headers = json.loads(HEADERS.read_text())
    stems = headers["gz2_hart16"]["answer_stem_to_gz_evo"]
    assert load_map("gz2", SCHEMA).stems == {column: stem for stem, column in stems.items()}
    for campaign, entry in (("hubble", "gz_hubble_main"), ("candels", "gz_candels")):
        known = load_map(campaign, SCHEMA)
        shown = set(headers[entry]["shown_columns"])
        for stem in known.stems.values():
            assert set(known.answer_columns("fraction", stem)) <= shown
        for question in known.questions:
            assert set(known.question_columns("total", question)) <= shown
        assert {known.id[0], known.ra[0], known.dec[0]} <= shown
        for column, name in headers[entry]["fraction_to_gz_evo"].items():
            question, _, answer = name.removesuffix("_fraction").partition("_")
            if column.startswith(known.passed_over):
                continue
            stem = known.stems[f"{question}-{campaign}_{answer}"]
            assert known.answer_columns("fraction", stem) == [column]
        votes = {name for name in shown if name.startswith("t") and name[1:3].isdigit()}
        left = votes - set(known.vote_columns())
        assert {n for n in left if not n.startswith(known.passed_over)} <= {"total_count"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "bar"', 'name = "baar"', "question 'baar' is none of campaign 'dr12'; did you"),
        ('[[question]]\nname = "bar"\nstem = "bar"\nanswers = ["yes", "no"]', "", "'bar' of"),
        ('"yes", "no"]', '"yes"]', "answer 'no' is not mapped"),
        ('"yes", "no"]', '"yes", "nooo"]', "unknown answer 'nooo'"),
        ('stem = "bar"', 'stem = "disk-edge-on"', "is mapped to 2 answers"),
        ('survey = "DECaLS"', 'surwey = "DECaLS"', "unknown key 'surwey'; did you mean 'survey'"),
        ('survey = "DECaLS"', "", "'survey' is missing"),
        ('id = ["iauname"]', "", "'id' is missing"),
        ('count = ["{answer}"]', 'count = ["votes"]', "must have {answer} or {question}"),
        ('count = ["{answer}"]\nfraction = ["{answer}_fraction"]', "", "votes need 'count'"),
        ('count = ["{answer}"]', 'cuont = ["{answer}"]', "unknown key 'cuont'"),
        ('campaign = "dr12"', 'campaign = "dr13"', "no campaign 'dr13'"),
        ('campaign = "dr12"', "campaign = 12", "'campaign' must be text"),
        ('"yes", "no"]', '"yes", 3]', "answers is a table"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_map_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = (MAPS / "dr12.toml").read_text()
    assert old in text
    mine = tmp_path / "mine.toml"
    mine.write_text(text.replace(old, new))
    with pytest.raises(HoagError) as caught:
        load_map(mine, SCHEMA)
    assert said in str(caught.value)
    assert "mine.toml" in str(caught.value) or "dr13" in said


def test_an_unknown_map_gets_a_hint() -> None:
    with pytest.raises(
        HoagError, match="no published table is known for 'hubbel'; did you mean 'h"
    ):
        load_map("hubbel", SCHEMA)

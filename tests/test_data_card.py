"""The card of a built set: `datasets` and the Hub read it, and its code does what it says."""

import re
import shutil

import pytest
import yaml

from hoag.data.built import open_built
from hoag.data.card import write_card
from hoag.errors import HoagError
from hoag.splits import split_names

from .made_built import make_built


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return make_built(tmp_path_factory.mktemp("set"))


@pytest.fixture(scope="module")
def card(built):
    return write_card(built).read_text()


def front(card):
    return yaml.safe_load(card.split("---\n")[1])


@pytest.mark.parametrize("table", ["labelled", "unlabelled", "downstream"])
def test_datasets_loads_each_table_by_its_name(built, card, table, tmp_path):
    import datasets

    loaded = datasets.load_dataset(
        str(built), table, split="train", cache_dir=str(tmp_path / "cache")
    )
    assert len(loaded) == open_built(built).record["tables"][table]["galaxies"]
    assert loaded[0]["image"].size == (64, 64)
    votes = [name for name in loaded.column_names if "-gz2_" in name]
    assert bool(votes) == (table != "unlabelled")


def test_the_front_matter_is_what_the_hub_asks_for(built, card):
    about = front(card)
    assert about["size_categories"] == ["n<1K"]
    assert [config["config_name"] for config in about["configs"]] == [
        "labelled", "unlabelled", "downstream",
    ]  # fmt: skip
    assert about["configs"][0]["default"] is True
    assert about["license"] == "other"  # no licence is on record of these sources


def test_the_rule_of_splits_is_code_that_gives_hoags_splits(card):
    code = next(
        block for block in re.findall(r"```python\n(.*?)```", card, re.S) if "blake2b" in block
    )
    place: dict = {}
    exec(code, place)
    groups = [f"J{n}" for n in range(3000)]
    assert [place["split"](group) for group in groups] == split_names(groups).tolist()


def test_counts_sources_licences_and_papers_are_told(built, card):
    record = open_built(built).record
    for campaign, about in record["campaigns"].items():
        assert f"| `{campaign}` | {about['galaxies']:,} | {about['votes']:,} |" in card
    assert "Willett" in card and "Walmsley" in card and "no licence is on record" in card
    rows = record["rows"]
    assert f"{rows['in']:,} = {rows['out']:,} + {rows['merged']:,} + {rows['set_aside']:,}" in card


def test_the_card_depends_on_the_content_alone(built, card, tmp_path):
    moved = shutil.copytree(built, tmp_path / "elsewhere")
    assert write_card(moved).read_bytes() == card.encode()


def test_a_table_of_columns_survives_a_bar_in_a_name(built, tmp_path):
    copy = shutil.copytree(built, tmp_path / "evo")
    text = (copy / "build.json").read_text().replace('"name": "more.parquet"', '"name": "a|b\\nc"')
    (copy / "build.json").write_text(text)
    assert r"| a\|b c |" in write_card(copy).read_text()


def test_no_card_without_a_set(tmp_path):
    with pytest.raises(HoagError, match="not a built set"):
        write_card(tmp_path)

"""Citations: what is printed parses as BibTeX, is complete, and belongs to what was used."""

import re
from pathlib import Path

import pytest

import hoag
from hoag import HoagError
from hoag.citation import cite, reference
from hoag.schema import load_schema

ROOT = Path(__file__).parents[1]


def bibtex_keys(text):
    return re.findall(r"^@\w+\{(\w+),$", text, re.MULTILINE)


def test_all_of_gz_evo_is_cited_unless_campaigns_are_named():
    assert bibtex_keys(cite()) == [
        "hoag",
        "walmsley2022foundation",
        "grill2020byol",
        "walmsley2022decals",
        "walmsley2023desi",
        "willett2013gz2",
        "hart2016gz2",
        "simmons2017candels",
        "willett2017hubble",
    ]


@pytest.mark.parametrize(
    ("campaigns", "papers"),
    [
        ("gz2", ["willett2013gz2", "hart2016gz2"]),
        (["dr5", "dr12"], ["walmsley2022decals"]),
        (["hubble", "candels"], ["willett2017hubble", "simmons2017candels"]),
    ],
)
def test_only_the_campaigns_used_are_cited_and_each_paper_once(campaigns, papers):
    keys = bibtex_keys(cite(campaigns))
    assert keys == ["hoag", "walmsley2022foundation", "grill2020byol", *papers]


def test_every_reference_of_a_packaged_campaign_is_known():
    assert "Also cite" not in cite()
    assert all(campaign.cite for campaign in load_schema().about)


def test_bibtex_is_balanced_and_each_field_is_named():
    entries = cite().split("\n\n")
    for entry in entries:
        assert entry.count("{") == entry.count("}")
        if entry.startswith("@"):
            fields = re.findall(r"^  (\w+) = \{(.+)\},$", entry, re.MULTILINE)
            assert {"author", "title"} <= dict(fields).keys()
            assert len(fields) == len(entry.splitlines()) - 2
        else:
            assert all(line.startswith("% ") for line in entry.splitlines())


@pytest.mark.parametrize("style", ["bibtex", "text"])
def test_volunteers_are_thanked_and_the_version_is_said(style):
    text = re.sub(r"\s+%?\s*", " ", cite("gz2", style))
    assert "made possible by the Galaxy Zoo volunteers" in text
    assert "data generated via the Zooniverse.org platform" in text
    assert hoag.__version__ in text
    assert "2206.11927" in text


def test_text_is_for_reading():
    text = cite(style="text")
    assert not set("{}\\@%") & set(text)
    assert max(map(len, text.splitlines())) <= 90
    assert "Walmsley, Mike et al. (2022). Towards Galaxy Foundation Models" in text


def test_a_campaign_of_ones_own_may_bring_a_reference_in_words(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'campaign = "mine"\ncite = ["Doe et al., in preparation", "hart2016gz2"]\n'
        '[[question]]\nname = "a"\nanswers = ["yes", "no"]\n'
    )
    assert "% Also cite: Doe et al., in preparation" in cite(path)
    assert bibtex_keys(cite(path))[-1] == "hart2016gz2"
    assert "  Doe et al., in preparation" in cite(["gz2", path], "text")


def test_unknown_campaigns_and_styles_are_refused():
    with pytest.raises(HoagError, match="no schema or campaign 'gz7'"):
        cite("gz7")
    with pytest.raises(HoagError, match="'bibtex' or 'text', not as 'apa'"):
        cite(style="apa")


def test_citation_file_and_changelog_know_this_version():
    citation = (ROOT / "CITATION.cff").read_text()
    assert "cff-version: 1.2.0" in citation
    assert f"version: {hoag.__version__}\n" in citation
    assert hoag.__version__ in (ROOT / "CHANGELOG.md").read_text()


def test_one_reference_is_one_line_and_plain_words_stay():
    assert reference("hart2016gz2").startswith("Hart, Ross E. et al. (2016). Galaxy Zoo")
    assert "\n" not in reference("hart2016gz2")
    assert reference("Doe (2020). Rings") == "Doe (2020). Rings"

import copy
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hoag.errors import HoagError
from hoag.figures import png_bytes
from hoag.report import summary_sentences, write_report
from tests.example_results import example_figures, example_results

VOID = {"meta", "br", "img", "link", "hr", "input"}


class Page(HTMLParser):
    """Collects tags and text of a page and checks that what opens closes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[Page, str]:
    results = example_results()
    path = write_report(results, example_figures(results), tmp_path_factory.mktemp("r"))
    assert path.name == "report.html"
    text = path.read_text()
    return Page(text), text


def test_page_needs_nothing_from_outside_itself(page: tuple[Page, str]) -> None:
    for tag, name, value in page[0].attributes:
        if name in ("src", "href", "xlink:href", "data") and tag != "a":
            assert value.startswith(("data:", "#")), (tag, value[:80])
    assert "<script" not in page[1]
    assert "@import" not in page[1]
    assert not re.findall(r"url\((?!#)", page[1])


def test_page_holds_every_number_figure_caveat_and_command(page: tuple[Page, str]) -> None:
    results = example_results()
    text = page[0].text
    for row in results["tasks"][0]["curve"]:
        assert f"{100 * row['accuracy']:.1f}" in text
        assert f"{100 * row['accuracy_low']:.1f}" in text
        assert f"{row['auc']:.3f}" in text
    for caveat in results["caveats"]:
        assert re.sub(r"\s+", " ", caveat) in text
    for command in results["commands"] + [arm["command"] for arm in results["arms"].values()]:
        assert command in text
    for words in ("+2.0", "optimiser.rate", "0.001", "every.batch.size", "0123abc"):
        assert words in text
    assert page[1].count("<svg") == len(example_figures(results))


def test_links_within_the_page_lead_somewhere_and_ids_are_unique(page: tuple[Page, str]) -> None:
    ids = [value for _, name, value in page[0].attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for _, name, value in page[0].attributes:
        if name in ("href", "xlink:href") and value.startswith("#"):
            assert value[1:] in ids


def test_page_is_light_and_dark_and_fits_a_phone(page: tuple[Page, str]) -> None:
    assert "prefers-color-scheme: dark" in page[1]
    assert 'name="viewport"' in page[1]
    assert "var(--ink, #1f2428)" in page[1]
    assert "var(--c-d55e00" in page[1]


def test_the_same_results_give_the_same_page(tmp_path: Path) -> None:
    results = example_results()
    for name in ("a.html", "b.html"):
        write_report(results, {"fig2": example_figures(results)["fig2"]}, tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_summary_says_who_is_ahead_and_what_cannot_be_told() -> None:
    results = example_results()
    [sentences] = summary_sentences(results).values()
    assert sentences[0].startswith("With 50 labels Hybrid gets 6")
    assert "then Pretrained" in sentences[0]
    assert sentences[-2:] == [
        "Not told apart at any number of labels: Hybrid and Pretrained.",
        "Ahead at every number of labels: Hybrid of Contrastive; Hybrid of Random weights.",
    ]
    results["tasks"][0]["paired"][0]["low"] = 0.001
    results["tasks"][0]["paired"][1]["high"] = -0.001
    [mixed] = summary_sentences(results).values()
    assert (
        "Hybrid against Pretrained, of 6 numbers of labels: ahead at 1, behind at 1, neither at 4."
        in mixed
    )


def test_direct_is_not_ranked_with_arms_on_all_trials(tmp_path: Path) -> None:
    results = example_results()
    task = results["tasks"][0]
    for row in task["curve"]:
        if row["arm"] == "direct":
            row["accuracy"] = 0.991
    [sentences] = summary_sentences(results).values()
    assert sentences[1].startswith("With 1,500 labels Hybrid gets")
    assert not any("Direct" in sentence for sentence in sentences)
    page = Page(write_report(results, example_figures(results), tmp_path / "r.html").read_text())
    text = (tmp_path / "r.html").read_text()
    bold = re.findall(r'<td class="best">([\d.]+)<', text)
    assert len(bold) == 2 * 6  # the open table and the final one, every number of labels
    assert "99.1" not in bold
    assert "99.1" in page.text
    assert "Direct is trained end to end on 3 of the trials" in page.text
    assert "leaves out the luck of training and of the subsets" in page.text
    assert "Direct is not in this table." in page.text
    task["paired"] += [
        {"a": arm, "b": "direct", "size": size, "metric": "accuracy", "trials": 3,
         "difference": 0.03, "low": low, "high": 0.06}
        for arm, lows in (("hybrid", (0.01, 0.01)), ("contrastive", (-0.01, 0.01)))
        for size, low in zip((100, 1500), lows, strict=True)
    ]  # fmt: skip
    [sentences] = summary_sentences(results).values()
    assert sentences[-1] == (
        "Against Direct, on its few trials alone: Hybrid ahead at every number of labels; "
        "Contrastive ahead at 1, neither at 1."
    )


def test_captions_say_how_it_was_measured(page: tuple[Page, str], tmp_path: Path) -> None:
    assert "raw pixels at 32 px" in page[0].text
    assert "The paper's claim is that a lower contrastive loss need not mean" in page[0].text
    assert "one run an arm cannot decide it." in page[0].text
    assert "the train half in 5 folds" in page[0].text
    results = example_results()
    results["tasks"][0] |= {"protocol": "repeated", "final": None}
    text = Page(write_report(results, {}, tmp_path / "r.html").read_text()).text
    assert "without a test half: cut into 5 folds, 20 times." in text
    assert "too few" not in text
    assert "not in this table" not in text


def test_page_says_whether_intervals_cover_the_luck_of_pretraining(tmp_path: Path) -> None:
    def words(caveats: list[str], seeds: int | None) -> str:
        results = example_results() | {"caveats": caveats}
        if seeds is not None:
            results["settings"]["pretraining_seeds"] = seeds
        return Page(write_report(results, {}, tmp_path / "r.html").read_text()).text

    once = "Each arm was pretrained once: the intervals cover which galaxies were held out, not"
    assert once in words([], None)
    assert once in words(["Small."], 1)
    assert once not in words(["One seed, so intervals cover the galaxies alone."], 1)
    several = words(["Small."], 3)
    assert "Each arm was pretrained 3 times" in several
    assert "the luck of a run." in several
    assert once not in several


def test_text_of_results_is_escaped(tmp_path: Path) -> None:
    results = example_results()
    results["caveats"] = ["a <b>bold</b> & doubtful claim"]
    results["tasks"][0]["name"] = "<rings>"
    text = write_report(results, {}, tmp_path / "r.html").read_text()
    assert "a &lt;b&gt;bold&lt;/b&gt; &amp; doubtful claim" in text
    assert "<rings>" not in text
    Page(text)


def test_results_with_little_in_them_still_make_a_page(tmp_path: Path) -> None:
    results = example_results()
    task = results["tasks"][0]
    little = {
        "stamp": {"hoag": "0.1.0", "seed": 0},
        "tasks": [{"name": "t", "classes": ["a", "b"], "labels": 9, "protocol": "repeated",
                   "curve": task["curve"][:1]}],
        "caveats": [],
    }  # fmt: skip
    Page(write_report(little, {}, tmp_path / "r.html").read_text())


def test_pictures_as_bytes_become_data_uris(tmp_path: Path) -> None:
    results = example_results()
    picture = png_bytes(example_figures(results)["fig2"])
    text = write_report(
        results, {"fig2": picture, "extra": picture}, tmp_path / "r.html"
    ).read_text()
    assert text.count("data:image/png;base64,") == 2
    assert ">extra</h2>" in text
    with pytest.raises(HoagError, match="figure 'fig2' is neither PNG"):
        write_report(results, {"fig2": b"nothing"}, tmp_path / "r.html")
    with pytest.raises(HoagError, match="figure 'fig2' is a str"):
        write_report(results, {"fig2": "nothing"}, tmp_path / "r.html")


def test_results_without_caveats_are_refused(tmp_path: Path) -> None:
    results = copy.deepcopy(example_results())
    del results["caveats"]
    with pytest.raises(HoagError, match="the results have no 'caveats'"):
        write_report(results, {}, tmp_path / "r.html")

"""The page of a built set: its numbers are the set's, and it needs nothing from outside."""

import re
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from hoag.data.built import open_built
from hoag.data.report import write_data_report
from hoag.data.report_figures import quantiles, sky_figure, volunteers_figure
from hoag.data.report_numbers import SKY, count
from hoag.errors import HoagError
from hoag.figure_style import svg_text

from .made_built import make_built
from .made_sources import votes_of


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return make_built(tmp_path_factory.mktemp("set"))


@pytest.fixture(scope="module")
def page(built):
    return write_data_report(built).read_text()


def test_numbers_are_those_of_the_sources(built):
    opened = open_built(built)
    numbers = count(opened, opened.roles.source.schema)
    assert numbers.with_votes == 80
    assert sum(sum(tables.values()) for tables in numbers.surveys.values()) == opened.galaxies
    first = [sum(v for k, v in votes_of(n).items() if k.startswith("smooth")) for n in range(60)]
    expected = np.bincount(first, minlength=len(numbers.volunteers["gz2"]))
    np.testing.assert_array_equal(numbers.volunteers["gz2"][1:], expected[1:])
    assert numbers.sky.sum() == numbers.placed


def test_every_place_falls_in_its_cell_of_sky(built):
    opened = open_built(built)
    numbers = count(opened, opened.roles.source.schema)
    table = pq.read_table(opened.shards["labelled"][0], columns=["ra", "dec"])
    for ra, dec in zip(table["ra"].to_pylist(), table["dec"].to_pylist(), strict=True):
        if ra is not None:
            up = int((np.sin(np.radians(dec)) + 1) / 2 * SKY[1])
            assert numbers.sky[int(ra / 360 * SKY[0]), up] > 0


def test_the_page_says_everything(built, page):
    record = open_built(built).record
    for number in (
        record["rows"]["in"],
        record["rows"]["out"],
        record["campaigns"]["gz2"]["votes"],
    ):
        assert f"{number:,}" in page
    for text in ("96.5M", "552k", "1.34M", "209,239", "cut short", "J00207", "twin", "rings",
                 "Willett", "SDSS | old", "near-duplicates", "held out"):  # fmt: skip
        assert text in page, text


def test_the_page_stands_alone(page):
    outside = re.findall(r'(?:src|href)="(?!data:|#)([^"]+)"', page)
    assert set(outside) == {"https://arxiv.org/abs/2206.11927"}
    assert page.count("data:image/jpeg") > 60


def test_the_same_set_gives_the_same_page_and_elsewhere_too(built, page, tmp_path):
    moved = shutil.copytree(built, tmp_path / "moved")
    assert write_data_report(moved, tmp_path / "page.html").read_text() == page
    assert str(built) not in page


def test_a_survey_with_markup_in_its_name_is_text(built, tmp_path):
    record = (built / "build.json").read_text()
    copy = shutil.copytree(built, tmp_path / "evo")
    (copy / "build.json").write_text(record.replace('"name": "gz2"', '"name": "<b>gz2</b>"'))
    page = write_data_report(copy).read_text()
    assert "&lt;b&gt;gz2&lt;/b&gt;" in page and "<b>gz2</b>" not in page


def test_right_ascension_grows_to_the_left():
    sky = np.zeros(SKY, np.int64)
    sky[10, 45] = sky[170, 45] = 1
    figure = sky_figure(sky)
    points = figure.axes[0].collections[0].get_offsets()
    assert points[0][0] > 0 > points[1][0]  # 20 degrees is right of the middle, 340 left
    assert svg_text(sky_figure(sky)) == svg_text(figure)


def test_a_full_sky_is_drawn_as_cells():
    figure = sky_figure(np.ones(SKY, np.int64))
    assert figure.axes[0].collections[0].get_array().size == SKY[0] * SKY[1]


def test_quantiles_of_volunteers_leave_out_who_had_none():
    counts = np.zeros(50, np.int64)
    counts[0], counts[10], counts[20], counts[40] = 1000, 2, 6, 2
    assert quantiles(counts) == (10, 20, 40)
    assert quantiles(np.zeros(5, np.int64)) == (0, 0, 0)


def test_bars_hold_every_galaxy():
    counts = np.zeros(401, np.int64)
    counts[[3, 80, 399]] = 5, 7, 9
    bars = volunteers_figure({"gz2": counts}).axes[0].patches
    assert sum(bar.get_height() for bar in bars) == 21


@pytest.mark.parametrize(
    ("content", "said"),
    [("{}", "has no"), ("[1]", "has no"), ("{", "not valid JSON"), (None, "not a built set")],
)
def test_what_is_no_built_set_is_refused(tmp_path, content, said):
    if content is not None:
        (tmp_path / "build.json").write_text(content)
    with pytest.raises(HoagError, match=said):
        write_data_report(tmp_path)
    assert not (tmp_path / "report.html").exists()

"""Published tables: each header parses to the right columns with known votes, or is refused."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hoag import HoagError
from hoag.catalogue import write_table
from hoag.data.column_maps import load_map
from hoag.data.published import open_votes, read_votes
from hoag.data.table_parts import open_table
from hoag.schema import load_schema
from tests.conftest import SHARED
from tests.published_tables import (
    GZ2_ID,
    SCHEMA,
    galaxy_of,
    own_table,
    published,
    rings,
    votes_of,
    write,
)

HEADERS = SHARED / "published-headers.json"
FORMATS = [".csv", ".csv.gz", ".parquet", ".fits", ".fits.gz", ".vot"]


def check(path: Path, campaign: str, rows: int = 5) -> pa.Table:
    table, checks = read_votes(path, campaign)
    votes = votes_of(campaign, rows)
    for column in SCHEMA.select(campaign).columns:
        assert table[column].type == pa.int32()
        assert table[column].to_pylist() == votes[column].tolist(), column
    assert checks.rows == rows and checks.set_aside == 0
    assert checks.votes == sum(int(v.sum()) for v in votes.values())
    assert not any(checks.over_parents.values())
    return table


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("campaign", SCHEMA.campaigns)
def test_a_published_table_gives_the_votes(tmp_path: Path, campaign: str, suffix: str) -> None:
    table = check(write(published(campaign), tmp_path / f"votes{suffix}"), campaign)
    known = load_map(campaign, SCHEMA)
    assert table.column_names[:4] == ["id_str", "ra", "dec", "survey"]
    assert table["id_str"].to_pylist() == [str(GZ2_ID + n) for n in range(5)]
    assert table["survey"].to_pylist() == [known.survey] * 5
    if known.ra:
        assert table["ra"].to_pylist() == np.linspace(0.5, 359.5, 5).tolist()
        assert table["dec"].to_pylist() == np.linspace(-80, 80, 5).tolist()
    # Nothing but the votes is left of the published columns of votes.
    assert len(table.column_names) == 4 + len(known.stems)


@pytest.mark.parametrize("suffix", FORMATS)
def test_gz_evos_own_names_are_read_in_every_format(tmp_path: Path, suffix: str) -> None:
    path = write(own_table("gz2") | {"note": list("abcde")}, tmp_path / f"own{suffix}")
    table = check(path, "gz2")
    assert table["note"].to_pylist() == list("abcde")
    assert open_votes(path, "gz2", SCHEMA).map is None


def test_fits_may_have_underscores_for_hyphens_and_capitals(tmp_path: Path) -> None:
    columns = {n.replace("-", "_").upper(): v for n, v in own_table("gz2").items()}
    check(write(columns, tmp_path / "own.fits"), "gz2")
    columns = {n.upper(): v for n, v in published("gz2").items()}
    check(write(columns, tmp_path / "hart.fits"), "gz2")
    columns = {n.replace("-", "_"): v for n, v in published("dr5").items()}
    check(write(columns, tmp_path / "decals.fits"), "dr5")


def test_hoags_own_fits_is_read_under_the_schemas_names(tmp_path: Path) -> None:
    """Another column takes the name that FITS would give: only the description tells the two."""
    columns = own_table("gz2") | {"bar_gz2_yes": np.full(5, 9), "my-note": ["a"] * 5}
    path = tmp_path / "own.fits"
    write_table(pa.table(columns), path)
    assert set(open_table(path).names) == set(columns)
    table, _ = read_votes(path, "gz2")
    assert table["bar-gz2_yes"].to_pylist() == columns["bar-gz2_yes"].tolist()
    assert table["my-note"].to_pylist() == ["a"] * 5


@pytest.mark.parametrize("suffix", [".csv", ".fits", ".parquet"])
def test_long_ids_as_numbers_keep_every_digit(tmp_path: Path, suffix: str) -> None:
    columns = published("gz2") | {"dr7objid": np.arange(5) + GZ2_ID}
    table = check(write(columns, tmp_path / f"hart{suffix}"), "gz2")
    assert table["id_str"].to_pylist() == [str(GZ2_ID + n) for n in range(5)]


@pytest.mark.skipif(not HEADERS.is_file(), reason=f"{HEADERS} is not there")
@pytest.mark.parametrize("campaign", ["hubble", "candels"])
@pytest.mark.parametrize("suffix", [".csv", ".fits", ".parquet"])
def test_the_very_header_that_was_shown_is_read(tmp_path: Path, campaign: str, suffix: str) -> None:
    entry = {"hubble": "gz_hubble_main", "candels": "gz_candels"}[campaign]
    shown = json.loads(HEADERS.read_text())[entry]["shown_columns"]
    votes = published(campaign)
    fill = {"imaging": ["AEGIS"] * 5, "Table": [4] * 5, "location": ["a.jpg"] * 5}
    columns = {n: votes[n] if n in votes else fill.get(n, np.full(5, 0.5)) for n in shown}
    assert set(galaxy_of(load_map(campaign, SCHEMA), 5)) <= set(shown)
    table = check(write(columns, tmp_path / f"shown{suffix}"), campaign)
    kept = [n for n in table.column_names[4:] if n not in SCHEMA.columns]
    assert not [n for n in kept if n.startswith("t0") or n.startswith("t1")]
    assert {"hubble": "Z_BEST", "candels": "clean_smooth"}[campaign] in kept


@pytest.mark.skipif(not HEADERS.is_file(), reason=f"{HEADERS} is not there")
@pytest.mark.parametrize("suffix", [".csv", ".fits"])
def test_an_extract_of_weighted_fractions_is_refused_with_the_reason(
    tmp_path: Path, suffix: str
) -> None:
    shown = json.loads(HEADERS.read_text())["gz2_hart16"]["shown_columns_of_a_1000_row_extract"]
    path = write({n: np.arange(3) for n in shown}, tmp_path / f"extract{suffix}")
    with pytest.raises(HoagError) as caught:
        open_votes(path, "gz2")
    message = str(caught.value)
    assert str(path) in message and "weighted ones" in message and "debiased ones" in message
    assert "raw counts" in message and "gz2_hart16.csv.gz" in message and "\n" not in message


def test_raw_fractions_with_totals_give_counts_of_gz2_too(tmp_path: Path) -> None:
    table = check(write(published("gz2", form="fraction"), tmp_path / "f.csv"), "gz2")
    assert table.num_rows == 5


@pytest.mark.parametrize("campaign", SCHEMA.campaigns)
def test_every_missing_column_is_named_with_the_nearest(tmp_path: Path, campaign: str) -> None:
    columns = published(campaign)
    known = load_map(campaign, SCHEMA)
    form = "count" if known.forms["count"] else "fraction"
    needed = [known.answer_columns(form, stem)[0] for stem in known.stems.values()]
    if form == "fraction":
        needed += [known.question_columns("total", q)[0] for q in known.questions]
    needed += [known.id[0], *known.ra, *known.dec]
    for name in needed:
        renamed = {("x_" + n if n == name else n): v for n, v in columns.items()}
        path = write({n: v[:1] for n, v in renamed.items()}, tmp_path / "one.parquet")
        with pytest.raises(HoagError) as caught:
            open_votes(path, campaign)
        assert f"'{name}' (nearest: 'x_{name}')" in str(caught.value), name
        assert str(path) in str(caught.value)


def test_the_campaign_a_table_is_of_is_said(tmp_path: Path) -> None:
    path = write(published("dr5"), tmp_path / "gzd5.parquet")
    with pytest.raises(HoagError, match="columns of campaign 'dr12'.*it has those of 'dr5'"):
        open_votes(path, "dr12")
    path = write(own_table("gz2"), tmp_path / "gz2.parquet")
    with pytest.raises(HoagError, match="it has those of 'gz2'"):
        open_votes(path, "hubble")
    with pytest.raises(HoagError, match="no campaign 'hubbel'; did you mean 'hubble'"):
        open_votes(path, "hubbel")


def test_rounding_is_to_the_nearest_whole_and_the_largest_is_reported(tmp_path: Path) -> None:
    columns = published("hubble", 2)
    columns["t01_smooth_or_features_total_count"] = [40, 40]
    for answer, share in (("a01_smooth", 0.51), ("a02_features_or_disk", 0.49)):
        columns[f"t01_smooth_or_features_{answer}_fraction"] = [share, 0.5]
    columns["t01_smooth_or_features_a03_star_or_artifact_fraction"] = [0, 0]
    table, checks = read_votes(write(columns, tmp_path / "h.csv"), "hubble")
    assert table["smooth-or-featured-hubble_smooth"].to_pylist() == [20, 20]
    assert checks.largest_rounding["smooth-or-featured-hubble"] == pytest.approx(0.4)
    assert any("0.400 at most (smooth-or-featured-hubble)" in line for line in checks.lines())


def test_a_question_without_total_or_with_none_was_not_asked(tmp_path: Path) -> None:
    columns = published("hubble", 3)
    columns["t03_bar_total_count"] = [0, None, 4]
    columns["t03_bar_a01_bar_fraction"] = [None, None, 0.25]
    columns["t03_bar_a02_no_bar_fraction"] = [0.0, None, 0.75]
    for suffix in (".csv", ".parquet"):
        table, checks = read_votes(write(columns, tmp_path / f"h{suffix}"), "hubble")
        assert table["bar-hubble_yes"].to_pylist() == [0, 0, 1]
        assert table["bar-hubble_no"].to_pylist() == [0, 0, 3]
        assert checks.set_aside == 0


def test_children_beyond_their_parents_are_counted_and_kept(tmp_path: Path) -> None:
    columns = own_table("gz2", 6)
    columns["how-rounded-gz2_round"][2] += 40
    table, checks = read_votes(write(columns, tmp_path / "own.csv"), "gz2")
    assert table.num_rows == 6 and checks.over_parents["how-rounded-gz2"] == 1


@pytest.mark.parametrize("names", [
    ("ring_votes", "not_ring_votes", "swiped-ring_fraction"),
    ("ring_yes", "ring_no", "ring_fraction"),
])  # fmt: skip
def test_rings_are_labels_by_majority(tmp_path: Path, names: tuple[str, str, str]) -> None:
    old = ("ring_votes", "not_ring_votes", "swiped-ring_fraction")
    columns = {dict(zip(old, names, strict=True)).get(n, n): v for n, v in rings(4).items()}
    reader = open_votes(write(columns, tmp_path / "rings.parquet"), "rings")
    (part,) = reader.parts()
    assert reader.kind == "labels" and reader.map is not None
    assert part.table["ring"].to_pylist() == [1, 0, 0, 1]  # a tie is no majority
    assert part.table["ring_fraction"].to_pylist() == [0.7, 0.5, 0, 1]
    assert part.table["ring_votes"].to_pylist() == [7, 5, 0, 10]
    assert part.table["total_votes"].to_pylist() == [10] * 4
    assert part.table["brickid"].to_pylist() == [0, 1, 2, 3]
    assert part.table["survey"].to_pylist() == ["DECaLS"] * 4


@pytest.mark.parametrize(("column", "value", "said"), [
    ("swiped-ring_fraction", 0.2, "0.2 is not 7 of 10"), ("not_ring_votes", 9, "10 is not 7"),
    ("total_votes", 0, "nobody voted"), ("ring_votes", -1, "-1 is negative"),
    ("swiped-ring_fraction", np.nan, "is not 7 of 10"), ("ring_votes", 7.5, "not a whole"),
])  # fmt: skip
def test_ring_columns_that_contradict_each_other_are_set_aside(
    tmp_path: Path, column: str, value: float, said: str
) -> None:
    columns = rings(4)
    columns[column] = columns[column].astype(float)
    columns[column][0] = value
    (part,) = open_votes(write(columns, tmp_path / "rings.csv"), "rings").parts()
    assert part.table.num_rows == 3 and part.rows.tolist() == [1, 2, 3]
    ((row, id_str, reason),) = part.set_aside
    assert (row, id_str) == (0, "0_5") and said in reason and column in reason


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".fits", ".vot"])
def test_parts_are_the_whole_table_whatever_their_size(tmp_path: Path, suffix: str) -> None:
    columns = own_table("gz2", 53) | {
        "mag": np.linspace(15, 17, 53),
        "note": ["x", "y", ""] * 17 + ["z"] * 2,
    }
    columns["id_str"][40] = columns["id_str"][3]
    path = write(columns, tmp_path / f"own{suffix}")
    reader = open_votes(path, "gz2")
    seen = []
    for size in (7, 53, 1000):
        parts = list(reader.parts(size))
        assert [len(p.rows) + len(p.set_aside) for p in parts[:-1]] == [size] * (len(parts) - 1)
        rows = np.concatenate([p.rows for p in parts])
        assert rows.tolist() == [n for n in range(53) if n != 40]
        (aside,) = [a for p in parts for a in p.set_aside]
        assert aside[0] == 40 and "row 3 has this id already" in aside[2]
        seen.append(pa.concat_tables([p.table for p in parts]))
        assert reader.checks.rows == 52 and reader.checks.set_aside == 1
    assert seen[0].equals(seen[1]) and seen[1].equals(seen[2])
    assert seen[0].schema.field("mag").type == pa.float64()


def test_csv_columns_keep_their_type_over_parts_and_text_its_digits(tmp_path: Path) -> None:
    columns = own_table("gz2", 6) | {
        "code": ["1", "2", "3", "4", "x", "6"], "flux": ["1", "2", "3", "4.5", "6", None],
        "zip": ["01", "2", "3", "4", "5", "6"], "ok": ["true", "false"] * 3, "empty": [""] * 6,
        "big": [str(GZ2_ID)] * 6, "file_loc": [str(n) for n in range(6)],
    }  # fmt: skip
    path = write(columns, tmp_path / "own.csv")
    parts = [p.table for p in open_votes(path, "gz2").parts(2)]
    assert len({p.schema for p in parts}) == 1
    table = pa.concat_tables(parts)
    assert table["code"].to_pylist() == ["1", "2", "3", "4", "x", "6"]
    assert table["zip"].to_pylist()[0] == "01"
    assert table["flux"].to_pylist() == [1, 2, 3, 4.5, 6, None]
    assert table["big"].to_pylist() == [GZ2_ID] * 6
    assert table["ok"].to_pylist() == [True, False] * 3
    assert table["file_loc"].to_pylist() == [str(n) for n in range(6)]


def test_images_are_not_read_and_other_campaigns_votes_are_left_to_them(tmp_path: Path) -> None:
    columns = own_table("gz2") | {n: v for n, v in own_table("dr5").items() if n != "id_str"}
    table = pa.table({"image": pa.array([{"bytes": b"x", "path": "a"}] * 5)} | columns)
    table = table.append_column("bar-gz2_yes_fraction", pa.array([0.5] * 5))
    pq.write_table(table, tmp_path / "evo.parquet")
    for campaign in ("gz2", "dr5"):
        read = check(tmp_path / "evo.parquet", campaign)
        assert len(read.column_names) == 4 + len(SCHEMA.select(campaign).columns)


def test_a_campaign_of_ones_own_is_read_by_its_columns(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'campaign = "mine"\n[[question]]\nname = "ring"\nanswers = ["yes", "no"]\n'
    )
    schema = load_schema(["gz-evo", str(tmp_path / "mine.toml")])
    columns = {"id_str": ["a", "b"], "ring-mine_yes": [3, 4], "ring-mine_no": [1, None]}
    path = write(columns, tmp_path / "mine.csv")
    table, checks = read_votes(path, "mine", schema)
    assert table["ring-mine_no"].to_pylist() == [1, 0] and checks.votes == 8
    with pytest.raises(HoagError, match="not one column of campaign 'mine'"):
        open_votes(write(own_table(), tmp_path / "other.csv"), "mine", schema)


def test_missing_coordinates_stay_unknown_and_a_survey_column_is_used(tmp_path: Path) -> None:
    columns = published("gz2", 3) | {"ra": [1.5, None, 3.0], "dec": [0.0, None, -90.0]}
    columns["survey"] = ["SDSS Stripe 82", None, ""]
    for suffix in (".csv", ".parquet"):
        table, checks = read_votes(write(columns, tmp_path / f"h{suffix}"), "gz2")
        assert table["ra"].to_pylist() == [1.5, None, 3.0] and checks.set_aside == 0
        assert table["survey"].to_pylist()[:2] == ["SDSS Stripe 82", "SDSS"]

"""`hoag data build`: all that goes in comes out once or is set aside; kills lose nothing."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hoag
from hoag.catalogue import write_table
from hoag.data.building import build
from hoag.errors import HoagError
from hoag.images import encode_jpeg
from hoag.roles import load_pretraining, read_roles
from hoag.splits import half_names, split_names

from .made_sources import (
    files_of,
    jpeg,
    make_folder,
    picture,
    png,
    rows_of,
    votes_of,
    write_parquet,
)


def whole_table(folder, name):
    shards = sorted((folder / "data").glob(f"{name}-*.parquet"))
    return pa.concat_tables([pq.read_table(shard) for shard in shards]) if shards else None


def record_of(folder):
    return json.loads((folder / "build.json").read_text())


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Two campaigns that share galaxies, unlabelled ones of two kinds, a task and bad rows."""
    folder = tmp_path_factory.mktemp("sources")
    write_parquet(folder / "gz2.parquet", list(rows_of(range(60), "gz2", survey="SDSS")))
    # Galaxies 50 to 79 by dr5: the first ten show the very images of gz2.
    write_parquet(folder / "dr5.parquet", list(rows_of(range(50, 80), "dr5", survey="SDSS")))
    more = list(rows_of(range(100, 140)))
    more[3]["image"] = b""
    more[4]["image"] = jpeg(104)[:500]
    more[5]["image"] = png(np.zeros((64, 64, 3), np.uint8))
    write_parquet(folder / "more.parquet", more)
    make_folder(folder / "cutouts", range(200, 230))
    (folder / "cutouts" / "images" / "J00207.jpg").unlink()
    rings = [{**row, "ring": n % 2} for n, row in enumerate(rows_of(range(40, 48)))]
    rings += [{**row, "ring": n % 2} for n, row in enumerate(rows_of(range(300, 330)))]
    write_parquet(folder / "rings.parquet", rings)
    return folder


@pytest.fixture(scope="module")
def built(sources, tmp_path_factory):
    out = tmp_path_factory.mktemp("built") / "evo"
    build(
        out, campaigns={"gz2": sources / "gz2.parquet", "dr5": sources / "dr5.parquet"},
        unlabelled=[sources / "more.parquet", sources / "cutouts"],
        downstream={"rings": sources / "rings.parquet"}, size=64, workers=1,
    )  # fmt: skip
    return out


def test_rows_in_are_rows_out_merged_and_set_aside(built):
    record = record_of(built)
    rows = record["rows"]
    assert rows["in"] == 60 + 30 + 40 + 30 + 38
    assert rows["in"] == rows["out"] + rows["merged"] + rows["set_aside"]
    for source in record["sources"]:
        assert source["rows"] == source["kept"] + source["merged"] + source["set_aside"], source
    tables = [whole_table(built, name) for name in ("labelled", "unlabelled", "downstream")]
    assert sum(len(table) for table in tables) == rows["out"]
    assert pq.read_metadata(built / "merged.parquet").num_rows == rows["merged"]
    assert pq.read_metadata(built / "set-aside.parquet").num_rows == rows["set_aside"]
    ids = [id_str for table in tables for id_str in table["id_str"].to_pylist()]
    assert len(set(ids)) == len(ids)


def test_rows_set_aside_say_why(built):
    table = pq.read_table(built / "set-aside.parquet").to_pylist()
    reasons = {(row["source"], row["id_str"]): row["reason"] for row in table}
    assert len(reasons) == 4
    assert "empty" in reasons["more.parquet", "J00103"]
    assert "cut short" in reasons["more.parquet", "J00104"]
    assert "blank" in reasons["more.parquet", "J00105"]
    assert "cannot be read" in reasons["cutouts", "J00207"]
    assert [row["row"] for row in table if row["source"] == "more.parquet"] == [3, 4, 5]
    assert [row["file"] for row in table if row["source"] == "cutouts"] == ["images/J00207.jpg"]


def test_a_galaxy_two_campaigns_saw_is_there_once_with_both_votes(built):
    merged = pq.read_table(built / "merged.parquet").to_pylist()
    of_dr5 = [row for row in merged if row["source"] == "dr5"]
    assert [row["into"] for row in of_dr5] == [f"J{n:05d}" for n in range(50, 60)]
    assert {row["why"] for row in merged} == {"same image"}
    table = whole_table(built, "labelled")
    rows = {row["id_str"]: row for row in table.drop_columns(["image"]).to_pylist()}
    both = rows["J00055"]
    assert both["hoag_campaigns"] == "dr5+gz2"  # in the order of the schema
    assert both["hoag_sources"] == "gz2+dr5"
    expected = votes_of(55, "gz2") | votes_of(55, "dr5")
    assert {name: both[name] for name in expected} == expected
    assert rows["J00010"]["hoag_campaigns"] == "gz2"
    assert rows["J00070"]["hoag_campaigns"] == "dr5" and rows["J00070"]["bar-gz2_yes"] == 0


def test_votes_are_counted_as_they_went_in(built):
    campaigns = record_of(built)["campaigns"]
    expected = sum(sum(votes_of(n, "gz2").values()) for n in range(60))
    assert campaigns["gz2"]["votes"] == expected and campaigns["gz2"]["galaxies"] == 60
    answers = campaigns["gz2"]["questions"]["bar-gz2"]["answers"]
    assert answers == {"_yes": 120, "_no": 180}


def test_images_of_the_right_size_are_kept_to_the_byte(built):
    table = whole_table(built, "labelled")
    first = table.slice(0, 1).to_pylist()[0]
    assert first["image"]["bytes"] == jpeg(int(first["id_str"][1:]))


def test_other_images_are_resized_once(built):
    from hoag.images import decode_square

    table = whole_table(built, "unlabelled")
    rows = {row["id_str"]: row["image"] for row in table.to_pylist()}
    source, _ = decode_square(encode_jpeg(picture(200, 80), 90), 64)
    assert rows["J00200"]["bytes"] == encode_jpeg(source, 95)


def test_many_images_are_resized_by_torch(tmp_path, monkeypatch):
    from hoag.data import resizing
    from hoag.images import decode

    make_folder(tmp_path / "cutouts", range(3))
    monkeypatch.setattr(resizing, "MANY", 3)
    folder = build(tmp_path / "set", unlabelled=[tmp_path / "cutouts"], size=48, workers=1)
    rows = whole_table(folder, "unlabelled").to_pylist()
    assert len(rows) == 3
    for row in rows:
        path = tmp_path / "cutouts" / "images" / f"{row['id_str']}.jpg"
        assert row["image"]["bytes"] == encode_jpeg(decode(path, 48), 95)


def test_what_is_tested_is_in_no_pretraining_table(built):
    roles = read_roles(built)
    task = roles.task("rings")
    assert task.protocol == "repeated" and len(task.images) == 1
    downstream = whole_table(built, "downstream")
    held_out = {f"J{n:05d}" for n in range(40, 48)}
    assert held_out <= set(downstream["id_str"].to_pylist())
    assert not held_out & set(whole_table(built, "labelled")["id_str"].to_pylist())
    votes = {r["id_str"]: r["bar-gz2_yes"] for r in downstream.drop_columns("image").to_pylist()}
    assert all(votes[name] == 2 for name in held_out)  # kept, with their votes
    assert record_of(built)["held_out"] == 8
    pretraining = load_pretraining(roles)
    assert pretraining.removed_in_all == 0
    assert len(pretraining.galaxies) == len(whole_table(built, "labelled")) + len(
        whole_table(built, "unlabelled")
    )


def test_hoag_opens_it_without_writing(built):
    before = files_of(built)
    galaxies = hoag.open(built)
    assert galaxies.labelled.sum() == len(whole_table(built, "labelled"))
    assert galaxies.pixels([0], 64).shape == (1, 3, 64, 64)
    assert files_of(built) == before


def test_the_result_does_not_depend_on_processes(sources, built, tmp_path):
    again = tmp_path / "evo"
    build(
        again, campaigns={"gz2": sources / "gz2.parquet", "dr5": sources / "dr5.parquet"},
        unlabelled=[sources / "more.parquet", sources / "cutouts"],
        downstream={"rings": sources / "rings.parquet"}, size=64, workers=2,
    )  # fmt: skip
    assert files_of(again) == files_of(built)
    assert not (tmp_path / "evo.part").exists()


def test_a_set_that_is_there_is_not_built_again_nor_lost(sources, built, tmp_path, capfd):
    before = {path: path.stat().st_mtime_ns for path in built.rglob("*")}
    arguments = {
        "campaigns": {"gz2": sources / "gz2.parquet", "dr5": sources / "dr5.parquet"},
        "unlabelled": [sources / "more.parquet", sources / "cutouts"],
        "downstream": {"rings": sources / "rings.parquet"}, "size": 64, "workers": 1,
    }  # fmt: skip
    build(built, **arguments)
    assert "built already" in capfd.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in built.rglob("*")} == before
    with pytest.raises(HoagError, match="other inputs"):
        build(built, **{**arguments, "size": 32})
    with pytest.raises(HoagError, match="something else"):
        build(sources, **arguments)


@pytest.mark.parametrize("small", [700, 5_000])
def test_shards_hold_all_galaxies_in_order(small):
    from hoag.data.shards import plan_shards

    sizes = np.random.default_rng(0).integers(50, 150, 400)
    shards = plan_shards({"labelled": sizes, "unlabelled": sizes[:0]}, small)
    assert [shard.first for shard in shards] == [0, *(shard.stop for shard in shards[:-1])]
    assert shards[-1].stop == 400
    held = [sizes[shard.first : shard.stop].sum() for shard in shards]
    assert max(held) <= small + 150 and min(held) >= 0.45 * small
    assert shards[0].name == f"labelled-00000-of-{len(shards):05d}.parquet"


def test_twenty_kills_change_nothing(sources, tmp_path):
    """SIGKILL at random moments of the build, then the same command, until it is done."""
    command = [
        sys.executable, "-m", "hoag", "data", "build", "evo", "--size", "64", "--workers", "2",
        "--campaign", f"gz2={sources}/gz2.parquet", "--unlabelled", f"{sources}/more.parquet",
        "--unlabelled", f"{sources}/cutouts", "--downstream", f"rings={sources}/rings.parquet",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(folder):
        folder.mkdir(exist_ok=True)
        return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL)  # fmt: skip

    began = time.monotonic()
    assert start(tmp_path / "whole").wait() == 0
    took = time.monotonic() - began
    expected = files_of(tmp_path / "whole" / "evo")
    moments = random.Random(11)
    kills = finished = 0
    folder = tmp_path / "killed"
    while kills < 20 or finished == 0:
        process = start(folder)
        try:
            process.wait(timeout=moments.uniform(0.1, 1.1) * took if kills < 20 else 120)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            continue
        assert process.returncode == 0
        finished += 1
        assert files_of(folder / "evo") == expected
        assert not (folder / "evo.part").exists()
        folder = tmp_path / f"killed-{finished}"
    assert kills >= 20


def test_row_order_changes_no_split(sources, tmp_path):
    table = pq.read_table(sources / "gz2.parquet")
    back = table.take(list(range(len(table)))[::-1])
    pq.write_table(back, tmp_path / "back.parquet")
    one = build(tmp_path / "one", campaigns={"gz2": sources / "gz2.parquet"}, size=64, workers=1)
    two = build(tmp_path / "two", campaigns={"gz2": tmp_path / "back.parquet"}, size=64, workers=1)
    splits = [
        dict(zip(t["id_str"].to_pylist(), split_names(t["group"].to_pylist()), strict=True))
        for t in (whole_table(one, "labelled"), whole_table(two, "labelled"))
    ]
    assert splits[0] == splits[1]


def test_halves_hold_out_the_test_half_alone(tmp_path):
    numbers = range(80)
    write_parquet(tmp_path / "gz2.parquet", list(rows_of(numbers, "gz2")))
    labels = pa.table({"id_str": [f"J{n:05d}" for n in numbers], "ring": [n % 2 for n in numbers]})
    write_table(labels, tmp_path / "rings.csv")
    (tmp_path / "sources.toml").write_text(
        '[[campaign]]\nname = "gz2"\ntable = "gz2.parquet"\n'
        '[[downstream]]\nname = "rings"\nlabels = "rings.csv"\nimages = "gz2.parquet"\n'
        'label = "ring"\nprotocol = "halves"\n'
    )
    out = build(tmp_path / "out", sources=tmp_path / "sources.toml", size=64, workers=1)
    downstream = whole_table(out, "downstream")
    assert set(half_names(downstream["group"].to_pylist())) == {"test"}
    assert set(half_names(whole_table(out, "labelled")["group"].to_pylist())) == {"train"}
    assert len(read_roles(out).task("rings").images) == 2
    text = (tmp_path / "sources.toml").read_text() + "may_leak = true\n"
    (tmp_path / "leaky.toml").write_text(text)
    leaky = build(tmp_path / "leaky", sources=tmp_path / "leaky.toml", size=64, workers=1)
    assert whole_table(leaky, "downstream") is None
    assert len(load_pretraining(read_roles(leaky)).galaxies) == 80


def test_one_sky_object_seen_by_two_telescopes_shares_a_group(tmp_path):
    """Groups of positions equal those of astropy's own sky match."""
    from astropy import units
    from astropy.coordinates import SkyCoord, search_around_sky

    drawn = np.random.default_rng(5)
    first = [{**row, "ra": float(ra), "dec": float(dec)} for row, ra, dec in zip(
        rows_of(range(40), "gz2", survey="SDSS"), drawn.uniform(0, 360, 40),
        np.degrees(np.arcsin(drawn.uniform(-1, 1, 40))), strict=True)]  # fmt: skip
    second = []
    for k, row in enumerate(rows_of(range(500, 540), survey="HST")):
        away = drawn.uniform(0, 12) / 3600  # some within 5 arcsec, some beyond
        base = first[k]
        second.append({**row, "ra": base["ra"], "dec": float(np.clip(base["dec"] + away, -90, 90))})
    write_parquet(tmp_path / "sdss.parquet", first)
    write_parquet(tmp_path / "hst.parquet", second)
    out = build(tmp_path / "out", campaigns={"gz2": tmp_path / "sdss.parquet"},
                unlabelled=[tmp_path / "hst.parquet"], size=64, workers=1)  # fmt: skip
    groups = {
        row["id_str"]: row["group"]
        for name in ("labelled", "unlabelled")
        for row in whole_table(out, name).drop_columns("image").to_pylist()
    }
    places = [SkyCoord([r["ra"] for r in rows] * units.deg, [r["dec"] for r in rows] * units.deg)
              for rows in (first, second)]  # fmt: skip
    a, b, *_ = search_around_sky(*places, 5 * units.arcsec)
    matched = {(first[i]["id_str"], second[j]["id_str"]) for i, j in zip(a, b, strict=True)}
    assert 5 < len(matched) < 35
    found = {(x["id_str"], y["id_str"]) for x in first for y in second
             if groups[x["id_str"]] == groups[y["id_str"]]}  # fmt: skip
    assert found == matched
    assert record_of(out)["groups"]["sky_pairs"] == len(matched)


def test_one_id_with_two_pictures_stays_two_galaxies_of_one_group(tmp_path):
    write_parquet(tmp_path / "a.parquet", list(rows_of(range(3), survey="SDSS")))
    other = [{**row, "image": jpeg(900 + n)} for n, row in enumerate(rows_of(range(3)))]
    write_parquet(tmp_path / "b.parquet", [{**row, "survey": "HST"} for row in other])
    out = build(tmp_path / "out", unlabelled=[tmp_path / "a.parquet", tmp_path / "b.parquet"],
                size=64, workers=1)  # fmt: skip
    table = whole_table(out, "unlabelled").drop_columns("image").to_pylist()
    assert [row["id_str"] for row in table] == [
        "J00000", "J00001", "J00002", "b.parquet/J00000", "b.parquet/J00001", "b.parquet/J00002"
    ]  # fmt: skip
    assert [row["group"] for row in table] == ["J00000", "J00001", "J00002"] * 2


def test_one_id_and_survey_in_two_encodings_is_one_galaxy(tmp_path):
    write_parquet(tmp_path / "a.parquet", list(rows_of(range(3), "gz2", survey="SDSS")))
    again = [{**row, "image": jpeg(n, quality=60)} for n, row in enumerate(rows_of(range(3)))]
    write_parquet(tmp_path / "b.parquet", [{**row, "survey": "SDSS"} for row in again])
    out = build(tmp_path / "out", campaigns={"gz2": tmp_path / "a.parquet"},
                unlabelled=[tmp_path / "b.parquet"], size=64, workers=1)  # fmt: skip
    assert record_of(out)["rows"] == {"in": 6, "out": 3, "merged": 3, "set_aside": 0}
    assert pq.read_table(out / "merged.parquet")["why"].to_pylist() == ["same id"] * 3


def test_votes_of_one_campaign_are_never_counted_twice(tmp_path):
    """A row that comes again, with its id or under another, adds nothing to a galaxy's votes."""
    rows = list(rows_of(range(4), "gz2"))
    write_parquet(tmp_path / "gz2.parquet", [*rows, rows[1], {**rows[2], "id_str": "other"}])
    out = build(tmp_path / "out", campaigns={"gz2": tmp_path / "gz2.parquet"}, size=64, workers=1)
    table = whole_table(out, "labelled").drop_columns("image").to_pylist()
    assert [row["id_str"] for row in table] == ["J00000", "J00001", "J00002", "J00003", "other"]
    assert all(row["bar-gz2_yes"] == 2 for row in table)
    assert table[4]["group"] == table[2]["group"]  # one image: no split comes between
    aside = pq.read_table(out / "set-aside.parquet").to_pylist()
    assert len(aside) == 1 and "stands" in aside[0]["reason"] or "row" in aside[0]["reason"]


def test_a_folder_of_images_alone_is_enough(tmp_path):
    folder = tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    for n in range(5):
        (folder / f"J{n}.jpg").write_bytes(jpeg(n))
    (folder / "deep" / "J9.png").write_bytes(png(picture(9)))
    (folder / "notes.txt").write_text("no image")
    out = build(tmp_path / "out", unlabelled=[folder], size=64, workers=1)
    assert whole_table(out, "unlabelled")["id_str"].to_pylist() == [
        "J0", "J1", "J2", "J3", "J4", "J9"
    ]  # fmt: skip
    assert len(hoag.open(out)) == 6


def test_images_are_found_by_id_in_a_folder(tmp_path):
    (tmp_path / "cutouts").mkdir()
    for n in range(3):
        (tmp_path / "cutouts" / f"J{n:05d}.jpg").write_bytes(jpeg(n))
    rows = [{k: v for k, v in row.items() if k != "image"} for row in rows_of(range(4), "gz2")]
    names = list(rows[0])
    write_table(pa.table({n: [r[n] for r in rows] for n in names}), tmp_path / "votes.csv")
    with pytest.raises(HoagError, match="has no images.*--images gz2=FOLDER"):
        build(tmp_path / "out", campaigns={"gz2": tmp_path / "votes.csv"}, size=64, workers=1)
    out = build(tmp_path / "out", campaigns={"gz2": tmp_path / "votes.csv"},
                images={"gz2": tmp_path / "cutouts"}, size=64, workers=1)  # fmt: skip
    assert len(whole_table(out, "labelled")) == 3
    aside = pq.read_table(out / "set-aside.parquet").to_pylist()
    assert len(aside) == 1 and "no image file named 'J00003'" in aside[0]["reason"]


def test_fits_images_are_stretched(tmp_path):
    from astropy.io import fits

    folder = tmp_path / "fits"
    folder.mkdir()
    for n in range(3):
        cube = picture(n).transpose(2, 0, 1).astype(np.float32) / 10
        fits.PrimaryHDU(cube).writeto(folder / f"G{n}.fits")
    (folder / "G3.fits").write_bytes(b"SIMPLE  =  ")
    out = build(tmp_path / "out", unlabelled=[folder], size=32, workers=1)
    assert whole_table(out, "unlabelled")["id_str"].to_pylist() == ["G0", "G1", "G2"]
    aside = pq.read_table(out / "set-aside.parquet").to_pylist()
    assert [row["id_str"] for row in aside] == ["G3"] and "G3.fits" in aside[0]["reason"]


def test_columns_of_the_user_are_kept_and_joined(tmp_path):
    write_parquet(tmp_path / "a.parquet", list(rows_of(range(3), "gz2", mag=17.5, source="mine")))
    write_parquet(tmp_path / "b.parquet", list(rows_of(range(2, 5), redshift=0.1)))
    out = build(tmp_path / "out", campaigns={"gz2": tmp_path / "a.parquet"},
                unlabelled=[tmp_path / "b.parquet"], size=64, workers=1)  # fmt: skip
    rows = {r["id_str"]: r for r in whole_table(out, "labelled").drop_columns("image").to_pylist()}
    assert rows["J00002"]["mag"] == 17.5 and rows["J00002"]["redshift"] == 0.1
    assert rows["J00001"]["redshift"] is None and rows["J00001"]["source"] == "mine"
    write_parquet(tmp_path / "c.parquet", list(rows_of(range(7, 9), mag="bright")))
    with pytest.raises(HoagError, match=r"column 'mag' is double in gz2 and string in c\.parquet"):
        build(tmp_path / "bad", campaigns={"gz2": tmp_path / "a.parquet"},
              unlabelled=[tmp_path / "c.parquet"], size=64, workers=1)  # fmt: skip


def test_a_campaign_of_ones_own(tmp_path):
    (tmp_path / "mine.toml").write_text(
        'campaign = "mine"\n[[question]]\nname = "clumpy"\nanswers = ["yes", "no"]\n'
    )
    rows = [{**row, "clumpy-mine_yes": 3, "clumpy-mine_no": 1} for row in rows_of(range(4))]
    write_parquet(tmp_path / "mine.parquet", rows)
    out = build(tmp_path / "out", campaigns={"mine": tmp_path / "mine.parquet"},
                schema=["gz-evo", tmp_path / "mine.toml"], size=64, workers=1)  # fmt: skip
    assert read_roles(out).source.schema.columns[-2:] == ("clumpy-mine_yes", "clumpy-mine_no")
    assert load_pretraining(read_roles(out)).galaxies.votes.sum() == 16


def test_rings_as_published_are_a_task_by_majority(tmp_path):
    """Labels follow from the volunteers' votes; images of a campaign are not kept twice."""
    (tmp_path / "cutouts").mkdir()
    names = ["id_str", "ring_votes", "not_ring_votes", "total_votes", "swiped-ring_fraction"]
    lines = [",".join(names)]
    for n in range(40):
        (tmp_path / "cutouts" / f"J{n:05d}.jpg").write_bytes(jpeg(n))
        lines.append(f"J{n:05d},{n % 11},{10 - n % 11},10,{n % 11 / 10}")
    (tmp_path / "rings.csv").write_text("\n".join(lines))
    write_parquet(tmp_path / "gz2.parquet", list(rows_of(range(30, 60), "gz2")))
    out = build(tmp_path / "out", campaigns={"gz2": tmp_path / "gz2.parquet"},
                downstream={"rings": tmp_path / "rings.csv"},
                images={"rings": tmp_path / "cutouts"}, size=64, workers=1)  # fmt: skip
    labels = pq.read_table(out / "labels" / "rings.parquet").to_pydict()
    assert labels["ring"] == [int(n % 11 > 5) for n in range(40)]
    assert record_of(out)["rows"] == {"in": 70, "out": 60, "merged": 10, "set_aside": 0}
    assert record_of(out)["held_out"] == 10
    assert set(labels["id_str"]) == set(whole_table(out, "downstream")["id_str"].to_pylist())


BAD = {
    "nothing": ({}, "nothing to build from"),
    "no such file": ({"unlabelled": ["nowhere.parquet"]}, "nowhere.parquet: no such file"),
    "unknown campaign": ({"campaigns": {"gz9": "rings.parquet"}}, "no campaign 'gz9'"),
    "images of nobody": (
        {"unlabelled": ["more.parquet"], "images": {"other": "cutouts"}},
        "--images other=.*no source is named 'other'",
    ),
    "no such folder": (
        {"unlabelled": ["more.parquet"], "images": {"more.parquet": "none"}},
        "none: no such folder of images",
    ),
    "which label": (
        {"unlabelled": ["more.parquet"], "downstream": {"x": "dr5.parquet"}},
        "which column is the label.*x=.*:COLUMN",
    ),
    "no such label": (
        {"unlabelled": ["more.parquet"], "downstream": {"x": "rings.parquet:rong"}},
        "no column 'rong'; it has 'id_str'",
    ),
    "size": ({"unlabelled": ["more.parquet"], "size": 4}, "sizes are 16 to 1024"),
    "votes elsewhere": ({"campaigns": {"hubble": "gz2.parquet"}}, "hubble"),
    "sources and more": (
        {"sources": "s.toml", "unlabelled": ["more.parquet"]}, "says them all",
    ),
    "no sources file": ({"sources": "s.toml"}, "s.toml: no such file"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_sentence(case, sources, tmp_path, monkeypatch):
    monkeypatch.chdir(sources)
    arguments, sentence = BAD[case]
    with pytest.raises(HoagError, match=sentence) as found:
        build(tmp_path / "out", workers=1, **arguments)
    assert "\n" not in str(found.value)
    assert not (tmp_path / "out").exists()


def test_two_builds_do_not_write_to_one_place(sources, tmp_path):
    import fcntl

    (tmp_path / "out.part").mkdir()
    with (tmp_path / "out.part" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(HoagError, match="another build is at work there"):
            build(tmp_path / "out", unlabelled=[sources / "more.parquet"], size=64, workers=1)


def test_a_mistake_in_the_command_is_not_held_against_the_next_one(sources, tmp_path):
    with pytest.raises(HoagError, match="hubble"):
        build(tmp_path / "out", campaigns={"hubble": sources / "gz2.parquet"}, workers=1)
    assert build(tmp_path / "out", campaigns={"gz2": sources / "gz2.parquet"}, workers=1).is_dir()


def test_what_is_left_of_another_build_is_not_used(sources, tmp_path):
    build(tmp_path / "out", unlabelled=[sources / "more.parquet"], size=64, workers=1)
    os.rename(tmp_path / "out", tmp_path / "kept")
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part" / "identity.json").write_text('{"hash": "other"}')
    (tmp_path / "out.part" / "images" / "000").mkdir(parents=True)
    (tmp_path / "out.part" / "images" / "000" / "000000.arrow").write_bytes(b"hours of work")
    with pytest.raises(HoagError, match="left of a build from other inputs"):
        build(tmp_path / "out", unlabelled=[sources / "more.parquet"], size=64, workers=1)


def test_the_shared_galaxies_have_the_layout_that_is_read(built):
    names = Path(built / "data").glob("*.parquet")
    for path in names:
        schema = pq.read_schema(path)
        assert schema.names[:2] == ["image", "id_str"]
        assert b"hoag_content" in pq.read_metadata(path).metadata

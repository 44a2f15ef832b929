"""Images for a catalogue: geometry, politeness, resumption and what happens to rows that fail."""

import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits

import hoag
from hoag.catalogue import read_table, write_table
from hoag.data import cutouts as cutouts_module
from hoag.data.cutout_positions import get_survey, survey_names
from hoag.data.cutout_requests import Pace
from hoag.data.cutouts import cutouts
from hoag.data.fits_images import FitsSettings, fits_to_rgb
from hoag.data.places import find_tables
from hoag.errors import HoagError
from hoag.images import decode
from tests.cutout_server import EDGE, SOURCES, CutoutServer

QUICK = {"per_second": 50, "pixels": 48, "retries": 3}


@pytest.fixture
def server() -> Iterator[CutoutServer]:
    with CutoutServer() as running:
        yield running


def catalogue(path: Path, rows: int = 4, **changes: Any) -> Path:
    columns: dict[str, Any] = {
        "id_str": [f"gal-{k}" for k in range(rows)],
        "ra": [SOURCES[k][0] for k in range(rows)],
        "dec": [SOURCES[k][1] for k in range(rows)],
        "petroR90_r": [3.0 + k for k in range(rows)],
    }
    columns |= changes
    write_table(pa.table({k: v for k, v in columns.items() if v is not None}), path)
    return path


def failures(out: Path) -> dict[str, str]:
    table = read_table(out / "failed" / "failed.csv")
    return dict(zip(table["id_str"].to_pylist(), table["reason"].to_pylist(), strict=True))


def run(path: Path, server: CutoutServer, **options: Any) -> Path:
    return cutouts(
        path, path.parent / "out", **{"survey": "sdss", "server": server.url, **QUICK, **options}
    )


def test_catalogue_written_is_opened_at_once(tmp_path: Path, server: CutoutServer) -> None:
    made = run(catalogue(tmp_path / "cat.csv", answer=[5, 6, 7, 8]), server)
    assert made == tmp_path / "out" / "catalogue.csv"
    galaxies = hoag.open(made)
    assert len(galaxies) == 4
    table = read_table(made)
    assert table["answer"].to_pylist() == [5, 6, 7, 8]
    for name, place in zip(table["id_str"].to_pylist(), table["file_loc"].to_pylist(), strict=True):
        assert place == f"images/{name}.jpg"
        pixels = decode(made.parent / place)
        assert pixels.shape == (48, 48, 3)
        # The galaxy is where it was asked for: in the middle.
        y, x = np.unravel_index(pixels[..., 0].argmax(), (48, 48))
        assert abs(y - 23.5) < 2 and abs(x - 23.5) < 2
    assert failures(made.parent) == {}
    assert find_tables(made.parent) == [made]  # a build takes the folder as it is


def test_field_of_view_is_that_of_galaxy_zoo_2(tmp_path: Path, server: CutoutServer) -> None:
    made = run(catalogue(tmp_path / "cat.parquet"), server)
    asked = {float(q["ra"]): q for q in server.queries()}
    for k in range(4):
        query = asked[SOURCES[k][0]]
        assert float(query["fov"]) * 3600 == pytest.approx(0.02 * (3.0 + k) * 424)
        assert (query["width"], query["height"], query["projection"]) == ("48", "48", "TAN")
        assert query["hips"] == "CDS/P/SDSS9/color" and query["format"] == "jpg"
    sides = read_table(made)["cutout_arcsec"].to_pylist()
    assert sides == pytest.approx([0.02 * (3.0 + k) * 424 for k in range(4)])


def test_rule_of_decals_takes_the_smaller_term_and_a_least_pixel(
    tmp_path: Path, server: CutoutServer
) -> None:
    path = catalogue(
        tmp_path / "cat.parquet", 3, petroR90_r=None, petro_th50=[2.0, 9.0, 1.0],
        petro_th90=[6.0, 10.0, 4.0],
    )  # fmt: skip
    made = run(path, server, survey="legacy")
    sides = read_table(made)["cutout_arcsec"].to_pylist()
    assert sides == pytest.approx([424 * 0.1, 424 * 0.2, 424 * 0.1])


def test_radius_of_any_name_and_unit(tmp_path: Path, server: CutoutServer) -> None:
    from astropy import units as u
    from astropy.table import Table

    table = Table(
        {"id_str": ["a", "b"], "ra": [150.0, 150.1] * u.deg, "dec": [2.0, 2.05] * u.deg,
         "r_eff": [0.1, 0.05] * u.arcmin}
    )  # fmt: skip
    table.write(tmp_path / "cat.fits")
    made = run(tmp_path / "cat.fits", server, survey="hst", radius="r_eff", radii=5.0)
    assert made.suffix == ".fits"
    assert read_table(made)["cutout_arcsec"].to_pylist() == pytest.approx([30.0, 15.0])


def test_one_size_for_all(tmp_path: Path, server: CutoutServer) -> None:
    run(catalogue(tmp_path / "cat.csv", petroR90_r=None), server, size_arcsec=20)
    assert {round(float(q["fov"]) * 3600, 6) for q in server.queries()} == {20.0}


@pytest.mark.parametrize("survey", survey_names())
def test_every_survey_has_its_hips_and_source(survey: str) -> None:
    known = get_survey(survey)
    assert known.colour.startswith("CDS/P/") and 2 <= len(known.bands) <= 3


def test_fits_cutouts_hold_every_band_and_become_colour(
    tmp_path: Path, server: CutoutServer
) -> None:
    made = run(catalogue(tmp_path / "cat.csv", 2), server, survey="legacy", form="fits")
    place = made.parent / "images" / "gal-0.fits"
    with fits.open(place) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "Z", "R", "G"]
        assert hdus["Z"].data.max() > 2.5 * hdus["G"].data.max()
        assert hdus["Z"].header["CDELT2"] * 3600 == pytest.approx(0.02 * 3.0 * 424 / 48)
    assert fits_to_rgb(place, FitsSettings("legacy"), "x").shape == (48, 48, 3)
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    "fault", [429, 503, 500, "drop", "truncate", "html", (429, {"Retry-After": "0"})], ids=str
)
def test_passing_faults_are_tried_again(tmp_path: Path, server: CutoutServer, fault: Any) -> None:
    server.faults[SOURCES[1][0]] = [fault, fault]
    made = run(catalogue(tmp_path / "cat.csv"), server)
    assert read_table(made).num_rows == 4
    assert len(server.requests) == 6


def test_retry_after_is_heeded_by_every_connection(tmp_path: Path, server: CutoutServer) -> None:
    server.faults[SOURCES[0][0]] = [(503, {"Retry-After": "1"})]
    run(catalogue(tmp_path / "cat.csv", 8), server)
    times = sorted(moment for moment, _ in server.requests)
    assert max(np.diff(times)) > 0.9
    server.faults[SOURCES[0][0]] = [(429, {"Retry-After": formatdate(time.time() + 9999)})]
    other = catalogue(tmp_path / "again.csv", 2)
    with_reason = cutouts(other, tmp_path / "o2", survey="sdss", server=server.url, **QUICK)
    assert read_table(with_reason).num_rows == 1
    assert "come back in" in failures(tmp_path / "o2")["gal-0"]


@pytest.mark.parametrize(
    ("fault", "says"),
    [(404, "refuses CDS/P/SDSS9/color: 404"), (503, "503 Service Unavailable, 4 times"),
     ("drop", "no answer"), ("truncate", "cut short"), ("html", "not a JPEG"),
     ("wrong size", "55 x 55 pixels")],
    ids=str,
)  # fmt: skip
def test_lasting_faults_fail_their_row_alone(
    tmp_path: Path, server: CutoutServer, fault: Any, says: str
) -> None:
    server.faults[SOURCES[2][0]] = [fault] * 9
    made = run(catalogue(tmp_path / "cat.csv"), server)
    assert read_table(made)["id_str"].to_pylist() == ["gal-0", "gal-1", "gal-3"]
    assert says in failures(made.parent)["gal-2"]
    assert not (made.parent / "images" / "gal-2.jpg").exists()
    server.faults.clear()
    before = len(server.requests)
    assert read_table(run(tmp_path / "cat.csv", server)).num_rows == 4
    assert len(server.requests) == before + 1 and failures(made.parent) == {}


def test_a_server_that_is_slow_is_timed_out(tmp_path: Path, server: CutoutServer) -> None:
    server.faults[SOURCES[0][0]] = ["slow"]
    made = run(catalogue(tmp_path / "cat.csv", 2), server, timeout=0.3)
    assert read_table(made).num_rows == 2
    assert len(server.requests) == 3


@pytest.mark.parametrize("form", ["jpeg", "fits"])
def test_blank_cutouts_are_set_aside_and_not_asked_again(
    tmp_path: Path, server: CutoutServer, form: str
) -> None:
    path = catalogue(tmp_path / "cat.csv", dec=[SOURCES[0][1], EDGE + 1, *[2.0] * 2])
    made = run(path, server, form=form)
    assert failures(made.parent) == {"gal-1": "outside the survey: the cutout is blank"}
    before = len(server.requests)
    run(path, server, form=form)
    assert len(server.requests) == before


def test_rows_without_a_position_or_radius_are_listed(tmp_path: Path, server: CutoutServer) -> None:
    path = catalogue(
        tmp_path / "cat.parquet", 6, ra=[None, 400.0, 150.2, 150.3, 150.4, 150.5],
        dec=[2.0, 2.0, -91.0, 2.0, 2.0, 2.0], petroR90_r=[3.0, 3.0, 3.0, -9999.0, None, 3.0],
    )  # fmt: skip
    made = run(path, server)
    assert read_table(made)["id_str"].to_pylist() == ["gal-5"]
    reasons = failures(made.parent)
    assert reasons["gal-0"] == "ra is missing, not 0 to 360 degrees"
    assert reasons["gal-1"].startswith("ra is 400") and reasons["gal-2"].startswith("dec is -91")
    assert reasons["gal-3"].startswith("petroR90_r is -9999") and "missing" in reasons["gal-4"]
    assert len(server.requests) == 1


def test_what_is_there_is_not_fetched_again_unless_damaged(
    tmp_path: Path, server: CutoutServer
) -> None:
    path = catalogue(tmp_path / "cat.csv", 6)
    made = run(path, server)
    first = {p.name: p.read_bytes() for p in made.parent.rglob("*") if p.is_file()}
    (made.parent / "images" / "gal-1.jpg").unlink()
    broken = made.parent / "images" / "gal-2.jpg"
    broken.write_bytes(broken.read_bytes()[:-100])
    run(path, server)
    assert len(server.requests) == 8
    assert first == {p.name: p.read_bytes() for p in made.parent.rglob("*") if p.is_file()}


def test_a_stopped_run_goes_on(
    tmp_path: Path, server: CutoutServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = catalogue(tmp_path / "cat.csv", 12)
    seen = []

    def stopped(items: Any, *_: Any, **__: Any) -> Iterator[Any]:
        for item in items:
            seen.append(item)
            if len(seen) == 5:
                raise KeyboardInterrupt
            yield item

    with monkeypatch.context() as patch:
        patch.setattr(cutouts_module, "progress", stopped)
        with pytest.raises(KeyboardInterrupt):
            run(path, server)
    there = len(list((tmp_path / "out" / "images").glob("*.jpg")))
    assert 4 <= there < 12
    assert not [t for t in threading.enumerate() if "ThreadPool" in t.name]
    assert not (tmp_path / "out" / "catalogue.csv").exists()
    assert read_table(run(path, server)).num_rows == 12
    assert len(server.requests) == 12


def test_rate_is_kept_over_all_connections(tmp_path: Path, server: CutoutServer) -> None:
    run(catalogue(tmp_path / "cat.csv", 10), server, per_second=10, connections=4)
    times = sorted(moment for moment, _ in server.requests)
    assert times[-1] - times[0] > 0.85
    assert server.most_at_once <= 4


def test_pace_spaces_requests_and_pauses() -> None:
    pace = Pace(200)
    start = time.monotonic()
    for _ in range(11):
        pace.wait()
    assert 0.045 < time.monotonic() - start < 1
    pace.pause(0.2)
    pace.wait()
    assert time.monotonic() - start > 0.2


def test_ids_become_safe_file_names_and_back(tmp_path: Path, server: CutoutServer) -> None:
    ids = ["a/b", "../c", "J12+34", "ABC", "abc", "é ü"]
    made = run(catalogue(tmp_path / "cat.csv", 6, id_str=ids), server)
    places = read_table(made)["file_loc"].to_pylist()
    stems = [Path(place).name.removesuffix(".jpg") for place in places]
    assert [unquote(stem) for stem in stems] == ids
    assert len({stem.casefold() for stem in stems}) == 6
    assert all(Path(place).parent == Path("images") for place in places)


def test_usual_columns_of_other_names_are_added(tmp_path: Path, server: CutoutServer) -> None:
    path = tmp_path / "cat.csv"
    path.write_text("OBJID,RAJ2000,DEJ2000,petroR90_r\n1237648720693755918,150.0,2.0,3.5\n")
    table = read_table(run(path, server))
    assert table["id_str"].to_pylist() == ["1237648720693755918"]
    assert table["ra"].to_pylist() == [150.0] and table["RAJ2000"].to_pylist() == [150.0]


def test_a_hips_that_does_not_exist_stops_early(
    tmp_path: Path, server: CutoutServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutouts_module, "_GIVE_UP", 5)
    with pytest.raises(HoagError, match="5 cutouts in a row failed.*No HiPS matching nowhere"):
        run(catalogue(tmp_path / "cat.csv", 30), server, hips="nowhere")
    assert len(failures(tmp_path / "out")) == 5
    assert len(server.requests) < 25


def test_not_one_cutout_is_an_error(tmp_path: Path, server: CutoutServer) -> None:
    with pytest.raises(HoagError, match="not one cutout was had; failed/failed.csv"):
        run(catalogue(tmp_path / "cat.csv", 2, dec=[EDGE + 1] * 2), server)


def test_other_cutouts_are_not_mixed_in(tmp_path: Path, server: CutoutServer) -> None:
    path = catalogue(tmp_path / "cat.csv", 2)
    run(path, server)
    with pytest.raises(HoagError, match="made with pixels 48, not 64; choose another folder"):
        run(path, server, pixels=64)


BAD = {
    "ids missing": ({"id_str": [None, "b"]}, {}, "row 0: the id is missing"),
    "ids repeated": ({"id_str": ["a", "a"]}, {}, "rows 0 and 1: both are 'a'"),
    "ids no text": ({"id_str": None, "id": [1.5, 2.5]}, {}, "ids must be text or whole numbers"),
    "no ids": ({"id_str": None}, {}, r"which column has the ids\?"),
    "no ra": ({"ra": None}, {}, "right ascensions"),
    "no such ra": ({}, {"ra": "alpha"}, "no column 'alpha'"),
    "sexagesimal": ({"ra": ["10:20:30.1", "10:21:00"]}, {}, "sexagesimal .*decimal degrees"),
    "spaces": ({"dec": ["+02 30 11.2", "+02 30 12"]}, {}, "sexagesimal"),
    "letters": ({"ra": ["10h20m30s", "10h21m"]}, {}, "sexagesimal"),
    "words": ({"dec": ["north", "south"]}, {}, "is text .*clean it"),
    "hours": ({"ra": None, "ra_hours": [10.1, 10.2]}, {"ra": "ra_hours"}, "in hours by its name"),
    "no radius": ({"petroR90_r": None}, {}, "how large are the galaxies"),
    "no such radius": ({}, {"radius": "r50"}, "no column 'r50'"),
    "no rule": ({}, {"survey": "hst"}, "no usual one is known"),
    "taken": ({"file_loc": ["a", "b"]}, {}, "'file_loc' already"),
    "survey": ({}, {"survey": "sdds"}, "did you mean 'sdss'"),
    "form": ({}, {"form": "gif"}, "'jpeg', 'fits', not 'gif'"),
    "pixels": ({}, {"pixels": 9999}, "not 9999"),
    "size": ({}, {"size_arcsec": -1.0}, "not -1"),
    "rate": ({}, {"per_second": 1000}, "be polite"),
}


@pytest.mark.parametrize(("changes", "options", "says"), BAD.values(), ids=BAD)
def test_bad_catalogues_are_refused_before_asking(
    tmp_path: Path, changes: dict[str, Any], options: dict[str, Any], says: str
) -> None:
    path = catalogue(tmp_path / "cat.parquet", 2, **changes)
    options = {"survey": "sdss", "server": "http://127.0.0.1:9", **QUICK, **options}
    with pytest.raises(HoagError, match=says):
        cutouts(path, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_right_ascension_with_a_unit_of_hours_is_refused(tmp_path: Path) -> None:
    from astropy import units as u
    from astropy.table import Table

    Table({"id": ["a"], "ra": [10.0] * u.hourangle, "dec": [1.0] * u.deg}).write(
        tmp_path / "cat.vot", format="votable"
    )
    with pytest.raises(HoagError, match="convert it to degrees"):
        cutouts(tmp_path / "cat.vot", tmp_path / "out", survey="sdss", size_arcsec=10)

"""Malformed tables of votes: each gives one sentence that says which file and what is wrong there.

A table is refused as a whole, or its bad row is set aside and the others are read.
"""

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hoag import HoagError
from hoag.data.published import open_votes, read_votes
from tests.published_tables import own_table, published, rings, write

FORMATS = (".csv", ".parquet", ".fits", ".vot")
BAR = "bar-gz2_yes"
T01 = "t01_smooth_or_features_a01_smooth"
HUBBLE = "t03_bar_a01_bar_fraction"


def sentence(path: Path, campaign: str) -> str:
    """What a table is refused with, or its only set-aside row with; the others are read."""
    try:
        parts = list(open_votes(path, campaign).parts())
    except HoagError as error:
        message = str(error)
        assert str(path) in message, message
    else:
        aside = [one for part in parts for one in part.set_aside]
        kept = sum(part.table.num_rows for part in parts)
        assert len(aside) == 1 and kept == 4, (aside, kept)
        row, _, message = aside[0]
        assert message.startswith(f"{path.name}: column ") and f"row {row}" in message
    assert "\n" not in message and "Traceback" not in message and len(message) < 1200
    return message


def changed(columns: dict[str, Any], name: str, value: Any, row: int = 2) -> dict[str, Any]:
    """Columns with one entry changed."""
    entries = list(np.asarray(columns[name], object))
    entries[row] = value
    if not any(isinstance(e, str) for e in entries):
        entries = list(np.array(entries, float if isinstance(value, float) else np.int64))
    return columns | {name: entries}


def without(columns: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: values for name, values in columns.items() if name not in names}


def renamed(columns: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {(new if name == old else name): values for name, values in columns.items()}


def own(name: str, value: Any) -> Callable[[], dict[str, Any]]:
    return lambda: changed(own_table(), name, value)


def gz2(name: str, value: Any) -> Callable[[], dict[str, Any]]:
    return lambda: changed(published("gz2"), name, value)


def hubble(name: str, value: Any) -> Callable[[], dict[str, Any]]:
    return lambda: changed(published("hubble"), name, value)


def only(campaign: str, *parts: str) -> Callable[[], dict[str, Any]]:
    """Those published columns that have a part of a name in theirs."""
    columns = published(campaign)
    return lambda: {n: v for n, v in columns.items() if any(part in n for part in parts)}


def predictions() -> dict[str, Any]:
    named = only("dr5", "iauname", "ra", "dec", "_fraction")()
    fractions = {n: v for n, v in named.items() if "_total" not in n and "debiased" not in n}
    return fractions | {"bar_proportion_volunteers_asked": [0.5] * 5}


def more_than_all() -> dict[str, Any]:
    other = HUBBLE.replace("a01_bar", "a02_no_bar")
    return changed(changed(published("hubble"), HUBBLE, 0.9), other, 0.9)


# Name of the fault: campaign, columns, what the sentence says.
EVERY_FORMAT: dict[str, tuple[str, Callable[[], dict[str, Any]], str]] = {
    "negative count": ("gz2", own(BAR, -3), f"'{BAR}', row 2 (id J0002): -3 is"),
    "fractional count": ("gz2", own(BAR, 2.5), "2.5 is not a whole number"),
    "huge count": ("gz2", own(BAR, 20_000_000), "more votes than any campaign"),
    "infinite count": ("gz2", own(BAR, np.inf), "inf is not a count"),
    "missing id": ("gz2", own("id_str", ""), "column 'id_str', row 2: is empty"),
    "repeated id": ("gz2", own("id_str", "J0001"), "row 1 has this id already"),
    "no id column": ("gz2", lambda: renamed(own_table(), "id_str", "name"), "no column 'id_str'"),
    "answer missing": ("gz2", lambda: without(own_table(), BAR), f"no column '{BAR}'"),
    "answer renamed": ("gz2", lambda: renamed(own_table(), BAR, "bar-gz2_yess"), "bar-gz2_yess"),
    "misspelt campaign": ("gz22", own_table, "no campaign 'gz22'; did you mean 'gz2'"),
    "another campaign": ("hubble", own_table, "it has those of 'gz2'"),
    "published as another": ("dr12", lambda: published("dr5"), "it has those of 'dr5'"),
    "no votes at all": (
        "gz2",
        lambda: {"id_str": ["a", "b"], "mag": [1.0, 2.0]},
        "does not have the col",
    ),
    "ra beyond the circle": ("gz2", gz2("ra", 400.0), "400 is outside 0 to 360"),
    "negative ra": ("gz2", gz2("ra", -12.5), "-12.5 is outside 0 to 360"),
    "dec beyond the pole": ("gz2", gz2("dec", 95.0), "95 is outside -90"),
    "infinite dec": ("gz2", gz2("dec", -np.inf), "-inf is outside -90"),
    "ra in hours": ("gz2", lambda: published("gz2") | {"ra": ["13:01:48.0"] * 5}, "'ra'"),
    "no dec": ("gz2", lambda: without(published("gz2"), "dec"), "no column 'dec'"),
    "ra under another name": (
        "gz2",
        lambda: own_table() | {"raj2000": [1.0] * 5},
        "'raj2000' may be it",
    ),
    "half a position": ("gz2", lambda: own_table() | {"ra": [1.0] * 5}, "no column 'dec'"),
    "ids as floats": (
        "gz2",
        lambda: published("gz2") | {"dr7objid": np.arange(5) + 5.877e17},
        "digits are lost",
    ),
    "published negative": ("gz2", gz2(T01 + "_count", -1), "-1 is negative"),
    "count renamed": (
        "gz2",
        lambda: renamed(published("gz2"), T01 + "_count", T01 + "_counts"),
        "(nearest:",
    ),
    "weighted only": ("gz2", only("gz2", "ra", "weighted"), "weighted ones"),
    "debiased only": ("gz2", only("gz2", "ra", "debiased"), "debiased ones"),
    "fractions without totals": ("gz2", only("gz2", "objid", "fraction"), "_total_count'"),
    "fraction above one": ("hubble", hubble(HUBBLE, 1.2), "1.2 is no fraction"),
    "negative fraction": ("hubble", hubble(HUBBLE, -0.1), "-0.1 is no fraction"),
    "infinite fraction": ("hubble", hubble(HUBBLE, np.inf), "inf is no fraction"),
    "negative total": ("hubble", hubble("t03_bar_total_count", -4), "-4 is negative"),
    "fractional total": ("hubble", hubble("t03_bar_total_count", 4.5), "4.5 is not a whole"),
    "fractions above one together": ("hubble", more_than_all, "sum to 1.800"),
    "total missing": (
        "hubble",
        lambda: without(published("hubble"), "t03_bar_total_count"),
        "no column 't03_bar_total_count'",
    ),
    "predictions of a model": ("dr5", predictions, "a model's predictions"),
    "ring votes missing": (
        "rings",
        lambda: without(rings(5), "ring_votes"),
        "no column 'ring_votes'",
    ),
    "rings that contradict": ("rings", lambda: changed(rings(5), "total_votes", 11), "11 is not 0"),
}


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("fault", EVERY_FORMAT)
def test_a_fault_in_the_table(tmp_path: Path, fault: str, suffix: str) -> None:
    campaign, columns, said = EVERY_FORMAT[fault]
    path = write(columns(), tmp_path / f"votes{suffix}")
    assert said in sentence(path, campaign)


def _parquet(columns: dict[str, Any], path: Path) -> None:
    pq.write_table(pa.table(columns), path)


def _parquet_of(changes: dict[str, Any]) -> Callable[[Path], None]:
    return lambda path: _parquet(own_table() | changes, path)


def _csv_of(changes: dict[str, Any]) -> Callable[[Path], Any]:
    return lambda path: write(own_table() | changes, path)


def _edited(edit: Callable[[str], str]) -> Callable[[Path], None]:
    return lambda path: _csv(path, edit)


def _not_utf8(path: Path) -> None:
    data = write(own_table() | {"n": ["x"] * 5}, path).read_bytes()
    path.write_bytes(data.replace(b'"x"', b'"\xff\xfe"'))


def _utf16(path: Path) -> None:
    path.write_bytes(write(own_table(), path).read_text().encode("utf-16"))


def _ambiguous(path: Path) -> None:
    _parquet(renamed(own_table(), BAR, "bar_gz2_yes") | {"BAR_GZ2_YES": [1] * 5}, path)


def _text_in_counts(path: Path) -> None:
    _parquet(own_table() | {BAR: ["many"] * 5}, path)


def _twice(path: Path) -> None:
    table = pa.table(own_table())
    pq.write_table(table.append_column("id_str", table["id_str"]), path)


def _cut(columns: dict[str, Any], path: Path, share: float) -> None:
    data = write(columns, path).read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def _long() -> dict[str, Any]:
    return own_table(rows=400)


def _csv(path: Path, edit: Callable[[str], str]) -> None:
    path.write_text(edit(write(own_table(), path).read_text()))


def _image_fits(path: Path) -> None:
    from astropy.io import fits

    fits.PrimaryHDU(np.zeros((4, 4))).writeto(path)


def _no_rows(path: Path) -> None:
    write({name: np.asarray(values)[:0] for name, values in own_table().items()}, path)


def _nan(path: Path) -> None:
    _parquet(own_table() | {BAR: pa.array([1.0, 2.0, float("nan"), 0.0, 3.0])}, path)


def _loop(path: Path) -> None:
    path.symlink_to(path)


PAGE = "<!DOCTYPE html>\n<html><body>503 Service Unavailable</body></html>\n"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"

FILES: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "parquet cut short": (
        "a.parquet",
        lambda p: _cut(_long(), p, 0.7),
        "cannot be read as parquet",
    ),
    "parquet cut in the middle": ("a.parquet", lambda p: _cut(_long(), p, 0.3), "cannot be read"),
    "fits cut short": ("a.fits", lambda p: _cut(_long(), p, 0.7), "is cut short"),
    "fits cut in its header": ("a.fits", lambda p: _cut(_long(), p, 0.02), "a.fits"),
    "compressed fits cut short": ("a.fits.gz", lambda p: _cut(_long(), p, 0.5), "is cut short"),
    "votable cut short": ("a.vot", lambda p: _cut(_long(), p, 0.5), "cannot be read as vot"),
    "compressed csv cut short": ("a.csv.gz", lambda p: _cut(_long(), p, 0.5), "is cut short"),
    "empty parquet": ("a.parquet", lambda p: p.write_bytes(b""), "is empty (0 bytes)"),
    "empty csv": ("a.csv", lambda p: p.write_bytes(b""), "is empty (0 bytes)"),
    "empty fits": ("a.fits", lambda p: p.write_bytes(b""), "is empty (0 bytes)"),
    "empty votable": ("a.vot", lambda p: p.write_bytes(b""), "is empty (0 bytes)"),
    "blank csv": ("a.csv", lambda p: p.write_text("\n\n"), "a.csv"),
    "header only, csv": ("a.csv", _no_rows, "not one row"),
    "header only, parquet": ("a.parquet", _no_rows, "not one row"),
    "header only, fits": ("a.fits", _no_rows, "a.fits"),
    "wrong suffix": ("a.xlsx", lambda p: p.write_bytes(b"PK\3\4"), "tables are read as .parquet"),
    "no suffix": ("votes", lambda p: p.write_text("id_str\na\n"), "tables are read as"),
    "compressed parquet": (
        "a.parquet.gz",
        lambda p: p.write_bytes(b"\x1f\x8b"),
        "tables are read as",
    ),
    "csv named parquet": (
        "a.parquet",
        lambda p: p.write_text("id_str,x\na,1\n"),
        "is no Parquet file",
    ),
    "parquet named csv": ("a.csv", lambda p: _parquet(own_table(), p), "a.csv"),
    "parquet named fits": ("a.fits", lambda p: _parquet(own_table(), p), "is no FITS file"),
    "fits named vot": (
        "a.vot",
        lambda p: p.write_bytes(b"SIMPLE  =" + b" " * 5000),
        "cannot be read",
    ),
    "pickle named parquet": (
        "a.parquet",
        lambda p: p.write_bytes(pickle.dumps({"a": 1})),
        "is no Parquet file",
    ),
    "web page named csv": ("a.csv", lambda p: p.write_text(PAGE), "is a web page"),
    "web page named parquet": ("a.parquet", lambda p: p.write_text(PAGE), "is a web page"),
    "web page named vot": ("a.vot", lambda p: p.write_text(PAGE), "is a web page"),
    "lfs pointer named parquet": ("a.parquet", lambda p: p.write_text(POINTER), "Git LFS pointer"),
    "lfs pointer named csv": ("a.csv", lambda p: p.write_text(POINTER), "Git LFS pointer"),
    "lfs pointer named fits": ("a.fits", lambda p: p.write_text(POINTER), "Git LFS pointer"),
    "a folder": ("a.parquet", lambda p: p.mkdir(), "is a folder"),
    "nothing there": ("a.parquet", lambda p: None, "no such file"),
    "a link to itself": ("a.csv", _loop, "cannot be read"),
    "an image": ("a.fits", _image_fits, "has no table in it"),
    "no columns": ("a.parquet", lambda p: _parquet({}, p), "has no columns"),
    "two columns of one name, parquet": ("a.parquet", _twice, "two columns are named 'id_str'"),
    "two columns of one name, csv": (
        "a.csv",
        _edited(lambda t: t.replace('gz2_no"', 'gz2_yes"', 1)),
        "two columns are named",
    ),
    "ragged csv": ("a.csv", _edited(lambda t: t + '"J9",1,2\n'), "cannot be read as csv"),
    "csv with a row too long": (
        "a.csv",
        _edited(lambda t: t.replace("\n", ",9\n").replace(",9", "", 1)),
        "cannot be read as csv",
    ),
    "csv of semicolons": ("a.csv", _edited(lambda t: t.replace(",", ";")), "a.csv"),
    "csv not in UTF-8": ("a.csv", _not_utf8, "cannot be read as csv"),
    "csv in UTF-16": ("a.csv", _utf16, "a.csv"),
    "text in a count, csv": (
        "a.csv",
        _edited(lambda t: t.replace('"J0002",', '"J0002",many', 1)),
        "'many",
    ),
    "text in counts, csv": ("a.csv", _csv_of({BAR: ["many"] * 5}), "holds text such as 'many'"),
    "text in counts, parquet": ("a.parquet", _text_in_counts, f"'{BAR}' is string"),
    "text in counts, fits": ("a.fits", _csv_of({BAR: ["many"] * 5}), f"'{BAR}' is string"),
    "truth in counts": ("a.parquet", _parquet_of({BAR: [True] * 5}), f"'{BAR}' is bool"),
    "lists in counts": ("a.parquet", _parquet_of({BAR: [[1]] * 5}), f"'{BAR}' is list"),
    "structs in counts": ("a.parquet", _parquet_of({BAR: [{"a": 1}] * 5}), f"'{BAR}' is struct"),
    "lists of ids": ("a.parquet", _parquet_of({"id_str": [["a"]] * 5}), "'id_str' is list"),
    "dates as ids": (
        "a.parquet",
        _parquet_of({"id_str": pa.array(range(5), pa.timestamp("s"))}),
        "'id_str' is timestamp",
    ),
    "NaN in a count": ("a.parquet", _nan, "NaN is not a count"),
    "NaN in a count, csv": (
        "a.csv",
        _csv_of({BAR: ["1", "2", "nan", "", "3"]}),
        "NaN is not a count",
    ),
    "ids as floats, csv": (
        "a.csv",
        _csv_of({"id_str": ["5.87722981736120347E+17"] * 5}),
        "are floats",
    ),
    "blank id, csv": (
        "a.csv",
        lambda p: write(changed(own_table(), "id_str", "  "), p),
        "is empty",
    ),
    "null id": ("a.parquet", _parquet_of({"id_str": ["a", "b", None, "d", "e"]}), "is empty"),
    "ambiguous columns": ("a.parquet", _ambiguous, "rename one of them"),
}


@pytest.mark.parametrize("fault", FILES)
def test_a_fault_in_the_file(tmp_path: Path, fault: str) -> None:
    name, make, said = FILES[fault]
    path = tmp_path / name
    make(path)
    message = sentence(path, "gz2")
    assert said in message, message


def test_a_table_in_which_every_row_is_at_fault_is_refused(tmp_path: Path) -> None:
    columns = own_table(rows=2) | {BAR: [-1, -2]}
    path = write(columns, tmp_path / "all.csv")
    with pytest.raises(HoagError, match="no row can be used; the first one: .*-1 is negative"):
        read_votes(path, "gz2")


def test_there_are_more_than_a_hundred_and_ten() -> None:
    assert len(EVERY_FORMAT) * len(FORMATS) + len(FILES) > 200


@pytest.mark.parametrize("column", ["bar_no", "bar_strong"])
def test_an_answer_that_is_empty_beside_others_is_set_aside(tmp_path: Path, column: str) -> None:
    columns = published("dr5", 5)
    votes = list(map(int, columns[column]))
    columns["bar_weak"] = np.full(5, 3)
    columns |= {column: [None, *votes[1:]]}
    for suffix in (".csv", ".parquet"):
        message = sentence(write(columns, tmp_path / f"votes{suffix}"), "dr5")
        assert f"column '{column}', row 0" in message and "is empty although" in message


def test_fractions_without_their_total_and_the_other_way_round(tmp_path: Path) -> None:
    for name, said in (("t03_bar_total_count", "is empty although"), (HUBBLE, "were asked")):
        columns = published("hubble", 5)
        columns["t03_bar_total_count"] = np.full(5, 10)
        columns[HUBBLE] = columns[HUBBLE.replace("a01_bar", "a02_no_bar")] = np.full(5, 0.5)
        columns[name] = [*columns[name][:4], None]
        for suffix in (".csv", ".parquet"):
            assert said in sentence(write(columns, tmp_path / f"h{suffix}"), "hubble")


def test_a_compressed_file_that_is_not_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(b"id_str,ra\na,1\n")
    assert "a.csv.gz" in sentence(path, "gz2")
    path.write_bytes(gzip.compress(PAGE.encode()))
    assert "a.csv.gz" in sentence(path, "gz2")

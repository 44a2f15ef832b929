"""What to ask of a cutout service for each row of a catalogue: position, field, file name."""

from __future__ import annotations

import re
import tomllib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from hoag.campaigns import closest
from hoag.catalogue import FITS, TEXT_COLUMNS, VOTABLE, list_names, read_table, require_columns
from hoag.console import say
from hoag.errors import HoagError

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN = 424  # pixels on a side of the cutouts that the published rules are about
RADII = 0.02 * SHOWN  # field of view in Petrosian R90, of Galaxy Zoo 2
_IDS = ("id_str", "id", "objid", "dr7objid", "dr8objid", "iauname", "object_id", "name")
_RA = ("ra", "raj2000", "ra_icrs", "alpha_j2000", "right_ascension", "radeg")
_DEC = ("dec", "decj2000", "dej2000", "dec_icrs", "de_icrs", "delta_j2000", "declination", "decdeg")
_LONGEST = 200  # bytes of a file name, of the 255 that file systems hold
_LARGEST = 3600.0  # arcsec; a galaxy's radius beyond a degree is a wrong unit
_SIGN = re.compile(r"^\s*[-+]?\d{1,3}[:h ]\s*\d")


@dataclass(frozen=True)
class Survey:
    """A survey of cutout_surveys.toml."""

    name: str
    title: str
    colour: str
    bands: dict[str, str]
    rules: tuple[str, ...]


@dataclass(frozen=True)
class Positions:
    """The rows of a catalogue, ready to be fetched.

    Attributes
    ----------
    table
        The catalogue, ids as text.
    ids
        Of every row.
    stems
        File names without suffix, made of the ids; `urllib.parse.unquote` gives the id back.
    ra, dec
        Degrees, ICRS.
    fields
        Sides of the cutouts in arcsec.
    unusable
        Why a row cannot be fetched, by its number.
    """

    table: pa.Table
    ids: list[str]
    stems: list[str]
    ra: npt.NDArray[np.float64]
    dec: npt.NDArray[np.float64]
    fields: npt.NDArray[np.float64]
    unusable: dict[int, str]


@cache
def _surveys() -> dict[str, Any]:
    return tomllib.loads((files("hoag.data") / "cutout_surveys.toml").read_text())


def survey_names() -> list[str]:
    """Names of the surveys that cutouts are known for."""
    return list(_surveys()["surveys"])


def default_server() -> str:
    """Address of the CDS's hips2fits service."""
    return str(_surveys()["server"])


def get_survey(name: str) -> Survey:
    """Find a survey.

    Raises
    ------
    HoagError
        If there is none of this name.
    """
    known = _surveys()["surveys"]
    if name not in known:
        raise HoagError(f"no survey '{name}'{closest(name, known)}; there are "
                        f"{list_names(list(known))}")  # fmt: skip
    entry = known[name]
    return Survey(name, entry["title"], entry["colour"], entry["bands"], tuple(entry["rules"]))


def read_positions(
    catalogue: Path, survey: Survey, *, size_arcsec: float | None, radius: str | None,
    radii: float, ra: str | None, dec: str | None, id_column: str | None,
) -> Positions:  # fmt: skip
    """Read a catalogue and work out what to ask for; `cutouts` says what the arguments mean."""
    table = read_table(catalogue, text=(*TEXT_COLUMNS, *([id_column] if id_column else [])))
    where = str(catalogue)
    if table.num_rows == 0:
        raise HoagError(f"{where}: has no rows")
    for taken in ("file_loc", "cutout_arcsec"):
        if taken in table.column_names:
            raise HoagError(f"{where}: has a column '{taken}' already; rename or drop it")
    units = _units(catalogue)
    id_name = _named(table, id_column, _IDS, "ids", "id_column", where)
    ids = _ids(table, id_name, where)
    unusable: dict[int, str] = {}
    ra_name = _named(table, ra, _RA, "right ascensions", "ra", where)
    dec_name = _named(table, dec, _DEC, "declinations", "dec", where)
    ras = _angles(table, ra_name, units, (0, 360), unusable, where)
    decs = _angles(table, dec_name, units, (-90, 90), unusable, where)
    if np.nanmax(ras, initial=0) <= 24 and len(ras) >= 50 and np.ptp(decs) > 30:
        say(f"{where}: all of column '{ra_name}' is below 24 on a large sky; hoag takes degrees, "
            "not hours")  # fmt: skip
    fields = _fields(table, survey, size_arcsec, radius, radii, units, unusable, where)
    stems = _stems(ids)
    for row, stem in enumerate(stems):
        if len(stem) > _LONGEST:
            unusable[row] = "the id is too long for a file name; give a shorter one"
    table = _with_usual_columns(table, id_name, ra_name, dec_name, ids, ras, decs)
    return Positions(table, ids, stems, ras, decs, fields, unusable)


def _named(
    table: pa.Table, given: str | None, usual: Sequence[str], what: str, option: str, where: str
) -> str:
    names = table.column_names
    if given is not None:
        require_columns(names, [given], where)
        return given
    for name in usual:
        found = [column for column in names if column.casefold() == name]
        if len(found) == 1:
            return str(found[0])
    raise HoagError(f"{where}: which column has the {what}? It has {list_names(names)}; name it "
                    f"({option}=)")  # fmt: skip


def _ids(table: pa.Table, name: str, where: str) -> list[str]:
    import pyarrow as pa

    column = table[name]
    if pa.types.is_integer(column.type):
        column = column.cast(pa.string())
    if not pa.types.is_string(column.type):
        raise HoagError(f"{where}: column '{name}' is {column.type}; ids must be text or whole "
                        "numbers")  # fmt: skip
    first: dict[str, int] = {}
    ids = column.to_pylist()
    for row, value in enumerate(ids):
        if not value:
            raise HoagError(f"{where}: column '{name}', row {row}: the id is missing; give every "
                            "row one")  # fmt: skip
        if first.setdefault(value, row) != row:
            raise HoagError(f"{where}: column '{name}', rows {first[value]} and {row}: both are "
                            f"'{value}'; ids must be unique")  # fmt: skip
    return list(ids)


def _stems(ids: Sequence[str]) -> list[str]:
    """Make file names of ids: percent-encoded, and different also where case is ignored."""
    stems = [quote(value, safe="") for value in ids]
    stems = ["%2E" + stem[1:] if stem.startswith(".") else stem for stem in stems]
    folded = [stem.casefold() for stem in stems]
    seen: dict[str, int] = {}
    for stem in folded:
        seen[stem] = seen.get(stem, 0) + 1
    return [
        re.sub(r"%[0-9A-F]{2}|[A-Z]", lambda m: m[0] if len(m[0]) > 1 else f"%{ord(m[0]):02X}", s)
        if seen[f] > 1
        else s
        for s, f in zip(stems, folded, strict=True)
    ]


def _units(path: Path) -> dict[str, str]:
    """Units of the columns of a FITS or VOTable file; the other formats have none."""
    if path.suffix.lower() not in FITS + VOTABLE:
        return {}
    from astropy.table import Table

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # read_table has read the same file
        kind = (
            {"format": "fits", "hdu": 1} if path.suffix.lower() in FITS else {"format": "votable"}
        )
        table = Table.read(path, **kind)
    return {name: str(table[name].unit) for name in table.colnames if table[name].unit}


def _numbers(table: pa.Table, name: str, what: str, where: str) -> npt.NDArray[np.float64]:
    import pyarrow as pa

    column = table[name]
    if pa.types.is_string(column.type):
        example = next((text for text in column.to_pylist() if text), "")
        if _SIGN.match(example):
            raise HoagError(f"{where}: column '{name}' is sexagesimal ('{example}'); convert it to "
                            "decimal degrees")  # fmt: skip
        raise HoagError(f"{where}: column '{name}' is text ('{example}'), not {what}; clean it")
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise HoagError(f"{where}: column '{name}' is {column.type}, not {what}")
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def _angles(
    table: pa.Table, name: str, units: dict[str, str], limits: tuple[float, float],
    unusable: dict[int, str], where: str,
) -> npt.NDArray[np.float64]:  # fmt: skip
    unit = units.get(name, "deg")
    if unit not in ("deg", "degree", "degrees"):
        raise HoagError(f"{where}: column '{name}' is in {unit}; convert it to degrees")
    if re.search(r"hour|hms|_h$|^rah$", name.casefold()):
        raise HoagError(f"{where}: column '{name}' is in hours by its name; convert it to degrees")
    values = _numbers(table, name, "degrees", where)
    wrong = ~((values >= limits[0]) & (values <= limits[1]))
    for row in np.flatnonzero(wrong).tolist():
        what = "missing" if np.isnan(values[row]) else f"{values[row]:g}"
        unusable.setdefault(row, f"{name} is {what}, not {limits[0]} to {limits[1]} degrees")
    return values


def _fields(
    table: pa.Table, survey: Survey, size: float | None, radius: str | None, radii: float,
    units: dict[str, str], unusable: dict[int, str], where: str,
) -> npt.NDArray[np.float64]:  # fmt: skip
    if size is not None:
        if not 0 < size <= _LARGEST:
            raise HoagError(f"a cutout's side must be 0 to {_LARGEST:g} arcsec, not {size:g}")
        return np.full(table.num_rows, float(size))
    if radius is not None:
        require_columns(table.column_names, [radius], where)
        if not radii > 0:
            raise HoagError(f"a cutout must show more than 0 radii, not {radii:g}")
        return radii * _radii(table, radius, units, unusable, where)
    lower = {name.casefold(): name for name in table.column_names}
    for rule_name in survey.rules:
        rule = _surveys()["rules"][rule_name]
        found = [next((lower[c.casefold()] for c in term["columns"] if c.casefold() in lower), None)
                 for term in rule["terms"]]  # fmt: skip
        columns = [column for column in found if column is not None]
        if len(columns) < len(found):
            continue
        say(f"{where}: size of the cutouts by {rule['title']}, from {list_names(columns)}")
        terms = [term["factor"] * _radii(table, column, units, unusable, where)
                 for term, column in zip(rule["terms"], columns, strict=True)]  # fmt: skip
        pixel = np.maximum(np.min(terms, axis=0), rule["least"])
        return np.asarray(SHOWN * pixel, np.float64)
    known = [c["columns"][0] for r in survey.rules for c in _surveys()["rules"][r]["terms"]]
    hint = f"none of the usual ones ({list_names(known)})" if known else "no usual one is known"
    raise HoagError(f"{where}: how large are the galaxies? For '{survey.name}' {hint}; name a "
                    "column of radii in arcsec, or one size for all in arcsec")  # fmt: skip


def _radii(
    table: pa.Table, name: str, units: dict[str, str], unusable: dict[int, str], where: str
) -> npt.NDArray[np.float64]:
    """Radii in arcsec; rows without a usable one are noted."""
    values = _numbers(table, name, "radii in arcsec", where)
    if name in units:
        from astropy import units as u

        try:
            values = values * float(u.Unit(units[name]).to(u.arcsec))
        except (ValueError, u.UnitConversionError):
            raise HoagError(f"{where}: column '{name}' is in {units[name]}; radii must be angles, "
                            "in arcsec") from None  # fmt: skip
    for row in np.flatnonzero(~((values > 0) & (values < _LARGEST))).tolist():
        what = "missing" if np.isnan(values[row]) else f"{values[row]:g} arcsec"
        unusable.setdefault(row, f"{name} is {what}, which is no radius of a galaxy")
    return values


def _with_usual_columns(
    table: pa.Table, id_name: str, ra_name: str, dec_name: str, ids: list[str],
    ra: npt.NDArray[np.float64], dec: npt.NDArray[np.float64],
) -> pa.Table:  # fmt: skip
    """Add id_str, ra and dec where the user's columns are called otherwise."""
    import pyarrow as pa

    given = {"id_str": (id_name, pa.array(ids)), "ra": (ra_name, pa.array(ra)),
             "dec": (dec_name, pa.array(dec))}  # fmt: skip
    for name, (source, values) in reversed(given.items()):
        if source != name and name not in table.column_names:
            table = table.add_column(0, name, values)
    return table

"""Names of a table's columns: found as FITS may have changed them, and missed with a hint."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hoag.data.column_maps import ColumnMap
from hoag.data.table_parts import TableParts
from hoag.errors import HoagError

_PLACES = ("raj2000", "dej2000", "decj2000", "ra_deg", "dec_deg", "_ra", "_dec", "alpha_j2000",
           "delta_j2000", "right_ascension", "declination", "ra_j2000", "dec_j2000")  # fmt: skip


@dataclass(frozen=True)
class GalaxyColumns:
    """Names, in a table, of the columns that any table of galaxies has; "" where there is none."""

    id: str
    ra: str = ""
    dec: str = ""
    survey: str = ""


def plain_name(name: str) -> str:
    """Bring a column's name to the form in which formats agree: small letters, no hyphens."""
    return name.strip().lower().replace("-", "_")


class Header:
    """Names of a table's columns, found as they are written or as FITS may have changed them."""

    def __init__(self, table: TableParts):
        self.path = table.path
        self.names = table.names
        self._fields = table.fields
        self._plain: dict[str, list[str]] = {}
        for name in self.names:
            self._plain.setdefault(plain_name(name), []).append(name)

    def find(self, name: str) -> str:
        """The table's column of a name, "" if there is none."""
        if name in self._fields:
            return name
        found = self._plain.get(plain_name(name), [])
        if len(found) > 1:
            raise HoagError(
                f"{self.path}: '{name}' may be {' or '.join(map(repr, found))}; rename one of them"
            )
        return found[0] if found else ""

    def first(self, names: Iterable[str]) -> str:
        """The first of several names that is there, "" if none is."""
        return next((found for name in names if (found := self.find(name))), "")

    def near(self, name: str) -> str:
        """Say the nearest name that is there: " (nearest: 'x')"."""
        plain = {plain_name(other): other for other in self.names}
        found = difflib.get_close_matches(plain_name(name), plain, n=1)
        return f" (nearest: '{plain[found[0]]}')" if found else ""

    def named(self, missing: Sequence[str], most: int = 8) -> str:
        """Say which columns are missing, each with what is nearest to it."""
        shown = ", ".join(f"'{name}'{self.near(name)}" for name in missing[:most])
        more = f" and {len(missing) - most} more" if len(missing) > most else ""
        return f"no column{'s' if len(missing) > 1 else ''} {shown}{more}"

    def need_numbers(self, columns: Iterable[str], what: str) -> None:
        """Refuse columns of another type than numbers; CSV is seen row by row."""
        import pyarrow as pa

        types = pa.types
        for name in columns:
            kind = self._fields[name]
            fits = kind is None or any(
                test(kind) for test in (types.is_integer, types.is_floating, types.is_decimal,
                                        types.is_null)
            )  # fmt: skip
            if not fits:
                raise HoagError(f"{self.path}: column '{name}' is {kind}; {what}")

    def need_ids(self, column: str) -> None:
        """Refuse ids that are neither text nor whole numbers."""
        import pyarrow as pa

        kind: Any = self._fields[column]
        types = pa.types
        if kind is None:
            return
        if types.is_dictionary(kind):
            kind = kind.value_type
        tests = (types.is_integer, types.is_string, types.is_large_string, types.is_string_view,
                 types.is_null)  # fmt: skip
        if not any(test(kind) for test in tests):
            raise HoagError(
                f"{self.path}: column '{column}' is {self._fields[column]}; ids must be text or "
                "whole numbers, or digits are lost"
            )


def galaxy_columns(header: Header, known: ColumnMap | None) -> GalaxyColumns:
    """Find the columns of ids, coordinates and survey.

    Raises
    ------
    HoagError
        If there are no ids, or a coordinate is missing or goes by another name.
    """
    ids = ("id_str", *(known.id if known else ()))
    found = header.first(ids)
    if not found:
        raise HoagError(
            f"{header.path}: {header.named(ids[-1:])}, the id of each galaxy; name one 'id_str'"
        )
    header.need_ids(found)
    places = {}
    for name in ("ra", "dec"):
        published = getattr(known, name) if known else ()
        places[name] = header.first((*published, name))
        if not places[name] and published:
            raise HoagError(
                f"{header.path}: {header.named(published[:1])}, degrees; add it, if need be empty"
            )
    _check_places(header, places)
    return GalaxyColumns(found, places["ra"], places["dec"], header.find("survey"))


def _check_places(header: Header, places: Mapping[str, str]) -> None:
    """Refuse half a position, and coordinates under another name, which would count as unknown."""
    odd = [name for name in header.names if plain_name(name) in _PLACES]
    for name, found in places.items():
        other = "dec" if name == "ra" else "ra"
        if not found and (places[other] or odd):
            hint = f"; '{odd[0]}' may be it: rename it" if odd else header.near(name)
            raise HoagError(f"{header.path}: no column '{name}' in degrees{hint}")
    header.need_numbers([f for f in places.values() if f], "coordinates are decimal degrees")

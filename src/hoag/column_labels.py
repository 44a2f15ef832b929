"""What a column is called and what stands beside it: units, UCDs, descriptions, names for TOPCAT.

Arrow keeps them as metadata of a field (``unit``, ``ucd``, ``description``), which Parquet stores.
FITS and VOTable have places of their own. There names are made of letters, digits and underscores
alone, so that a column works in TOPCAT's expressions as it is (a hyphen would be a minus), and the
name it has in the schema opens its description, from which it is read back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_ODD = re.compile(r"[^A-Za-z0-9_]")
_KEYS = ("unit", "ucd", "description")

# What every table of galaxies has; a table's own labels come first.
_USUAL = {
    "id_str": {"ucd": "meta.id;meta.main"},
    "ra": {"unit": "deg", "ucd": "pos.eq.ra;meta.main"},
    "dec": {"unit": "deg", "ucd": "pos.eq.dec;meta.main"},
    "redshift": {"ucd": "src.redshift"},
}


def labelled(
    name: str, kind: pa.DataType, *, unit: str = "", ucd: str = "", description: str = ""
) -> pa.Field:
    """Make a field that carries its labels.

    Parameters
    ----------
    name, kind
        Name and type.
    unit
        As the VOUnits standard writes it: "deg", "mag", "arcsec".
    ucd
        Unified Content Descriptor (IVOA UCD1+), "pos.eq.ra;meta.main".
    description
        In a few words.
    """
    import pyarrow as pa

    given = {"unit": unit, "ucd": ucd, "description": description}
    return pa.field(name, kind, metadata={k: v for k, v in given.items() if v} or None)


def labels_of(field: pa.Field) -> dict[str, str]:
    """Labels of a field, those that it has."""
    metadata = field.metadata or {}
    return {key: metadata[key.encode()].decode() for key in _KEYS if key.encode() in metadata}


def with_usual_labels(field: pa.Field) -> pa.Field:
    """Add the unit and UCD that a name says (ra and dec: degrees), where a column has none."""
    usual = _USUAL.get(field.name)
    if usual is None:
        return field
    return labelled(field.name, field.type, **(usual | labels_of(field)))


def safe_names(names: Sequence[str]) -> list[str]:
    """Give each column a name that TOPCAT's expressions take: letters, digits, underscores.

    Two that would become one are told apart by a number, ``a_b`` and ``a_b_2``.
    """
    unchanged = {name.lower() for name in names if _safe(name) == name}
    taken, result = set(unchanged), []
    for name in names:
        safe = _safe(name)
        if safe != name:
            stem, number = safe, 2
            while safe.lower() in taken:
                safe, number = f"{stem}_{number}", number + 1
            taken.add(safe.lower())
        result.append(safe)
    return result


def described(name: str, safe: str, description: str) -> str:
    """Describe a column written as `safe`: its own name first, where the two differ."""
    text = " ".join(description.split())
    if safe == name:
        return text
    return f"{name}: {text}" if text else name


def name_and_description(safe: str, description: str) -> tuple[str, str]:
    """Read back what `described` wrote; other people's descriptions are left as they are."""
    name, _, text = description.partition(": ")
    stem = _safe(name)
    told_apart = re.fullmatch(re.escape(stem) + r"_[0-9]+", safe) is not None
    if name != safe and (stem == safe or told_apart):
        return name, text
    return safe, description


def names_and_descriptions(
    safe: Sequence[str], descriptions: Sequence[str]
) -> list[tuple[str, str]]:
    """Read back the columns of a table; as they stand, where two would get one name by chance."""
    pairs = list(zip(safe, descriptions, strict=True))
    read = [name_and_description(*pair) for pair in pairs]
    names = [name for name, _ in read]
    return read if len(set(names)) == len(names) else pairs


def _safe(name: str) -> str:
    safe = _ODD.sub("_", name)
    return f"_{safe}" if not safe or safe[0].isdigit() else safe

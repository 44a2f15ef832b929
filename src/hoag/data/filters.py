"""Names of filters: which of a file's bands is redder, and what beside an image is no image."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Effective wavelengths in nm, only to sort bands by colour.
_WAVELENGTHS = {
    "u": 355, "b": 435, "g": 475, "v": 555, "r": 620, "vis": 700, "i": 760, "z": 890, "y": 980,
    "j": 1250, "h": 1650, "k": 2200, "ks": 2200,
}  # fmt: skip
_APART = 55  # nm; a telescope's z or i lies that near to another's
_HST = re.compile(r"f(\d{3,4})(w|m|n|lp)")
_HST_INFRARED = 200  # F160W is 1600 nm, F435W is 435 nm
_COMPANIONS = (
    "mask", "dq", "err", "error", "sigma", "wht", "weight", "var", "variance", "ivar", "invvar",
    "psf", "psfex", "model", "resid", "residual", "segm", "segmentation", "nexp", "ctx", "con",
    "flag", "flags", "bkg", "background", "exp", "maskbits",
)  # fmt: skip


def wavelength(name: str) -> int | None:
    """Wavelength in nm of a filter such as "g", "HSC-I", "NIR_Y" or "F160W"; None if unknown."""
    word = re.split(r"[-_. ]", name.strip().casefold())[-1]
    if match := _HST.fullmatch(word):
        number = int(match[1])
        return number * 10 if number < _HST_INFRARED else number
    return _WAVELENGTHS.get(word)


def same_filter(one: str, other: str) -> bool:
    """Tell whether two names mean one filter: "z" and "F850LP" do, "g" and "r" do not."""
    first, second = wavelength(one), wavelength(other)
    if first is None or second is None:
        return one.casefold() == other.casefold()
    return abs(first - second) < _APART


def red_first(names: Sequence[str], wanted: Sequence[str] = ()) -> list[int]:
    """Order bands by their names, red first.

    Parameters
    ----------
    names
        Of the bands in a file; "" where it does not say.
    wanted
        Filters of red, green, blue: if the file has them all, they alone are taken.

    Returns
    -------
    list
        Positions of one to three bands in `names`; empty if the names do not tell.
    """
    if any(wanted):
        found = [
            [i for i, name in enumerate(names) if name and same_filter(name, want)]
            for want in wanted
            if want
        ]
        if all(len(places) == 1 for places in found):
            return [places[0] for places in found]
    known = [wavelength(name) for name in names]
    if None in known or len(set(known)) < len(known) or not 1 <= len(known) <= 3:
        return []
    return sorted(range(len(names)), key=lambda i: -(known[i] or 0))


def companion(name: str) -> bool:
    """Tell whether an extension's name says that it belongs to an image: a mask, a weight, ..."""
    return re.split(r"[-_. ]", name.strip().casefold())[0] in _COMPANIONS

"""Telescopes by name: their pixels, their seeing and the noise of their pictures.

Those of the simulator's surveys are known (`hoag.simulator.surveys`), a few more (telescopes.toml),
and whatever a user describes in a file of the same form.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from hoag.campaigns import closest
from hoag.errors import HoagError
from hoag.simulator.surveys import load_surveys
from hoag.toml_entries import Entry
from hoag.toml_settings import read_toml

_FWHM = 2.354820045  # of a Gaussian, in standard deviations
_KEYS = ("title", "pixel", "seeing", "noise", "source")
# What the surveys are called elsewhere, beside their names and titles.
_ALSO = {
    "legacy": "decals", "desilegacy": "decals", "legacysurveys": "decals", "gz2": "sdss",
    "sdssdr7": "sdss", "bass": "mzlsbass", "hst": "hsthubble", "ps1": "panstarrs",
}  # fmt: skip


@dataclass(frozen=True)
class Telescope:
    """What a telescope does to a picture.

    Attributes
    ----------
    name, title
        Its name in tables and options, and in full.
    pixel
        Its camera's (or mosaic's) pixel, arcsec.
    seeing
        FWHM of a point source, arcsec.
    noise
        Standard deviation of the sky in one of its pixels, of a picture stretched for display, in
        units of white (0 to 1); None: not known.
    """

    name: str
    title: str
    pixel: float
    seeing: float
    noise: float | None = None

    def __post_init__(self) -> None:
        for name in ("pixel", "seeing", "noise"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1000:
                raise HoagError(
                    f"telescope '{self.name}': {name} = {value:g} must be a positive number"
                    + (" of arcsec" if name != "noise" else ", in units of white")
                )

    @property
    def sigma(self) -> float:
        """Standard deviation of a Gaussian of its seeing, arcsec."""
        return self.seeing / _FWHM


def known_telescopes(described: str | Path | None = None) -> dict[str, Telescope]:
    """Telescopes by name.

    Parameters
    ----------
    described
        A TOML file with more of them, or with others in place of known ones::

            [telescopes.mine]
            pixel = 0.6        # arcsec
            seeing = 1.8       # FWHM, arcsec
            noise = 0.02       # optional: of the sky in a pixel of a picture, in units of white

    Raises
    ------
    HoagError
        If the file is none of that form.
    """
    known = {
        name: Telescope(name, each.title, each.pixel, each.psf_fwhm[1])
        for name, each in load_surveys().items()
    }
    packaged = files("hoag").joinpath("telescopes.toml")
    known |= _telescopes(tomllib.loads(packaged.read_text()), "telescopes.toml")
    if described is not None:
        known |= _telescopes(read_toml(Path(described)), str(described))
    return known


def _telescopes(content: Mapping[str, object], where: str) -> dict[str, Telescope]:
    Entry(dict(content), where).only("telescopes")
    tables = content.get("telescopes")
    if not isinstance(tables, dict) or not all(isinstance(t, dict) for t in tables.values()):
        raise HoagError(f"{where}: telescopes are written as [telescopes.NAME], one for each")
    found = {}
    for name, table in tables.items():
        entry = Entry(table, f"{where}, [telescopes.{name}]")
        entry.only(*_KEYS)
        found[name] = Telescope(
            name, entry.text("title", name), entry.number("pixel"), entry.number("seeing"),
            entry.number("noise") if "noise" in table else None,
        )  # fmt: skip
    return found


def find_telescope(name: str, known: Mapping[str, Telescope]) -> Telescope | None:
    """The telescope that a survey's name means, whatever its capitals and hyphens, or None."""
    plain = {_plain(each.title): each for each in known.values()}
    plain |= {_plain(own): each for own, each in known.items()}
    wanted = _plain(name)
    return plain.get(wanted) or plain.get(_ALSO.get(wanted, ""))


def get_telescope(name: str, known: Mapping[str, Telescope]) -> Telescope:
    """The telescope of a name.

    Raises
    ------
    HoagError
        If there is none.
    """
    found = find_telescope(name, known)
    if found is None:
        raise HoagError(
            f"telescope '{name}' is none of {', '.join(known)}{closest(name, list(known))}; "
            "describe it in a file for --telescopes: [telescopes.NAME], pixel and seeing in arcsec"
        )
    return found


def with_noise(telescope: Telescope, noise: float | None) -> Telescope:
    """Give the same telescope with a measured noise, unless it has one."""
    return telescope if telescope.noise is not None else replace(telescope, noise=noise or None)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())

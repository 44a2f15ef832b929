"""FITS images: which extensions and planes are the picture, what of it is bad, and its RGB."""

from __future__ import annotations

import io
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hoag.catalogue import list_names
from hoag.data.filters import same_filter, wavelength
from hoag.data.fits_bands import band_name, choose, find, pixels_of, plane_of
from hoag.data.stretches import Pixels, Planes, Stretch, apply_stretch, get_stretch, sky_level
from hoag.errors import HoagError

_MOST_BYTES = 1 << 30
_MAGIC, _GZIP = b"SIMPLE  =", b"\x1f\x8b"
_NANOMAGGIES = ("nanomaggy", "nanomaggies", "nanomaggys", "nmgy", "nmaggy", "nanomgy")
_ELECTRONS = ("electron/s", "electrons/s", "e-/s", "e/s", "electron s-1", "electrons s-1")
_UNITS = {"nanomaggy": _NANOMAGGIES, "electron/s": _ELECTRONS}
_WARNINGS = threading.RLock()  # the filters of `warnings` belong to the whole process


@dataclass(frozen=True)
class FitsSettings:
    """How FITS images become RGB.

    Attributes
    ----------
    stretch
        Name of a stretch (stretches.toml).
    bands
        What to show, red first: one, two or three names or numbers (from 0) of extensions, or of
        the planes of a cube. (): the only image, or all its bands.
    extension
        Name or number of the extension with the image; "" for the only one.
    mask
        Name or number of an extension that is not 0 where a pixel is bad; "" for none.
    """

    stretch: str = "auto"
    bands: tuple[str, ...] = ()
    extension: str = ""
    mask: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give the settings as plain JSON."""
        return {"stretch": self.stretch, "bands": list(self.bands), "extension": self.extension,
                "mask": self.mask}  # fmt: skip


@dataclass(frozen=True)
class FitsImage:
    """The bands of one FITS image, red first.

    Attributes
    ----------
    planes
        (bands, height, width) float64, bad pixels filled with the sky; row 0 at the bottom.
    names
        Name of each band, "" where the file does not say.
    unit
        BUNIT of the first, "" if none.
    filled
        Bad pixels: masked, blank, NaN or infinite in any band.
    skies
        Sky and noise of each band.
    """

    planes: Planes
    names: tuple[str, ...]
    unit: str
    filled: int
    skies: tuple[tuple[float, float], ...]


def is_fits(data: bytes | str | Path) -> bool:
    """Tell by its first bytes whether a file or its content is FITS, gzipped or not."""
    if isinstance(data, str | Path):
        try:
            with Path(data).open("rb") as file:
                data = file.read(4096)
        except OSError:
            return False
    if data.startswith(_GZIP):
        try:
            data = zlib.decompressobj(31).decompress(data[:4096], len(_MAGIC))
        except zlib.error:
            return False
    return data.startswith(_MAGIC)


def fits_to_rgb(data: bytes | str | Path, settings: FitsSettings, where: str) -> Pixels:
    """Make the RGB picture of a FITS image.

    Parameters
    ----------
    data
        The file's bytes (plain, gzipped, or with tile-compressed extensions), or its path.
    settings
        Which bands, and how they are stretched.
    where
        Name of the image in error messages.

    Returns
    -------
    array
        (height, width, 3) uint8. The last row of the file is the top one, as FITS viewers show it.

    Raises
    ------
    HoagError
        If the image is missing, ambiguous, damaged, empty, constant, or does not suit the stretch.
    """
    stretch = get_stretch(settings.stretch)
    return render(read_fits(data, settings, where), stretch, where)


def render(image: FitsImage, stretch: Stretch, where: str) -> Pixels:
    """Stretch a FITS image that has been read, after checking that the stretch is meant for it."""
    _check_unit(image.unit, stretch, where)
    if stretch.curve == "values" and (image.planes.min() < 0 or image.planes.max() > 255):
        raise HoagError(
            f"{where}: its values are not 8-bit ones, so they cannot be taken as they are; choose "
            "the stretch 'auto'"
        )
    which = None
    if len(image.planes) == 1 and image.names[0]:
        found = [i for i, b in enumerate(stretch.bands) if b and same_filter(b, image.names[0])]
        which = found[0] if found else None
    rgb = apply_stretch(image.planes, stretch, which=which, skies=image.skies)
    if not np.ptp(rgb.reshape(-1, 3), axis=0).any():
        meant = f", whose numbers are for {stretch.unit}" if stretch.unit else ""
        raise HoagError(f"{where}: nothing can be seen of it under the stretch '{stretch.name}'"
                        f"{meant}; choose 'auto'")  # fmt: skip
    return np.ascontiguousarray(rgb[::-1])


def read_fits(data: bytes | str | Path, settings: FitsSettings, where: str) -> FitsImage:
    """Read the bands of a FITS image and fill its bad pixels with the sky.

    Takes what `fits_to_rgb` takes and raises what it raises.
    """
    content = _content(data, where)
    wanted = get_stretch(settings.stretch).bands
    with _opened(content, where) as hdus:
        mask_hdu = find(hdus, settings.mask, "mask", where) if settings.mask else None
        chosen = choose(hdus, settings, wanted, mask_hdu, where)
        different = {id(hdu): hdu for hdu, _ in chosen}
        arrays = {key: pixels_of(hdu, len(content), where) for key, hdu in different.items()}
        picked = [plane_of(arrays[id(hdu)], plane, where) for hdu, plane in chosen]
        names = tuple(band_name(hdu, plane) for hdu, plane in chosen)
        if not settings.bands:
            _check_bands(names, get_stretch(settings.stretch), where)
        unit = str(chosen[0][0].header.get("BUNIT", "")).strip()
        bad = None if mask_hdu is None else pixels_of(mask_hdu, len(content), where)
    return _finished(picked, names, unit, bad, settings, where)


def _content(data: bytes | str | Path, where: str) -> bytes:
    if isinstance(data, str | Path):
        try:
            data = Path(data).read_bytes()
        except OSError as error:
            raise HoagError(f"{where}: cannot be read ({error.strerror or error})") from None
    if data.startswith(_GZIP):
        data = _unzipped(data, where)
    if not data:
        raise HoagError(f"{where}: the image is empty (0 bytes); fetch it again or drop the row")
    if not data.startswith(_MAGIC):
        raise HoagError(f"{where}: not a FITS image, whatever its name; fetch it again or drop "
                        "the row")  # fmt: skip
    return data


def _unzipped(data: bytes, where: str) -> bytes:
    stream = zlib.decompressobj(31)
    try:
        plain = stream.decompress(data, _MOST_BYTES)
    except zlib.error as error:
        raise HoagError(f"{where}: its gzip compression is damaged ({error}); fetch it again or "
                        "drop the row") from None  # fmt: skip
    if stream.unconsumed_tail:
        raise HoagError(f"{where}: too large to be a cutout of one galaxy; cut it out")
    if not stream.eof:
        raise HoagError(f"{where}: the gzip file is cut short; fetch it again or drop the row")
    return plain


@contextmanager
def _opened(content: bytes, where: str) -> Iterator[Any]:
    """Open the content with astropy, whose errors and warnings on damage are of many kinds."""
    from astropy.io import fits

    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with fits.open(io.BytesIO(content), memmap=False, lazy_load_hdus=False) as hdus:
                yield hdus
        except HoagError:
            raise
        except (OSError, fits.VerifyError) as error:
            reason = " ".join(str(error).split()).split(". ")[0].rstrip(".")[:160]
            raise HoagError(f"{where}: the FITS file is damaged or cut short ({reason}); fetch it "
                            "again or drop the row") from None  # fmt: skip
        except Exception:  # of any kind, where a header or a compressed tile is impossible
            raise HoagError(f"{where}: the FITS file is damaged or cut short (its header does not "
                            "describe what follows it); fetch it again or drop the row"
                            ) from None  # fmt: skip


def _finished(
    picked: list[Planes], names: tuple[str, ...], unit: str, bad: Planes | None,
    settings: FitsSettings, where: str,
) -> FitsImage:  # fmt: skip
    """Join the bands, checked, with bad pixels filled."""
    shapes = {plane.shape for plane in picked}
    if len(shapes) > 1:
        listed = " and ".join(f"{w} x {h}" for h, w in sorted(shapes))
        raise HoagError(f"{where}: its bands differ in size ({listed} pixels); bring them to one "
                        "grid")  # fmt: skip
    planes = np.stack(picked)
    good = np.isfinite(planes)
    if bad is not None:
        if bad.shape != planes.shape[1:]:
            raise HoagError(f"{where}: the mask '{settings.mask}' has not the size of the image; "
                            "name another mask or none")  # fmt: skip
        good &= bad == 0
    whole = bool(good.all())
    for number, plane in enumerate(planes):
        band = f"band '{names[number] or number}'" if len(planes) > 1 else "the image"
        values = plane if whole else plane[good[number]]
        if not values.size:
            raise HoagError(f"{where}: {band} has no good pixel, all are NaN, blank or masked; "
                            "drop the row")  # fmt: skip
        if np.ptp(values) == 0:
            raise HoagError(f"{where}: {band} is blank, {values.flat[0]:g} throughout; drop the "
                            "row")  # fmt: skip
    if not whole:
        planes[~good] = np.nan
    skies = tuple(sky_level(plane) for plane in planes)
    for plane, (sky, _) in zip(planes, skies, strict=True):
        plane[np.isnan(plane)] = sky
    filled = 0 if whole else int((~good.all(axis=0)).sum())
    return FitsImage(planes, names, unit, filled, skies)


def _check_unit(unit: str, stretch: Stretch, where: str) -> None:
    """Refuse an image whose unit is not the one that the stretch's numbers are for."""
    plain = unit.casefold().removesuffix("/pixel").removesuffix("/pix").strip().rstrip(".")
    known = _UNITS.get(stretch.unit, ())
    if stretch.unit and plain and plain not in known:
        raise HoagError(f"{where}: its unit is '{unit}', but the stretch '{stretch.name}' is for "
                        f"{stretch.unit}; convert it, or choose 'auto'")  # fmt: skip


def _check_bands(names: tuple[str, ...], stretch: Stretch, where: str) -> None:
    """Refuse colours made of other filters than those the stretch's numbers are for."""
    needed = stretch.bands if len(names) == 3 else stretch.bands[::2]
    if stretch.curve == "automatic" or len(names) == 1 or not needed:
        return
    for name, band in zip(names, needed, strict=True):
        if band and wavelength(name) is not None and not same_filter(name, band):
            raise HoagError(f"{where}: its bands are {list_names(names)}, but the stretch "
                            f"'{stretch.name}' is for {list_names([b for b in stretch.bands if b])}"
                            "; choose bands, or the stretch 'auto'")  # fmt: skip

"""What of a FITS file is the picture: its image extensions, the planes of a cube, their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hoag.catalogue import list_names
from hoag.data.filters import companion, red_first
from hoag.data.stretches import Planes
from hoag.errors import HoagError

if TYPE_CHECKING:
    from hoag.data.fits_images import FitsSettings

MOST_PIXELS = 1 << 26  # of one extension; 8192 x 8192 is no cutout of one galaxy
_MOST_COMPRESSION = 4096  # pixels' bytes a byte of file; no tile compression reaches it


def choose(
    hdus: Any, settings: FitsSettings, wanted: Sequence[str], mask: Any, where: str
) -> list[tuple[Any, int | None]]:
    """Choose what to show: pairs of an extension and the plane of it, None for all of it."""
    images = [hdu for hdu in hdus if shape_of(hdu) and hdu is not mask]
    if not images:
        raise HoagError(f"{where}: has no image, only {_contents(hdus)}; give the file of the "
                        "image or drop the row")  # fmt: skip
    if len(settings.bands) > 3:
        raise HoagError(f"{where}: a picture has one, two or three bands, not "
                        f"{list_names(settings.bands)}; name red, green and blue")  # fmt: skip
    if settings.extension:
        return _planes_of(find(hdus, settings.extension, "extension", where), settings.bands,
                          wanted, where)  # fmt: skip
    if len(images) == 1 and (not settings.bands or len(shape_of(images[0])) > 2):
        return _planes_of(images[0], settings.bands, wanted, where)
    if settings.bands:
        return [(find(hdus, band, "band", where), None) for band in settings.bands]
    named = red_first([str(hdu.name) for hdu in images], wanted)
    if named and len({shape_of(images[i]) for i in named}) == 1:
        return [(images[i], None) for i in named]
    if all(companion(str(hdu.name)) for hdu in images[1:]):
        return _planes_of(images[0], (), wanted, where)
    listed = ", ".join(f"{hdus.index(hdu)} '{hdu.name}' {size_of(hdu)}" for hdu in images)
    raise HoagError(f"{where}: has several images ({listed}); name one as the extension, or two or "
                    "three as the bands, red first")  # fmt: skip


def _planes_of(
    hdu: Any, bands: Sequence[str], wanted: Sequence[str], where: str
) -> list[tuple[Any, int | None]]:
    """Choose planes of one extension, which is an image or a cube of images."""
    shape = shape_of(hdu)
    if len(shape) < 2:
        raise HoagError(f"{where}: '{hdu.name}' is no image but has {size_of(hdu)}; name the "
                        "extension of the image")  # fmt: skip
    if len(shape) == 2:
        if bands and not (len(bands) == 1 and bands[0] in ("0", str(hdu.name), band_name(hdu, 0))):
            raise HoagError(f"{where}: has one band, so {list_names(bands)} cannot be chosen; "
                            "leave the bands out")  # fmt: skip
        return [(hdu, None)]
    if len(shape) > 3:
        raise HoagError(f"{where}: has {len(shape)} axes ({size_of(hdu)}); give an "
                        "image of two, or of a third for its bands")  # fmt: skip
    names = [band_name(hdu, plane) for plane in range(shape[0])]
    if bands:
        return [(hdu, _plane_number(band, names, where)) for band in bands]
    order = red_first(names, wanted)
    if not order and shape[0] > 3:
        raise HoagError(f"{where}: has {shape[0]} planes of {shape[2]} x {shape[1]} pixels; name "
                        "one to three of them as the bands, red first")  # fmt: skip
    return [(hdu, plane) for plane in order or range(shape[0])]


def _plane_number(band: str, names: Sequence[str], where: str) -> int:
    for number, name in enumerate(names):
        if name and name == band:
            return number
    if band.isdecimal() and int(band) < len(names):
        return int(band)
    known = list_names([name for name in names if name]) if any(names) else "no names"
    raise HoagError(f"{where}: no band '{band}'; its planes are 0 to {len(names) - 1} and have "
                    f"{known}")  # fmt: skip


def find(hdus: Any, name: str, what: str, where: str) -> Any:
    """Find an extension with pixels by its name (any case) or its number."""
    for hdu in hdus:
        if str(hdu.name).casefold() == name.casefold() and shape_of(hdu):
            return hdu
    if name.isdecimal() and int(name) < len(hdus) and shape_of(hdus[int(name)]):
        return hdus[int(name)]
    raise HoagError(f"{where}: no image extension '{name}' for the {what}; it has {_contents(hdus)}"
                    )  # fmt: skip


def _contents(hdus: Any) -> str:
    return ", ".join(
        f"{number} '{hdu.name}' ({size_of(hdu) if shape_of(hdu) else _kind(hdu)})"
        for number, hdu in enumerate(hdus)
    )


def _kind(hdu: Any) -> str:
    return "a table" if "XTENSION" in hdu.header and "TFIELDS" in hdu.header else "no pixels"


def size_of(hdu: Any) -> str:
    """Say the size of an extension by its header: "424 x 424 pixels"."""
    return " x ".join(str(length) for length in reversed(shape_of(hdu))) + " pixels"


def shape_of(hdu: Any) -> tuple[int, ...]:
    """Shape by the header, the first axis the slowest, less leading axes of length 1; () if none.

    An axis of length 0 is no image either; a negative one is left for `_pixels` to refuse.
    """
    if not getattr(hdu, "is_image", False):
        return ()
    shape = tuple(int(length) for length in hdu.shape)
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    return () if not shape or 0 in shape else shape


def pixels_of(hdu: Any, available: int, where: str) -> Planes:
    """Read an extension, after checking that the file can hold what its header claims."""
    claimed = int(np.prod([abs(length) for length in hdu.shape], dtype=object))
    if claimed > MOST_PIXELS:
        raise HoagError(f"{where}: claims {size_of(hdu)}, too large to be a cutout of one galaxy; "
                        "cut it out")  # fmt: skip
    bits = hdu.header["BITPIX"]
    if bits not in (8, 16, 32, 64, -32, -64):
        raise HoagError(f"{where}: its header claims pixels of {bits!r} bits (BITPIX), which FITS "
                        "has not; fetch it again or drop the row")  # fmt: skip
    size = claimed * abs(bits) // 8
    compressed = type(hdu).__name__ == "CompImageHDU"
    start = 0 if compressed else int(hdu.fileinfo()["datLoc"])
    if start + size > (available * _MOST_COMPRESSION if compressed else available):
        raise HoagError(f"{where}: claims {size_of(hdu)} but the file is cut short; fetch it again "
                        "or drop the row")  # fmt: skip
    values = np.asarray(hdu.data, np.float64)
    return values.reshape(shape_of(hdu))


def plane_of(array: Planes, plane: int | None, where: str) -> Planes:
    """Take one plane of the pixels of an extension, (height, width)."""
    chosen = array if plane is None else array[plane]
    if chosen.ndim != 2:
        raise HoagError(f"{where}: a band has {chosen.ndim} axes, not two; name a plane of it")
    return chosen


def band_name(hdu: Any, plane: int | None) -> str:
    """Name of a band: BANDn or a letter of BANDS (Legacy Surveys), FILTER, or the extension's."""
    header = hdu.header
    bands = str(header.get("BANDS", "")).strip().replace(",", "")
    if plane is not None and f"BAND{plane}" in header:
        return str(header[f"BAND{plane}"]).strip()
    if plane is not None and len(bands) == (shape_of(hdu)[0] if len(shape_of(hdu)) > 2 else 1):
        return bands[plane]
    if plane is None or len(shape_of(hdu)) == 2:
        return str(header.get("FILTER", "" if hdu.name == "PRIMARY" else hdu.name)).strip()
    return ""

"""Where galaxies lie on disk: tables, shards of tables, and folders of image files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hoag.catalogue import PARQUET, SUFFIXES, column_names, list_names
from hoag.errors import HoagError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".fits", ".fit", ".fits.gz", ".fit.gz", ".fz")


def find_tables(place: str | Path) -> list[Path]:
    """Tables at a place: itself, the shards of a folder, or the one table beside its images.

    Gives an empty list for a folder of images alone.

    Raises
    ------
    HoagError
        If there is nothing, or a folder has several tables and no shards.
    """
    place = Path(place).expanduser()
    if place.is_file():
        if not _is_table_name(place):
            raise HoagError(
                f"{place}: tables are read as {', '.join(SUFFIXES)}, not '{place.suffix}'"
            )
        return [place]
    if not place.is_dir():
        if "*" in place.name and (found := sorted(place.parent.glob(place.name))):
            return found
        raise HoagError(f"{place}: no such file or folder")
    shards = _shards(place) or _shards(place / "data")
    if shards:
        return shards
    here = [path for path in sorted(place.iterdir()) if _is_table_name(path) and _is_table(path)]
    if len(here) > 1:
        raise HoagError(f"{place}: has the tables {list_names([p.name for p in here])}; name one")
    if not here and next(image_files(place), None) is None:
        raise HoagError(f"{place}: no table and no JPEG, PNG or FITS image there")
    return here


def has_images(table: Path) -> bool:
    """Tell whether a table has images of its own, as bytes or as the names of files."""
    return not {"image", "file_loc"}.isdisjoint(column_names(table))


def has_image_bytes(table: Path) -> bool:
    """Tell whether a table is Parquet with a column of images."""
    return table.suffix.lower() in PARQUET and "image" in column_names(table)


def image_files(folder: Path) -> Iterator[Path]:
    """Files of images in a folder and below it, in the order of their names."""
    for path in sorted(folder.rglob("*")):
        if path.name.lower().endswith(IMAGE_SUFFIXES) and path.name[0] != "." and path.is_file():
            yield path


def stem(path: Path) -> str:
    """Name of an image file without the suffixes of images: "a.1.fits.gz" is "a.1"."""
    name = path.name
    for suffix in sorted(IMAGE_SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)].removesuffix(".fits")
    return path.stem


def _shards(folder: Path) -> list[Path]:
    files = sorted(p for p in folder.glob("*.parquet") if p.is_file() and p.name[0] != ".")
    return [path for path in files if "image" in column_names(path)]


def _is_table_name(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES or path.name.lower().endswith(".csv.gz")


def _is_table(path: Path) -> bool:
    """Tell a FITS table from a FITS image, which has the same suffix."""
    if path.suffix.lower() not in (".fits", ".fit"):
        return path.is_file()
    with path.open("rb") as file:
        return b"XTENSION= 'BINTABLE'" in file.read(1 << 16)

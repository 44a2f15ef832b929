"""Where galaxies lie on disk: tables, shards of tables, and folders of image files."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

from hoag.catalogue import CSV, FITS, PARQUET, SUFFIXES, VOTABLE, list_names
from hoag.data.table_parts import open_table
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
    return has_image_bytes(table) or "file_loc" in open_table(table).names


def has_image_bytes(table: Path) -> bool:
    """Tell whether a table is Parquet with a column of images."""
    return table.suffix.lower() in PARQUET and "image" in parquet_columns(table)


def parquet_columns(table: Path) -> list[str]:
    """Names of all columns of a Parquet file, images among them.

    Raises
    ------
    HoagError
        If it is no readable Parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(table).names)
    except (pa.ArrowException, OSError) as error:
        raise HoagError(f"{table}: not a readable Parquet file ({error}); fetch it again") from None


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
    return [path for path in files if has_image_bytes(path)]


def _is_table_name(path: Path) -> bool:
    """Tell a table by its name; all but Parquet may be gzipped, as campaigns are published."""
    name = path.name.lower()
    gzipped = tuple(f"{suffix}.gz" for suffix in CSV + FITS + VOTABLE)
    return name.endswith((*SUFFIXES, *gzipped))


def _is_table(path: Path) -> bool:
    """Tell a FITS table from a FITS image, which has the same suffix."""
    name = path.name.lower()
    if not name.endswith((".fits", ".fit", ".fits.gz", ".fit.gz")):
        return path.is_file()
    opened = gzip.open(path) if name.endswith(".gz") else path.open("rb")
    try:
        with opened as file:
            return b"XTENSION= 'BINTABLE'" in file.read(1 << 16)
    except (OSError, EOFError):
        return False  # damaged: an image that will be set aside with the reason

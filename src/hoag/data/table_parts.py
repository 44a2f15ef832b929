"""Tables read part by part: Parquet, CSV, FITS and VOTable with memory bounded by a part's rows.

VOTable is read whole, and so is FITS that is compressed.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hoag.catalogue import CSV, FITS, PARQUET, SUFFIXES, VOTABLE, plain_types
from hoag.errors import HoagError

if TYPE_CHECKING:
    import pyarrow as pa

_MAGIC = {PARQUET: (b"PAR1",), FITS: (b"SIMPLE  =", b"\x1f\x8b")}


class TableParts:
    """A table on disk that gives its rows part by part.

    Attributes
    ----------
    path
        The file.
    fields
        Arrow type of each column, in order; None in CSV, where all is text. Without `image`.
    """

    def __init__(self, path: Path, fields: dict[str, Any]):
        self.path = path
        self.fields = fields

    @property
    def names(self) -> list[str]:
        """Columns, in order, without `image`."""
        return list(self.fields)

    def parts(self, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
        """Give the columns, `rows` rows a part but for the last one.

        Raises
        ------
        HoagError
            If the file turns out to be damaged, or has no rows at all.
        """
        found = 0
        with one_sentence(self.path):
            for part in self._parts(list(columns), rows):
                if part.num_rows:
                    found += part.num_rows
                    yield plain_types(part, (), str(self.path))
        if not found:
            raise HoagError(f"{self.path}: has columns but not one row")

    @staticmethod
    def header(path: Path) -> tuple[list[str], dict[str, Any]]:
        """Names of the columns, and their Arrow types by name (None for text of any kind)."""
        raise NotImplementedError

    def _parts(self, columns: list[str], rows: int) -> Iterator[pa.Table]:
        raise NotImplementedError

    def text_kinds(self, columns: Sequence[str]) -> dict[str, Any]:
        """Find the Arrow types of columns that come as text; {} for all formats but CSV."""
        return {}


def open_table(path: str | Path) -> TableParts:
    """Open a table for reading part by part; the suffix says the format, .gz may follow it.

    Raises
    ------
    HoagError
        If there is no such file, or it is empty, damaged, of an unknown format, a web page or Git
        LFS pointer saved under a table's name, or has two columns of one name.
    """
    path = Path(path)
    suffixes = _format(path)
    _check_file(path, suffixes)
    from hoag.data.csv_parts import CsvParts
    from hoag.data.fits_parts import FitsParts

    kinds: dict[tuple[str, ...], type[TableParts]] = {
        PARQUET: _Parquet, CSV: CsvParts, FITS: FitsParts, VOTABLE: _Whole,
    }  # fmt: skip
    kind = kinds[suffixes]
    with one_sentence(path):
        names, fields = kind.header(path)
        _refuse_duplicates(names, path)
        return kind(path, {name: fields[name] for name in names if name != "image"})


def _format(path: Path) -> tuple[str, ...]:
    suffix = path.suffix.lower()
    if suffix == ".gz":
        suffix = Path(path.stem).suffix.lower()
    for known in (PARQUET, CSV, FITS, VOTABLE):
        if suffix in known and not (known == PARQUET and path.suffix.lower() == ".gz"):
            return known
    raise HoagError(
        f"{path}: tables are read as {', '.join(SUFFIXES)} (all but Parquet also with .gz), not "
        f"'{path.suffix}'"
    )


def _check_file(path: Path, suffixes: tuple[str, ...]) -> None:
    """Meet what is no table at all before a reader does, because readers say odd things then."""
    if path.is_dir():
        raise HoagError(f"{path}: is a folder, not a table; name a file in it")
    try:
        with path.open("rb") as file:
            start = file.read(200)
        if path.suffix.lower() == ".gz":
            _check_gzip(path)
    except FileNotFoundError:
        raise HoagError(f"{path}: no such file") from None
    except OSError as error:
        raise HoagError(f"{path}: cannot be read ({error.strerror})") from None
    if not start:
        raise HoagError(f"{path}: is empty (0 bytes); fetch it again")
    if start.startswith(b"version https://git-lfs"):
        raise HoagError(f"{path}: is a Git LFS pointer, not the data; fetch it with git lfs pull")
    begin = start.lstrip().lower()
    if begin.startswith((b"<!doctype html", b"<html")):
        raise HoagError(f"{path}: is a web page, not a table; the download went wrong, repeat it")
    if suffixes in _MAGIC and not start.startswith(_MAGIC[suffixes]):
        raise HoagError(
            f"{path}: is no {'Parquet' if suffixes == PARQUET else 'FITS'} file, whatever its "
            f"name says (it begins with {start[:8]!r})"
        )
    if suffixes == CSV and b"\0" in start and not start.startswith(b"\x1f\x8b"):
        raise HoagError(f"{path}: is binary, not CSV text; save it as UTF-8 with commas")


def _check_gzip(path: Path) -> None:
    """Read a compressed file to its end; readers may take one that is cut short for whole."""
    try:
        with gzip.open(path) as file:
            while file.read(1 << 20):
                pass
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise HoagError(f"{path}: is cut short, or no gzip file; fetch it again") from None


def _refuse_duplicates(names: Sequence[str], path: Path) -> None:
    if not names:
        raise HoagError(f"{path}: has no columns")
    for name in names:
        if names.count(name) > 1:
            raise HoagError(f"{path}: two columns are named '{name}'; rename or drop one")


@contextmanager
def one_sentence(path: Path) -> Iterator[None]:
    """Turn what a reader of a damaged file raises into one sentence."""
    try:
        yield
    except HoagError:
        raise
    except Exception as error:  # every reader has its own family of errors for a damaged file
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise HoagError(f"{path}: cannot be read as {path.suffix[1:]} ({reason})") from error


class _Parquet(TableParts):
    @staticmethod
    def header(path: Path) -> tuple[list[str], dict[str, Any]]:
        import pyarrow.parquet as pq

        schema = pq.read_schema(path)
        return list(schema.names), {field.name: field.type for field in schema}

    def _parts(self, columns: list[str], rows: int) -> Iterator[pa.Table]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        # Column chunks are read as they are needed, not whole row groups ahead.
        with pq.ParquetFile(self.path, pre_buffer=False) as file:
            batches = file.iter_batches(batch_size=rows, columns=columns)
            tables = (pa.Table.from_batches([batch]).select(columns) for batch in batches)
            yield from of_size(tables, rows)


class _Whole(TableParts):
    """VOTable: it has no rows to step to, so it is read whole."""

    @staticmethod
    def header(path: Path) -> tuple[list[str], dict[str, Any]]:
        from hoag.fits_tables import read_with_astropy

        schema = read_with_astropy(path).schema
        return list(schema.names), {field.name: field.type for field in schema}

    def _parts(self, columns: list[str], rows: int) -> Iterator[pa.Table]:
        from hoag.fits_tables import read_with_astropy

        table = read_with_astropy(self.path).select(columns)
        for start in range(0, len(table), rows):
            yield table.slice(start, rows)


def of_size(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Join and cut tables so that each has `rows` rows, but for the last."""
    import pyarrow as pa

    waiting: list[pa.Table] = []
    count = 0
    for table in tables:
        waiting.append(table)
        count += table.num_rows
        while count >= rows:
            whole = pa.concat_tables(waiting)
            yield whole.slice(0, rows)
            waiting, count = [whole.slice(rows)], count - rows
    if count:
        yield pa.concat_tables(waiting)

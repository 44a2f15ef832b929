"""FITS tables part by part, through astropy; hoag's own under the names that hoag gave them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hoag.column_labels import names_and_descriptions
from hoag.data.table_parts import TableParts
from hoag.errors import HoagError

if TYPE_CHECKING:
    import pyarrow as pa


class FitsParts(TableParts):
    """The first table of a FITS file; mapped, not read whole, unless it is compressed."""

    @staticmethod
    def header(path: Path) -> tuple[list[str], dict[str, Any]]:
        """Names and types of the columns, from the first row."""
        with _fits_table(path) as hdu:
            _check_length(hdu, path)
            names = _names(hdu)
            part = _fits_part(hdu, list(dict.fromkeys(names)), 0, 1)
            return names, {field.name: field.type for field in part.schema}

    def _parts(self, columns: list[str], rows: int) -> Iterator[pa.Table]:
        with _fits_table(self.path) as hdu:
            for start in range(0, len(hdu.data), rows):
                yield _fits_part(hdu, columns, start, start + rows)


@contextmanager
def _fits_table(path: Path) -> Iterator[Any]:
    from astropy.io import fits

    with _quiet():
        hdus = fits.open(path, memmap=path.suffix.lower() != ".gz")
        tables = [hdu for hdu in hdus if isinstance(hdu, (fits.BinTableHDU, fits.TableHDU))]
    with hdus:
        if not tables:
            raise HoagError(f"{path}: has no table in it, only {len(hdus)} image or header units")
        yield tables[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Astropy warns of units and names, none of which hoag uses; never held across a part."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_length(hdu: Any, path: Path) -> None:
    """Refuse a file that ends before its table does; astropy would meet it in the middle."""
    info = hdu.fileinfo()
    needed = info["datLoc"] + hdu.header["NAXIS1"] * hdu.header["NAXIS2"]
    if path.suffix.lower() != ".gz" and path.stat().st_size < needed:
        raise HoagError(
            f"{path}: is cut short: its table needs {needed:,} bytes and there are "
            f"{path.stat().st_size:,}; fetch it again"
        )


def _names(hdu: Any) -> list[str]:
    """Names of the columns; for ``bar_gz2_yes`` the one that hoag wrote beside it."""
    stored = hdu.columns.names
    given = [str(hdu.header.get(f"TCOMM{number}", "")) for number in range(1, len(stored) + 1)]
    return [name for name, _ in names_and_descriptions(stored, given)]


def _fits_part(hdu: Any, columns: Sequence[str], start: int, stop: int) -> pa.Table:
    import pyarrow as pa

    from hoag.fits_tables import _to_arrow

    stored = dict(zip(_names(hdu), hdu.columns.names, strict=True))
    with _quiet():
        data = hdu.data[start:stop]
        fields = {name: data.field(stored[name]) for name in columns}
    arrays = {}
    for name, values in fields.items():
        if values.dtype.kind == "O":
            raise HoagError(f"column '{name}' has arrays of differing lengths; drop it")
        if values.ndim > 2:
            raise HoagError(f"column '{name}' has arrays of {values.ndim - 1} dimensions; drop it")
        mask = _missing(values, hdu.columns[stored[name]].null)
        arrays[name] = _to_arrow(np.ma.MaskedArray(values, mask=mask))
    return pa.table(arrays)


def _missing(values: Any, null: Any) -> Any:
    """FITS marks missing text by "", floats by NaN and integers by the column's TNULL."""
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype.kind in "iu" and null is not None:
        return values == null
    return np.zeros(values.shape, bool)

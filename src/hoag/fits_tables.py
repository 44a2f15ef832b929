"""FITS and VOTable through astropy: what Arrow columns become there and come back as."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hoag.column_labels import labelled, names_and_descriptions
from hoag.errors import HoagError

if TYPE_CHECKING:
    import pyarrow as pa

Labels = dict[str, dict[str, str]]


def read_with_astropy(path: Path) -> pa.Table:
    """Read the first table of a FITS or VOTable file; astropy masks "" and NaN: null."""
    import pyarrow as pa

    is_fits = path.suffix.lower() in (".fits", ".fit")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about units and names that other programs wrote
        table, record, labels = _read_fits(path) if is_fits else _read_votable(path)
    arrays, fields = [], []
    given = [labels.get(safe, {}).get("description", "") for safe in table.colnames]
    read = names_and_descriptions(table.colnames, given)
    for safe, (name, description) in zip(table.colnames, read, strict=True):
        own = labels.get(safe, {}) | {"description": description}
        arrays.append(_to_arrow(table[safe]))
        fields.append(labelled(name, arrays[-1].type, **own))
    metadata = {b"hoag": record.encode()} if record else None
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata))


def _read_fits(path: Path) -> tuple[Any, str | None, Labels]:
    from astropy.io import fits
    from astropy.table import Table

    table = Table.read(path, format="fits", hdu=1, character_as_bytes=False)
    header = fits.getheader(path, 1)
    keywords = {"unit": "TUNIT", "ucd": "TUCD", "description": "TCOMM"}
    labels = {
        name: {
            key: str(header[f"{keyword}{number}"])
            for key, keyword in keywords.items()
            if f"{keyword}{number}" in header
        }
        for number, name in enumerate(table.colnames, 1)
    }
    return table, table.meta.get("HOAG"), labels


def _read_votable(path: Path) -> tuple[Any, str | None, Labels]:
    from astropy.io.votable import parse

    votable = parse(path)
    record = next((str(i.value) for i in votable.infos if i.name == "hoag"), None)
    first = votable.get_first_table()
    labels = {}
    for field in first.fields:
        given = {"unit": field.unit, "ucd": field.ucd, "description": field.description}
        labels[field.name] = {key: str(value) for key, value in given.items() if value}
    return first.to_table(use_names_over_ids=True), record, labels


def _to_arrow(column: Any) -> pa.Array:
    import pyarrow as pa

    mask = (
        np.ma.getmaskarray(column)
        if np.ma.isMaskedArray(column)
        else np.zeros(np.shape(column), bool)
    )
    values = np.asarray(column)
    if values.dtype.kind in "SUO":
        text = [value.decode() if isinstance(value, bytes) else str(value) for value in values]
        return pa.array([None if m or not t else t for t, m in zip(text, mask, strict=True)])
    values = values.astype(values.dtype.newbyteorder("="))
    if values.ndim == 2:
        flat, missing = pa.array(values.reshape(-1)), mask.all(axis=1)
        return pa.FixedSizeListArray.from_arrays(
            flat, values.shape[1], mask=pa.array(missing) if missing.any() else None
        )
    if values.ndim > 2:
        raise HoagError(
            f"column '{column.name}': arrays of {values.ndim - 1} dimensions are not read"
        )
    return pa.array(values, mask=mask)

"""FITS and VOTable through astropy: what Arrow columns become there and come back as."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hoag.errors import HoagError

if TYPE_CHECKING:
    import pyarrow as pa


def read_with_astropy(path: Path) -> pa.Table:
    """Read the first table of a FITS or VOTable file; astropy masks "" and NaN: null."""
    import pyarrow as pa
    from astropy.table import Table

    is_fits = path.suffix.lower() in (".fits", ".fit")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about units and names, none of which hoag uses
        if is_fits:
            table = Table.read(path, format="fits", hdu=1, character_as_bytes=False)
            record = table.meta.get("HOAG")
        else:
            from astropy.io.votable import parse

            votable = parse(path)
            record = next((str(i.value) for i in votable.infos if i.name == "hoag"), None)
            table = votable.get_first_table().to_table(use_names_over_ids=True)
    arrays = {name: _to_arrow(table[name]) for name in table.colnames}
    metadata = {b"hoag": record.encode()} if record else None
    return pa.table(arrays).replace_schema_metadata(metadata)


def write_with_astropy(table: pa.Table, temporary: Path, path: str, record: dict[str, Any]) -> None:
    """Write a table as FITS or VOTable, by the suffix, with its record."""
    from astropy.table import Table

    is_fits = temporary.suffix.lower() in (".fits", ".fit")
    columns = {
        name: _from_arrow(table[name], f"{path}: column '{name}'", is_fits)
        for name in table.column_names
    }
    result = Table(columns)
    text = json.dumps(record)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hyphens in FITS names are allowed, though advised against
        if is_fits:
            result.meta["HOAG"] = text
            result.write(temporary, format="fits")
        else:
            from astropy.io.votable import from_table, writeto
            from astropy.io.votable.tree import Info

            votable = from_table(result)
            votable.infos.append(Info(name="hoag", value=text))
            writeto(votable, str(temporary))


def _to_arrow(column: Any) -> pa.Array:
    import pyarrow as pa

    mask = (
        np.ma.getmaskarray(column) if np.ma.isMaskedArray(column) else np.zeros(len(column), bool)
    )
    values = np.asarray(column)
    if values.dtype.kind in "SUO":
        text = [value.decode() if isinstance(value, bytes) else str(value) for value in values]
        return pa.array([None if m or not t else t for t, m in zip(text, mask, strict=True)])
    values = values.astype(values.dtype.newbyteorder("="))
    if values.ndim == 2:
        flat = pa.array(values.reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    if values.ndim > 2:
        raise HoagError(
            f"column '{column.name}': arrays of {values.ndim - 1} dimensions are not read"
        )
    return pa.array(values, mask=mask)


def _from_arrow(column: pa.ChunkedArray, where: str, is_fits: bool) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc
    from astropy.table import Column, MaskedColumn

    kind = column.type
    missing = column.is_null().to_numpy()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        text = pc.fill_null(column.cast(pa.string()), "").to_pylist()
        _check_text(text, where, is_fits)
        return np.array(text, dtype=str if any(text) else "U1")
    if pa.types.is_fixed_size_list(kind) and not missing.any():
        flat = pa.concat_arrays([chunk.flatten() for chunk in column.chunks])
        return flat.to_numpy(zero_copy_only=False).reshape(len(column), kind.list_size)
    if pa.types.is_boolean(kind) and not missing.any():
        return column.to_numpy().astype(bool)
    if pa.types.is_floating(kind):
        values = np.asarray(pc.fill_null(column, float("nan")).to_numpy())
        return values.astype(np.float32) if values.dtype == np.float16 else values
    if pa.types.is_integer(kind):
        return _integers(column, missing, where, Column, MaskedColumn)
    what = "with missing entries " if missing.any() else ""
    raise HoagError(f"{where}: {kind} {what}cannot be written there; write Parquet, or drop it")


def _integers(column: pa.ChunkedArray, missing: Any, where: str, plain: Any, masked: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    # Neither format has all the integer types; 32 and 64 bits with a sign are in both.
    wide = column.type.bit_width > 32 or pa.types.is_unsigned_integer(column.type)
    try:
        filled = pc.fill_null(column.cast(pa.int64() if wide else pa.int32()), 0).to_numpy()
    except pa.ArrowInvalid:
        raise HoagError(f"{where}: a value is larger than 63 bits; write it as text") from None
    if not missing.any():
        return plain(filled)
    return masked(filled, mask=missing, fill_value=np.iinfo(filled.dtype).min)


def _check_text(text: list[str], where: str, is_fits: bool) -> None:
    if not is_fits:
        return
    for row, value in enumerate(text):
        if not value.isascii():
            raise HoagError(
                f"{where}, row {row}: FITS holds ASCII text only, not {value!r}; write .parquet, "
                ".csv or .vot"
            )
        if value.endswith(" "):
            raise HoagError(f"{where}, row {row}: FITS drops the spaces at the end of {value!r}")

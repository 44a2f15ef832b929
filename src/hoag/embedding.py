"""The embeddings table: one row a galaxy, its id and its representation, ours or anybody's.

``make_table`` builds it, ``write_embeddings`` and ``read_embeddings`` take it to disk and back as
Parquet, and ``vectors`` gives the numbers out. Tables made elsewhere are welcome as ``id_str`` with
one list column, or with many numeric columns.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hoag.console import say
from hoag.errors import HoagError
from hoag.files import written_whole

ID = "id_str"
REPRESENTATION = "representation"
STAMP_KEY = b"hoag"


def make_table(
    ids: Sequence[str], vectors: NDArray[np.floating], stamp: Mapping[str, Any] | None = None
) -> pa.Table:
    """Make an embeddings table.

    Parameters
    ----------
    ids
        (galaxies,) distinct ids.
    vectors
        (galaxies, dim) finite numbers, kept as float32.
    stamp
        Where they come from (version, seed, model and schema hashes); kept as the table's metadata.

    Returns
    -------
    pyarrow.Table
        Columns ``id_str`` (string) and ``representation`` (fixed-size list of float32).

    Raises
    ------
    HoagError
        If shapes disagree, an id comes twice or a value is NaN or infinite.
    """
    numbers = np.ascontiguousarray(vectors, dtype=np.float32)
    if numbers.ndim != 2 or len(numbers) != len(ids) or numbers.shape[1] == 0:
        raise HoagError(
            f"{len(ids)} ids came with vectors of shape {numbers.shape}; give one vector a galaxy, "
            "as an array (galaxies, dim)"
        )
    names = pa.array(ids, pa.string())
    _check_ids(names, "the embeddings")
    _check_finite(numbers, names, "the embeddings")
    flat = pa.array(numbers.reshape(-1), pa.float32())
    lists = pa.FixedSizeListArray.from_arrays(flat, numbers.shape[1])
    table = pa.table({ID: names, REPRESENTATION: lists})
    return table.replace_schema_metadata({STAMP_KEY: json.dumps(dict(stamp or {}))})


def write_embeddings(table: pa.Table, path: str | Path) -> None:
    """Write an embeddings table as Parquet, whole or not at all, its stamp with it."""
    import pyarrow.parquet as pq

    check_name(path)
    with written_whole(path) as temporary:
        # Digits of a representation don't repeat, so dictionaries only cost time.
        pq.write_table(table, temporary, compression="zstd", use_dictionary=False)


def check_name(path: str | Path) -> None:
    """Refuse to write embeddings as anything but Parquet."""
    if Path(path).suffix != ".parquet":
        raise HoagError(f"{path}: embeddings are written as Parquet; end the name in .parquet")


def read_embeddings(path: str | Path) -> pa.Table:
    """Read a table of ids and vectors: Parquet, or what `hoag.catalogue` reads (CSV, FITS...).

    Returns
    -------
    pyarrow.Table
        As `make_table` makes it, with the stamp if hoag wrote it.

    Raises
    ------
    HoagError
        If the file is missing or unreadable, or its content no table of vectors.
    """
    path = Path(path)
    if not path.is_file():
        raise HoagError(f"{path}: no such file; give a table of {ID} and vectors")
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        try:
            # The file object, not its name: a folder called "x=1" would add a column.
            with path.open("rb") as file:
                table = pq.read_table(file)
        except (pa.ArrowInvalid, OSError) as error:
            reason = str(error).splitlines()[0]
            raise HoagError(f"{path}: not a readable Parquet file ({reason})") from None
    else:
        from hoag.catalogue import read_table

        table = read_table(path)
    return canonical(table, str(path))


def canonical(table: pa.Table, where: str = "the table") -> pa.Table:
    """Bring anybody's table of ids and vectors to the form of `make_table`.

    The vector is the column ``representation``, else the only column of lists, else all the numeric
    columns side by side in their order (said aloud).

    Parameters
    ----------
    table
        Has ``id_str`` and vectors in one of these forms.
    where
        What the table is called in messages: its file.

    Raises
    ------
    HoagError
        If there is no id or vector column, an id is missing or comes twice, lists differ in length,
        or a value is null, NaN or infinite; the sentence names the row.
    """
    names = _ids(table, where)
    column = _vector_column(table, where)
    if column is None:
        numbers = _from_columns(table, where)
    else:
        numbers = _from_lists(table[column], column, where)
    _check_finite(numbers, names, where)
    stamp = (table.schema.metadata or {}).get(STAMP_KEY)
    return make_table(names, numbers, json.loads(stamp) if stamp else None)


def vectors(table: pa.Table, where: str = "the table") -> NDArray[np.float32]:
    """Representations of an embeddings table, (galaxies, dim) float32."""
    if not _is_canonical(table):
        table = canonical(table, where)
    return _from_lists(table[REPRESENTATION], REPRESENTATION, where)


def ids_of(table: pa.Table, where: str = "the table") -> list[str]:
    """Ids of an embeddings table, in its order."""
    return _ids(table, where).to_pylist()


def stamp_of(table: pa.Table) -> dict[str, Any]:
    """Where a table of hoag's comes from; empty for other people's."""
    stamp = (table.schema.metadata or {}).get(STAMP_KEY)
    return dict(json.loads(stamp)) if stamp else {}


def _is_canonical(table: pa.Table) -> bool:
    if table.column_names != [ID, REPRESENTATION]:
        return False
    kind = table.schema.field(REPRESENTATION).type
    return pa.types.is_fixed_size_list(kind) and kind.value_type == pa.float32()


def _ids(table: pa.Table, where: str) -> pa.Array:
    if ID not in table.column_names:
        raise HoagError(
            f"{where}: no column '{ID}' among {_few(table.column_names)}; name the ids so"
        )
    if len(table) == 0:
        raise HoagError(f"{where}: the table is empty; it needs one row a galaxy")
    column = table[ID].combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # pyarrow < 16 for an empty one, dictionaries
        column = pa.concat_arrays(column.chunks)
    kind = column.type
    if not (pa.types.is_integer(kind) or _is_text(kind)):
        raise HoagError(
            f"{where}: column '{ID}' holds {kind}; ids are text (or whole numbers), because other "
            "types lose digits"
        )
    names = column.cast(pa.string())
    _check_ids(names, where)
    return names


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _check_ids(names: pa.Array, where: str) -> None:
    if names.null_count:
        row = int(np.flatnonzero(names.is_null().to_numpy(zero_copy_only=False))[0])
        raise HoagError(f"{where}: row {row + 1} has no {ID}; every galaxy needs one")
    if pc.count_distinct(names).as_py() < len(names):
        seen: dict[str, int] = {}
        for row, name in enumerate(names.to_pylist(), start=1):
            if name in seen:
                raise HoagError(
                    f"{where}: id '{name}' stands in rows {seen[name]} and {row}; keep one of them"
                )
            seen[name] = row


def _vector_column(table: pa.Table, where: str) -> str | None:
    lists = [field.name for field in table.schema if _is_list(field.type)]
    if REPRESENTATION in lists:
        return REPRESENTATION
    if len(lists) > 1:
        raise HoagError(
            f"{where}: columns {_few(lists)} all hold lists; keep the one that is the vector, or "
            f"name it '{REPRESENTATION}'"
        )
    return lists[0] if lists else None


def _is_list(kind: pa.DataType) -> bool:
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _from_lists(column: pa.ChunkedArray, name: str, where: str) -> NDArray[np.float32]:
    """(galaxies, dim) float32 of a column of equally long lists."""
    if not (pa.types.is_floating(column.type.value_type) or _is_whole(column.type.value_type)):
        raise HoagError(
            f"{where}: column '{name}' holds lists of {column.type.value_type}; vectors are numbers"
        )
    lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy()
    length = int(lengths[0])
    odd = np.flatnonzero((lengths != length) | (lengths <= 0))
    if len(odd):
        found = "no list" if lengths[odd[0]] < 0 else f"a list of {lengths[odd[0]]}"
        raise HoagError(
            f"{where}: column '{name}', row {odd[0] + 1} has {found} where row 1 has {length}; "
            "every galaxy needs a vector of the same length"
        )
    flat = pc.list_flatten(column)
    if flat.null_count:
        missing = np.flatnonzero(flat.is_null().to_numpy())
        row, entry = divmod(int(missing[0]), length)
        raise HoagError(
            f"{where}: column '{name}', row {row + 1}: entry {entry + 1} is null; fill it or leave "
            "the galaxy out"
        )
    numbers = flat.cast(pa.float32(), safe=False).to_numpy()
    return np.asarray(numbers, np.float32).reshape(-1, length)


def _is_whole(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind))


def _from_columns(table: pa.Table, where: str) -> NDArray[np.float32]:
    """(galaxies, dim) float32 of numeric columns side by side."""
    names = [name for name in table.column_names if name != ID]
    if not names:
        raise HoagError(
            f"{where}: no column beside '{ID}'; add a list column '{REPRESENTATION}' or numbers"
        )
    for name in names:
        kind = table.schema.field(name).type
        if not (pa.types.is_floating(kind) or _is_whole(kind)):
            raise HoagError(
                f"{where}: column '{name}' holds {kind}, neither a list nor a number; leave only "
                f"'{ID}' and the vectors in the table"
            )
        if table[name].null_count:
            row = int(np.flatnonzero(table[name].is_null().to_numpy())[0])
            raise HoagError(
                f"{where}: column '{name}', row {row + 1} is null; fill it or leave the galaxy out"
            )
    say(f"{where}: the vector is the {len(names)} numeric columns {_few(names)}")
    return np.stack([table[name].to_numpy().astype(np.float32) for name in names], axis=1)


def _check_finite(numbers: NDArray[np.float32], names: pa.Array, where: str) -> None:
    wrong = np.flatnonzero(~np.isfinite(numbers).all(axis=1))
    if len(wrong):
        row = int(wrong[0])
        entry = int(np.flatnonzero(~np.isfinite(numbers[row]))[0])
        raise HoagError(
            f"{where}: row {row + 1} (id '{names[row].as_py()}'), entry {entry + 1} is "
            f"{numbers[row, entry]}; vectors must be finite ({len(wrong)} rows are not)"
        )


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:3])
    return shown if len(names) <= 4 else f"{shown} ... '{names[-1]}'"

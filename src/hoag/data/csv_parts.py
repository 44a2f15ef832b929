"""CSV part by part: all of it as text, because a part cannot know what the next one holds.

The types of a user's columns are found in one pass before, so that all parts agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hoag.data.table_parts import TableParts, of_size, one_sentence

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 1 << 22  # bytes that are parsed together


class CsvParts(TableParts):
    """A CSV file, perhaps compressed."""

    @staticmethod
    def header(path: Path) -> tuple[list[str], dict[str, Any]]:
        """Names of the columns; all is text."""
        import pyarrow.csv as csv

        with csv.open_csv(path, **_csv_options(None)) as reader:
            names = list(reader.schema.names)
        return names, dict.fromkeys(names)

    def _parts(self, columns: list[str], rows: int) -> Iterator[pa.Table]:
        import pyarrow as pa
        import pyarrow.csv as csv

        options = _csv_options(self.names, columns)
        with csv.open_csv(self.path, **options) as reader:
            yield from of_size((pa.Table.from_batches([batch]) for batch in reader), rows)

    def text_kinds(self, columns: Sequence[str]) -> dict[str, Any]:
        """Find the types that the text of columns stands for, in one pass over the file."""
        import pyarrow as pa

        kinds: dict[str, Any] = dict.fromkeys(columns, pa.null())
        with one_sentence(self.path):
            for part in self._parts(list(columns), 1 << 16) if columns else ():
                for name in columns:
                    kinds[name] = _common(kinds[name], _kind(part[name]))
        return {
            name: pa.int64() if kind == _LONG else pa.string() if kind == pa.null() else kind
            for name, kind in kinds.items()
        }


_LONG = "integers of more digits than a float keeps"


def _kind(column: pa.ChunkedArray) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    from hoag.catalogue import _numbers_if_lossless

    numbers = _numbers_if_lossless(column)
    if numbers.type == pa.int64() and pc.max(pc.abs(numbers)).as_py() >= 10**15:
        return _LONG
    return numbers.type


def _common(one: Any, other: Any) -> Any:
    """Type that holds what two parts of a CSV column hold, text if nothing else does."""
    import pyarrow as pa

    both = [one, other]
    if one == other or pa.null() in both:
        return other if one == pa.null() else one
    if pa.int64() in both and _LONG in both:
        return _LONG
    return pa.float64() if pa.int64() in both and pa.float64() in both else pa.string()


def text_as(column: pa.ChunkedArray, kind: Any) -> pa.ChunkedArray:
    """Give a CSV column of text the type that `text_kinds` found."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_boolean(kind):
        return pc.equal(pc.utf8_lower(column), "true")
    if pa.types.is_floating(kind):
        column = pc.replace_substring_regex(column, r"^\+", "")
    return column.cast(kind)


def _csv_options(names: list[str] | None, columns: list[str] | None = None) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.csv as csv

    return {
        "read_options": csv.ReadOptions(block_size=_BLOCK),
        "parse_options": csv.ParseOptions(newlines_in_values=True),
        "convert_options": csv.ConvertOptions(
            column_types=dict.fromkeys(names or (), pa.string()),
            include_columns=columns or (), null_values=[""],
            strings_can_be_null=True, quoted_strings_can_be_null=False,
        ),
    }  # fmt: skip

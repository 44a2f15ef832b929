"""Arrow files mapped from disk and read by rows: what the stages of a build hand each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa


class Mapped:
    """A file of record batches, mapped: only the pages that are read take memory.

    Parameters
    ----------
    path
        An Arrow file (the random-access format).
    """

    def __init__(self, path: Path):
        import pyarrow as pa

        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        self.schema: pa.Schema = reader.schema
        self.batches = [reader.get_batch(k) for k in range(reader.num_record_batches)]
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self.batches)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def column(self, name: str) -> pa.ChunkedArray:
        """One column, whole."""
        import pyarrow as pa

        kind = self.schema.field(name).type
        return pa.chunked_array([batch.column(name) for batch in self.batches], kind)

    def slice(self, first: int, stop: int, names: Sequence[str]) -> pa.Table:
        """Rows `first` to `stop` of some columns."""
        import pyarrow as pa

        fields = pa.schema([self.schema.field(name) for name in names])
        parts = []
        for batch, start in zip(self.batches, self._starts.tolist(), strict=False):
            a, b = max(first - start, 0), min(stop - start, batch.num_rows)
            if a < b:
                parts.append(batch.select(list(names)).slice(a, b - a))
        return pa.Table.from_batches(parts, fields)

    def scalar(self, name: str, row: int) -> Any:
        """One value."""
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self.batches[number].column(name)[row - int(self._starts[number])]

    def take(self, rows: npt.NDArray[np.int64], names: Sequence[str]) -> pa.Table:
        """Rows in any order; each batch is read by itself, so no column is joined whole."""
        import pyarrow as pa

        fields = pa.schema([self.schema.field(name) for name in names])
        numbers = np.searchsorted(self._starts, rows, side="right") - 1
        order = np.argsort(numbers, kind="stable")
        parts = []
        for number in np.unique(numbers):
            here = rows[order[numbers[order] == number]] - self._starts[number]
            parts.append(self.batches[number].select(list(names)).take(pa.array(here)))
        taken = pa.Table.from_batches(parts, fields)
        back = np.empty(len(rows), np.int64)
        back[order] = np.arange(len(rows))
        return taken.take(pa.array(back))


def write_mapped(table: pa.Table, path: Path, rows: int = 4096) -> None:
    """Write a table as an Arrow file of batches of some rows."""
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=rows)

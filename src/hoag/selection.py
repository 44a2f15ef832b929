"""Chosen rows of one or many stores in a fixed order: what galaxies are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hoag.hashes import Hashes
from hoag.records import Positions, Rows, Votes, by_number, in_order, joined, there_of, unified
from hoag.stores import Store

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Selection:
    """Rows of stores. Choosing and joining copy these numbers alone.

    Attributes
    ----------
    stores
        The stores.
    store_of
        (n,) int32: the store of each galaxy.
    row_of
        (n,) int32: its row there.
    """

    stores: tuple[Store, ...]
    store_of: npt.NDArray[np.int32]
    row_of: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.row_of)

    @classmethod
    def of(cls, store: Store) -> Selection:
        """Select all of one store."""
        return cls((store,), np.zeros(len(store), np.int32), np.arange(len(store), dtype=np.int32))

    @classmethod
    def join(cls, parts: Sequence[Selection]) -> Selection:
        """Put selections one after another; a store that several share stays one."""
        stores = list(dict.fromkeys(store for part in parts for store in part.stores))
        numbers = [
            np.array([stores.index(s) for s in part.stores], np.int32)[part.store_of]
            for part in parts
        ]
        rows = np.concatenate([part.row_of for part in parts])
        return cls(tuple(stores), np.concatenate(numbers), rows)

    def take(self, chosen: Rows) -> Selection:
        """Select some of these, in the order given."""
        return Selection(self.stores, self.store_of[chosen], self.row_of[chosen])

    def store(self, index: int) -> Store:
        """Store of one galaxy."""
        return self.stores[int(self.store_of[index])]

    @cached_property
    def fields(self) -> pa.Schema:
        """Columns of all the stores and their types.

        Raises
        ------
        HoagError
            If the types of a column differ.
        """
        return unified([store.records.fields for store in self.stores])

    def table(self, columns: Sequence[str]) -> pa.Table:
        """Some columns of these rows."""
        parts, places = [], [np.zeros(0, np.int64)]
        for store, chosen, rows in self._by_store():
            every = len(rows) == len(store) and np.array_equal(rows, np.arange(len(rows)))
            there = there_of(columns, store.records.fields.names)
            parts.append(store.records.table(None if every else rows, there))
            places.append(chosen)
        if len(parts) == 1 and parts[0].column_names == list(columns):
            return in_order(parts[0], places[-1])
        return in_order(joined(parts, columns, self.fields), np.concatenate(places))

    def ids(self, chosen: Rows) -> list[str]:
        """Ids of a few."""
        ids = np.empty(len(chosen), object)
        for store, places, rows in self.take(chosen)._by_store():
            ids[places] = store.records.ids(rows)
        found: list[str] = ids.tolist()
        return found

    def votes(self, chosen: Rows, answers: int) -> Votes:
        """Votes of some; (k, answers) int32."""
        votes = np.zeros((len(chosen), answers), np.int32)
        for store, places, rows in self.take(chosen)._by_store():
            votes[places] = store.records.votes(rows)
        return votes

    def keys(self) -> Hashes:
        """Hashes of the ids; (n,) uint64."""
        keys = np.empty(len(self), np.uint64)
        for store, places, rows in self._by_store():
            keys[places] = store.records.keys[rows]
        return keys

    def groups(self) -> Hashes | None:
        """Hashes of column `group`, else of the id; (n,) uint64, None if no store has it."""
        if "group" not in self.fields.names:
            return None
        groups = np.empty(len(self), np.uint64)
        for store, places, rows in self._by_store():
            of_store = store.records.groups
            groups[places] = (store.records.keys if of_store is None else of_store)[rows]
        return groups

    def decode(self, index: int) -> npt.NDArray[np.uint8]:
        """Decode one image as it is stored; (height, width, 3) uint8."""
        return self.store(index).decode(int(self.row_of[index]), None)

    def pixels(self, chosen: Rows, size: int, keep: bool = True) -> npt.NDArray[np.uint8]:
        """Decode images; (k, 3, size, size) uint8, in memory as decoded: the colours last."""
        out = np.empty((len(chosen), size, size, 3), np.uint8)
        for store, places, rows in self.take(chosen)._by_store():
            store.read(rows.astype(np.int64), size, out, places, keep)
        return out.transpose(0, 3, 1, 2)

    def lengths(self) -> npt.NDArray[np.int64]:
        """Size of each encoded image in bytes; (n,) int64."""
        lengths = np.zeros(len(self), np.int64)
        for store, places, rows in self._by_store():
            lengths[places] = store.lengths[rows]
        return lengths

    def prepare(self, size: int | None) -> None:
        """Open the images, and make the caches for one size if it is given."""
        for store, _, _ in self._by_store():
            store.images.prepare()
            if size is not None:
                store.cache(size)

    def _by_store(self) -> Iterator[tuple[Store, Positions, Rows]]:
        """Give each store that has rows here, their positions, and the rows in it."""
        for number, places in by_number(self.store_of):
            yield self.stores[number], places, self.row_of[places]

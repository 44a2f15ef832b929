"""Galaxies: images, votes and table of one store or many, a sequence that can be cut and joined."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hoag import splits
from hoag.errors import HoagError
from hoag.stores import Selection, Store
from hoag.writing import write_galaxies

if TYPE_CHECKING:
    import pyarrow as pa

    from hoag.schema import Schema

__all__ = ["Galaxies", "Galaxy", "concatenate", "open", "write_galaxies"]


@dataclass(frozen=True)
class Galaxy:
    """One galaxy.

    Attributes
    ----------
    id_str
        Its id.
    image
        (height, width, 3) uint8, as stored.
    votes
        (answers,) int32 in the order of the schema; 0 where not asked.
    row
        The other columns of its table.
    """

    id_str: str
    image: npt.NDArray[np.uint8]
    votes: npt.NDArray[np.int32]
    row: dict[str, Any]


class Galaxies:
    """Galaxies in a fixed order; made by `hoag.open`, not directly.

    Taking some of them or joining several copies no image: the stores and what is decoded of them
    are shared.

    Attributes
    ----------
    table
        pyarrow Table of all columns but the images; `id_str` is among them.
    schema
        Schema whose answers order the votes.
    """

    def __init__(
        self,
        table: pa.Table,
        images: Selection,
        schema: Schema,
        votes: npt.NDArray[np.int32],
        groups: npt.NDArray[np.object_] | None = None,
    ):
        self.table, self.schema = table, schema
        self._images, self._votes, self._groups = images, votes, groups

    def __len__(self) -> int:
        return self.table.num_rows

    def __getitem__(self, index: int) -> Galaxy:
        index = range(len(self))[index]
        return Galaxy(
            id_str=self.ids[index],
            image=self._images.decode(index, self.ids[index]),
            votes=self.votes[index],
            row=self.table.slice(index, 1).to_pylist()[0],
        )

    def __iter__(self) -> Iterator[Galaxy]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return (
            f"Galaxies({len(self):,}, {int(self.labelled.sum()):,} with votes, "
            f"from {', '.join(store.name for store in self._images.stores)})"
        )

    @cached_property
    def ids(self) -> list[str]:
        """Ids, unique; n of them."""
        ids: list[str] = self.table["id_str"].to_pylist()
        return ids

    @cached_property
    def keys(self) -> npt.NDArray[np.uint64]:
        """64-bit hashes of the ids, which seed each galaxy's randomness; (n,) uint64."""
        from hoag.randomness import keys

        return keys(self.ids)

    @property
    def votes(self) -> npt.NDArray[np.int32]:
        """Votes for every answer, 0 where not asked; (n, answers) int32."""
        return self._votes

    @cached_property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """Whether a galaxy has any vote; (n,) bool."""
        return np.asarray(self._votes.any(axis=1))

    @cached_property
    def campaign(self) -> npt.NDArray[np.str_]:
        """Campaign that gave a galaxy most of its votes, "" where it has none; (n,) str."""
        of_answer = np.array(self.schema.campaign_of_question)[self.schema.question_index]
        names = list(self.schema.campaigns)
        totals = np.stack([self._votes[:, of_answer == name].sum(1) for name in names], axis=1)
        return np.where(self.labelled, np.array(names)[totals.argmax(1)], "")

    @cached_property
    def groups(self) -> npt.NDArray[np.object_]:
        """Key of the group that decides each galaxy's split; (n,) str objects.

        Column `group` if the table has one, else galaxies within 5 arcsec of each other where it
        has `ra` and `dec`, else the id.
        """
        if self._groups is not None:
            return self._groups
        return self._group_keys(None)

    def _group_keys(self, group: str | None) -> npt.NDArray[np.object_]:
        names = ", ".join(store.name for store in self._images.stores)
        return splits.groups_of_table(self.table, group, names)

    def split(self, name: str, group: str | None = None) -> Galaxies:
        """Galaxies of one of the fixed splits, 70/10/20, by a hash of their group.

        Parameters
        ----------
        name
            "train", "val" or "test".
        group
            A column whose values must not straddle splits, or "sky"; None: see `groups`.
        """
        if name not in splits.SPLITS:
            raise HoagError(f"no split '{name}'; the splits are 'train', 'val' and 'test'")
        keys = self.groups if group is None else self._group_keys(group)
        return self.where(splits.split_names(keys) == name)

    def take(self, indices: npt.ArrayLike) -> Galaxies:
        """Galaxies at some positions, in that order, sharing stores and decoded images."""
        chosen = np.asarray(indices, np.int64).reshape(-1)
        return Galaxies(
            self.table.take(chosen),
            self._images.take(chosen),
            self.schema,
            self._votes[chosen],
            None if self._groups is None else self._groups[chosen],
        )

    def where(self, mask: npt.ArrayLike) -> Galaxies:
        """Galaxies for which a (n,) bool mask is True, in their order."""
        chosen = np.asarray(mask)
        if chosen.dtype != bool or chosen.shape != (len(self),):
            raise HoagError(
                f"a mask must be ({len(self)},) bool, not {chosen.shape} {chosen.dtype}"
            )
        return self.take(np.flatnonzero(chosen))

    def with_groups(self, keys: Sequence[str] | npt.NDArray[np.object_]) -> Galaxies:
        """Give the same galaxies with other group keys, say joint ones of several tables."""
        return self._with(self._votes, np.array(list(keys), dtype=object))

    def without_votes(self) -> Galaxies:
        """Give the same galaxies as if nobody had been asked about them."""
        return self._with(np.zeros_like(self._votes), self._groups)

    def _with(
        self, votes: npt.NDArray[np.int32], groups: npt.NDArray[np.object_] | None
    ) -> Galaxies:
        return Galaxies(self.table, self._images, self.schema, votes, groups)

    def prepare(self, size: int | None = None) -> None:
        """Open the images and reserve memory for those decoded at `size`.

        Worked through before worker processes start, so that they share both.
        """
        self._images.prepare(size)

    def pixels(self, indices: npt.ArrayLike, size: int) -> npt.NDArray[np.uint8]:
        """Square images of some galaxies, decoded with antialiasing and kept when memory allows.

        Parameters
        ----------
        indices
            (k,) positions.
        size
            Side in pixels; the centre square of an image that is not square is taken.

        Returns
        -------
        array
            (k, 3, size, size) uint8, channels first.

        Raises
        ------
        HoagError
            If an image is missing or damaged.
        """
        chosen = np.asarray(indices, np.int64).reshape(-1)
        ids = self.ids
        return self._images.pixels(chosen, [ids[index] for index in chosen.tolist()], size)

    @cached_property
    def hash(self) -> str:
        """Hash of ids, votes and the sizes of the encoded images, alike on every machine."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update("\n".join([*self.schema.columns, "", *self.ids]).encode())
        digest.update(np.ascontiguousarray(self._votes, "<i4").tobytes())
        digest.update(self._images.lengths().astype("<i8").tobytes())
        return digest.hexdigest()


def concatenate(parts: Sequence[Galaxies]) -> Galaxies:
    """Join galaxies of several stores in order; their ids must differ.

    Raises
    ------
    HoagError
        If an id is in two of them, or their schemas or the types of a column differ.
    """
    import pyarrow as pa

    if not parts:
        raise HoagError("no galaxies to join: the list is empty")
    first = parts[0]
    if any(part.schema.hash != first.schema.hash for part in parts):
        raise HoagError("galaxies with votes by different schemas cannot be joined")
    _refuse_shared_ids(parts)
    try:
        table = pa.concat_tables([part.table for part in parts], promote_options="permissive")
    except pa.ArrowException as error:
        raise HoagError(f"tables cannot be joined, as a column's types differ ({error})") from None
    grouped = any(part._groups is not None for part in parts)
    return Galaxies(
        table.combine_chunks(),
        Selection.join([part._images for part in parts]),
        first.schema,
        np.concatenate([part.votes for part in parts]),
        np.concatenate([part.groups for part in parts]) if grouped else None,
    )


def _refuse_shared_ids(parts: Sequence[Galaxies]) -> None:
    seen: dict[str, Store] = {}
    for part in parts:
        for index, id_str in enumerate(part.ids):
            store = part._images.store(index)
            if id_str in seen:
                raise HoagError(
                    f"galaxy '{id_str}' is in both {seen[id_str].name} and {store.name}; ids must "
                    "be unique, so drop one"
                )
            seen[id_str] = store


def open(
    where: str | Path | Sequence[str | Path],
    *,
    schema: Schema | str | None = None,
    id_column: str = "id_str",
    arrow: str | Path | None = None,
) -> Galaxies:
    """Open galaxies.

    Parameters
    ----------
    where
        A folder of Parquet shards in the layout of the Hub's gz_evo, or one with a ``dataset.toml``
        (its pretraining galaxies); a Parquet file; a Parquet, CSV, FITS or VOTable table with a
        column `file_loc` of image files (relative to the table's folder, or absolute); a Hub id
        such as ``mwalmsley/gz_evo``; or a list of these, joined.
    schema
        Schema, or its name, whose answers are read as votes; None: GZ-Evo.
    id_column
        Column of ids; integers are made text digit by digit.
    arrow
        Folder for the Arrow copy of Parquet images. None: beside the store; where that cannot be
        written to, images are read into memory.

    Returns
    -------
    galaxies
        Images are not read until they are asked for.

    Raises
    ------
    HoagError
        If there is nothing to open, an id is missing or repeated, or a vote is odd.
    """
    from hoag.opening import open_places

    return open_places(where, schema, id_column, arrow)

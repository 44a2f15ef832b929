"""Galaxies: images, votes and table of one store or many, a sequence that can be cut and joined."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hoag import splits
from hoag.answers import main_campaign
from hoag.catalogue import require_columns
from hoag.errors import HoagError
from hoag.galaxy import Galaxy
from hoag.hashes import first_repeat, hashes_of
from hoag.records import shared_id
from hoag.selection import Selection
from hoag.withheld import Withheld
from hoag.writing import write_galaxies

if TYPE_CHECKING:
    import pyarrow as pa

    from hoag.schema import Schema

__all__ = ["Galaxies", "Galaxy", "concatenate", "open", "write_galaxies"]

_FEW, _BLOCK = 100_000, 1 << 14  # galaxies: whose table is kept; whose votes are read together


class Galaxies:
    """Galaxies in a fixed order; made by `hoag.open`, not directly.

    Taking some of them or joining several copies no image, no votes and no column: only which rows
    of which stores they are. What is asked for is then read.

    Attributes
    ----------
    schema
        Schema whose answers order the votes.
    """

    def __init__(
        self,
        images: Selection,
        schema: Schema,
        groups: npt.NDArray[np.object_] | None = None,
        withheld: Withheld | None = None,
    ):
        self.schema = schema
        # Groups other than those of the table; and which votes are not looked at.
        self._images, self._groups, self._withheld = images, groups, withheld

    def __len__(self) -> int:
        return len(self._images)

    def __getstate__(self) -> dict[str, Any]:
        known = ("schema", "_images", "_groups", "_withheld")  # the rest is read again
        return {name: self.__dict__[name] for name in known}

    def __getitem__(self, index: int) -> Galaxy:
        index = range(len(self))[index]
        one = np.array([index])
        # The table of a few is kept, that of millions never read for one of them.
        few = len(self) <= _FEW
        row = self.table.slice(index, 1) if few else self.take(one).table
        return Galaxy(
            id_str=self.ids_of(one)[0],
            image=self._images.decode(index),
            votes=self.votes_of(one)[0],
            row=row.to_pylist()[0],
        )

    def __iter__(self) -> Iterator[Galaxy]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return (
            f"Galaxies({len(self):,}, {int(self.labelled.sum()):,} with votes, "
            f"from {', '.join(store.name for store in self._images.stores)})"
        )

    def _repr_html_(self) -> str:
        from hoag.notebook import galaxies_html

        return galaxies_html(self)

    @property
    def columns(self) -> list[str]:
        """Names of the columns of the table."""
        return list(self._images.fields.names)

    @cached_property
    def table(self) -> pa.Table:
        """All columns but the images, `id_str` among them, as a pyarrow Table."""
        return self._images.table(self.columns)

    def select(self, columns: Sequence[str]) -> pa.Table:
        """Some columns of the table, without reading the others."""
        return self._images.table(columns)

    @cached_property
    def ids(self) -> list[str]:
        """Ids, unique; n of them."""
        ids: list[str] = self.select(["id_str"])["id_str"].to_pylist()
        return ids

    def ids_of(self, indices: npt.ArrayLike) -> list[str]:
        """Ids of the galaxies at a few positions; k of them."""
        return self._images.ids(np.asarray(indices, np.int64).reshape(-1))

    @cached_property
    def keys(self) -> npt.NDArray[np.uint64]:
        """64-bit hashes of the ids, which seed each galaxy's randomness; (n,) uint64."""
        return self._images.keys()

    @cached_property
    def votes(self) -> npt.NDArray[np.int32]:
        """Votes for every answer, 0 where not asked; (n, answers) int32, read whole."""
        return self.votes_of(np.arange(len(self)))

    def votes_of(self, indices: npt.ArrayLike) -> npt.NDArray[np.int32]:
        """Votes of the galaxies at some positions; (k, answers) int32."""
        chosen = np.asarray(indices, np.int64).reshape(-1)
        votes = self._images.votes(chosen, len(self.schema.columns))
        if self._withheld is not None:
            self._withheld.clear(votes, chosen)
        return votes

    @property
    def _all_withheld(self) -> Withheld:
        known = self._withheld
        return Withheld.nothing(len(self), len(self.schema.columns)) if known is None else known

    def _vote_blocks(self) -> Iterator[npt.NDArray[np.int32]]:
        """Go through the votes of all, a block at a time."""
        for start in range(0, len(self), _BLOCK):
            yield self.votes_of(np.arange(start, min(start + _BLOCK, len(self))))

    @cached_property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """Whether a galaxy has any vote; (n,) bool."""
        return np.asarray(self._campaign_number >= 0)

    @cached_property
    def campaign(self) -> npt.NDArray[np.str_]:
        """Campaign that gave a galaxy most of its votes, "" where it has none; (n,) str."""
        return np.array([*self.schema.campaigns, ""])[self._campaign_number]

    @cached_property
    def _campaign_number(self) -> npt.NDArray[np.int16]:
        """Place of `campaign` in the schema's list, -1 where there is none; (n,) int16."""
        parts = [main_campaign(votes, self.schema) for votes in self._vote_blocks()]
        return np.concatenate([np.zeros(0, np.int16), *parts])

    @property
    def votes_given(self) -> int:
        """How many votes all have together."""
        return sum(int(votes.sum(dtype=np.int64)) for votes in self._vote_blocks())

    @cached_property
    def groups(self) -> npt.NDArray[np.object_]:
        """Key of the group that decides each galaxy's split; (n,) str objects.

        Column `group` if the table has one, else galaxies within 5 arcsec of each other where it
        has `ra` and `dec`, else the id.
        """
        if self._groups is not None:
            return self._groups
        return self._group_keys(None)

    @cached_property
    def group_hashes(self) -> npt.NDArray[np.uint64]:
        """64-bit hashes of `groups`, which splits are made by; (n,) uint64."""
        known = self._images.groups() if self._groups is None else None
        return hashes_of(map(str, self.groups)) if known is None else known

    def _group_keys(self, group: str | None) -> npt.NDArray[np.object_]:
        where = ", ".join(store.name for store in self._images.stores)
        if group not in (None, "sky", "id_str"):
            require_columns(self.columns, [str(group)], where)
        wanted = dict.fromkeys(["id_str", "group", "ra", "dec", group])
        table = self.select([name for name in wanted if name in self.columns])
        return splits.groups_of_table(table, group, where)

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
        keys = self.group_hashes if group is None else self._group_keys(group)
        return self.where(splits.split_names(keys) == name)

    def take(self, indices: npt.ArrayLike) -> Galaxies:
        """Galaxies at some positions, in that order, sharing stores and decoded images."""
        chosen = np.asarray(indices, np.int64).reshape(-1)
        return Galaxies(
            self._images.take(chosen),
            self.schema,
            None if self._groups is None else self._groups[chosen],
            None if self._withheld is None else self._withheld.take(chosen),
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
        groups = np.array(list(keys), dtype=object)
        return Galaxies(self._images, self.schema, groups, self._withheld)

    def without_votes(
        self, silent: npt.ArrayLike = True, unasked: npt.ArrayLike = False
    ) -> Galaxies:
        """Give the same galaxies as if nobody had been asked about them, or not about all.

        Parameters
        ----------
        silent
            Which lose their votes, (n,) bool; all if not said.
        unasked
            Answers, (answers,) bool in the schema's order, whose votes all lose.
        """
        lost = np.broadcast_to(np.asarray(silent, bool), len(self))
        answers = np.broadcast_to(np.asarray(unasked, bool), len(self.schema.columns))
        withheld = self._all_withheld.more(lost, answers)
        return Galaxies(self._images, self.schema, self._groups, withheld)

    def prepare(self, size: int | None = None) -> None:
        """Open the images and reserve memory for those decoded at `size`.

        Worked through before worker processes start, so that they share both.
        """
        self._images.prepare(size)

    def pixels(
        self, indices: npt.ArrayLike, size: int, *, keep: bool = True
    ) -> npt.NDArray[np.uint8]:
        """Square images of some galaxies, decoded with antialiasing and kept when memory allows.

        Parameters
        ----------
        indices
            (k,) positions.
        size
            Side in pixels; the centre square of an image that is not square is taken.
        keep
            Whether they are wanted again soon; where each is looked at once, memory is spared.

        Returns
        -------
        array
            (k, 3, size, size) uint8, channels first; in memory they come last, as decoded.

        Raises
        ------
        HoagError
            If an image is missing or damaged.
        """
        return self._images.pixels(np.asarray(indices, np.int64).reshape(-1), size, keep)

    @cached_property
    def hash(self) -> str:
        """Hash of ids, votes and the sizes of the encoded images, alike on every machine."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update("\n".join([*self.schema.columns, ""]).encode())
        ids = self.select(["id_str"])["id_str"]
        for start in range(0, len(self), _BLOCK):  # not all at once: they may be millions
            part = ids.slice(start, _BLOCK).to_pylist()
            digest.update("\n".join(["", *part]).encode())
        for votes in self._vote_blocks():
            digest.update(np.ascontiguousarray(votes, "<i4").tobytes())
        digest.update(self._images.lengths().astype("<i8").tobytes())
        return digest.hexdigest()


def concatenate(parts: Sequence[Galaxies], *, distinct: bool = False) -> Galaxies:
    """Join galaxies of several stores in order; their ids must differ.

    Parameters
    ----------
    parts
        What to join.
    distinct
        Whether the ids are known to differ, so that they are not looked at.

    Raises
    ------
    HoagError
        If an id is in two of them, or their schemas or the types of a column differ.
    """
    if not parts:
        raise HoagError("no galaxies to join: the list is empty")
    first = parts[0]
    if any(part.schema.hash != first.schema.hash for part in parts):
        raise HoagError("galaxies with votes by different schemas cannot be joined")
    images = Selection.join([part._images for part in parts])
    repeat = None if distinct else first_repeat(images.keys(), images.ids)
    if repeat is not None:
        one, other, id_str = repeat
        raise shared_id(id_str, images.store(one).name, images.store(other).name)
    images.fields  # noqa: B018  # columns of different types are refused now
    grouped = any(part._groups is not None for part in parts)
    withheld = any(part._withheld is not None for part in parts)
    return Galaxies(
        images,
        first.schema,
        np.concatenate([part.groups for part in parts]) if grouped else None,
        Withheld.join([part._all_withheld for part in parts]) if withheld else None,
    )


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
        column `file_loc` of image files (relative to the table's folder, or absolute), or a folder
        with one such table; a folder of JPEG and PNG images, whose names are then the ids; a Hub id
        such as ``mwalmsley/gz_evo``; or a list of these, joined.
    schema
        Schema, or its name, whose answers are read as votes; None: what a ``dataset.toml`` says,
        else GZ-Evo.
    id_column
        Column of ids; integers are made text digit by digit.
    arrow
        Folder for the Arrow copy of Parquet images. None: beside the store; where that cannot be
        written to, images are read into memory.

    Returns
    -------
    galaxies
        Images are not read until they are asked for, nor are columns and votes of Parquet files
        whose Arrow copy is there.

    Raises
    ------
    HoagError
        If there is nothing to open, an id is missing or repeated, or a vote is odd.
    """
    from hoag.opening import open_places

    return open_places(where, schema, id_column, arrow)

"""Third stage of a build: which rows are one galaxy, and which galaxies belong to one sky object.

Rows that show the same image become one galaxy with the votes of all their campaigns. Galaxies of
one id, one place on the sky or nearly one picture share a group, so that no split comes between.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hoag.data.grouping import join_groups
from hoag.data.loading import Rows, RowTable, load_rows, numbered, replaced, whole
from hoag.data.near_duplicates import SIMILAR, NearDuplicates, near_duplicates
from hoag.data.reading import ReadSource
from hoag.data.resizing import UnitImages
from hoag.data.thumbnail_detail import detail_similarity

if TYPE_CHECKING:
    import pyarrow as pa

ONE_SCALE = 0.02  # difference in zoom that two encodings of one image may seem to have
_BATCH = 4096

Thumbnails = npt.NDArray[np.uint8]


@dataclass
class Joined:
    """What became of every row that has an image: (n,) arrays, in the order of the sources.

    Attributes
    ----------
    source, place
        The source of a row, and its place in that source's rows.arrow.
    galaxy
        Number of the galaxy it belongs to, -1 if it was set aside.
    sizes
        Bytes of its image.
    ids, groups
        (galaxies,) id and group of each galaxy.
    why
        Why a row is not the first of its galaxy, by row.
    aside
        Rows set aside and the reason.
    pairs
        Near-duplicates, as galaxies.
    counts
        Sky pairs, galaxies that share a group.
    """

    source: npt.NDArray[np.int16]
    place: Rows
    galaxy: Rows
    sizes: Rows
    ids: pa.StringArray
    groups: pa.StringArray
    why: dict[int, str]
    aside: dict[int, str]
    pairs: NearDuplicates
    counts: dict[str, int]


def join(
    reads: Sequence[ReadSource], images: Sequence[UnitImages], work: Path
) -> tuple[Joined, list[tuple[int, int, str]]]:
    """Join the rows of all sources into galaxies and groups.

    Parameters
    ----------
    reads, images
        What the first two stages left of each source.
    work
        Folder for the thumbnails of all rows together, mapped while they are compared.

    Returns
    -------
    joined
        What became of each row with an image.
    unusable
        (source, place, reason) of the rows whose image could not be used.
    """
    table, unusable, thumbnails = load_rows(reads, images, work)
    aside = _repeated_ids(table, reads)
    near = near_duplicates(thumbnails, table.source)
    leader, why = _same_images(table, thumbnails, aside, reads)
    firsts = np.unique(leader[leader >= 0])
    number = np.full(len(leader), -1)
    number[firsts] = np.arange(len(firsts))
    galaxy = np.where(leader >= 0, number[leader], -1)
    ids = _unique_ids(table, firsts, reads)
    pairs = _pairs_of_galaxies(near, galaxy)
    groups, counts = join_groups(table, galaxy, firsts, ids, pairs)
    joined = Joined(
        table.source, table.place, galaxy, table.sizes, ids, groups, why, aside, pairs, counts
    )
    return joined, unusable


def _repeated_ids(table: RowTable, reads: Sequence[ReadSource]) -> dict[int, str]:
    """Find rows whose id stands earlier in the same source, or in another of its campaign."""
    codes = numbered(table.ids)
    origin = _origins(table, reads)
    order = np.lexsort((np.arange(len(codes)), origin, codes))
    same = (codes[order][1:] == codes[order][:-1]) & (origin[order][1:] == origin[order][:-1])
    aside = {}
    for k in np.flatnonzero(same):
        row, earlier = int(order[k + 1]), int(order[k])
        name = reads[table.source[earlier]].source.name
        aside[row] = f"id '{table.ids[row].as_py()}' stands earlier in {name}; the first is kept"
    return aside


def _origins(table: RowTable, reads: Sequence[ReadSource]) -> npt.NDArray[np.int64]:
    """Number of what gave each row its votes: sources of one campaign count as one; (n,)."""
    names = [read.source.campaign or f"/{read.source.name}" for read in reads]
    return np.array([names.index(name) for name in names])[table.source]


def _same_images(
    table: RowTable, thumbnails: Thumbnails, aside: dict[int, str], reads: Sequence[ReadSource]
) -> tuple[Rows, dict[int, str]]:
    """Give each row the first row of its galaxy, -1 if set aside, and say why they are one.

    Rows of different sources are one galaxy if their pixels are equal, or if they have one id and
    one survey (or none is known) and nearly one picture. Rows of one source, or of one campaign,
    are never joined: their votes would be counted twice.
    """
    leader = np.arange(len(table.source))
    leader[list(aside)] = -1
    origin = _origins(table, reads)
    members: dict[int, set[int]] = {}  # what has given votes to a galaxy, by its first row
    why = {}
    for rows in _equal_images(table, leader, origin):
        for head, row in _joined_in_order(rows, origin):
            members.setdefault(head, {int(origin[head])}).add(int(origin[row]))
            leader[row], why[row] = head, "same image"
    for first, row in sorted(_one_id(table, thumbnails, leader)):
        head = int(leader[first])
        if head < 0 or leader[row] != row or row in members:
            continue
        here = members.setdefault(head, {int(origin[head])})
        if int(origin[row]) not in here:
            here.add(int(origin[row]))
            leader[row], why[row] = head, "same id"
    return leader, why


def _equal_images(table: RowTable, leader: Rows, origin: Rows) -> Iterator[Rows]:
    """Rows of each image that several sources have, pixel by pixel the same."""
    usable = np.flatnonzero(leader >= 0)
    keys = numbered(table.keys)[usable]
    order = np.argsort(keys, kind="stable")
    cuts = np.flatnonzero(keys[order][1:] != keys[order][:-1]) + 1
    sizes = np.diff([0, *cuts.tolist(), len(order)])
    starts = np.cumsum([0, *sizes.tolist()])
    for k in np.flatnonzero(sizes > 1).tolist():
        rows = usable[order[starts[k] : starts[k + 1]]]
        if len(np.unique(origin[rows])) > 1:
            yield rows


def _joined_in_order(rows: Rows, origin: Rows) -> Iterator[tuple[int, int]]:
    """Give each row of an image to the first galaxy that has none of its source; (first, row)."""
    heads: list[int] = []
    following: dict[int, int] = {}  # by source: the first galaxy that has no row of it
    for row in rows.tolist():
        place = following.get(int(origin[row]), 0)
        if place == len(heads):
            heads.append(row)
        else:
            yield heads[place], row
        following[int(origin[row])] = place + 1


def _one_id(table: RowTable, thumbnails: Thumbnails, leader: Rows) -> list[tuple[int, int]]:
    """Pairs (first row, later row) of one id, and no two surveys, whose pictures are the same.

    The same survey's cutout of one galaxy may come in two encodings, of which no pixel is equal.
    """
    ids, surveys = numbered(table.ids), numbered(table.surveys)
    rows = np.flatnonzero(leader == np.arange(len(leader)))
    order = rows[np.argsort(ids[rows], kind="stable")]
    new = np.r_[True, ids[order][1:] != ids[order][:-1]][: len(order)]
    first = order[np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))]
    pairs = np.stack([first[~new], order[~new]], axis=1)
    of_survey = surveys[pairs]
    pairs = pairs[(of_survey[:, 0] == of_survey[:, 1]) | (of_survey < 0).any(axis=1)]
    found = []
    for start in range(0, len(pairs), _BATCH):
        part = pairs[start : start + _BATCH]
        one_scale = np.zeros(len(part), np.float32)
        score, zoom = detail_similarity(thumbnails[part[:, 0]], thumbnails[part[:, 1]], one_scale)
        same = (score >= SIMILAR) & (np.abs(zoom - 1) < ONE_SCALE)
        found += [(int(a), int(b)) for a, b in part[same]]
    return found


def _unique_ids(table: RowTable, firsts: Rows, reads: Sequence[ReadSource]) -> pa.StringArray:
    """Ids of the galaxies; one that is taken already gets its source's name before it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ids = whole(table.ids.take(pa.array(firsts)))
    codes = numbered(ids)
    order = np.argsort(codes, kind="stable")
    repeated = np.sort(order[1:][codes[order][1:] == codes[order][:-1]])
    new: list[str] = []
    for k, name in zip(repeated.tolist(), ids.take(pa.array(repeated)).to_pylist(), strict=True):
        name = f"{reads[table.source[firsts[k]]].source.name}/{name}"
        while name in new or pc.any(pc.equal(ids, name)).as_py():
            name += "'"
        new.append(name)
    return replaced(ids, repeated, new)


def _pairs_of_galaxies(near: NearDuplicates, galaxy: Rows) -> NearDuplicates:
    """Near-duplicates that are two galaxies, each pair once."""
    ends = galaxy[near.rows]
    keep = (ends >= 0).all(1) & (ends[:, 0] != ends[:, 1])
    ends = np.sort(ends[keep], axis=1)
    _, first = np.unique(ends, axis=0, return_index=True)
    return NearDuplicates(ends[first], near.similarity[keep][first], near.zoom[keep][first])

"""Third stage of a build: which rows are one galaxy, and which galaxies belong to one sky object.

Rows that show the same image become one galaxy with the votes of all their campaigns. Galaxies of
one id, one place on the sky or nearly one picture share a group, so that no split comes between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hoag import splits
from hoag.data.mapped import Mapped
from hoag.data.near_duplicates import NearDuplicates, near_duplicates
from hoag.data.reading import ReadSource
from hoag.data.resizing import UnitImages, thumbnail_bytes
from hoag.errors import HoagError

if TYPE_CHECKING:
    import pyarrow as pa

Rows = npt.NDArray[np.int64]
SAME_SIMILARITY = 0.9  # of two images with one id and survey, to be one image in two encodings


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


@dataclass
class _Table:
    """Columns of all rows that have an image, source after source."""

    source: npt.NDArray[np.int16]
    place: Rows
    ids: pa.ChunkedArray
    surveys: pa.ChunkedArray
    groups: pa.ChunkedArray
    ra: npt.NDArray[np.float64]
    dec: npt.NDArray[np.float64]
    keys: pa.ChunkedArray
    sizes: Rows


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
    table, unusable, thumbnails = _load(reads, images, work)
    aside = _repeated_ids(table, reads)
    near = near_duplicates(thumbnails)
    leader, why = _same_images(table, near, aside, reads)
    firsts = np.unique(leader[leader >= 0])
    number = np.full(len(leader), -1)
    number[firsts] = np.arange(len(firsts))
    galaxy = np.where(leader >= 0, number[leader], -1)
    ids = _unique_ids(table, firsts, reads)
    pairs = _pairs_of_galaxies(near, galaxy)
    groups, counts = _groups(table, galaxy, firsts, ids, pairs)
    joined = Joined(
        table.source, table.place, galaxy, table.sizes, ids, groups, why, aside, pairs, counts
    )
    return joined, unusable


def _load(
    reads: Sequence[ReadSource], images: Sequence[UnitImages], work: Path
) -> tuple[_Table, list[tuple[int, int, str]], npt.NDArray[np.uint8]]:
    """Gather the columns that decide, and the thumbnails in one file that is mapped."""
    import pyarrow as pa
    import pyarrow.compute as pc

    unusable: list[tuple[int, int, str]] = []
    columns: dict[str, list[Any]] = {name: [] for name in ("source", "place", "key", "size")}
    texts: dict[str, list[Any]] = {name: [] for name in ("id_str", "survey", "group", "ra", "dec")}
    path = work / "thumbnails.raw"
    with path.open("wb") as file:
        for number, (read, unit_images) in enumerate(zip(reads, images, strict=True)):
            good_of_source = []
            for first, unit in unit_images.columns(["image", "key", "thumbnail", "error"]):
                errors = unit["error"]
                good = pc.is_null(errors)
                for k in np.flatnonzero(~good.to_numpy()):
                    unusable.append((number, first + int(k), errors[int(k)].as_py()))
                kept = unit.filter(good)
                for chunk in kept["thumbnail"].chunks:
                    file.write(_fixed(chunk))
                good_of_source.append(first + np.flatnonzero(good.to_numpy()))
                columns["key"].append(kept["key"].combine_chunks())
                columns["size"].append(pc.binary_length(kept["image"]).to_numpy())
            places = np.concatenate(good_of_source).astype(np.int64)
            columns["place"].append(places)
            columns["source"].append(np.full(len(places), number, np.int16))
            rows = Mapped(read.rows)
            for name, parts in texts.items():
                parts.append(rows.column(name).combine_chunks().take(pa.array(places)))
    chunked = {name: pa.chunked_array(parts) for name, parts in texts.items()}
    source = np.concatenate(columns["source"])
    if not len(source):
        raise HoagError(f"no image can be used; the first one: {unusable[0][2]}")
    table = _Table(
        source, np.concatenate(columns["place"]), chunked["id_str"], chunked["survey"],
        chunked["group"], _floats(chunked["ra"]), _floats(chunked["dec"]),
        pa.chunked_array([k for part in columns["key"] for k in _chunks(part)]),
        np.concatenate(columns["size"]).astype(np.int64),
    )  # fmt: skip
    width = thumbnail_bytes()
    thumbnails = np.memmap(path, np.uint8, mode="r", shape=(len(source), width))
    return table, unusable, thumbnails


def _chunks(array: Any) -> list[Any]:
    return array.chunks if hasattr(array, "chunks") else [array]


def _fixed(chunk: Any) -> bytes | memoryview:
    """Bytes of a chunk of fixed-size values, without a copy where it is whole."""
    width = chunk.type.byte_width
    start = chunk.offset * width
    return memoryview(chunk.buffers()[1])[start : start + len(chunk) * width]


def _floats(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    import pyarrow.compute as pc

    values: npt.NDArray[np.float64] = pc.fill_null(column, float("nan")).to_numpy()
    return values


def _codes(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Number the values of a column in order of appearance, -1 where missing; (n,) int64."""
    import pyarrow.compute as pc

    whole = pc.dictionary_encode(column).combine_chunks()
    indices = whole.indices if not hasattr(whole, "chunks") else whole.chunk(0).indices
    codes: npt.NDArray[np.int64] = pc.fill_null(indices, -1).to_numpy(False).astype(np.int64)
    return codes


def _repeated_ids(table: _Table, reads: Sequence[ReadSource]) -> dict[int, str]:
    """Find rows whose id stands earlier in the same source, or in another of its campaign."""
    codes = _codes(table.ids)
    origin = _origins(table, reads)
    order = np.lexsort((np.arange(len(codes)), origin, codes))
    same = (codes[order][1:] == codes[order][:-1]) & (origin[order][1:] == origin[order][:-1])
    aside = {}
    for k in np.flatnonzero(same):
        row, earlier = int(order[k + 1]), int(order[k])
        name = reads[table.source[earlier]].source.name
        aside[row] = f"id '{table.ids[row].as_py()}' stands earlier in {name}; the first is kept"
    return aside


def _origins(table: _Table, reads: Sequence[ReadSource]) -> npt.NDArray[np.int64]:
    """Number of what gave each row its votes: sources of one campaign count as one; (n,)."""
    names = [read.source.campaign or f"/{read.source.name}" for read in reads]
    return np.array([names.index(name) for name in names])[table.source]


def _same_images(
    table: _Table, near: NearDuplicates, aside: dict[int, str], reads: Sequence[ReadSource]
) -> tuple[Rows, dict[int, str]]:
    """Give each row the first row of its galaxy, -1 if set aside, and say why they are one.

    Rows of different sources are one galaxy if their pixels are equal, or if they have one id and
    one survey (or none is known) and nearly one picture. Rows of one source, or of one campaign,
    are never joined: their votes would be counted twice.
    """
    leader = np.arange(len(table.source))
    leader[list(aside)] = -1
    origin, why = _origins(table, reads), {}
    candidates = [
        *((first, row, "same image") for first, row in _equal_keys(table)),
        *((first, row, "same id") for first, row in _one_id(table, near)),
    ]
    members: dict[int, set[int]] = {}
    for first, row, reason in sorted(candidates, key=lambda c: (c[1], c[2] != "same image", c[0])):
        if leader[first] < 0 or leader[row] != row or row in members:
            continue
        head = int(leader[first])
        here = members.setdefault(head, {int(origin[head])})
        if int(origin[row]) in here:
            continue
        here.add(int(origin[row]))
        leader[row], why[row] = head, reason
    return leader, why


def _equal_keys(table: _Table) -> list[tuple[int, int]]:
    """Pairs (first, later row) whose pixels are equal."""
    codes = _codes(table.keys)
    order = np.argsort(codes, kind="stable")
    repeated = np.flatnonzero(codes[order][1:] == codes[order][:-1])
    pairs = []
    for k in repeated:
        start = np.searchsorted(codes[order], codes[order[k]])
        pairs += [(int(order[j]), int(order[k + 1])) for j in range(int(start), int(k) + 1)]
    return pairs


def _one_id(table: _Table, near: NearDuplicates) -> list[tuple[int, int]]:
    """Pairs of nearly equal images, at one scale, that have one id and no two surveys."""
    rows = near.rows[(near.similarity >= SAME_SIMILARITY) & (np.abs(near.zoom - 1) < 0.02)]
    if not len(rows):
        return []
    ids, surveys = _codes(table.ids), _codes(table.surveys)
    a, b = rows[:, 0], rows[:, 1]
    one = (ids[a] == ids[b]) & ((surveys[a] == surveys[b]) | (surveys[a] < 0) | (surveys[b] < 0))
    return [(int(first), int(row)) for first, row in rows[one]]


def _unique_ids(table: _Table, firsts: Rows, reads: Sequence[ReadSource]) -> pa.StringArray:
    """Ids of the galaxies; one that is taken already gets its source's name before it."""
    import pyarrow as pa

    ids = table.ids.take(pa.array(firsts))
    codes = _codes(ids)
    order = np.argsort(codes, kind="stable")
    repeated = order[1:][codes[order][1:] == codes[order][:-1]]
    if not len(repeated):
        return _whole(ids)
    names = ids.to_pylist()
    taken = set(names)
    for k in np.sort(repeated):
        name = f"{reads[table.source[firsts[k]]].source.name}/{names[k]}"
        while name in taken:
            name += "'"
        taken.add(name)
        names[k] = name
    return pa.array(names, pa.string())


def _whole(column: Any) -> Any:
    array = column.combine_chunks()
    return array.chunk(0) if hasattr(array, "chunks") else array


def _pairs_of_galaxies(near: NearDuplicates, galaxy: Rows) -> NearDuplicates:
    """Near-duplicates that are two galaxies, each pair once."""
    ends = galaxy[near.rows]
    keep = (ends >= 0).all(1) & (ends[:, 0] != ends[:, 1])
    ends = np.sort(ends[keep], axis=1)
    _, first = np.unique(ends, axis=0, return_index=True)
    return NearDuplicates(ends[first], near.similarity[keep][first], near.zoom[keep][first])


def _groups(
    table: _Table, galaxy: Rows, firsts: Rows, ids: pa.StringArray, pairs: NearDuplicates
) -> tuple[pa.StringArray, dict[str, int]]:
    """Key of the group of each galaxy: the smallest group its rows name, else its smallest id.

    The rule is that of `hoag.splits.group_keys`; only galaxies that are linked are looked at one by
    one.
    """
    import pyarrow as pa

    inside = galaxy >= 0
    sky = splits.sky_pairs(table.ra, table.dec, where="build")
    sky = galaxy[sky[inside[sky].all(1)]] if len(sky) else sky
    links = [pairs.rows, sky, _linked(_codes(table.ids), galaxy)]
    links.append(_linked(_codes(table.groups), galaxy))
    edges = np.concatenate(links)
    component = splits.components(len(firsts), edges[edges[:, 0] != edges[:, 1]])
    sizes = np.bincount(component)
    keys = ids.to_pylist() if len(edges) else None
    counts = {
        "galaxies_sharing": int((sizes[component] > 1).sum()),
        "sky_pairs": len(np.unique(np.sort(sky[sky[:, 0] != sky[:, 1]], 1), axis=0)),
        "near_duplicate_pairs": len(pairs.rows),
    }
    named = _named_groups(table, galaxy)
    if keys is None and not named:
        return ids, counts
    smallest: dict[int, tuple[bool, str]] = {}
    keys = keys or ids.to_pylist()
    linked = np.flatnonzero((sizes[component] > 1) | np.isin(np.arange(len(firsts)), list(named)))
    for k in linked.tolist():
        name = named.get(k)
        candidate = (name is None, keys[k] if name is None else name)
        code = int(component[k])
        smallest[code] = min(candidate, smallest.get(code, candidate))
    result = list(keys)
    for k in linked.tolist():
        result[k] = smallest[int(component[k])][1]
    return pa.array(result, pa.string()), counts


def _linked(codes: Rows, galaxy: Rows) -> Rows:
    """Pair the galaxies of rows with one code with the first of them; (pairs, 2) int64."""
    known = np.flatnonzero((codes >= 0) & (galaxy >= 0))
    order = known[np.argsort(codes[known], kind="stable")]
    same = codes[order][1:] == codes[order][:-1]
    return np.stack([galaxy[order[:-1][same]], galaxy[order[1:][same]]], axis=1)


def _named_groups(table: _Table, galaxy: Rows) -> dict[int, str]:
    """Smallest group that the user's tables give for each galaxy."""
    import pyarrow.compute as pc

    if table.groups.null_count == len(table.groups):
        return {}
    found: dict[int, str] = {}
    for row in np.flatnonzero(pc.is_valid(table.groups).to_numpy()).tolist():
        number = int(galaxy[row])
        if number >= 0:
            name = table.groups[row].as_py()
            found[number] = min(name, found.get(number, name))
    return found

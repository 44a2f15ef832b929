"""Fourth stage of a build: galaxies written as Parquet shards in the layout of the Hub.

Each shard is a function of the earlier stages alone, so shards are written by several processes,
in any order, and a build that was stopped goes on with those that are missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hoag.data.mapped import Mapped
from hoag.data.reading import ReadSource
from hoag.data.resizing import Unit, UnitImages
from hoag.errors import HoagError
from hoag.files import written_whole
from hoag.schema import Schema
from hoag.writing import ROW_GROUP, galaxies_layout, galaxies_writer

if TYPE_CHECKING:
    import pyarrow as pa

TABLES = ("labelled", "unlabelled", "downstream")
MOST_BYTES = 480 * 2**20  # of images in a shard: the Hub likes files of 256 to 500 MB
CONTENT_KEY = "hoag_content"  # in a shard's footer: hash of its ids, images and votes
FIRST = ("image", "id_str", "ra", "dec", "survey", "group", "hoag_campaigns", "hoag_sources")

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shard:
    """Galaxies `first` to `stop` of a table, in its order, and the file they go to."""

    table: str
    name: str
    first: int
    stop: int


def plan_shards(sizes: Mapping[str, Rows], most: int = MOST_BYTES) -> list[Shard]:
    """Cut tables, given by the bytes of their images in order, into shards of nearly equal size."""
    shards = []
    for table, of_galaxy in sizes.items():
        if not len(of_galaxy):
            continue
        total = np.cumsum(of_galaxy)
        count = max(1, -(-int(total[-1]) // most))
        edges = np.searchsorted(total, total[-1] * np.arange(1, count) / count)
        cuts = np.unique([0, *edges.tolist(), len(of_galaxy)]).tolist()
        for k, (first, stop) in enumerate(zip(cuts[:-1], cuts[1:], strict=True)):
            name = f"{table}-{k:05d}-of-{len(cuts) - 1:05d}.parquet"
            shards.append(Shard(table, name, first, stop))
    return shards


@dataclass(frozen=True)
class Members:
    """Rows of the galaxies of one table, in the order of the galaxies.

    `plan` is an Arrow file with, for each row, the number of its galaxy in the table, its source
    and its place there, and whether it is the first; `galaxies` one with the id and group of each
    galaxy.
    """

    plan: Path
    galaxies: Path


@dataclass(frozen=True)
class Sources:
    """What the shards are made from, light enough to be sent to a process."""

    reads: tuple[ReadSource, ...]
    units: tuple[tuple[Unit, ...], ...]
    images: Path
    schema: Schema
    answers: tuple[str, ...]  # of all campaigns of the build, in the schema's order

    def layout(self, table: str) -> pa.Schema:
        """Columns of a table but the image."""
        import pyarrow as pa

        text = pa.string()
        kinds = {"id_str": text, "ra": pa.float64(), "dec": pa.float64(), "survey": text,
                 "group": text, "hoag_campaigns": text, "hoag_sources": text}  # fmt: skip
        fields = [pa.field(name, kind) for name, kind in kinds.items()]
        fields += self.user_fields()
        if table != "unlabelled":
            fields += [pa.field(name, pa.int32()) for name in self.answers]
        return pa.schema(fields)

    def user_fields(self) -> list[pa.Field]:
        """The users' columns over all sources, of types that hold them all."""
        import pyarrow as pa

        own = {"row", "file", *FIRST, *self.answers}
        found: dict[str, tuple[pa.Field, str]] = {}
        for read in self.reads:
            for field in Mapped(read.rows).schema:
                if field.name in own:
                    continue
                first, source = found.get(field.name, (field, read.source.name))
                try:
                    joint = pa.unify_schemas(
                        [pa.schema([first]), pa.schema([field])], promote_options="permissive"
                    )
                except pa.ArrowException:
                    raise HoagError(
                        f"column '{field.name}' is {first.type} in {source} and {field.type} in "
                        f"{read.source.name}; rename one of them"
                    ) from None
                found[field.name] = (joint.field(0), source)
        return [field for field, _ in found.values()]


def write_shard(
    shard: Shard, members: Members, sources: Sources, folder: Path, stamp: dict[str, Any]
) -> None:
    """Write one shard, whole or not at all; its footer carries a hash of its content."""
    layout = galaxies_layout(sources.layout(shard.table), stamp)
    digest = hashlib.blake2b(digest_size=16)
    answers = [name for name in sources.answers if name in layout.names]
    with written_whole(folder / shard.name) as temporary:
        with galaxies_writer(temporary, layout) as writer:
            for block in _blocks(shard, members, sources, layout):
                add_to_digest(digest, block, answers)
                writer.write_table(block, row_group_size=ROW_GROUP)
            writer.add_key_value_metadata({CONTENT_KEY: digest.hexdigest()})


def add_to_digest(digest: Any, block: pa.Table, answers: Sequence[str]) -> None:
    """Add galaxies to the content hash: ids, image bytes, votes as little-endian int32.

    The hash is over blocks of `ROW_GROUP` galaxies in order, each giving its ids joined by line
    feeds, then its images, then column after column of its votes.
    """
    digest.update("\n".join(block["id_str"].to_pylist()).encode())
    for image in block["image"].combine_chunks().field("bytes"):
        digest.update(image.as_buffer())
    for name in answers:
        digest.update(np.ascontiguousarray(block[name].to_numpy(), "<i4"))


def _blocks(
    shard: Shard, members: Members, sources: Sources, layout: pa.Schema
) -> Iterator[pa.Table]:
    """Gather the galaxies of a shard, a row group at a time."""
    import pyarrow as pa

    plan, galaxies = Mapped(members.plan), Mapped(members.galaxies)
    number = plan.column("number").to_numpy()
    rows = [Mapped(read.rows) for read in sources.reads]
    images = [UnitImages(units, sources.images) for units in sources.units]
    for first in range(shard.first, shard.stop, ROW_GROUP):
        stop = min(first + ROW_GROUP, shard.stop)
        a, b = np.searchsorted(number, [first, stop])
        part = plan.slice(int(a), int(b), ["number", "source", "place"])
        here = _Block(
            part["number"].to_numpy() - first, part["source"].to_numpy(), part["place"].to_numpy(),
            stop - first,
        )  # fmt: skip
        known = galaxies.slice(first, stop, ["id_str", "group"])
        columns = _columns(here, rows, sources, layout)
        columns |= {"id_str": known["id_str"], "group": known["group"]}
        heads = here.heads
        content = [
            images[source].image(place)
            for source, place in zip(here.source[heads], here.place[heads], strict=True)
        ]
        names = [f"{name}{_suffix(c)}" for name, c in
                 zip(known["id_str"].to_pylist(), content, strict=True)]  # fmt: skip
        columns["image"] = pa.StructArray.from_arrays(
            [pa.array(content, pa.binary()), pa.array(names, pa.string())], ["bytes", "path"]
        )
        yield pa.table([columns[name] for name in layout.names], schema=layout)


def _suffix(content: bytes) -> str:
    return ".png" if content[:4] == b"\x89PNG" else ".jpg"


@dataclass(frozen=True)
class _Block:
    """Rows of some galaxies: which galaxy (0 to count - 1), which source, which place there."""

    number: Rows
    source: Rows
    place: Rows
    count: int

    @property
    def heads(self) -> Rows:
        """The first row of each galaxy, whose image is its image."""
        return np.searchsorted(self.number, np.arange(self.count))


def _columns(
    block: _Block, rows: Sequence[Mapped], sources: Sources, layout: pa.Schema
) -> dict[str, Any]:
    """Join the columns of each galaxy's rows: the first value that is known, and all the votes."""
    import pyarrow as pa

    names = [n for n in layout.names if n not in ("image", "id_str", "group", *sources.answers)]
    names = [n for n in names if not n.startswith("hoag_")]
    kinds = {name: layout.field(name).type for name in names}
    taken: list[pa.Table] = []
    order: list[Rows] = []
    with_votes = any(name in layout.names for name in sources.answers)
    votes = np.zeros((block.count, len(sources.answers) if with_votes else 0), np.int32)
    for source in np.unique(block.source):
        here = np.flatnonzero(block.source == source)
        mapped = rows[source]
        answers = [name for name in sources.answers if with_votes and name in mapped.schema.names]
        own = [name for name in names if name in mapped.schema.names]
        table = mapped.take(block.place[here], [*own, *answers])
        for name in answers:
            np.add.at(votes[:, sources.answers.index(name)], block.number[here],
                      table[name].to_numpy())  # fmt: skip
        columns = [
            table[name].cast(kinds[name]) if name in own else pa.nulls(len(here), kinds[name])
            for name in names
        ]
        taken.append(pa.table(columns, names=names))
        order.append(here)
    back = np.empty(len(block.number), np.int64)
    back[np.concatenate(order)] = np.arange(len(back))
    every = pa.concat_tables(taken).take(pa.array(back))
    joint = _first_known(every, block)
    joint |= _provenance(block, sources, votes, with_votes)
    if with_votes:
        joint |= {name: pa.array(votes[:, k]) for k, name in enumerate(sources.answers)}
    return joint


def _first_known(every: pa.Table, block: _Block) -> dict[str, Any]:
    """Take each column from a galaxy's first row, or from a later one where that has none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    heads = block.heads
    found = {
        name: every[name].take(pa.array(heads)).combine_chunks() for name in every.column_names
    }
    sizes = np.diff([*heads.tolist(), len(block.number)])
    for step in range(1, int(sizes.max(initial=1))):
        later = pa.array(np.where(sizes > step, heads + step, heads))
        for name, column in found.items():
            if column.null_count:
                other = every[name].take(later).combine_chunks()
                found[name] = pc.coalesce(column, other)
    return found


def _provenance(
    block: _Block, sources: Sources, votes: npt.NDArray[np.int32], with_votes: bool
) -> dict[str, Any]:
    """Name the sources of each galaxy, and the campaigns whose volunteers were asked about it."""
    import pyarrow as pa

    stops = [*block.heads.tolist(), len(block.number)]
    names = [read.source.name for read in sources.reads]
    origin = [
        "+".join(dict.fromkeys(names[s] for s in block.source[a:b]))
        for a, b in zip(stops[:-1], stops[1:], strict=True)
    ]
    asked = [""] * block.count
    if with_votes:
        of_answer = sources.schema.campaign_of_answer
        of_answer = of_answer[np.isin(sources.schema.columns, sources.answers)]
        campaigns = list(dict.fromkeys(of_answer.tolist()))
        has = [np.any(votes[:, of_answer == name], axis=1).tolist() for name in campaigns]
        asked = [
            "+".join(name for name, column in zip(campaigns, has, strict=True) if column[k])
            for k in range(block.count)
        ]
    return {
        "hoag_sources": pa.array(origin, pa.string()),
        "hoag_campaigns": pa.array(asked, pa.string()),
    }

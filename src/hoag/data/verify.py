"""Whether a built set is whole: every file, image, vote and number held against the record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hoag.console import progress
from hoag.data.built import TABLES, Built, open_built, open_shard
from hoag.data.verify_shards import Seen, shard_problems
from hoag.errors import HoagError
from hoag.hashes import are_in, hashes_of

if TYPE_CHECKING:
    import pyarrow as pa


def verify(folder: str | Path, *, full: bool = False) -> list[str]:
    """Check a built set.

    The record, the presence and layout of every file, the hash of each shard's content, ids, votes,
    the sums of rows, what was merged and set aside, labels, leaks, the card and the Arrow copies
    are always checked, in memory that is 16 bytes a galaxy. Of the images, SAMPLE of those with
    the smallest hashes of their ids are decoded.

    Parameters
    ----------
    folder
        The built set.
    full
        Whether every image is decoded.

    Returns
    -------
    list of str
        What is wrong, one sentence each; empty if nothing is.

    Raises
    ------
    HoagError
        If the folder is no built set at all.
    """
    built = open_built(folder)
    everything = [(name, shard) for name in TABLES for shard in built.shards[name]]
    problems = list(_unreadable(shard for _, shard in everything))
    if problems:  # the roles would say the same of them, less well
        return problems
    try:
        schema = built.roles.source.schema
    except HoagError as error:
        return [str(error)]
    seen = Seen()
    for name, shard in progress(everything, "verifying shards", unit="shard"):
        try:
            problems += shard_problems(built, name, shard, schema, seen, full)
        except HoagError as error:
            problems.append(str(error))
    problems += _strays(built)
    if problems:  # the sums over the shards would only repeat that one of them is spoilt
        return problems
    checks: tuple[Callable[[Built, Seen], Iterator[str]], ...] = (
        _counts, _repeats, _votes, _sums, _merged, _near_duplicates, _labels, _leaks, _beside,
    )  # fmt: skip
    for check in checks:
        try:
            problems += check(built, seen)
        except HoagError as error:
            problems.append(str(error))
    return problems


def _unreadable(shards: Iterable[Path]) -> Iterator[str]:
    for shard in shards:
        try:
            open_shard(shard).close()
        except HoagError as error:
            yield str(error)


def _strays(built: Built) -> Iterator[str]:
    known = {shard.name for shards in built.shards.values() for shard in shards}
    for path in sorted((built.folder / "data").glob("*.parquet")):
        if path.name not in known:
            yield f"{path}: is no shard of this set; move it elsewhere"


def _counts(built: Built, seen: Seen) -> Iterator[str]:
    for name, rows in seen.rows.items():
        about = built.record["tables"][name]
        if rows != about["galaxies"]:
            yield (
                f"{built.folder}: table {name} has {rows:,} galaxies, but build.json says "
                f"{about['galaxies']:,}"
            )
        size = sum(shard.stat().st_size for shard in built.shards[name])
        if size != about["bytes"]:
            yield (
                f"{built.folder}: the shards of {name} are {size:,} bytes, but build.json says "
                f"{about['bytes']:,}"
            )


def _repeats(built: Built, seen: Seen) -> Iterator[str]:
    every = np.sort(seen.all_ids())
    twice = every[1:][every[1:] == every[:-1]]
    if not len(twice):
        return
    first: dict[str, str] = {}
    for table in TABLES:  # a hash may be shared by chance, so ids themselves are compared
        for batch in built.batches(table, ["id_str"]):
            ids = batch.column(0)
            here = are_in(hashes_of(ids.to_pylist()), twice).nonzero()[0]
            for row in here.tolist():
                name = ids[row].as_py()
                if name in first:
                    yield f"{built.folder}: galaxy '{name}' is in {first[name]} and in {table}"
                first.setdefault(name, table)


def _votes(built: Built, seen: Seen) -> Iterator[str]:
    for campaign, about in built.record["campaigns"].items():
        total = 0
        for question, of in about["questions"].items():
            for answer, votes in of["answers"].items():
                found = seen.votes.get(question + answer, 0)
                total += found
                if found != votes:
                    yield (
                        f"{built.folder}: '{question}{answer}' has {found:,} votes, but "
                        f"build.json says {votes:,}"
                    )
        if total != about["votes"]:
            yield (
                f"{built.folder}: campaign {campaign} has {total:,} votes, but build.json says "
                f"{about['votes']:,}"
            )
    known = {
        question + answer
        for about in built.record["campaigns"].values()
        for question, of in about["questions"].items()
        for answer in of["answers"]
    }
    for name in sorted(name for name, votes in seen.votes.items() if votes and name not in known):
        yield f"{built.folder}: '{name}' has votes that build.json knows nothing of"


def _sums(built: Built, seen: Seen) -> Iterator[str]:
    rows, sources = built.record["rows"], built.record["sources"]
    found = {
        "in": sum(source["rows"] for source in sources),
        "out": sum(seen.rows.values()),
        "merged": built.merged.num_rows,
        "set_aside": built.set_aside.num_rows,
    }
    for name, count in found.items():
        if rows[name] != count:
            yield f"{built.folder}: build.json says {rows[name]:,} rows {name}; there are {count:,}"
    if found["in"] != found["out"] + found["merged"] + found["set_aside"]:
        yield (
            f"{built.folder}: {found['in']:,} rows went in, but {found['out']:,} came out, "
            f"{found['merged']:,} were merged and {found['set_aside']:,} set aside"
        )
    for source in sources:
        for name, table in (("merged", built.merged), ("set_aside", built.set_aside)):
            count = table["source"].to_pylist().count(source["name"])
            if source.get(name, 0) != count:
                yield (
                    f"{built.folder}: source {source['name']} had {count:,} rows {name}, but "
                    f"build.json says {source.get(name, 0):,}"
                )


def _unknown(seen: Seen, ids: pa.ChunkedArray) -> list[str]:
    """Ids that are no galaxy's."""
    strange = ~are_in(hashes_of(ids.to_pylist()), seen.all_ids())
    return [ids[int(row)].as_py() for row in strange.nonzero()[0]]


def _merged(built: Built, seen: Seen) -> Iterator[str]:
    for name in _unknown(seen, built.merged["into"])[:1]:
        yield f"{built.folder}/merged.parquet: a row went into '{name}', which is no galaxy here"


def _near_duplicates(built: Built, seen: Seen) -> Iterator[str]:
    for column in ("id_str_1", "id_str_2"):
        for name in _unknown(seen, built.near_duplicates[column])[:1]:
            yield f"{built.folder}/near-duplicates.parquet: '{name}' is no galaxy here"


def _labels(built: Built, seen: Seen) -> Iterator[str]:
    for task in built.record["tasks"]:
        path = built.labels(task["name"])
        with open_shard(path) as file:
            if "id_str" not in file.schema_arrow.names:
                yield f"{path}: has no column 'id_str'; build the set again"
                continue
            ids = file.read(columns=["id_str"])["id_str"]
        if len(ids) != task["galaxies"]:
            yield f"{path}: has {len(ids):,} labels, but build.json says {task['galaxies']:,}"
        for name in _unknown(seen, ids)[:1]:
            yield f"{path}: '{name}' has a label but is no galaxy here"


def _leaks(built: Built, seen: Seen) -> Iterator[str]:
    """Say where a group that a task is tested on is in a table that is trained on."""
    from hoag.role_tables import tested_groups

    for task in built.roles.downstream:
        tested = tested_groups(task)
        for table in ("labelled", "unlabelled"):
            groups = np.concatenate([np.zeros(0, np.uint64), *seen.groups[table]])
            leaking = int(are_in(groups, tested).sum())
            if leaking:
                yield (
                    f"{built.folder}: {leaking:,} galaxies of table {table} are in groups that "
                    f"task '{task.name}' is tested on"
                )


def _beside(built: Built, seen: Seen) -> Iterator[str]:
    """Check the card, and the Arrow copies where there are some."""
    from hoag.arrow_copy import beside
    from hoag.copied import open_copy

    if not (built.folder / "README.md").is_file():
        yield f"{built.folder}: has no README.md, its card; build the set again"
    for shards in built.shards.values():
        for shard in shards:
            copy = beside(shard)
            if copy.exists() and open_copy(copy, shard, "id_str") is None:
                yield f"{copy}: is not the copy of {shard.name} as it is; delete it"

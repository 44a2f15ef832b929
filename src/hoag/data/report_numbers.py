"""What the page of a built set counts: one pass over its shards, by batches, without images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hoag.console import progress
from hoag.data.built import TABLES, Built, open_shard
from hoag.hashes import hashes_of

if TYPE_CHECKING:
    import pyarrow as pa

    from hoag.campaigns import Question
    from hoag.schema import Schema

SHOWN = 24  # galaxies of each table, and half as many of each survey
MOST_VOTES = 400  # volunteers of one galaxy, for the histogram; more are counted as this many
SKY = (180, 90)  # cells in right ascension and in the sine of declination: all of one area
_UNKNOWN = "not said"


@dataclass
class Numbers:
    """Counts over all galaxies of a built set.

    Attributes
    ----------
    volunteers
        By campaign: (MOST_VOTES + 1,) galaxies by the votes for its first question, from 0.
    surveys
        Galaxies by survey and table.
    sky
        Galaxies by cell of SKY, of all tables.
    placed
        Galaxies with a position.
    with_votes
        Galaxies that any campaign saw.
    chosen
        Ids to show, by "table NAME" or "survey NAME": those with the smallest hashes.
    """

    volunteers: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    surveys: dict[str, dict[str, int]] = field(default_factory=dict)
    sky: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(SKY, np.int64))
    placed: int = 0
    with_votes: int = 0
    chosen: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    def ids(self, place: str) -> list[str]:
        """Ids to show of a table or survey."""
        return [id_str for _, id_str in self.chosen.get(place, ())]


def count(built: Built, schema: Schema) -> Numbers:
    """Go through the tables once; memory is that of a batch."""
    numbers = Numbers()
    questions = {name: _first_question(schema, name) for name in built.record["campaigns"]}
    votes = [column for question in questions.values() if question for column in question.columns]
    names = ["id_str", "ra", "dec", "survey", "hoag_campaigns", *votes]
    batches = ((table, batch) for table in TABLES for batch in built.batches(table, names))
    for table, batch in progress(batches, "counting", unit="batch"):
        _add(numbers, table, batch, questions)
    return numbers


def _first_question(schema: Schema, campaign: str) -> Question | None:
    """Find the question that everybody is asked."""
    if campaign not in schema.campaigns:
        return None
    return next((q for q in schema.select(campaign).questions if not q.asked_after), None)


def _add(
    numbers: Numbers, table: str, batch: pa.RecordBatch, questions: dict[str, Question | None]
) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    saw = pc.not_equal(batch.column("hoag_campaigns"), "")
    numbers.with_votes += int(pc.sum(saw).as_py() or 0)
    _add_volunteers(numbers, batch, questions)
    _add_sky(numbers, batch)
    surveys = pc.fill_null(batch.column("survey"), _UNKNOWN)
    for row in pc.value_counts(surveys).to_pylist():
        of_survey = numbers.surveys.setdefault(row["values"], dict.fromkeys(TABLES, 0))
        of_survey[table] += row["counts"]
    ids = batch.column("id_str").to_pylist()
    hashes = hashes_of(ids)
    _choose(numbers, f"table {table}", ids, hashes, np.arange(len(ids)), SHOWN)
    names = surveys.dictionary_encode()
    codes = names.indices.to_numpy(zero_copy_only=False)
    for code, name in enumerate(pa.array(names.dictionary).to_pylist()):
        rows = np.flatnonzero(codes == code)
        _choose(numbers, f"survey {name}", ids, hashes, rows, SHOWN // 2)


def _add_volunteers(
    numbers: Numbers, batch: pa.RecordBatch, questions: dict[str, Question | None]
) -> None:
    for campaign, question in questions.items():
        if question is None or question.columns[0] not in batch.schema.names:
            continue
        votes = np.sum([batch.column(name).to_numpy() for name in question.columns], axis=0)
        counts = np.bincount(votes.clip(0, MOST_VOTES), minlength=MOST_VOTES + 1)
        numbers.volunteers[campaign] = numbers.volunteers.get(campaign, 0) + counts


def _add_sky(numbers: Numbers, batch: pa.RecordBatch) -> None:
    ra, dec = (batch.column(name).to_numpy(zero_copy_only=False) for name in ("ra", "dec"))
    known = np.isfinite(ra) & np.isfinite(dec)
    across = (ra[known] % 360 / 360 * SKY[0]).astype(np.int64).clip(0, SKY[0] - 1)
    up = ((np.sin(np.radians(dec[known])) + 1) / 2 * SKY[1]).astype(np.int64).clip(0, SKY[1] - 1)
    np.add.at(numbers.sky, (across, up), 1)
    numbers.placed += int(known.sum())


def _choose(
    numbers: Numbers, place: str, ids: list[str], hashes: npt.NDArray[np.uint64],
    rows: npt.NDArray[np.int64], most: int,
) -> None:  # fmt: skip
    """Keep the galaxies with the smallest hashes: chosen by chance, yet the same every time."""
    few = rows[np.argsort(hashes[rows], kind="stable")[:most]]
    new = [(int(hashes[row]), ids[row]) for row in few]
    numbers.chosen[place] = sorted([*numbers.chosen.get(place, []), *new])[:most]


def class_counts(built: Built, task: str) -> Iterator[tuple[str, int]]:
    """Galaxies of a task by class, largest first, of those that meet its conditions."""
    import pyarrow.compute as pc

    from hoag.conditions import rows_where

    role = built.roles.task(task)
    with open_shard(built.labels(task)) as file:
        labels = file.read()
    labels = labels.filter(rows_where(labels, role.where, str(built.labels(task))))
    found = pc.value_counts(labels[role.label]).to_pylist()
    for row in sorted(found, key=lambda row: (-row["counts"], str(row["values"]))):
        yield str(row["values"]), int(row["counts"])


def reasons(table: pa.Table, column: str) -> list[tuple[str, str, int]]:
    """Rows by source and reason, most first."""
    counted: dict[tuple[str, str], int] = {}
    for source, reason in zip(table["source"].to_pylist(), table[column].to_pylist(), strict=True):
        key = (source, reason)
        counted[key] = counted.get(key, 0) + 1
    order = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [(source, reason, rows) for (source, reason), rows in order]


def rounding_and_parents(record: dict[str, Any]) -> list[dict[str, Any]]:
    """What the checks of published tables found: one entry for each source that was checked."""
    found = []
    for source in record["sources"]:
        checks = source.get("checks") or {}
        if "rows" not in checks:
            continue
        over = {name: rows for name, rows in checks["over_parents"].items() if rows}
        found.append(
            {
                "name": source["name"],
                "title": (source.get("map") or {}).get("title") or source["name"],
                "rows": checks["rows"],
                "checked": len(checks["over_parents"]),
                "over": sorted(over.items(), key=lambda item: (-item[1], item[0])),
                "rounding": max(
                    checks["largest_rounding"].items(), key=lambda item: item[1], default=None
                ),
            }
        )
    return found

"""Last stage of a build: its record, its roles, its card, and the tables of what was not kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hoag.data.inputs import Inputs
from hoag.data.joining import Joined
from hoag.data.labelling import JoinedTask, write_labels
from hoag.data.mapped import Mapped
from hoag.data.planning import Plan
from hoag.data.reading import ASIDE, ReadSource
from hoag.data.resizing import Settings
from hoag.data.shards import TABLES, Sources
from hoag.files import write_json
from hoag.provenance import stamp

if TYPE_CHECKING:
    import pyarrow as pa


def write_records(
    result: Path, inputs: Inputs, names: Sequence[str], settings: Settings, sources: Sources,
    joined: Joined, unusable: Sequence[tuple[int, int, str]], tasks: Sequence[JoinedTask],
    plan: Plan, identity: str,
) -> None:  # fmt: skip
    """Write everything of a built set but its shards."""
    from hoag.data.card import write_card

    labels = result / "labels"
    if tasks:
        labels.mkdir(exist_ok=True)
    for task in tasks:
        write_labels(task, labels / f"{task.task.name}.parquet")
    aside = _aside(sources.reads, joined, unusable)
    merged = _merged(sources.reads, joined)
    _parquet(aside, result / "set-aside.parquet")
    _parquet(merged, result / "merged.parquet")
    _parquet(_pairs(joined), result / "near-duplicates.parquet")
    schemas = _own_schemas(names, result)
    (result / "dataset.toml").write_text(_roles(inputs, schemas, tasks, plan))
    record = _record(result, inputs, settings, sources, joined, aside, merged, tasks, plan)
    write_json(result / "build.json", {**record, "identity": identity})
    write_card(result)


def _parquet(table: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, path)


def _aside(
    reads: Sequence[ReadSource], joined: Joined, unusable: Sequence[tuple[int, int, str]]
) -> pa.Table:
    """Rows that are in no table of galaxies, in the order of the sources, each with its reason."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    repeated = [
        (int(joined.source[row]), int(joined.place[row]), why)
        for row, why in sorted(joined.aside.items())
    ]
    kinds = {"source": pa.string(), "row": pa.int64(), "id_str": pa.string(), "file": pa.string(),
             "reason": pa.string()}  # fmt: skip
    layout = pa.schema(list(kinds.items()))
    parts = [layout.empty_table()]
    for number, read in enumerate(reads):
        known = pq.read_table(read.folder / ASIDE)
        name = pa.array([read.source.name] * len(known), pa.string())
        parts.append(known.add_column(0, "source", name).cast(layout))
        later = [(place, why) for n, place, why in [*unusable, *repeated] if n == number]
        places = np.array([place for place, _ in later], np.int64)
        rows = Mapped(read.rows).take(places, ["row", "id_str", "file"]) if later else None
        if rows is not None:
            rows = rows.add_column(0, "source", pa.array([read.source.name] * len(later)))
            rows = rows.append_column("reason", pa.array([why for _, why in later], pa.string()))
            parts.append(rows.cast(layout))
    whole = pa.concat_tables(parts)
    names = [read.source.name for read in reads]
    rank = pa.array([names.index(name) for name in whole["source"].to_pylist()], pa.int64())
    order = [("rank", "ascending"), ("row", "ascending")]
    return whole.append_column("rank", rank).sort_by(order).drop_columns(["rank"])


def _merged(reads: Sequence[ReadSource], joined: Joined) -> pa.Table:
    """Rows that show the image of an earlier row, and the galaxy they went into."""
    import pyarrow as pa

    found: dict[str, list[Any]] = {n: [] for n in ("source", "row", "id_str", "into", "why")}
    for number, read in enumerate(reads):
        rows = [row for row in sorted(joined.why) if joined.source[row] == number]
        if not rows:
            continue
        known = Mapped(read.rows).take(joined.place[rows], ["row", "id_str"])
        found["source"] += [read.source.name] * len(rows)
        found["row"] += known["row"].to_pylist()
        found["id_str"] += known["id_str"].to_pylist()
        found["into"] += [joined.ids[int(joined.galaxy[row])].as_py() for row in rows]
        found["why"] += [joined.why[row] for row in rows]
    kinds = [pa.string(), pa.int64(), pa.string(), pa.string(), pa.string()]
    return pa.table(
        [pa.array(v, k) for v, k in zip(found.values(), kinds, strict=True)], names=list(found)
    )


def _pairs(joined: Joined) -> pa.Table:
    import pyarrow as pa

    pairs = joined.pairs
    return pa.table(
        {
            "id_str_1": joined.ids.take(pa.array(pairs.rows[:, 0])),
            "id_str_2": joined.ids.take(pa.array(pairs.rows[:, 1])),
            "similarity": pa.array(pairs.similarity, pa.float32()),
            "zoom": pa.array(pairs.zoom, pa.float32()),
        }
    )


def _own_schemas(names: Sequence[str], result: Path) -> list[str]:
    """Copy campaign files of the user's own into the set; gives the names to write down."""
    kept = []
    for name in names:
        path = Path(name)
        if path.suffix in (".toml", ".json"):
            shutil.copyfile(path, result / path.name)
            name = path.name
        kept.append(name)
    return kept


def _roles(inputs: Inputs, schemas: Sequence[str], tasks: Sequence[JoinedTask], plan: Plan) -> str:
    """Text of dataset.toml: what each table is for."""
    patterns = {
        name: f"data/{name}-*.parquet"
        for name in TABLES if any(shard.table == name for shard in plan.shards)
    }  # fmt: skip
    lines = ["# What each table of this folder is for. Made by `hoag data build`."]
    lines += [_line("name", inputs.name)]
    lines += [_line("description", inputs.description)] if inputs.description else []
    lines += [_line("schema", list(schemas))] if list(schemas) != ["gz-evo"] else []
    lines += [_line("group", "group")]  # every galaxy has one: nothing is to be matched again
    for role, name in (("pretraining", "labelled"), ("unlabelled", "unlabelled")):
        if name in patterns:
            lines += ["", f"[[{role}]]", _line("table", patterns[name])]
    for task in tasks:
        here = np.unique(plan.table[task.galaxies])
        lines += ["", "[[downstream]]", _line("name", task.task.name)]
        lines += [_line("labels", f"labels/{task.task.name}.parquet")]
        lines += [_line("images", [patterns[TABLES[code]] for code in here])]
        lines += [_line("key", "id_str"), _line("label", task.task.label)]
        content = {**task.task.content, "protocol": task.protocol}
        lines += [_line(key, value) for key, value in content.items()]
    return "\n".join(lines) + "\n"


def _line(key: str, value: Any) -> str:
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"  # texts, lists, numbers, true, false


def _record(
    result: Path, inputs: Inputs, settings: Settings, sources: Sources, joined: Joined,
    aside: pa.Table, merged: pa.Table, tasks: Sequence[JoinedTask], plan: Plan,
) -> dict[str, Any]:  # fmt: skip
    import pyarrow.compute as pc

    def of(table: pa.Table, name: str) -> int:
        return int(pc.sum(pc.equal(table["source"], name)).as_py() or 0)

    made = stamp()
    listed = []
    for read in sources.reads:
        name = read.source.name
        gone = {"merged": of(merged, name), "set_aside": of(aside, name)}
        listed.append(
            {
                "name": name,
                "kind": read.source.kind,
                "campaign": read.source.campaign or None,
                "tables": [path.name for path in read.source.tables],
                "rows": read.record["rows"],
                "kept": read.record["rows"] - sum(gone.values()),
                **gone,
                "checks": read.record["checks"],
                "map": read.record["map"],
            }
        )
    out = len(joined.ids)
    return {
        "hoag": made["hoag"],
        "commit": made["commit"],
        "schema_hash": sources.schema.hash,
        "name": inputs.name,
        "description": inputs.description,
        "size": settings.size,
        "quality": settings.quality,
        "sources": listed,
        "tables": {name: _table(name, plan, result) for name in TABLES},
        "rows": {
            "in": sum(source["rows"] for source in listed),
            "out": out,
            "merged": merged.num_rows,
            "set_aside": aside.num_rows,
        },
        "held_out": int(plan.held_out.sum()),
        "groups": joined.counts,
        "campaigns": _campaigns(sources, joined),
        "tasks": [_task(task, plan) for task in tasks],
    }


def _table(name: str, plan: Plan, result: Path) -> dict[str, int]:
    shards = [shard for shard in plan.shards if shard.table == name]
    return {
        "galaxies": int((plan.table == TABLES.index(name)).sum()),
        "shards": len(shards),
        "bytes": sum((result / "data" / shard.name).stat().st_size for shard in shards),
    }


def _task(task: JoinedTask, plan: Plan) -> dict[str, Any]:
    return {
        "name": task.task.name,
        "label": task.task.label,
        "protocol": task.protocol,
        "galaxies": len(task.galaxies),
        "held_out": int(plan.held_out[task.galaxies].sum()),
        "without_image": task.without_image,
        "doubtful": task.doubtful,
    }


def _campaigns(sources: Sources, joined: Joined) -> dict[str, Any]:
    """Galaxies and votes by campaign, question and answer, of all galaxies that were kept."""
    schema = sources.schema
    found: dict[str, Any] = {}
    for number, read in enumerate(sources.reads):
        campaign = read.source.campaign
        if not campaign:
            continue
        entry = found.setdefault(campaign, {"galaxies": 0, "votes": 0, "questions": {}})
        rows = Mapped(read.rows)
        kept = np.zeros(len(rows), bool)
        kept[joined.place[(joined.source == number) & (joined.galaxy >= 0)]] = True
        start = 0
        for batch in rows.batches:
            chosen = kept[start : start + batch.num_rows]
            start += batch.num_rows
            asked = np.zeros(int(chosen.sum()), bool)
            for question in schema.select(campaign).questions:
                names = [c for c in question.columns if c in batch.schema.names]
                if names:
                    votes = np.stack([batch.column(c).to_numpy()[chosen] for c in names], 1)
                    asked |= _count(entry, question, names, votes)
            entry["galaxies"] += int(asked.sum())
    return found


def _count(entry: dict[str, Any], question: Any, names: Sequence[str], votes: Any) -> Any:
    here = entry["questions"].setdefault(
        question.name, {"galaxies": 0, "votes": 0, "answers": dict.fromkeys(question.answers, 0)}
    )
    asked = votes.any(axis=1)
    here["galaxies"] += int(asked.sum())
    here["votes"] += int(votes.sum())
    entry["votes"] += int(votes.sum())
    for name, total in zip(names, votes.sum(axis=0).tolist(), strict=True):
        here["answers"][name.removeprefix(question.name)] += int(total)
    return asked

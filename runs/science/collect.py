"""Short copies of what the runs left, from OUT/NAME into results/science/NAME.json."""

import re
from pathlib import Path
from typing import Any

from outcomes import short

from hoag.errors import HoagError
from hoag.files import read_json, write_json

MOST = 200_000
"""Bytes that a short copy may take: it stays in the repository."""
CELL = re.compile(r"(?P<mixing>.+)-(?P<weight>[0-9.]+(e-?[0-9]+)?)")
"""Arms of the sweep: MIXING-LAMBDA."""


def collect(out: Path, into: Path, parts: dict[str, Any]) -> list[str]:
    """Copy every part that is in `out`; gives the names of those that were."""
    into.mkdir(parents=True, exist_ok=True)
    found = []
    for name, part in parts.items():
        if part["kind"] == "protocol" and (out / name / "results.json").exists():
            content = short(out / name)
        elif part["kind"] == "sweep" and any((out / name).rglob("curve.json")):
            content = read_sweep(out / name)
        else:
            continue
        path = into / f"{name}.json"
        write_json(path, content)
        if path.stat().st_size > MOST:
            raise HoagError(f"{path}: takes {path.stat().st_size:,} bytes; {MOST:,} are allowed")
        found.append(name)
    return found


def read_sweep(folder: Path) -> dict[str, Any]:
    """Join the curve.json of `hoag probe`: arms named MIXING-LAMBDA, and others beside them.

    The table that a probe was given first is what its arms are compared with, so it must be a
    reference, and the same one in all.
    """
    cells, references, stamps = [], {}, []
    for path in sorted(folder.rglob("curve.json")):
        probed = read_json(path)
        stamps.append(probed["stamp"] | {"embeddings": probed["embeddings"]})
        paired = {(row["a"], row["size"]): row for row in probed["paired"]}
        for row in probed["curve"]:
            parsed = CELL.fullmatch(row["arm"])
            if parsed is None:
                against = paired.get((row["arm"], row["size"]), {})
                kept = {name: against[name] for name in ("difference", "low", "high") if against}
                references[row["arm"], row["size"]] = row | kept
            elif (row["arm"], row["size"]) in paired:
                cells.append(_cell(parsed, row, paired[row["arm"], row["size"]]))
    against = {cell["reference"] for cell in cells}
    if len(against) != 1 or any(CELL.fullmatch(arm) for arm in against):
        raise HoagError(
            f"{folder}: arms named MIXING-LAMBDA must all be compared with one reference, such as "
            "pretrained; give its table to hoag probe first"
        )
    return {
        "stamp": stamps[0],
        "stamps": stamps,
        "reference": against.pop(),
        "cells": cells,
        "references": list(references.values()),
    }


def _cell(parsed: re.Match[str], row: dict[str, Any], paired: dict[str, Any]) -> dict[str, Any]:
    kept = ("size", "accuracy", "accuracy_low", "accuracy_high", "trials", "runs")
    return {
        "mixing": parsed["mixing"],
        "weight": float(parsed["weight"]),
        **{name: row[name] for name in kept},
        "reference": paired["b"],
        **{name: paired[name] for name in ("difference", "low", "high")},
    }

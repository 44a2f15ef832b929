"""Accuracies and paired differences of a results.json as Markdown tables.

python runs/science/tables.py results/shared-galaxies/results.json
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hoag.files import read_json

Row = Mapping[str, Any]


def percent(row: Row, name: str = "accuracy") -> str:
    """An accuracy with its interval, in percent."""
    return f"{100 * row[name]:.1f} ({100 * row[f'{name}_low']:.1f}–{100 * row[f'{name}_high']:.1f})"


def points(row: Row, value: str = "difference", low: str = "low", high: str = "high") -> str:
    """A difference with its interval, in points."""
    return f"{point(row[value])} ({point(row[low])} to {point(row[high])})"


def point(value: float) -> str:
    """0.0123 as "+1.2"."""
    return f"{100 * value:+.1f}".replace("-", "\N{MINUS SIGN}")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def labels_of(sizes: Iterable[int]) -> list[str]:
    return [f"{size:,} labels" for size in sizes]


def accuracies(task: Row, chosen: Sequence[str] = ()) -> str:
    """Every arm of a task, or those chosen, against the number of labels."""
    sizes = sorted({row["size"] for row in task["curve"]})
    cells = {(row["arm"], row["size"]): percent(row) for row in task["curve"]}
    arms = list(dict.fromkeys(row["arm"] for row in task["curve"]))
    arms = [arm for arm in arms if not chosen or arm in chosen]
    rows = [[arm, *(cells.get((arm, size), "–") for size in sizes)] for arm in arms]
    return table(["accuracy, %", *labels_of(sizes)], rows)


UNTRAINED = ("raw pixels", "hand-made features", "random weights", "direct")


def untrained(task: Row) -> str:
    """What learns nothing before it sees a label of the task."""
    return accuracies(task, UNTRAINED)


def direct_best(task: Row) -> str:
    """Direct's accuracy with the most labels it was given."""
    row = max((r for r in task["curve"] if r["arm"] == "direct"), key=lambda r: r["size"])
    return f"{percent(row)} % with {row['size']:,} labels"


def differences(task: Row) -> str:
    """Every paired difference of a task against the number of labels."""
    sizes = sorted({row["size"] for row in task["paired"]})
    cells = {(row["a"], row["b"], row["size"]): points(row) for row in task["paired"]}
    pairs = list(dict.fromkeys((row["a"], row["b"]) for row in task["paired"]))
    rows = [[f"{a} − {b}", *(cells.get((a, b, size), "–") for size in sizes)] for a, b in pairs]
    return table(["points", *labels_of(sizes)], rows)


def claim_rows(claim: Row) -> str:
    """The differences that a verdict rests on."""
    return table(
        ["points", "labels", "difference (95 %)", "taken all together"],
        [
            [
                row["what"],
                f"{row['size']:,}" if row["size"] else "",
                points(row),
                f"{point(row['low_all'])} to {point(row['high_all'])}",
            ]
            for row in claim["rows"]
        ],
    )


def shares(by_share: Mapping[str, Row]) -> str:
    """Arms that learned from shares of the votes: accuracy, and Hybrid less Pretrained.

    Parameters
    ----------
    by_share
        What a share is called -> the task of its results.
    """
    sizes = sorted({row["size"] for task in by_share.values() for row in task["curve"]})
    rows = []
    for share, task in by_share.items():
        cells = {(row["arm"], row["size"]): percent(row) for row in task["curve"]}
        learned = WITHOUT_VOTES if share == NO_VOTES else WITH_VOTES
        arms = [row["arm"] for row in task["curve"]]
        for arm in dict.fromkeys(arm for arm in arms if arm in learned):
            rows.append([share, arm, *(cells.get((arm, size), "–") for size in sizes)])
        gains = {r["size"]: points(r) for r in task["paired"] if (r["a"], r["b"]) == WITH_VOTES}
        if gains and share != NO_VOTES:
            rows.append([share, " − ".join(WITH_VOTES), *(gains.get(size, "–") for size in sizes)])
    return table(["votes", "arm", *labels_of(sizes)], rows)


NO_VOTES = "none"
WITH_VOTES, WITHOUT_VOTES = ("hybrid", "pretrained"), ("contrastive", "random weights")


def sweep(found: Row) -> str:
    """Every cell of the sweep."""
    sizes = sorted({cell["size"] for cell in found["cells"]})
    cells = {(c["mixing"], c["weight"], c["size"]): c for c in found["cells"]}
    rows = []
    for rule, weight in dict.fromkeys((mixing, weight) for mixing, weight, _ in cells):
        own = [cells.get((rule, weight, size)) for size in sizes]
        rows.append([rule, f"{weight:g}", *map(_apart, own)])
    for arm in dict.fromkeys(row["arm"] for row in found["references"]):
        by_size = {row["size"]: row for row in found["references"] if row["arm"] == arm}
        rows.append([arm, "", *(_apart(by_size.get(size)) for size in sizes)])
    return table(["mixing", "lambda", *labels_of(sizes)], rows)


def _apart(row: Row | None) -> str:
    """An accuracy in percent and how far it is from the reference, if it is not the reference."""
    if row is None:
        return "–"
    return f"{100 * row['accuracy']:.1f}; {points(row)}" if "difference" in row else percent(row)


def main() -> None:
    for task in read_json(Path(sys.argv[1]))["tasks"]:
        counts = ", ".join(f"{n:,} {name}" for name, n in task["labels by class"].items())
        print(f"### {task['name']}\n\n{task['description']} Labels: {counts}.\n")
        print(f"{accuracies(task)}\n\n{differences(task)}\n")


if __name__ == "__main__":
    main()

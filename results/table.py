"""Print the accuracies and paired differences of a results.json as Markdown tables.

python results/table.py results/shared-galaxies/results.json
"""

import json
import sys
from pathlib import Path


def number(row: dict, name: str) -> str:
    return f"{100 * row[name]:.1f} ({100 * row[f'{name}_low']:.1f}–{100 * row[f'{name}_high']:.1f})"


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def accuracies(task: dict) -> str:
    sizes = sorted({row["size"] for row in task["curve"]})
    cells = {(row["arm"], row["size"]): number(row, "accuracy") for row in task["curve"]}
    arms = list(dict.fromkeys(row["arm"] for row in task["curve"]))
    rows = [[arm, *(cells.get((arm, size), "–") for size in sizes)] for arm in arms]
    return table(["accuracy, %", *(f"{size:,} labels" for size in sizes)], rows)


def differences(task: dict) -> str:
    sizes = sorted({row["size"] for row in task["paired"]})
    cells = {
        (row["a"], row["b"], row["size"]): (
            f"{100 * row['difference']:+.1f} ({100 * row['low']:+.1f} to {100 * row['high']:+.1f})"
        )
        for row in task["paired"]
    }
    pairs = list(dict.fromkeys((row["a"], row["b"]) for row in task["paired"]))
    rows = [[f"{a} − {b}", *(cells.get((a, b, size), "–") for size in sizes)] for a, b in pairs]
    return table(["points", *(f"{size:,} labels" for size in sizes)], rows)


def main() -> None:
    results = json.loads(Path(sys.argv[1]).read_text())
    for task in results["tasks"]:
        counts = ", ".join(f"{n:,} {name}" for name, n in task["labels by class"].items())
        print(f"### {task['name']}\n\n{task['description']} Labels: {counts}.\n")
        print(f"{accuracies(task)}\n\n{differences(task)}\n")


if __name__ == "__main__":
    main()

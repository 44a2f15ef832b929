"""Print how far simulated galaxies are from real ones, before and after, as Markdown tables.

python runs/simulator/table.py BEFORE AFTER

Both are folders with the morphology.json and telltale.json of one version of the simulator.
"""

import json
import sys
from pathlib import Path


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spread(values: list[float]) -> str:
    return "{:.2f} ({:.2f} to {:.2f})".format(*values)


def distances(before: dict, after: dict, pair: str) -> str:
    rows = []
    for quantity, old in before["pairs"][pair].items():
        new = after["pairs"][pair][quantity]
        sides = [spread(values) for values in (new["real"], old["simulated"], new["simulated"])]
        rows.append([quantity, *sides, f"{old['ks']:.2f}", f"{new['ks']:.2f}"])
    return table(["quantity", "real", "before", "after", "KS before", "KS after"], rows)


def telltales(before: dict, after: dict, key: str) -> str:
    pairs = list(after[key])
    rows = []
    for kind in after[key][pairs[0]]:
        cells = [f"{before[key][p][kind]:.2f} → {after[key][p][kind]:.2f}" for p in pairs]
        rows.append([kind, *cells])
    return table(["AUC, before → after", *pairs], rows)


def main() -> None:
    folders = [Path(folder) for folder in sys.argv[1:3]]
    morphology, telltale = (
        [json.loads((folder / f"{name}.json").read_text()) for folder in folders]
        for name in ("morphology", "telltale")
    )
    for pair in morphology[1]["pairs"]:
        print(f"\n### {pair}\n\n{distances(*morphology, pair)}")
    print("\n### A network told to tell them apart\n")
    print(telltales(*telltale, "auc_of_network"))
    print("\n### Logistic regression on measured quantities\n")
    print(telltales(*telltale, "auc_of_quantities"))


if __name__ == "__main__":
    main()

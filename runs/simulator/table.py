"""Print how far simulated galaxies are from real ones, and why what was changed, as Markdown.

python runs/simulator/table.py BEFORE AFTER

Both are folders with the morphology.json and telltale.json of one version of the simulator.
"""

import json
import sys
from pathlib import Path

# What was changed from version 1 to 2: pair, settings of surveys.toml, why, and the quantity that
# says so.
CHANGES = [
    ("sdss", "pedestal, gain", "sky too bright", "sky"),
    ("sdss", "gain, grain", "sky too noisy", "sky scatter"),
    ("sdss", "noise_in_common (new)", "noise too colourful: real is JPEG", "sky colour scatter"),
    ("sdss", "grain (new)", "noise too fine: real ones were scaled", "sky grain"),
    ("sdss", "gain, q, surface_brightness", "cores too bright", "peak"),
    ("sdss", "gain, hue_scatter (new)", "too green and all of one hue", "core green"),
    ("sdss", "saturation", "colours too pale", "disc colour"),
    ("sdss", "field", "galaxies too small in the frame", "half-light radius"),
    ("sdss", "stars, neighbours", "frames too empty", "others"),
    ("decals", "pedestal", "sky too bright", "sky"),
    ("decals", "pedestal one a band", "sky without its tint", "sky colour"),
    ("decals", "gain, hue_scatter", "too green", "core green"),
    ("decals", "gain", "too blue", "disc colour"),
    ("ring task", "gain", "too blue (real ones: chosen without arms)", "disc colour"),
    ("hst-hubble", "pedestal", "sky too bright", "sky"),
    ("hst-hubble", "pedestal one a band", "sky without its tint", "sky colour"),
    ("hst-hubble", "noise_in_common", "noise too colourful", "sky colour scatter"),
    ("hst-hubble", "depth_scatter", "depths too different", "sky scatter"),
    ("hst-hubble", "gain", "too bright", "peak"),
    ("hst-hubble", "gain, hue_scatter", "too green", "core green"),
    ("hst-hubble", "field", "galaxies too small in the frame", "90 % radius"),
]  # fmt: skip


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
    return table(["quantity", "real", "version 1", "version 2", "KS 1", "KS 2"], rows)


def changes(before: dict, after: dict) -> str:
    rows = []
    for pair, settings, why, quantity in CHANGES:
        old, new = before["pairs"][pair][quantity], after["pairs"][pair][quantity]
        sides = [spread(new["real"]), spread(old["simulated"]), spread(new["simulated"])]
        distance = f"{old['ks']:.2f} → {new['ks']:.2f}"
        rows.append([pair, settings, why, quantity, *sides, distance])
    header = ["pair", "setting", "why", "measure", "real", "version 1", "version 2", "KS"]
    return table(header, rows)


def telltales(before: dict, after: dict, key: str) -> str:
    pairs = list(after[key])
    rows = []
    for kind in after[key][pairs[0]]:
        cells = [f"{before[key][p][kind]:.2f} → {after[key][p][kind]:.2f}" for p in pairs]
        rows.append([kind, *cells])
    return table(["AUC, version 1 → 2", *pairs], rows)


def main() -> None:
    folders = [Path(folder) for folder in sys.argv[1:3]]
    morphology, telltale = (
        [json.loads((folder / f"{name}.json").read_text()) for folder in folders]
        for name in ("morphology", "telltale")
    )
    print(changes(*morphology))
    for pair in morphology[1]["pairs"]:
        print(f"\n### {pair}\n\n{distances(*morphology, pair)}")
    print("\n### A network told to tell them apart\n")
    print(telltales(*telltale, "auc_of_network"))
    print("\n### Logistic regression on measured quantities\n")
    print(telltales(*telltale, "auc_of_quantities"))


if __name__ == "__main__":
    main()

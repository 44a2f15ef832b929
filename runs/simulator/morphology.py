"""Measure simulated and real galaxies in the same way and say how far apart they are.

python runs/simulator/morphology.py SKY SHARED OUT [GALAXIES]

SKY: a folder of `hoag simulate`; SHARED: the real ones; OUT/morphology.json: median, 16 and 84 % of
each quantity, simulated and real, and the Kolmogorov-Smirnov distance; OUT/morphology.png.
Needs photutils.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from measures import QUANTITIES, measured
from pairs import PAIRS, STORED, encoded_pair, hashes, images, simulator_of
from scipy.stats import ks_2samp

from hoag.files import write_json
from hoag.provenance import full_stamp, package_version

SEED = 0


def main() -> None:
    sky, shared, out = map(Path, sys.argv[1:4])
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 400
    values = {name: pair_values(sky, shared, name, count) for name in PAIRS}
    out.mkdir(parents=True, exist_ok=True)
    draw(values, out / "morphology.png")
    write_json(
        out / "morphology.json",
        {
            "simulator": simulator_of(sky),
            "pairs": {name: compared(*pair) for name, pair in values.items()},
            "quantities": QUANTITIES,
            "data": hashes(sky, shared),
            "photutils": package_version("photutils"),
            "made_by": full_stamp(seed=SEED),
        },
    )


def pair_values(sky: Path, shared: Path, name: str, count: int) -> tuple[dict, dict]:
    return tuple(table_of(encoded) for encoded in encoded_pair(sky, shared, name, count, SEED))


def table_of(encoded: list[bytes]) -> dict:
    rows = [measured(*pair) for pair in zip(images(encoded), images(encoded, STORED), strict=True)]
    return {q: np.array([row.get(q, np.nan) for row in rows]) for q in QUANTITIES}


def compared(made: dict, real: dict) -> dict:
    table = {}
    for quantity in QUANTITIES:
        a, b = (side[quantity][np.isfinite(side[quantity])] for side in (made, real))
        table[quantity] = {
            "simulated": np.percentile(a, [50, 16, 84]).round(4).tolist(),
            "real": np.percentile(b, [50, 16, 84]).round(4).tolist(),
            "ks": round(float(ks_2samp(a, b).statistic), 3),
            "counts": [len(a), len(b)],
        }
    return table


def draw(values: dict, path: Path) -> None:
    figure, axes = plt.subplots(
        len(QUANTITIES), len(values), figsize=(2.6 * len(values), 1.15 * len(QUANTITIES))
    )
    for column, (name, (made, real)) in enumerate(values.items()):
        for row, quantity in enumerate(QUANTITIES):
            axis = axes[row, column]
            both = np.concatenate([made[quantity], real[quantity]])
            low, high = np.nanpercentile(both, [1, 99])
            bins = np.linspace(low, high + 1e-6, 25)
            for side, colour in ((real, "0.6"), (made, "C1")):
                kind = "stepfilled" if side is real else "step"
                axis.hist(side[quantity], bins, density=True, histtype=kind, color=colour)
            axis.set_yticks([])
            axis.tick_params(labelsize=6)
            if not column:
                axis.set_ylabel(quantity, fontsize=7, rotation=0, ha="right")
            if not row:
                axis.set_title(f"{name}: real (grey), simulated", fontsize=7)
    figure.tight_layout(pad=0.3)
    figure.savefig(path, dpi=75)


if __name__ == "__main__":
    main()

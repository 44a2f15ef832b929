"""Made-up but complete results and figures, for the tests of figures and report and to look at.

``python -m tests.example_results OUT.html`` writes the report they make.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from hoag.figures import label_efficiency_figure, loss_accuracy_figure, training_figure
from hoag.galleries import gallery_figure, posterior_figure
from hoag.schema import load_schema

SIZES = [50, 100, 200, 400, 800, 1500]
ARMS = {
    "direct": (0.50, 0.052),
    "pretrained": (0.61, 0.048),
    "contrastive": (0.56, 0.05),
    "hybrid": (0.63, 0.047),
    "random weights": (0.55, 0.03),
    "raw pixels": (0.505, 0.02),
}


def example_curve(seed: int = 0) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    rows = []
    for arm, (start, slope) in ARMS.items():
        for size in [100, 1500] if arm == "direct" else SIZES:
            value = start + slope * np.log2(size / 50) + rng.normal(0, 0.004)
            half = 0.016 if arm != "direct" else 0.03
            row: dict[str, Any] = {
                "arm": arm, "size": size, "runs": 1,
                "trials": 3 if arm == "direct" else (5 if size == 1500 else 100),
            }  # fmt: skip
            for metric, lift in (("accuracy", 0.0), ("balanced_accuracy", -0.003), ("auc", 0.06)):
                row[metric] = value + lift
                row[f"{metric}_low"], row[f"{metric}_high"] = (
                    value + lift - half,
                    value + lift + half,
                )
            rows.append(row)
    return rows


def example_galaxy(rng: np.random.Generator, ring: bool, size: int = 64) -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    angle, squash = rng.uniform(0, np.pi), rng.uniform(0.5, 1)
    u, v = x * np.cos(angle) + y * np.sin(angle), (y * np.cos(angle) - x * np.sin(angle)) / squash
    radius = np.hypot(u, v)
    light = 1.1 * np.exp(-radius / 0.13) + 0.35 * np.exp(-radius / 0.35)
    if ring:
        light += 0.35 * np.exp(-(((radius - rng.uniform(0.4, 0.6)) / 0.06) ** 2))
    colour = np.stack([light, 0.9 * light, 0.8 * light + 0.1 * ring * light], -1)
    noisy = colour + rng.normal(0.04, 0.03, colour.shape)
    return (np.clip(np.arcsinh(3 * noisy) / np.arcsinh(3.5), 0, 1) * 255).astype(np.uint8)


def example_history(arm: str, seed: int) -> list[dict[str, float]]:
    rng = np.random.default_rng(seed)
    rows: list[dict[str, float]] = []
    for step in range(0, 501, 10):
        done = step / 500
        row: dict[str, float] = {"step": step, "galaxies_seen": 64 * step, "seconds": 0.3 * step}
        if arm != "pretrained":
            row["train/contrastive"] = -0.9 * (1 - np.exp(-4 * done)) + rng.normal(0, 0.02)
        if arm != "contrastive":
            row["train/supervised"] = 3.2 - 0.9 * (1 - np.exp(-5 * done)) + rng.normal(0, 0.04)
        if step % 100 == 0:
            for name in ("contrastive", "supervised"):
                if f"train/{name}" in row:
                    row[f"val/{name}"] = row[f"train/{name}"] + 0.03
            row["val/feature_std"] = 0.9 - 0.3 * done * (arm == "contrastive")
            row["probe/rings/accuracy"] = ARMS[arm][0] + 0.2 * done
        rows.append(row)
    return rows


def example_results() -> dict[str, Any]:
    rows = example_curve()
    paired = [
        {"a": "hybrid", "b": arm, "size": size, "metric": "accuracy", "trials": 100,
         "difference": 0.02 + 0.01 * number, "low": -0.005 + 0.01 * number, "high": 0.05}
        for number, arm in enumerate(("pretrained", "contrastive", "random weights"))
        for size in SIZES
    ]  # fmt: skip
    histories = {
        arm: example_history(arm, seed)
        for seed, arm in enumerate(("pretrained", "contrastive", "hybrid"))
    }
    fig2 = [
        {"arm": arm, "galaxies_seen": row["galaxies_seen"],
         "contrastive": row["val/contrastive"], "accuracy": row["probe/rings/accuracy"]}
        for arm in ("contrastive", "hybrid")
        for row in histories[arm]
        if "val/contrastive" in row
    ]  # fmt: skip
    return {
        "stamp": {
            "hoag": "0.1.0", "commit": "0123abc" * 5, "seed": 1, "schema_hash": "5e3a91d0c4",
            "command": "hoag demo --seed 1", "time": "2030-01-01T12:00:00+00:00",
            "machine": {"system": "Linux", "processor": "An example", "cores": 2, "python": "3.11"},
            "libraries": {"torch": "2.11", "timm": None},
        },
        "settings": {
            "sizes": SIZES, "folds": 5, "repeats": 20, "pixels": 32, "every": {"batch.size": 64},
        },
        "dataset": {
            "name": "simulated galaxies", "description": "Made up.",
            "counts": {"galaxies for pretraining": 9000, "with votes": 2600},
        },
        "tasks": [
            {"name": "rings", "classes": ["no ring", "ring"], "protocol": "halves", "labels": 1900,
             "curve": rows, "paired": paired,
             "final": [row for row in rows if row["arm"] != "direct"]},
        ],
        "arms": {
            arm: {
                "recipe": {"arm": arm, "optimiser": {"rate": 1e-3}, "batch": {"size": 64}},
                "command": f"hoag train hoag/{arm} galaxies --out runs/{arm}",
                "galaxies_seen": 32000, "seconds": 150.0, "history": history,
            }
            for arm, history in histories.items()
        },
        "fig2": fig2,
        "caveats": [
            "32,000 galaxies seen is some hundred times fewer than the paper's arms saw.",
            "Each arm was trained once: intervals cover the held-out galaxies, not retraining.",
        ],
        "commands": ["hoag simulate galaxies --seed 1", "hoag demo --seed 1"],
    }  # fmt: skip


def example_figures(results: dict[str, Any]) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    schema = load_schema("gz-evo")
    figures: dict[str, Any] = {
        "fig1:rings": label_efficiency_figure(results["tasks"][0]["curve"], chance=0.52),
        "fig2": loss_accuracy_figure(results["fig2"]),
        "training": training_figure({k: v["history"] for k, v in results["arms"].items()}),
    }
    for arm in ("hybrid", "pretrained", "raw pixels"):
        truths = rng.random(16) < 0.8
        images = [example_galaxy(rng, truth) for truth in truths]
        scores = np.sort(rng.uniform(0.7, 1, 16))[::-1]
        figures[f"gallery:rings:{arm}"] = gallery_figure(images, scores.tolist(), truths.tolist())
    galaxies = [example_galaxy(rng, ring) for ring in (True, False, True)]
    votes = np.zeros((3, len(schema.columns)), np.int64)
    concentrations = 1 + 30 * rng.random(votes.shape) ** 3
    for galaxy, campaign in enumerate(("gz2", "dr5", "candels")):
        for question in schema.select([campaign]).questions[:5]:
            part = schema.question(question.name)
            share = concentrations[galaxy, part.start : part.stop]
            votes[galaxy, part.start : part.stop] = rng.multinomial(30, rng.dirichlet(share))
    figures["posteriors"] = posterior_figure(
        galaxies, votes, concentrations, schema, ids=["g001", "g002", "g003"]
    )
    return figures


if __name__ == "__main__":
    from hoag.report import write_report

    made = example_results()
    write_report(made, example_figures(made), Path(sys.argv[1]))

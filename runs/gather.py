"""Gather the numbers of docs/real-galaxies.md from what `runs/real-galaxies.sh` has left.

python runs/gather.py OUT docs/pictures/real-galaxies.json

Each part has what made it: command, commit, machine and time, as hoag stamps its outputs.
"""

import csv
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rankings import found, searched, truth_of

import hoag
from hoag.catalogue import read_stamp, read_table
from hoag.embedding import read_embeddings, stamp_of
from hoag.files import read_json, write_json
from hoag.goal_heads import Goal
from hoag.provenance import machine
from hoag.roles import load_pretraining, read_roles
from hoag.splits import split_names

Part = dict[str, Any]
CLASSES = (200, 2000)
WAYS = ("finetuned", "probe", "scratch")


def made_by(*stamps: Part) -> list[Part]:
    """What of a stamp the page tells."""
    wanted = ("command", "commit", "time")
    return [
        {**{name: stamp[name] for name in wanted}, "processor": stamp["machine"]["processor"],
         "cores": stamp["machine"]["cores"]}
        for stamp in stamps
    ]  # fmt: skip


def training(out: Path) -> Part:
    """The run: what it saw, and how long it took."""
    run, metrics = (read_json(out / "pretrained" / "run.json"),
                    list(_rows(out / "pretrained" / "metrics.csv")))  # fmt: skip
    parameters = hoag.load(out / "pretrained", device="cpu").encoder.parameters()
    return {
        "galaxies": run["trained_on"]["galaxies"],
        "votes": run["trained_on"]["votes"],
        "seen": int(float(metrics[-1]["galaxies_seen"])),
        "minutes": run["progress"]["seconds"] / 60,
        "parameters": sum(p.numel() for p in parameters),
        "data": run["data"],
        "made_by": made_by(run),
    }


def _rows(path: Path) -> Any:
    with path.open(newline="") as file:
        yield from csv.DictReader(file)


def leaks(out: Path) -> Part:
    """Count tested galaxies that were trained on, which there should be none of."""
    pretraining = load_pretraining(read_roles(out / "galaxies"))
    names = split_names(pretraining.galaxies.group_hashes)
    trained = set(np.array(pretraining.galaxies.ids)[names != "test"])
    decals = set(truth_of(out / "galaxies" / "decals-rings.parquet"))
    table = read_table(out / "labels" / f"classes-{CLASSES[-1]}.csv")
    ids = np.array(table["id_str"].to_pylist())
    tested = set(ids[split_names(list(ids)) == "test"])
    pairs = read_table(out / "telescopes" / "near-duplicates.parquet")
    alike = [{row["id_str_1"], row["id_str_2"]} for row in pairs.to_pylist()]
    both = [pair for pair in alike if len(pair & decals) == 1]
    return {
        "trained_or_validated": len(trained),
        "decals_rings": len(trained & decals),
        "classes": len(trained & tested),
        "kept_out": pretraining.removed_in_all,
        "shown_by_both": len(both),
        "shown_by_both_and_trained": sum(bool(pair & trained) for pair in both),
    }


def calibration(out: Path, source: str) -> Part:
    """What `hoag calibrate` found on one kind of votes."""
    results = read_json(out / f"calibration-{source}" / "calibration.json")
    questions = [
        {"name": group["name"], "galaxies": group["after"]["galaxies"],
         **{when: group[when]["pit_90"] for when in ("before", "after")},
         "error": group["after"]["pit_90_error"]}
        for group in results["groups"] if group["by"] == "question"
    ]  # fmt: skip
    return {
        "made_by": made_by(results["stamp"]),
        "data": results["data"],
        "all": results["all"],
        "questions": questions,
        "in_goal": sum(0.85 <= question["after"] <= 0.95 for question in questions),
    }


def predictions(out: Path) -> Part:
    """The catalogue of predicted votes, and how far its fractions are off on held-out galaxies."""
    path = out / "votes.fits"
    answer = "smooth-or-featured-gz2_featured-or-disk"
    table, votes = read_table(path), read_table(out / "featured.csv")
    stamp = {
        **(read_stamp(table) or {}), "command": _command(out, path), "machine": machine(),
        "time": datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    true = dict(
        zip(votes["id_str"].to_pylist(), votes["featured or disk"].to_pylist(), strict=True)
    )
    ids, source = np.array(table["id_str"].to_pylist()), np.array(table["source"].to_pylist())
    expected = np.asarray(table[f"{answer}_fraction"])
    tested, featured = split_names(list(ids)) == "test", {}
    for name in ("hart16", "kaggle"):
        rows = tested & (source == name)
        seen = np.array([true[each] for each in ids[rows]])
        off = expected[rows] - seen
        featured[name] = {
            "galaxies": int(rows.sum()), "seen": seen.mean(), "expected": expected[rows].mean(),
            "off": off.mean(), "error": off.std() / np.sqrt(rows.sum()), "rms": off.std(),
            "correlation": np.corrcoef(expected[rows], seen)[0, 1],
        }  # fmt: skip
    return {
        "rows": len(table), "columns": table.num_columns, "featured": featured,
        "made_by": made_by(stamp),
    }  # fmt: skip


def _command(out: Path, made: Path) -> str:
    """The command that made a file, as the script kept it."""
    kept = dict(line.split("\t", 1) for line in (out / "commands.tsv").read_text().splitlines())
    return kept[str(made)]


def classes(out: Path) -> Part:
    """Accuracy of the three ways from growing numbers of labels, on the same galaxies."""
    curves: dict[str, Any] = {way: [] for way in WAYS}
    stamps = []
    for labels in CLASSES:
        for way in reversed(WAYS):
            place = out / "classes" / f"{way}-{labels}"
            told = read_json(
                place.with_suffix(".json") if way == "probe" else place / "results.json"
            )
            count, accuracy = told["galaxies"]["test"], told["test"]["accuracy"]
            curves[way].append(
                {"labels": labels, "accuracy": accuracy,
                 "balanced": told["test"]["balanced_accuracy"],
                 "error": np.sqrt(accuracy * (1 - accuracy) / count)}
            )  # fmt: skip
            stamps.append(told["stamp"] if way == "probe" else read_json(place / "run.json"))
    last = out / "classes" / f"finetuned-{CLASSES[-1]}"
    results = read_json(last / "results.json")
    return {
        "curves": curves, "tested": results["galaxies"]["test"],
        "largest_class": results["test"]["largest_class"],
        "by": results["test"]["by"], "confusion": results["test"]["confusion"],
        "names": Goal.from_dict(read_json(last / "run.json")["goal"], str(last)).names,
        "made_by": made_by(*stamps),
    }  # fmt: skip


def exported(out: Path) -> Part:
    """How far timm and onnxruntime are from hoag."""
    told = read_json(out / "export-checked.json")
    stamp = told.pop("stamp")
    batches = told["onnxruntime"].values()
    largest = {n: max(b[n] for b in batches) for n in ("feature", "probability")}
    return {**told, "largest": largest, "made_by": made_by(stamp)}


def surveys(out: Path) -> Part:
    """What `hoag surveys` found: of three telescopes, and of DECaLS galaxies seen as by SDSS."""
    told = read_json(out / "surveys" / "surveys.json")
    again = read_json(out / "degraded" / "surveys.json")
    kept = {name: told[name] for name in ("data", "probe", "neighbours")}
    (degraded,) = again["degraded"]
    wanted = ("galaxies", "shift", "mirrored", "kept", "neighbours", "chance", "told_apart")
    seen = {name: degraded[name] for name in wanted}
    tables = {"SDSS": "gz2", "DECaLS": "decals-rings"}
    colour = {n: colourfulness(out / "galaxies" / f"{t}.parquet") for n, t in tables.items()}
    own = np.mean(np.diag(told["neighbours"]["shares"]))
    return {
        **kept, "own": own, "colour": colour, "made_by": made_by(told["stamp"]),
        "degraded": {**seen, "made_by": made_by(again["stamp"])},
    }  # fmt: skip


def colourfulness(table: Path) -> float:
    """Range of red, green and blue over brightness, in the middle of 300 pictures."""
    galaxies = hoag.open(table)
    middle = galaxies.pixels(np.arange(300), 64)[:, :, 16:48, 16:48].astype(float)
    spread = middle.max(axis=1) - middle.min(axis=1)
    return float((spread.mean(axis=(1, 2)) / middle.mean(axis=(1, 2, 3))).mean())


def plain(value: Any) -> Any:
    """Numbers and lists as JSON holds them, to five digits."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(each) for each in value]
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    return float(f"{value:.5g}") if isinstance(value, float | np.floating) else value


def main() -> None:
    out, path = Path(sys.argv[1]), Path(sys.argv[2])
    decals = truth_of(out / "galaxies" / "decals-rings.parquet")
    sky = truth_of(out / "sky" / "rings.parquet")
    tables = ("gz2", "gz2-unlabelled", "decals-rings", "hst-goods")
    parts = {
        "data": {name: hoag.open(out / "galaxies" / f"{name}.parquet").hash for name in tables},
        "training": training(out),
        "leaks": leaks(out),
        "calibration": {name: calibration(out, name) for name in ("hart16", "kaggle")},
        "predictions": predictions(out),
        "find": {
            **found(out, decals),
            "made_by": made_by(read_json(out / "found" / "pretrained-0.json")["stamp"]),
        },
        "search": {
            **searched(out, decals, ["pretrained", "negatives", "untrained"], 100),
            "made_by": _search_stamp(out, "pretrained-0"),
        },
        "simulated": {
            **searched(out, sky, ["simulated"], 100),
            "made_by": _search_stamp(out, "simulated-0"),
        },
        "classes": classes(out),
        "export": exported(out),
        "map": {
            "galaxies": len(read_embeddings(out / "gz2.parquet")),
            "made_by": made_by(_stamp(out / "map" / "atlas.parquet")),
        },
        "surveys": surveys(out),
    }
    write_json(path, plain(parts))


def _search_stamp(out: Path, name: str) -> list[Part]:
    return made_by(_stamp(out / "searched" / f"{name}.parquet"))


def _stamp(table: Path) -> Part:
    return stamp_of(read_table(table, ["id_str"]))


if __name__ == "__main__":
    main()

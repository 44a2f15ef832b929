"""Judge the paper's six claims on folders of `hoag reproduce`, into one JSON.

python runs/science/verdicts.py OUT/main --second OUT/second --json results/science/verdicts.json

Statements, margins and what they rest on are in claims.py; how intervals are made in comparing.py.
"""

import argparse
from pathlib import Path
from typing import Any

from claims import AS_GOOD, DIRECT, NOT_WORSE, Evidence, judge
from outcomes import encoder_of, losses_of, read_predictions, read_results, task_of

from hoag.curves import Curve
from hoag.files import write_json
from hoag.provenance import full_stamp
from hoag.scores import LEVEL, REPLICATES, score


def verdicts(main: Path, second: Path | None = None, task: str | None = None) -> dict[str, Any]:
    """Judge the claims on one task; gives what verdicts.json holds."""
    results = read_results(main)
    name = task_of(results, task)
    evidence = Evidence(read_predictions(main, name), losses_of(results, name))
    inputs = [_input(main, results)]
    if second is not None:
        others = read_results(second)
        evidence = Evidence(
            evidence.curve, evidence.losses, read_predictions(second, name), losses_of(others, name)
        )
        inputs.append(_input(second, others))
    return {
        "stamp": full_stamp(seed=results["stamp"]["seed"]),
        "task": name,
        "sizes": list(evidence.curve.sizes),
        "galaxies": len(evidence.curve.ids),
        "inputs": inputs,
        "level": LEVEL,
        "resamplings": REPLICATES,
        "margins": {"not worse": NOT_WORSE, "as good": AS_GOOD},
        "notes": notes([results, *([others] if second is not None else [])]),
        "direct": direct_trials(evidence.curve),
        "claims": judge(evidence),
    }


def direct_trials(curve: Curve) -> dict[str, list[float]]:
    """Accuracy of every trial of Direct, by number of labels: how much its trainings differ."""
    found: dict[str, list[float]] = {}
    for run in curve.predictions:
        if run.arm == DIRECT:
            for trial, chances in zip(run.trials, run.probabilities, strict=True):
                accuracy = score(trial, chances, curve.labels)["accuracy"]
                found.setdefault(str(trial.size), []).append(accuracy)
    return found


def _input(folder: Path, results: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": folder.name,
        "encoder": encoder_of(results),
        "commit": results["stamp"]["commit"],
        "time": results["stamp"]["time"],
        "seeds": results["settings"]["pretraining_seeds"],
    }


def notes(all_results: list[dict[str, Any]]) -> list[str]:
    """What the intervals cover and what they do not."""
    seeds = min(results["settings"]["pretraining_seeds"] for results in all_results)
    runs = (
        "Every arm was pretrained once: the intervals leave out the luck of a training run."
        if seeds == 1
        else f"Every arm was pretrained {seeds} times or more, and runs are resampled too; {seeds} "
        "runs say little about how much runs differ."
    )
    return [
        "Intervals are 95 %, paired over held-out galaxies.",
        runs,
        "The verdicts are not corrected for being several. Inside a claim, 'every' needs no "
        "correction, and 'taken all together' means intervals that hold for all rows at once "
        "(max-t).",
        "Direct was trained on few of the folds and subsets; against it only those are compared.",
        "Verdicts rest on the folds of the train half alone.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("main", type=Path, help="folder of hoag reproduce: all arms")
    parser.add_argument("--second", type=Path, help="the same with another encoder")
    parser.add_argument("--task", help="the task; by default the first")
    parser.add_argument("--json", type=Path, required=True, help="where the verdicts go")
    given = parser.parse_args()
    content = verdicts(given.main, given.second, given.task)
    given.json.parent.mkdir(parents=True, exist_ok=True)
    write_json(given.json, content)
    for claim in content["claims"]:
        print(f"{claim['number']:<3}{claim['verdict']:<13}{claim['claim']}\n   {claim['because']}")


if __name__ == "__main__":
    main()

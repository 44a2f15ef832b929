"""What the protocol found: results.json, the figures and the page, from curves and runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hoag.files import read_json, write_json
from hoag.loading import load
from hoag.probing import Curve
from hoag.runs import read_history
from hoag.saved_curves import write_curve
from hoag.splits import split_names
from hoag.stages import cuts, run_folder
from hoag.tasks import Task
from hoag.vote_choice import withhold

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hoag.protocol import Job

COMPARED = (
    ("hybrid", "pretrained"),
    ("hybrid", "contrastive"),
    ("hybrid", "direct"),
    ("pretrained", "direct"),
    ("contrastive", "direct"),
    ("hybrid", "random weights"),
    ("pretrained", "random weights"),
    ("contrastive", "random weights"),
)
"""Differences the paper's claims are about (sec. 4), and each arm against its untrained self."""
GALLERY = 16
POSTERIORS = 6


def write_results(
    job: "Job",
    curves: dict[str, Curve],
    finals: dict[str, Curve],
    stamp: dict[str, Any],
    commands: list[str],
) -> dict[str, Any]:
    """Write predictions/, results.json, figures/ and report.html; gives what results.json holds."""
    from hoag.report import write_report

    for name, curve in curves.items():
        write_curve(curve, job.out / "predictions" / f"{name}.npz")
    for name, curve in finals.items():
        write_curve(curve, job.out / "predictions" / f"{name}-final.npz")
    results = gather(job, curves, finals, stamp, commands)
    write_json(job.out / "results.json", results)
    figures = draw(job, results, curves)
    save_figures(job.out / "figures", figures)
    write_report(results, figures, job.out / "report.html")
    return results


def gather(
    job: "Job",
    curves: dict[str, Curve],
    finals: dict[str, Curve],
    stamp: dict[str, Any],
    commands: list[str],
) -> dict[str, Any]:
    """Put together all numbers of the run, as JSON can hold them.

    Everything but ``stamp`` and the columns on time is the same for the same seed and machine.
    """
    from hoag.protocol import data_hashes, settings_dict

    arms = {arm: _arm(run_folder(job, arm)) for arm in job.settings.arms}
    tasks = [
        _task(task, curves[task.name], finals.get(task.name), cuts(task, job)) for task in job.tasks
    ]
    return {
        "stamp": stamp,
        "settings": settings_dict(job.settings, job.seed),
        "dataset": {
            "name": job.roles.name,
            "description": job.roles.description,
            "counts": _counts(job),
            "hashes": data_hashes(job),
        },
        "tasks": tasks,
        "arms": arms,
        "fig2": loss_points(arms, job.tasks[0].name),
        "caveats": [
            text.replace("{galaxies_seen}", f"{job.settings.galaxies_seen:,}")
            for text in job.settings.caveats
        ],
        "commands": commands,
    }


def _counts(job: "Job") -> dict[str, int]:
    galaxies = job.pretraining.galaxies
    names = split_names(galaxies.group_hashes)
    counts = {
        "galaxies for pretraining": len(galaxies),
        "with votes": int(galaxies.labelled.sum()),
        "votes": galaxies.votes_given,
        "in the train split": int((names == "train").sum()),
        "in the validation split": int((names == "val").sum()),
        "taken out because a downstream task is tested on them": job.pretraining.removed_in_all,
    }
    return counts | {f"labels of {task.name}": len(task.labels) for task in job.tasks}


def _arm(folder: Path) -> dict[str, Any]:
    from hoag.recipe import load_recipe

    history = read_history(folder)
    run = read_json(folder / "run.json")
    return {
        "recipe": load_recipe(folder / "recipe.toml").to_dict(),
        "command": run["command"],
        "trained_on": run.get("trained_on"),
        "galaxies_seen": int(history[-1]["galaxies_seen"]),
        "seconds": history[-1]["seconds"],
        "history": history,
    }


def _task(task: Task, curve: Curve, final: Curve | None, repeats: int) -> dict[str, Any]:
    paired = [
        row
        for a, b in COMPARED
        if {a, b} <= set(curve.arms)
        for row in curve.compare(a, b).to_pylist()
    ]
    counts = np.bincount(task.labels[task.open_rows], minlength=len(task.classes))
    return {
        "name": task.name,
        "description": task.description,
        "classes": list(task.classes),
        "protocol": "halves" if task.halves else "repeated",
        "balanced": task.balance,
        "repeats": repeats,
        "labels": int(counts.sum()),
        "labels by class": {name: int(n) for name, n in zip(task.classes, counts, strict=True)},
        "curve": curve.table.to_pylist(),
        "paired": paired,
        "final": None if final is None else final.table.to_pylist(),
    }


def loss_points(arms: dict[str, Any], task: str) -> list[dict[str, Any]]:
    """Accuracy of the online probe on a task against contrastive loss, along each run that has one.

    Parameters
    ----------
    arms
        Of a results.json (paper Fig. 2).
    task
        Name of the task.
    """
    column = f"probe/{task}/accuracy"
    return [
        {
            "arm": arm,
            "galaxies_seen": int(row["galaxies_seen"]),
            "contrastive": row["val/contrastive"],
            "accuracy": row[column],
        }
        for arm, run in arms.items()
        for row in run["history"]
        if column in row and "val/contrastive" in row
    ]


def draw(job: "Job", results: dict[str, Any], curves: dict[str, Curve]) -> "dict[str, Figure]":
    """Draw every figure of the page, by the names that `hoag.report` places."""
    from hoag.figures import label_efficiency_figure, loss_accuracy_figure, training_figure

    figures = {}
    for task in results["tasks"]:
        chance = max(task["labels by class"].values()) / task["labels"]
        if task["balanced"]:
            chance = 1 / len(task["classes"])
        figures[f"fig1:{task['name']}"] = label_efficiency_figure(task["curve"], chance=chance)
    if results["fig2"]:
        figures["fig2"] = loss_accuracy_figure(results["fig2"])
    for task in job.tasks:
        if len(task.classes) == 2:
            figures |= _galleries(task, curves[task.name])
    voting = next((arm for arm in ("hybrid", "pretrained") if arm in results["arms"]), None)
    posteriors = None if voting is None else _posteriors(job, voting)
    if posteriors is not None:
        figures["posteriors"] = posteriors
    histories = {arm: entry["history"] for arm, entry in results["arms"].items()}
    if histories:
        figures["training"] = training_figure(histories)
    return figures


def _galleries(task: Task, curve: Curve) -> "dict[str, Figure]":
    """Draw the galaxies each arm ranks first for the second class, held out at most labels."""
    from hoag.galleries import gallery_figure, pick_best

    row_of = {name: row for row, name in enumerate(task.galaxies.ids)}
    names = (task.classes[1], task.classes[0])
    if set(names) == {"0", "1"}:
        names = ("yes", "no")
    figures = {}
    for arm in curve.arms:
        scores = held_out_scores(curve, arm)
        best = pick_best(scores, min(GALLERY, int(np.isfinite(scores).sum())))
        rows = [row_of[curve.ids[number]] for number in best]
        images = [task.galaxies[row].image for row in rows]
        truths = [bool(task.labels[row]) for row in rows]
        figures[f"gallery:{task.name}:{arm}"] = gallery_figure(
            images, scores[best].tolist(), truths, names=names
        )
    return figures


def held_out_scores(curve: Curve, arm: str) -> np.ndarray:
    """Mean probability of the second class over an arm's trials with most labels.

    Returns
    -------
    array
        (galaxies,) float64; -inf for galaxies never held out in those trials.
    """
    sums, counts = np.zeros(len(curve.ids)), np.zeros(len(curve.ids))
    for each in curve.predictions:
        if each.arm != arm:
            continue
        most = max(trial.size for trial in each.trials)
        for trial, chances in zip(each.trials, each.probabilities, strict=True):
            if trial.size == most:
                np.add.at(sums, trial.test_index, chances[:, 1])
                np.add.at(counts, trial.test_index, 1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), -np.inf)


def _posteriors(job: "Job", arm: str) -> "Figure | None":
    """Draw predicted and given votes of a few galaxies that the model has not learned from."""
    from hoag.galleries import posterior_figure

    # No votes that the arm was not to learn from: of those it can say nothing.
    everyone = withhold(job.pretraining.galaxies, job.settings.recipe(arm, job.seed).votes)
    unseen = everyone.where(everyone.labelled & (split_names(everyone.group_hashes) == "val"))
    if len(unseen) == 0:
        return None
    # Of each campaign the galaxy with most votes, for those that have galaxies.
    ranked = np.argsort(-unseen.votes.sum(1), kind="stable")
    _, first = np.unique(unseen.campaign[ranked], return_index=True)
    galaxies = unseen.take(ranked[np.sort(first)][:POSTERIORS])
    model = load(run_folder(job, arm), which=job.settings.checkpoint, device=job.device)
    concentrations = model.predict(galaxies, quiet=True)
    images = [galaxy.image for galaxy in galaxies]
    return posterior_figure(
        images, galaxies.votes, concentrations, galaxies.schema, ids=galaxies.ids
    )


def save_figures(folder: Path, figures: "dict[str, Figure]") -> None:
    """Save each figure as PNG, its name made fit for a file."""
    from hoag.figures import save_figure

    folder.mkdir(exist_ok=True)
    for name, figure in figures.items():
        save_figure(figure, folder / (name.replace(":", "-").replace(" ", "-") + ".png"))

"""The stages of the protocol: pretrain the arms, represent the downstream galaxies, judge them."""

import itertools
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hoag.console import progress, say
from hoag.embedding import make_table, read_embeddings, write_embeddings
from hoag.features import NAMES, SIZE, features
from hoag.files import write_json
from hoag.fitting import fit
from hoag.galaxies import Galaxies
from hoag.loading import load, random_model
from hoag.models import Model
from hoag.online import make_online_probe
from hoag.probing import Curve, Trial, combine, final_score, label_efficiency, make_trials
from hoag.recipe import Recipe
from hoag.runs import is_finished
from hoag.schema import Schema
from hoag.splits import split_names
from hoag.tasks import Task

if TYPE_CHECKING:
    from hoag.protocol import Job

RANDOM, PIXELS, HAND_MADE = "random weights", "raw pixels", "hand-made features"
CALIBRATION = 1024
"""Training galaxies on which BatchNorm's statistics of the random weights are measured."""


def run_name(arm: str, number: int) -> str:
    """Name of an arm's run: the arm, and for further seeds ARM@1, ARM@2 and so on."""
    return arm if number == 0 else f"{arm}@{number}"


def run_folder(job: "Job", arm: str, number: int = 0) -> Path:
    """Give the folder of an arm's pretraining run, the first unless said."""
    return job.out / "runs" / run_name(arm, number)


def pretrain(job: "Job", galaxies: Galaxies) -> None:
    """Train the arms that learn before they see a downstream label, each on the same galaxies."""
    names = split_names(galaxies.group_hashes)
    train, validation = (galaxies.where(names == name) for name in ("train", "val"))
    for number, arm in itertools.product(range(job.settings.pretraining_seeds), job.settings.arms):
        folder = run_folder(job, arm, number)
        if is_finished(folder):
            continue
        recipe = job.settings.recipe(arm, job.seed + number)
        recipe = recipe.changed({"probe.galaxies": job.settings.probed})
        started = (folder / "run.json").exists()
        steps, batch = recipe.training.steps, recipe.batch.size
        say(f"{run_name(arm, number)}: {steps:,} steps of {batch} galaxies")
        fit(
            recipe, train, validation, folder, device=job.device, resume=started,
            online_probe=make_online_probe(job.tasks, recipe),
        )  # fmt: skip


def judge(job: "Job", task: Task, schema: Schema) -> Curve:
    """Make the label-efficiency curves of all arms and baselines on one task (paper Fig. 1)."""
    settings = job.settings
    labels = task.labels_of(task.open_rows)
    groups = task.groups
    curves = [
        label_efficiency(
            table, labels, sizes(settings.sizes, task, job), folds=settings.folds,
            subsets=settings.subsets if task.halves else 1,
            repeats=cuts(task, job),
            balance=task.balance, seed=job.seed, classes=task.classes, groups=groups, name=arm,
        )
        for arm, table in representations(job, task, schema)
    ]  # fmt: skip
    if any(settings.direct_trials):
        curves.append(judge_direct(job, task, curves[0]))
    return combine(curves)


def judge_final(job: "Job", task: Task, schema: Schema) -> Curve:
    """Score every arm but Direct on the test half: once, at the very end."""
    train, test = (task.labels_of(rows) for rows in (task.open_rows, task.closed_rows))
    return combine(
        [
            final_score(
                table, train, test, sizes(job.settings.sizes, task, job), job.settings.subsets,
                job.seed, final=True, classes=task.classes, name=arm,
            )
            for arm, table in representations(job, task, schema)
        ]
    )  # fmt: skip


def cuts(task: Task, job: "Job") -> int:
    """Give the number of fresh cuts into folds: one where a task has halves."""
    return 1 if task.halves else task.repeats or job.settings.repeats


def sizes(wanted: tuple[int | str, ...], task: Task, job: "Job") -> list[int | str]:
    """Give the numbers of labels that the task has enough galaxies for."""
    labels = task.labels[task.open_rows]
    counts = np.bincount(labels)
    usable = int(counts[counts > 0].min() * (counts > 0).sum()) if task.balance else len(labels)
    # Folds differ by a galaxy of each class, and by more where objects have several rows.
    twins = len(labels) - len(set(task.galaxies.groups[task.open_rows].tolist()))
    slack = len(counts) + 2 * twins
    largest = usable * (job.settings.folds - 1) // job.settings.folds - slack
    least = 2 * int((counts > 0).sum())
    return [n for n in wanted if n == "all" or least <= int(n) <= largest]


def representations(job: "Job", task: Task, schema: Schema) -> list[tuple[str, pa.Table]]:
    """Embed a task's galaxies by every run of every arm and baseline, or read back what is there.

    Returns
    -------
    list
        (arm, embeddings table); an arm comes once for each pretraining seed.
    """

    def trained(arm: str, number: int) -> Model:
        folder = run_folder(job, arm, number)
        return load(folder, which=job.settings.checkpoint, device=job.device)

    def untrained(number: int) -> Model:
        recipe = job.settings.recipe("hybrid", job.seed + number)
        return random_model(recipe, schema, _calibration(job), device=job.device)

    def table(name: str, make: Callable[[], pa.Table]) -> pa.Table:
        path = job.out / "embeddings" / task.name / f"{name}.parquet"
        if not path.exists():
            write_embeddings(make(), path)
        return read_embeddings(path)

    tables = []
    for number in range(job.settings.pretraining_seeds):
        makers = {arm: partial(trained, arm, number) for arm in job.settings.arms}
        makers[RANDOM] = partial(untrained, number)
        for arm, model in makers.items():
            tables.append((arm, table(run_name(arm, number), partial(_embed, job, task, model))))
    tables.append((HAND_MADE, table(HAND_MADE, lambda: _hand_made(task))))
    return [*tables, (PIXELS, table(PIXELS, lambda: _pixels(task, job.settings.pixels)))]


def _calibration(job: "Job") -> Galaxies:
    """Give the first training galaxies by key, for BatchNorm's statistics of random weights."""
    everyone = job.pretraining.galaxies
    train = everyone.where(split_names(everyone.group_hashes) == "train")
    return train.take(np.sort(np.argsort(train.keys, kind="stable")[:CALIBRATION]))


def _embed(job: "Job", task: Task, model: Callable[[], Model]) -> pa.Table:
    return model().embed(task.galaxies, symmetries=job.settings.symmetries)


def _pixels(task: Task, size: int) -> pa.Table:
    everyone = np.arange(len(task.galaxies))
    flat = task.galaxies.pixels(everyone, size).reshape(len(everyone), -1)
    return make_table(task.galaxies.ids, flat.astype(np.float32) / 255, {"pixels": size})


def _hand_made(task: Task) -> pa.Table:
    rows = np.array_split(np.arange(len(task.galaxies)), -(-len(task.galaxies) // 512))
    found = [features(task.galaxies.pixels(part, SIZE, keep=False)) for part in rows]
    return make_table(task.galaxies.ids, np.concatenate(found), {"features": list(NAMES)})


def judge_direct(job: "Job", task: Task, probed: Curve) -> Curve:
    """Train Direct end to end on a few of the very folds and subsets the probes used."""
    settings = job.settings
    halves = task.halves
    group_of = task.groups
    groups = [group_of[name] for name in probed.ids]
    wanted = sizes(settings.direct_sizes, task, job)
    trials = make_trials(
        list(probed.ids), probed.labels, wanted, settings.folds,
        settings.subsets if halves else 1, job.seed, balance=task.balance,
        repeats=cuts(task, job), groups=groups,
    )  # fmt: skip
    # Sizes rise and "all" is the largest there is, so the order of numbers is that of `wanted`.
    numbers = sorted({trial.size for trial in trials})
    folds = {n: settings.direct_trials[: k + 1][-1] for k, n in enumerate(numbers)}
    chosen = [t for t in trials if t.repeat == 0 and t.subset == 0 and t.fold < folds[t.size]]
    row_of = {name: row for row, name in enumerate(task.galaxies.ids)}
    rows = np.array([row_of[name] for name in probed.ids])
    chances = [
        _direct_trial(job, task, trial, rows, probed.labels)
        for trial in progress(chosen, f"direct on {task.name}", unit="trials")
    ]
    return Curve.from_predictions(
        probed.ids, probed.labels, probed.classes, chosen, chances, "direct"
    )


def _direct_trial(
    job: "Job", task: Task, trial: Trial, rows: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Train on a trial's labels, a fifth of them kept for early stop; predict the held-out fold."""
    name = "-".join(str(part) for part in trial.key)
    path = job.out / "direct" / task.name / f"{name}.parquet"
    if path.exists():
        return _chances(path, len(trial.test_index))
    learned, kept = _inner_split(trial.train_index, labels)
    recipe = _direct_recipe(job, len(learned))
    folder = path.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)
    fit(
        recipe, task.galaxies.take(rows[learned]), task.galaxies.take(rows[kept]), folder,
        train_labels=labels[learned], validation_labels=labels[kept], classes=list(task.classes),
        device=job.device, quiet=True,
    )  # fmt: skip
    model = load(folder, which="best", device=job.device)
    tested = task.galaxies.take(rows[trial.test_index])
    chances = model.classify(tested, quiet=True)
    write_embeddings(make_table(tested.ids, chances, {"trial": list(trial.key)}), path)
    steps = {"trial": list(trial.key), "recipe": recipe.to_dict()}
    write_json(path.with_suffix(".json"), steps)
    shutil.rmtree(folder)
    return chances


def _chances(path: Path, count: int) -> npt.NDArray[np.float32]:
    from hoag.embedding import vectors

    chances = vectors(read_embeddings(path))
    assert len(chances) == count, path
    return chances


def _inner_split(
    rows: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Keep a fifth of each class, one galaxy at least, for validation; the rest is learned from."""
    kept = []
    for number in np.unique(labels[rows]):
        members = rows[labels[rows] == number]
        kept.append(members[: max(1, len(members) // 5)])
    validation = np.concatenate(kept)
    return np.setdiff1d(rows, validation), np.sort(validation)


def _direct_recipe(job: "Job", labels: int) -> Recipe:
    settings = job.settings
    recipe = settings.recipe("direct", job.seed)
    batch = min(recipe.batch.size, labels)
    low, high = settings.direct_steps
    steps = int(np.clip(settings.direct_epochs * labels // batch, low, high))
    return recipe.changed(
        {
            "batch.size": batch,
            "training.steps": steps,
            "training.validate_every": max(1, steps // 10),
            "training.save_every": steps,
            "training.log_every": steps,
            "training.patience": 3,
            **{k: v for k, v in settings.direct.items() if k.startswith("training.")},
        }
    )

"""The training loop: step, validate, save, stop early, resume; devices are Lightning Fabric's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hoag.batches import BatchSource, Plan, PlannedRows, in_chunks, load_batches
from hoag.checkpoint import load_state, load_weights, save_checkpoint
from hoag.console import say
from hoag.devices import choose_device, lay_out, make_fabric, worker_count
from hoag.distributed import all_sum, in_any, rank, synchronise_batchnorm, world_size
from hoag.errors import HoagError
from hoag.galaxies import Galaxies
from hoag.interruption import Interruption
from hoag.meter import Meter
from hoag.objectives import Batch, Objective, make_objective
from hoag.optimisation import (
    learning_rate,
    make_optimiser,
    set_learning_rate,
    settle_optimiser,
)
from hoag.provenance import stamp
from hoag.recipe import Recipe
from hoag.runs import Log, counts_of, finish_run, labels_hash, start_run
from hoag.schema import Schema
from hoag.vote_choice import learned_from

COLLAPSED = 0.05  # feature_std is near 1 for a healthy representation, 0 for a collapsed one
OnlineProbe = Callable[[Objective, torch.device], dict[str, float]]


@dataclass
class Progress:
    """What a run carries from step to step, beside weights and optimiser; saved as JSON."""

    step: int = 0
    seconds: float = 0.0
    best: float | None = None
    best_step: int = 0
    unimproved: int = 0
    stopped: bool = False
    sums: dict[str, float] = field(default_factory=dict)


@dataclass
class Fit:
    """One run of training in progress: the parts that its functions below share."""

    recipe: Recipe
    out: Path
    schema: Schema
    objective: Objective
    optimiser: torch.optim.Optimizer
    train: Galaxies
    validation: Galaxies
    train_labels: npt.NDArray[Any] | None
    validation_labels: npt.NDArray[Any] | None
    online_probe: OnlineProbe | None
    log: Log
    fabric: Any
    progress: Progress = field(default_factory=Progress)

    @property
    def monitor(self) -> str:
        """Name of the quantity that chooses best/ and early stop."""
        chosen = self.recipe.probe.select
        return f"probe/{chosen}/accuracy" if chosen else self.objective.monitor


def fit(
    recipe: Recipe,
    train: Galaxies,
    validation: Galaxies,
    out: str | Path,
    *,
    train_labels: npt.NDArray[Any] | None = None,
    validation_labels: npt.NDArray[Any] | None = None,
    classes: list[str] | None = None,
    resume: bool = False,
    device: str = "auto",
    objective: Objective | None = None,
    schema: Schema | None = None,
    record: Mapping[str, Any] | None = None,
    online_probe: OnlineProbe | None = None,
    quiet: bool = False,
) -> Path:
    """Train `recipe` on the galaxies given and leave the run in the folder `out`.

    Parameters
    ----------
    recipe
        What to do.
    train, validation
        The galaxies to learn from and those to judge convergence on (paper sec. 3.3); the recipe's
        section ``votes`` says which of their votes are looked at.
    out
        Folder of the run: recipe.toml, schema.json, run.json, metrics.csv, tensorboard/, best/,
        last/.
    train_labels, validation_labels
        Class numbers, (len(train),) and (len(validation),) int64, for the Direct arm; -1 where
        there is none. For finetuning what `hoag.goals` gives.
    classes
        Names of the classes, for the Direct arm.
    objective
        What to train, if its weights are not those the recipe's seed gives.
    schema
        Kept with the run; that of the galaxies if None.
    record
        What else run.json says.
    resume
        Go on from last/ instead of refusing a folder that has a run in it.
    device
        auto, cpu, cuda or mps.
    online_probe
        Called at each validation with the objective and its device; what it returns is logged.
    quiet
        Show no progress bar (for the many small runs of the protocol).

    Raises
    ------
    HoagError
        If the loss stops being a number (the batch's ids are written to nan-batch.json), or `out`
        holds another run.
    """
    out = Path(out)
    recipe = _for_device(recipe, device)
    train, validation = (learned_from(part, recipe) for part in (train, validation))
    if len(train) == 0:
        raise HoagError(f"{out}: there is no galaxy that the {recipe.arm} arm can learn from")
    with make_fabric(recipe, device) as fabric:
        if recipe.batch.size % world_size():
            raise HoagError(
                f"batch.size = {recipe.batch.size} must be a multiple of the {world_size()} "
                "processes that share it"
            )
        if objective is None:
            objective = make_objective(recipe, train.schema, classes)
        schema = schema or train.schema
        if world_size() > 1:
            synchronise_batchnorm(objective, fabric.device.type)
        optimiser = make_optimiser(objective, recipe.optimiser, objective.learning_rates())
        recorded = {"train": train.hash, "validation": validation.hash}
        for name, labels in (("train", train_labels), ("validation", validation_labels)):
            if labels is not None:
                recorded[f"{name} labels"] = labels_hash(labels)
        more = {"trained_on": counts_of(recipe, train, validation), **(record or {})}
        log = start_run(recipe, schema, out, recorded, classes, resume=resume, more=more)
        job = Fit(
            recipe, out, schema, objective, optimiser, train, validation, train_labels,
            validation_labels, online_probe, log, fabric,
        )  # fmt: skip
        if resume and (out / "last").is_dir():
            _restore(job)
        _train(job, quiet=quiet)
        finish_run(out, job.progress.__dict__, log)
        fabric.barrier()  # whoever returns finds the folder whole
    return out


def _for_device(recipe: Recipe, device: str) -> Recipe:
    """Give the recipe in a precision that the device has."""
    if recipe.training.precision == "16-mixed" and choose_device(device).type == "cpu":
        say("training.precision: a CPU has no 16-mixed, so 32-true is used")
        return recipe.changed({"training.precision": "32-true"})
    return recipe


def _train(job: Fit, *, quiet: bool) -> None:
    """Step until the recipe's steps are done or the monitor no longer improves."""
    settings, progress, fabric = job.recipe.training, job.progress, job.fabric
    if progress.stopped or progress.step >= settings.steps:
        return
    wrapped, optimiser = set_up(job)
    plan = Plan(job.train, job.recipe.batch, job.recipe.seed)
    rows = PlannedRows(plan, progress.step, settings.steps, rank(), world_size())
    source = BatchSource(job.train, job.recipe.images.stored, job.recipe.seed, job.train_labels)
    workers = worker_count(settings.workers, fabric.device)
    # Before workers start, so that they share the Arrow copy and the decoded images.
    job.train.prepare(job.recipe.images.stored)
    batches = load_batches(source, rows, workers=workers, pin=fabric.device.type == "cuda")
    meter = Meter(job, plan.size, show=not quiet and rank() == 0)
    job.objective.train()
    told = False
    with Interruption() as interruption, meter:
        for batch in meter.timed(batches):
            result = take_step(job, wrapped, optimiser, batch.to(fabric.device))
            progress.step += 1
            meter.count(result)
            if progress.step % settings.log_every == 0:
                meter.write_training_row()
            if progress.step % settings.validate_every == 0 or progress.step == settings.steps:
                meter.settle()
                _validate(job, meter)
            # A signal reaches processes at odd moments; one that left alone would strand the rest.
            told = in_any(interruption.asked, fabric.device)
            if progress.stopped or told:
                break
            if progress.step % settings.save_every == 0:
                meter.settle()  # weights after a loss that is no number are never saved
                _save(job, "last")
        meter.settle()
        _save(job, "last")
    interruption.asked = told  # what came since then came to this process alone
    interruption.obey(f"{job.out}: stopped at step {progress.step}; go on with --resume")


def set_up(job: Fit) -> tuple[Any, Any]:
    """Put objective and optimiser on the device, laid out as it works quickest.

    Gives what Fabric makes of them.
    """
    lay_out(job.objective, job.fabric.device)
    settle_optimiser(job.optimiser, job.fabric.device)
    return job.fabric.setup(job.objective, job.optimiser)


def take_step(job: Fit, wrapped: Any, optimiser: Any, batch: Batch) -> dict[str, Tensor]:
    """Take one optimiser step and move the target; gives the logged scalars."""
    settings, step = job.recipe.optimiser, job.progress.step
    total = job.recipe.training.steps
    set_learning_rate(optimiser, learning_rate(settings, step, total))
    result: dict[str, Tensor] = wrapped(batch)
    job.fabric.backward(result["loss"])
    if settings.clip:
        # Infinities end as a loss that the meter refuses, or as a step that 16-mixed skips.
        job.fabric.clip_gradients(
            wrapped, optimiser, max_norm=settings.clip, error_if_nonfinite=False
        )
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    job.objective.after_step(step, total)
    return {name: value.detach() for name, value in result.items()}


@torch.no_grad()
def _validate(job: Fit, meter: Meter) -> None:
    """Judge the model on the validation galaxies, log it, keep the best, decide about stopping."""
    progress, objective = job.progress, job.objective
    row = {f"val/{k}": v for k, v in evaluate(job).items()}
    if job.online_probe is not None:
        row |= job.online_probe(objective, job.fabric.device)
    objective.train()
    value = row.get(job.monitor)
    if value is None:
        raise HoagError(
            f"{job.out}: nothing to measure {job.monitor} on; "
            "the validation galaxies have no votes or labels of the kind this arm learns from"
        )
    value = -value if job.monitor.endswith("/accuracy") else value
    meter.write_validation_row(row)
    if progress.best is None or value < progress.best:
        progress.best, progress.best_step, progress.unimproved = value, progress.step, 0
        _save(job, "best")
    else:
        progress.unimproved += 1
    patience = job.recipe.training.patience
    if patience and progress.unimproved >= patience:
        progress.stopped = True
        meter.note(f"converged: {job.monitor} was best at step {progress.best_step}")
    # In training mode, since evaluation's BatchNorm statistics lag behind in a young run.
    spread = meter.latest.get("feature_std", 1.0)
    if spread < COLLAPSED and job.recipe.arm != "finetune":  # which learns from labels alone
        meter.note(f"warning: the representation has collapsed, feature_std {spread:.3f}")


def evaluate(job: Fit) -> dict[str, float]:
    """Mean validation metrics over the validation galaxies of all processes."""
    job.objective.eval()
    limit = min(len(job.validation), job.recipe.training.validation_galaxies)
    # The first by key: a sample that depends on the ids alone.
    chosen = np.sort(np.argsort(job.validation.keys, kind="stable")[:limit])
    galaxies = job.validation.take(chosen)
    labels = None if job.validation_labels is None else job.validation_labels[chosen]
    totals: dict[str, list[Tensor]] = {}
    size = max(1, min(job.recipe.batch.size, 256))
    chunks = in_chunks(
        galaxies, job.recipe.images.stored, size=size, seed=job.recipe.seed, labels=labels,
        rank=rank(), world=world_size(),
    )  # fmt: skip
    for batch in chunks:
        with job.fabric.autocast():
            metrics = job.objective.evaluate(batch.to(job.fabric.device))
        for name, (total, count) in metrics.items():
            totals.setdefault(name, []).append(
                torch.stack([total.cpu().double(), count.cpu().double()])
            )
    names = job.objective.metrics
    sums = torch.stack(
        [torch.stack(totals[n]).sum(0) if n in totals else torch.zeros(2).double() for n in names]
    )
    sums = all_sum(sums.to(job.fabric.device) if job.fabric.device.type == "cuda" else sums).cpu()
    return {n: float(s / c) for n, (s, c) in zip(names, sums, strict=True) if c > 0}


def _save(job: Fit, name: str) -> None:
    if rank() != 0:
        return
    optimiser = job.optimiser.state_dict() if name == "last" else None
    state = {"progress": job.progress.__dict__, "monitor": job.monitor}
    scaler = getattr(job.fabric._precision, "scaler", None)  # of 16-mixed on CUDA
    if scaler is not None:
        state["scaler"] = scaler.state_dict()
    made = stamp(seed=job.recipe.seed, schema_hash=job.schema.hash)
    save_checkpoint(job.out / name, job.objective.state_dict(), optimiser, state, made)


def _restore(job: Fit) -> None:
    """Put weights, optimiser and progress back to those of last/."""
    folder = job.out / "last"
    state = load_state(folder)
    job.progress = Progress(**state["progress"])
    job.objective.load_state_dict(load_weights(folder))
    job.optimiser.load_state_dict(state["optimiser"])
    if "scaler" in state:
        job.fabric._precision.scaler.load_state_dict(state["scaler"])
    job.log.rewind(job.progress.step)
    say(f"{job.out}: goes on from step {job.progress.step}")

"""Training steps against the bare network's, and what a step has beside the network."""

from collections.abc import Callable
from typing import Any

import numpy as np
from turns import Bench, Peer

from cases import made

THREADS = 2
SIDE = 128
ENCODERS = ("resnet18", "efficientnet_b0")
SLIM = {"encoder.options": {"channels": [8, 8, 8, 8]}}


def make_job(
    bench: Bench, arm: str, encoder: str, batch: int, galaxies: Any = None, **changes: Any
) -> Any:
    """A run in progress as `hoag.fitting.fit` has it; `changes` to the recipe, or of the device."""
    from hoag.devices import make_fabric
    from hoag.fitting import Fit
    from hoag.objectives import make_objective
    from hoag.optimisation import make_optimiser
    from hoag.recipe import load_recipe
    from hoag.runs import Log
    from hoag.schema import load_schema

    device, side = changes.pop("device", "cpu"), bench.size(SIDE, 32)
    recipe = load_recipe(f"paper/{arm}").changed(
        {"encoder.name": encoder, "batch.size": batch, "training.precision": "32-true",
         "images.size": side, "images.decode": side, **(SLIM if bench.tiny else {}), **changes}
    )  # fmt: skip
    schema = load_schema()
    objective = make_objective(recipe, schema)
    optimiser = make_optimiser(objective, recipe.optimiser)
    out = bench.folder / f"{arm}-{encoder}"
    out.mkdir(exist_ok=True)
    with make_fabric(recipe, device) as fabric:
        return Fit(
            recipe, out, schema, objective, optimiser, galaxies, galaxies, None, None, None,
            Log(out), fabric,
        )  # fmt: skip


def make_step(job: Any, given: Any) -> Callable[..., None]:
    """One step of a run as the training loop takes it, metrics and log included."""
    from dataclasses import replace

    from hoag import fitting
    from hoag.meter import Meter

    wrapped, optimiser = fitting.set_up(job)
    meter = Meter(job, job.recipe.batch.size, show=False)
    job.objective.train()

    def step(batch: Any = given) -> None:
        now = replace(batch, step=job.progress.step)
        meter.count(fitting.take_step(job, wrapped, optimiser, now))
        job.progress.step += 1
        if job.progress.step % job.recipe.training.log_every == 0:
            meter.write_training_row()

    return step


def make_bare(job: Any, batch: int, channels_last: bool) -> "Callable[[], None]":
    """Forward and backward of the same network with a linear head on a constant batch."""
    import torch

    from hoag.encoders import create_encoder

    recipe = job.recipe
    network = create_encoder(recipe.encoder.name, **recipe.encoder.options).train()
    head = torch.nn.Linear(int(network.num_features), len(job.schema.columns))
    images = torch.rand(batch, 3, recipe.images.size, recipe.images.size)
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)

    def step() -> None:
        head(network(images)).mean().backward()
        for parameter in network.parameters():
            parameter.grad = None

    return step


def pretrained_step(bench: Bench) -> None:
    """Pretrained step, its view included, on a batch of 64 at 128 px, 2 threads."""
    import torch

    bench.use_threads(THREADS)
    torch.manual_seed(0)
    batch = bench.size(64, 4)
    images, votes = bench.folder / "images.npy", bench.folder / "counts.npy"
    np.save(images, made.pictures(batch, bench.size(SIDE, 32)))
    np.save(votes, made.votes(batch))
    for encoder in ENCODERS[: bench.size(2, 1)]:
        job = make_job(bench, "pretrained", encoder, batch)
        step = make_step(job, made.batch(batch, job.recipe.images.size))
        given = {"encoder": encoder, "questions": made.questions(), "votes": votes,
                 "images": images}  # fmt: skip
        bench.compare(
            f"pretrained-step {encoder}",
            {"hoag": step, "floor": make_bare(job, batch, True),
             "plain": make_bare(job, batch, False)},
            {"floor": 0.95, "peer": 1.1 if encoder == "resnet18" else 1.5}, count=batch,
            peer=lambda given=given: Peer("pretrained-step", THREADS, **given),
        )  # fmt: skip


def make_beside(job: Any, batch: int) -> Callable[[], None]:
    """What a Hybrid step has beside its networks: optimiser, EMA, metrics, log."""
    import torch

    from hoag.losses import feature_std
    from hoag.meter import Meter
    from hoag.optimisation import learning_rate, set_learning_rate

    names = ("loss", "contrastive", "supervised", "feature_std")
    result = {name: torch.zeros(()) for name in names}
    represented = torch.randn(batch, job.objective.features)
    parameters = job.objective.trainable_parameters()
    gradients = [torch.randn_like(parameter) * 1e-6 for parameter in parameters]
    meter = Meter(job, batch, show=False)

    def beside() -> None:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        set_learning_rate(job.optimiser, learning_rate(job.recipe.optimiser, 0, 10))
        job.optimiser.step()
        job.optimiser.zero_grad(set_to_none=True)
        job.objective.after_step(0, 10)
        feature_std(represented)
        meter.count(result)
        job.progress.step += 1
        if job.progress.step % job.recipe.training.log_every == 0:
            meter.write_training_row()

    return beside


def beside_the_network(bench: Bench) -> None:
    """EMA, optimiser, metrics and log of a Hybrid step: their share of the step."""
    bench.use_threads(THREADS)
    batch = bench.size(64, 4)
    for encoder in ENCODERS[: bench.size(2, 1)]:
        job = make_job(bench, "hybrid", encoder, batch)
        step = make_step(job, made.batch(batch, job.recipe.images.size))
        sides = {"hoag": step, "beside": make_beside(job, batch)}
        row = bench.compare(f"beside-the-network {encoder}", sides, None, count=batch, repeats=4)
        by = "processor" if bench.busy else "wall"
        share = {"share": row[f"times beside {by}"]}
        bench.keep(row, {"share": 0.02}, share, by=by, least=False)


CASES = {
    "pretrained-step": pretrained_step,
    "beside-the-network": beside_the_network,
}

"""The Hybrid step, its images read and its views made, against the bare networks and lightly's."""

from collections.abc import Callable
from typing import Any

from turns import Bench, Peer

from cases import made, steps
from cases.steps import ENCODERS, SIDE, THREADS, make_job
from cases.views import make_store


def make_step(job: Any, galaxies: Any, given: Any) -> Callable[[], None]:
    """One step of a run, from encoded images to the row of its log; `given` has all but images."""
    from dataclasses import replace

    import numpy as np
    import torch

    take = steps.make_step(job, given)

    def step() -> None:
        start = job.progress.step * len(given.ids)
        rows = np.arange(start, start + len(given.ids)) % len(galaxies)
        pixels = galaxies.pixels(rows, job.recipe.images.stored, keep=False)
        take(replace(given, images=torch.from_numpy(pixels)))

    return step


def make_bare(job: Any, batch: int) -> Callable[[], None]:
    """Forward and backward of the encoder for two views, and forward of a second one; no heads."""
    import torch

    from hoag.encoders import create_encoder

    recipe, last = job.recipe, torch.channels_last
    online, target = (
        create_encoder(recipe.encoder.name, **recipe.encoder.options).train().to(memory_format=last)
        for _ in range(2)
    )
    side = recipe.images.size
    views = [torch.rand(batch, 3, side, side).contiguous(memory_format=last) for _ in range(2)]

    def step() -> None:
        (online(views[0]).mean() + online(views[1]).mean()).backward()
        with torch.no_grad():
            target(views[0]), target(views[1])
        for parameter in online.parameters():
            parameter.grad = None

    return step


def hybrid_step(bench: Bench) -> None:
    """Hybrid step from JPEGs in a store, batch of 64 at 128 px, 2 threads; lightly's BYOL."""
    import torch

    bench.use_threads(THREADS)
    torch.manual_seed(0)
    batch, side = bench.size(64, 4), bench.size(SIDE, 32)
    galaxies, _, _ = make_store(bench.folder, 4 * batch, side)
    files = made.native_files(bench.folder / "native", 4 * batch, bench.size(424, 100))
    for encoder in ENCODERS[: bench.size(2, 1)]:
        job = make_job(bench, "hybrid", encoder, batch)
        given = {"encoder": encoder, "files": files, "batch": batch, "size": side}
        bench.compare(
            f"hybrid-step {encoder}",
            {"hoag": make_step(job, galaxies, made.batch(batch, side)),
             "floor": make_bare(job, batch)},
            {"floor": 0.9, "peer": 1.15 if encoder == "resnet18" else 1.6}, count=batch,
            repeats=4,
            peer=lambda given=given: Peer("byol-step", THREADS, workers=2, **given),
        )  # fmt: skip


CASES = {"hybrid-step": hybrid_step}

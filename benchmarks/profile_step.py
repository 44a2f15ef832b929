"""Where the time of a Hybrid step goes: the share of each stage, from encoded images to the log.

    python benchmarks/profile_step.py [--encoders resnet18 efficientnet_b0] [--threads 2]

A batch of 64 galaxies at 128 px, read from a store, without a cache of decoded images. A stage is
timed from its call to its return, which is right on a CPU.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cases import made
from cases.hybrid import make_step
from cases.steps import ENCODERS, SIDE, THREADS, make_job
from cases.views import make_store
from measuring import report
from turns import Bench

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--encoders", nargs="+", default=ENCODERS)
parser.add_argument(
    "--steps", type=int, default=5, help="steps that are timed, after one that is not"
)
parser.add_argument("--threads", type=int, default=THREADS)
parser.add_argument("--tiny", action="store_true", help="as small as can be; numbers mean nothing")


class Stages:
    """Seconds of each stage, wall and processor."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = {}
        self.processor: dict[str, float] = {}

    def watch(self, owner: Any, function: str, stage: str) -> None:
        """Count the time of an object's function, from now on, as that of a stage."""
        work: Callable[..., Any] = getattr(owner, function)

        def watched(*given: Any, **named: Any) -> Any:
            began, spent = time.perf_counter(), time.process_time()
            try:
                return work(*given, **named)
            finally:
                self.add(stage, time.perf_counter() - began, time.process_time() - spent)

        setattr(owner, function, watched)

    def add(self, stage: str, wall: float, processor: float) -> None:
        """Add seconds to a stage."""
        self.wall[stage] = self.wall.get(stage, 0.0) + wall
        self.processor[stage] = self.processor.get(stage, 0.0) + processor


def profile(bench: Bench, encoder: str, steps: int, threads: int) -> list[dict[str, Any]]:
    """Take steps and give a row for each stage."""
    import torch

    torch.set_num_threads(1 if bench.tiny else threads)
    batch, side = bench.size(64, 4), bench.size(SIDE, 32)
    galaxies, _, _ = make_store(bench.folder, 4 * batch, side)
    job = make_job(bench, "hybrid", encoder, batch)
    stages, objective = Stages(), job.objective
    for owner, function, stage in (
        (galaxies, "pixels", "reading and decoding"),
        (objective, "view", "two views"),
        (objective.encoder, "forward", "online encoder, forward"),
        (objective.projector, "forward", "projector and predictor, forward"),
        (objective.predictor, "forward", "projector and predictor, forward"),
        (objective.target, "forward", "target, forward"),
        (objective, "votes_of", "vote head and loss, forward"),
        (job.fabric, "backward", "backward"),
        (job.optimiser, "step", "optimiser"),
        (objective, "after_step", "moving the target"),
    ):
        stages.watch(owner, function, stage)
    step = make_step(job, galaxies, made.batch(batch, side))
    step()
    stages.wall.clear()
    stages.processor.clear()
    began, spent = time.perf_counter(), time.process_time()
    for _ in range(steps):
        step()
    whole = {"wall": time.perf_counter() - began, "processor": time.process_time() - spent}
    known = {"wall": sum(stages.wall.values()), "processor": sum(stages.processor.values())}
    stages.add("the rest", *(whole[unit] - known[unit] for unit in ("wall", "processor")))
    stages.add("the step", whole["wall"], whole["processor"])
    return [
        {
            "encoder": encoder, "stage": stage, "ms": round(1e3 * seconds / steps, 2),
            "share": f"{seconds / whole['wall']:.2%}",
            "share of processor": f"{stages.processor[stage] / whole['processor']:.2%}",
        }
        for stage, seconds in stages.wall.items()
    ]  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    options = parser.parse_args(arguments)
    rows = []
    for encoder in options.encoders:
        with tempfile.TemporaryDirectory(prefix="hoag-profile-") as folder:
            rows += profile(
                Bench(Path(folder), options.tiny), encoder, options.steps, options.threads
            )
    report(rows)


if __name__ == "__main__":
    main()

"""Times a run, shows its bar, writes its rows of metrics and refuses a loss that is no number.

Nobody waits for a GPU: what a step found is sent off with the step and read after the next one.
"""

import math
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hoag.console import bar_class, say
from hoag.distributed import rank
from hoag.errors import HoagError
from hoag.files import write_json
from hoag.objectives import Batch

if TYPE_CHECKING:
    from hoag.fitting import Fit


class Found:
    """Scalars of a step on their way from its device."""

    def __init__(self, result: dict[str, Tensor], step: int, ids: list[str]):
        self.names, self.step, self.ids = list(result), step, ids
        values = torch.stack([value.detach().float() for value in result.values()])
        # One copy, to page-locked memory, behind the step's own work.
        self.values = values.to("cpu", non_blocking=values.is_cuda)
        self.event: Any = None
        if values.is_cuda:
            self.event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self.event.record()

    @property
    def here(self) -> bool:
        """Whether the device is done with the step."""
        return self.event is None or bool(self.event.query())

    def read(self) -> dict[str, float]:
        """Wait for the step and give what it found."""
        if self.event is not None:
            self.event.synchronize()
        return dict(zip(self.names, self.values.tolist(), strict=True))


class Meter:
    """Times a run, shows its bar and writes its rows; the sums it keeps are part of the state."""

    def __init__(self, job: "Fit", batch: int, *, show: bool):
        self.job, self.batch = job, batch
        total = job.recipe.training.steps
        self.bar = bar_class()(
            total=total, initial=job.progress.step, desc=job.recipe.arm, unit=" steps",
            disable=not show, delay=2, mininterval=1.0, leave=False,
        )  # fmt: skip
        self.steps, self.waited, self.worked = 0, 0.0, 0.0
        self.latest: dict[str, float] = {}
        self.under_way: Found | None = None
        self.ids: list[str] = []  # of the batch at work
        self.last = time.perf_counter()

    def timed(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Pass batches on, measuring the time spent waiting for them with an idle device."""
        iterator = iter(batches)
        while True:
            started = time.perf_counter()
            batch = next(iterator, None)
            if batch is None:
                return
            if self.under_way is None or self.under_way.here:
                self.waited += time.perf_counter() - started
            self.ids = batch.ids
            yield batch

    def count(self, result: dict[str, Tensor]) -> None:
        """Take a step's scalars and move the bar."""
        progress = self.job.progress
        found = Found(result, progress.step - 1, self.ids)
        self.settle()  # the step before, which the device is done with or nearly so
        self.under_way = found
        if found.event is None:
            self.settle()
        now = time.perf_counter()
        progress.seconds += now - self.last
        self.worked += now - self.last
        self.last = now
        self.steps += 1
        self.bar.set_postfix_str(
            f"{self.images_per_second:,.0f} galaxies/s, {self.wait_share:.0%} waiting, "
            f"loss {self.latest.get('loss', math.nan):.3f}",
            refresh=False,
        )
        self.bar.update(1)

    def settle(self) -> None:
        """Add the scalars that are under way to the running sums.

        Raises
        ------
        HoagError
            If the loss was not a number.
        """
        if self.under_way is None:
            return
        found, self.under_way = self.under_way, None
        self.latest, sums = found.read(), self.job.progress.sums
        _refuse_nan(self.job, self.latest["loss"], found)
        for name, value in self.latest.items():
            sums[name] = sums.get(name, 0.0) + value
        sums["steps"] = sums.get("steps", 0.0) + 1

    @property
    def images_per_second(self) -> float:
        """Galaxies a second since this process began."""
        return self.steps * self.batch / max(self.worked, 1e-9)

    @property
    def wait_share(self) -> float:
        """Share of the time spent waiting for data."""
        return self.waited / max(self.worked, 1e-9)

    def write_training_row(self) -> None:
        """Write the means since the last row, and start them afresh."""
        self.settle()
        sums = self.job.progress.sums
        steps = sums.pop("steps", 1.0)
        row = {f"train/{name}": total / steps for name, total in sums.items()}
        sums.clear()
        self._write(row)

    def write_validation_row(self, row: dict[str, float]) -> None:
        """Write what a validation found; its time counts as the run's."""
        now = time.perf_counter()
        self.job.progress.seconds += now - self.last
        self.last = now
        self._write(row)

    def _write(self, row: dict[str, float]) -> None:
        progress = self.job.progress
        if rank() == 0:
            self.job.log.write(
                {
                    "step": progress.step,
                    "galaxies_seen": progress.step * self.batch,
                    "seconds": round(progress.seconds, 3),
                    "galaxies_per_second": round(self.images_per_second, 1),
                    "wait_share": round(self.wait_share, 4),
                    **{k: v for k, v in row.items() if math.isfinite(v)},
                }
            )

    def note(self, message: str) -> None:
        """Say something without breaking the bar."""
        if not self.bar.disable:
            self.bar.clear()
            say(f"{self.job.recipe.arm}: {message}")

    def __enter__(self) -> "Meter":
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()


def _refuse_nan(job: "Fit", loss: float, found: Found) -> None:
    if math.isfinite(loss):
        return
    path = job.out / ("nan-batch.json" if rank() == 0 else f"nan-batch-{rank()}.json")
    write_json(path, {"step": found.step, "ids": found.ids})
    shown = ", ".join(found.ids[:3])
    raise HoagError(
        f"{job.out}: the loss is {loss} at step {found.step}, in a batch "
        f"with {shown} and {max(len(found.ids) - 3, 0)} more (all ids in {path.name}); look at "
        "those galaxies, lower optimiser.learning_rate, and go on from last/ with --resume"
    )

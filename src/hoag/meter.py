"""Times a run, shows its progress bar and writes its rows of metrics."""

import math
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from torch import Tensor

from hoag.console import bar_class, say
from hoag.distributed import rank
from hoag.objectives import Batch

if TYPE_CHECKING:
    from hoag.fitting import Fit


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
        self.last = time.perf_counter()

    def timed(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Pass batches on, measuring the time spent waiting for them."""
        iterator = iter(batches)
        while True:
            started = time.perf_counter()
            batch = next(iterator, None)
            if batch is None:
                return
            self.waited += time.perf_counter() - started
            yield batch

    def count(self, result: dict[str, Tensor]) -> None:
        """Add a step's scalars to the running sums and move the bar."""
        sums, progress = self.job.progress.sums, self.job.progress
        self.latest = {name: float(value) for name, value in result.items()}
        for name, value in self.latest.items():
            sums[name] = sums.get(name, 0.0) + value
        sums["steps"] = sums.get("steps", 0.0) + 1
        now = time.perf_counter()
        progress.seconds += now - self.last
        self.worked += now - self.last
        self.last = now
        self.steps += 1
        self.bar.set_postfix_str(
            f"{self.images_per_second:,.0f} galaxies/s, {self.wait_share:.0%} waiting, "
            f"loss {self.latest['loss']:.3f}",
            refresh=False,
        )
        self.bar.update(1)

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

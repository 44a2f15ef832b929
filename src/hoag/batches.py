"""Which galaxies each step sees: a function of the seed and the step alone, then their pixels.

Nothing is carried from step to step, so a run can be resumed, or spread over processes, at any step
and sees the same galaxies: every process plans the whole batch and takes its own share.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader

from hoag.errors import HoagError
from hoag.galaxies import Galaxies
from hoag.objectives import Batch
from hoag.recipe import BatchSettings

Indices = npt.NDArray[np.int64]


class Stream:
    """An endless sequence of galaxies: one keyed permutation of `members` after another.

    The order depends on the galaxies' ids and the seed, never on their rows.
    """

    def __init__(self, members: Indices, keys: npt.NDArray[np.uint64], seed: int, name: str):
        order = np.argsort(keys[members], kind="stable")
        self.members = members[order]
        self.seed = [seed, *name.encode()]
        self._epoch, self._permutation = -1, members

    def take(self, start: int, count: int) -> Indices:
        """Give the galaxies at positions start, ..., start + count - 1; (count,) int64."""
        taken = []
        while count > 0:
            epoch, offset = divmod(start, len(self.members))
            part = self._permuted(epoch)[offset : offset + count]
            taken.append(part)
            start, count = start + len(part), count - len(part)
        return np.concatenate(taken) if taken else np.zeros(0, np.int64)

    def _permuted(self, epoch: int) -> Indices:
        if epoch != self._epoch:
            generator = np.random.default_rng([*self.seed, epoch])
            self._epoch, self._permutation = epoch, generator.permutation(self.members)
        return self._permutation


class Plan:
    """Plan the batches of a run over `galaxies`.

    Streams are mixed in fixed shares: by step t a stream has given floor(share * batch * t)
    galaxies and the largest stream the rest, so that the shares hold exactly over time, and in
    each batch within one galaxy (for the largest stream, within one for each other stream).

    Raises
    ------
    HoagError
        If a share is asked for of which there are no galaxies.
    """

    def __init__(self, galaxies: Galaxies, settings: BatchSettings, seed: int):
        self.size = min(settings.size, len(galaxies))
        parts = sorted(_parts(galaxies, settings), key=lambda part: part[2])
        self.streams = [Stream(m, galaxies.keys, seed, name) for name, m, _ in parts]
        self.shares = [share for _, _, share in parts]
        if self.size < len(parts):
            raise HoagError(
                f"batch.size = {self.size} is too small for {len(parts)} kinds of galaxy"
            )

    def __call__(self, step: int) -> Indices:
        """Rows of the galaxies of `step`; (size,) int64."""
        before, after = self._given(step), self._given(step + 1)
        return np.concatenate(
            [s.take(a, b - a) for s, a, b in zip(self.streams, before, after, strict=True)]
        )

    def _given(self, step: int) -> list[int]:
        """How many galaxies each stream has given before `step`."""
        given = [int(share * self.size * step + 1e-9) for share in self.shares[:-1]]
        return [*given, self.size * step - sum(given)]


def _parts(galaxies: Galaxies, settings: BatchSettings) -> list[tuple[str, Indices, float]]:
    """Split the galaxies in named parts, each with its share of a batch."""
    everyone = np.arange(len(galaxies))
    if settings.labelled_fraction < 0 and settings.campaign_mix == "shuffled":
        return [("all", everyone, 1.0)]
    labelled = galaxies.labelled
    natural = float(labelled.mean())
    fraction = natural if settings.labelled_fraction < 0 else settings.labelled_fraction
    for share, has, word in (
        (fraction, labelled.any(), "with votes"),
        (1 - fraction, (~labelled).any(), "without votes"),
    ):
        if share > 0 and not has:
            raise HoagError(
                f"batch.labelled_fraction = {fraction:g} asks for galaxies {word}, "
                "and there are none"
            )
    parts = [("unlabelled", everyone[~labelled], 1 - fraction)] if fraction < 1 else []
    if fraction > 0 and settings.campaign_mix == "shuffled":
        parts.append(("labelled", everyone[labelled], fraction))
    elif fraction > 0:
        campaigns, counts = np.unique(galaxies.campaign[labelled], return_counts=True)
        equal = settings.campaign_mix == "equal"
        shares = np.full(len(campaigns), 1 / len(campaigns)) if equal else counts / counts.sum()
        for name, share in zip(campaigns, shares, strict=True):
            members = everyone[labelled & (galaxies.campaign == name)]
            parts.append((f"labelled {name}", members, fraction * float(share)))
    return parts


@dataclass
class PlannedRows:
    """The rows this process takes at each step from `start` to `stop`: a torch batch sampler."""

    plan: Plan
    start: int
    stop: int
    rank: int = 0
    world: int = 1

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for step in range(self.start, self.stop):
            yield [(step, int(row)) for row in self.plan(step)[self.rank :: self.world]]

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass
class BatchSource:
    """A torch data set that answers rows with whole batches, decoded together."""

    galaxies: Galaxies
    stored: int
    seed: int
    labels: npt.NDArray[Any] | None = None
    keep: bool = True

    def __getitems__(self, rows: list[tuple[int, int]]) -> Batch:
        return make_batch(
            self.galaxies, np.array([row for _, row in rows]), self.stored,
            seed=self.seed, step=rows[0][0], labels=self.labels, keep=self.keep,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.galaxies)


def make_batch(
    galaxies: Galaxies,
    rows: Indices,
    stored: int,
    *,
    seed: int,
    step: int,
    labels: npt.NDArray[Any] | None = None,
    keep: bool = True,
) -> Batch:
    """Read one batch: pixels (batch, 3, stored, stored) uint8, keys, votes and labels."""
    return Batch(
        images=torch.from_numpy(galaxies.pixels(rows, stored, keep=keep)),
        keys=torch.from_numpy(galaxies.keys[rows].view(np.int64).copy()),
        votes=torch.from_numpy(galaxies.votes_of(rows)),
        labels=None if labels is None else torch.from_numpy(labels[rows]),
        ids=galaxies.ids_of(rows),
        seed=seed,
        step=step,
    )


def _whole(batch: Any) -> Any:
    return batch  # already a batch: see BatchSource


@dataclass
class RowsInOrder:
    """All rows of a set in order, `size` at a time; processes take turns by chunk."""

    count: int
    size: int
    rank: int = 0
    world: int = 1

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for start in range(self.size * self.rank, self.count, self.size * self.world):
            yield [(0, row) for row in range(start, min(start + self.size, self.count))]

    def __len__(self) -> int:
        return len(range(self.size * self.rank, self.count, self.size * self.world))


def load_batches(
    source: BatchSource, rows: PlannedRows | RowsInOrder, *, workers: int, pin: bool
) -> Any:
    """Iterate over the batches of `rows`, read ahead by `workers` processes (0: this one)."""
    return DataLoader(
        source,  # type: ignore[arg-type]
        batch_sampler=rows,
        num_workers=workers,
        collate_fn=_whole,
        pin_memory=pin,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
        generator=torch.Generator().manual_seed(0),  # never the global stream
    )


def in_chunks(
    galaxies: Galaxies,
    stored: int,
    *,
    size: int,
    seed: int = 0,
    labels: npt.NDArray[Any] | None = None,
    rank: int = 0,
    world: int = 1,
    keep: bool = True,
    workers: int = 0,
    pin: bool = False,
) -> Iterator[Batch]:
    """Go through all galaxies once in order, `size` at a time; processes take turns by chunk.

    Where `workers` is given they read ahead; `pin` as in `load_batches`.
    """
    if workers or pin:
        galaxies.prepare(stored if keep else None)  # before processes start, which share it
        source = BatchSource(galaxies, stored, seed, labels, keep)
        chunks = RowsInOrder(len(galaxies), size, rank, world)
        yield from load_batches(source, chunks, workers=workers, pin=pin)
        return
    starts = range(0, len(galaxies), size)
    for start in starts[rank::world]:
        rows = np.arange(start, min(start + size, len(galaxies)))
        yield make_batch(galaxies, rows, stored, seed=seed, step=0, labels=labels, keep=keep)

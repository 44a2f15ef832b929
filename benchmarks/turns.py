"""Sides of a comparison that take turns: hoag, the physical floor, a peer in its own environment.

Turns are interleaved, so that all sides meet the same machine, and ratios are the median over
rounds. Wall time and processor time (that of finished child processes included) are both kept:
on a shared machine only the second means much.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PEERS = Path(__file__).parent / ".peers"
PYTHON = PEERS / "bin" / "python"


def processor_time() -> float:
    """Processor seconds of this process and of its children that have ended."""
    parts = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(r.ru_utime + r.ru_stime for r in map(resource.getrusage, parts))


class Absent(Exception):
    """What a case needs is not at hand; its rows stand unmeasured."""


class Peer:
    """A side run by the peers' Python (see peer_sides.py): a turn is a line asked and answered."""

    def __init__(self, side: str, threads: int, **given: Any):
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": ""}
        script = Path(__file__).with_name("peer_sides.py")
        self.process = subprocess.Popen(
            [PYTHON, script, side, json.dumps(given | {"threads": threads}, default=str)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        self.said = self._read()

    def turn(self) -> tuple[float, float]:
        """Let it do its work once; gives its wall and processor seconds."""
        assert self.process.stdin is not None
        self.process.stdin.write("turn\n")
        self.process.stdin.flush()
        found = self._read()
        return found["wall"], found["processor"]

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the peer ended with status {self.process.wait()}: see above")
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()


@dataclass
class Bench:
    """What all cases are given, and what they found.

    Attributes
    ----------
    folder
        For files; temporary.
    tiny
        As small as can be, for CI; the numbers then mean nothing.
    repeats
        Rounds of turns, beside one that is not counted.
    busy
        Judge by processor time where wall time is meant: other work is on the machine.
    """

    folder: Path
    tiny: bool = False
    repeats: int = 7
    busy: bool = False
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def peers(self) -> bool:
        """Whether the peers' environment is there."""
        return PYTHON.exists() and not self.tiny

    def use_threads(self, count: int) -> None:
        """Let torch work with so many threads, and memory be kept, as hoag's own commands do."""
        import torch

        from hoag.memory import keep_freed_memory

        keep_freed_memory()
        torch.set_num_threads(1 if self.tiny else count)

    def size(self, full: int, tiny: int) -> int:
        """Give one of two sizes."""
        return tiny if self.tiny else full

    def compare(
        self, case: str, sides: dict[str, Callable[[], object]], asks: dict[str, float] | None, *,
        count: int = 1, peer: Callable[[], Peer] | None = None, repeats: int | None = None,
        by: str = "wall", warm: bool = True, **more: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """Let sides take turns; keep and give the row of what was found.

        Parameters
        ----------
        sides
            What to do in a turn, by name: "hoag", perhaps "floor", and others to be shown.
        asks
            How many times as fast as a side hoag must be, by its name; as "floor": 0.95. None:
            the row is not kept, as the caller has more to add.
        count
            Galaxies of a turn.
        peer
            Starts the side "peer", if the peers are there.
        by
            What is judged: "wall" or "processor" time.
        warm
            Whether a first round is not counted.
        more
            Further columns.
        """
        started = peer() if peer is not None and self.peers else None
        wall: dict[str, list[float]] = {name: [] for name in sides}
        spent: dict[str, list[float]] = {name: [] for name in sides}
        try:
            for round_ in range(not warm, 1 + (1 if self.tiny else repeats or self.repeats)):
                for name, work in sides.items():
                    before, began = processor_time(), time.perf_counter()
                    work()
                    took = time.perf_counter() - began, processor_time() - before
                    if round_:
                        wall[name].append(took[0])
                        spent[name].append(took[1])
                if started is not None:
                    took = started.turn()
                    if round_:
                        wall.setdefault("peer", []).append(took[0])
                        spent.setdefault("peer", []).append(took[1])
        finally:
            if started is not None:
                started.close()
        by = "processor" if self.busy else by
        row: dict[str, Any] = {"case": case}
        for times, unit in ((wall, "wall"), (spent, "processor")):
            for name, seconds in times.items():
                row[f"{name} ms {unit}"] = round(1e3 * statistics.median(seconds), 3)
                if name != "hoag":
                    pairs = zip(seconds, times["hoag"], strict=True)
                    row[f"times {name} {unit}"] = round(
                        statistics.median(theirs / max(ours, 1e-9) for theirs, ours in pairs), 3
                    )
        row |= {"galaxies": count, "galaxies/s": round(count / row["hoag ms wall"] * 1e3, 1)}
        if peer is not None and started is None:
            row["peer"] = "not measured: python benchmarks/peers.py install"
        if asks is None:
            return row | more
        found = {name: row.get(f"times {name} {by}") for name in asks}
        return self.keep(row | more, asks, found, by=by)

    def keep(
        self, row: dict[str, Any], asks: dict[str, float], found: dict[str, float | None],
        *, by: str = "wall", least: bool = True,
    ) -> dict[str, Any]:  # fmt: skip
        """Keep a row with what was asked, what was found, and whether that is enough."""
        known = {name: value for name, value in found.items() if value is not None}
        reached = {n: (v >= asks[n]) == least or v == asks[n] for n, v in known.items()}
        row = row | {
            "asked": asks, "found": known, "by": by, "reached": reached, "load": os.getloadavg()[0]
        }  # fmt: skip
        self.rows.append(row)
        print(line(row), file=sys.stderr, flush=True)
        return row


def line(row: dict[str, Any]) -> str:
    """Say what a row found, on one line."""
    parts = [
        f"{name} {row['found'][name]:g} of {ask:g}{'' if row['reached'][name] else ' MISSED'}"
        if name in row["found"]
        else f"{name} not measured"
        for name, ask in row["asked"].items()
    ]
    return f"{row['case']}: {', '.join(parts)}, by {row['by']}"

"""What the benchmarks share: steps run in fresh processes, with their time and peak memory."""

import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hoag.provenance import commit, machine


def peak_memory() -> int:
    """Most memory this process has held so far, mapped files included, in bytes."""
    # Not getrusage: after fork and exec its number is the parent's.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not say how much memory was held")


class Memory(threading.Thread):
    """Watches the memory of a process and all that come from it."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self.pid, self.peak, self.anonymous = pid, 0, 0

    def run(self) -> None:
        while Path(f"/proc/{self.pid}").exists():
            held = [_memory(pid) for pid in _tree(self.pid)]
            self.peak = max(self.peak, sum(pss for pss, _ in held))
            self.anonymous = max(self.anonymous, sum(own for _, own in held))
            time.sleep(0.1)


def _tree(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(c) for t in tasks for c in (t / "children").read_text().split()]
    except OSError:
        return []
    return [pid, *(below for child in children for below in _tree(child))]


def _memory(pid: int) -> tuple[int, int]:
    """Memory of a process, its share of shared pages included, and what of it is no file."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0, 0
    found = dict(line.split()[:2] for line in text.splitlines()[1:])
    return int(found["Pss:"]) * 1024, int(found.get("Pss_Anon:", 0)) * 1024


def processor_seconds() -> float:
    """Time of the processor that ended children of this process have taken, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def in_fresh_process(script: str, step: str, *arguments: object) -> dict[str, Any]:
    """Run one step of a benchmark script alone; gives what it found and the whole time it took."""
    command = [sys.executable, script, "--step", step, *map(str, arguments)]
    started = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return found | {"process_seconds": round(time.perf_counter() - started, 3)}


def run_step(step: Callable[..., dict[str, Any]], *arguments: str) -> None:
    """Do one step in this process and print what it found."""
    found = step(*arguments)
    print(json.dumps(found | {"peak_mb": round(peak_memory() / 1e6, 1)}))


def report(rows: list[dict[str, Any]]) -> None:
    """Print what was measured as a table, then as JSON with commit and machine."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([str(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(len(line[k]) for line in cells) for k in range(len(names))]
    for line in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
    print(json.dumps({"commit": commit(), "machine": machine(), "rows": rows}))

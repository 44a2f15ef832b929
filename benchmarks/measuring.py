"""What the benchmarks share: steps run in fresh processes, with their time and peak memory."""

import json
import subprocess
import sys
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

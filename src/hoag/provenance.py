"""Where a result comes from: the version, commit, command and machine that every output records."""

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hoag._version import __version__


@cache
def commit() -> str | None:
    """Commit of the checkout hoag runs from ("-dirty" if changed), None when installed."""
    folder = Path(__file__).resolve().parent
    if not (folder.parents[1] / ".git").exists():
        return None
    git = ["git", "-C", str(folder)]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10
        )
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no", "--", str(folder)],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if head.returncode != 0:
        return None
    return head.stdout.strip() + ("-dirty" if changed.stdout.strip() else "")


def command() -> str:
    """Give the command line of this process as it could be typed again."""
    return shlex.join([Path(sys.argv[0]).name or "python", *sys.argv[1:]])


def cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """Describe this machine: system, processor count, Python."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": cores(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def package_version(name: str) -> str | None:
    """Version of an installed package, None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def stamp(*, seed: int | None = None, schema_hash: str | None = None) -> dict[str, Any]:
    """Make the record every output carries: hoag's version and commit, seed, schema hash."""
    return {"hoag": __version__, "commit": commit(), "seed": seed, "schema_hash": schema_hash}


def full_stamp(*, seed: int | None = None, schema_hash: str | None = None) -> dict[str, Any]:
    """Make the longer record that runs and results carry: `stamp`, command, machine and time."""
    libraries = ("torch", "timm", "lightning", "numpy", "scikit-learn")
    return {
        **stamp(seed=seed, schema_hash=schema_hash),
        "command": command(),
        "machine": machine(),
        "libraries": {name: package_version(name) for name in libraries},
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }

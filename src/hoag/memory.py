"""How much memory this process may still take, the machine's or its container's; and keeping it."""

import ctypes
import os
import sys
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of malloc.h


def available_memory() -> int:
    """Bytes that can be allocated without swapping, within the control group's limit."""
    return max(0, min(_machine(), _container()))


def keep_freed_memory() -> None:
    """Let this process keep what it frees for what it asks for next (glibc's malloc, so Linux).

    A training step on a CPU asks for gigabytes and frees them. Large pieces would go back to the
    system each time, which fills new pages with zeros before it gives them: a third of a step of
    EfficientNet-B0. Nothing changes but the time, and that memory is held to the end.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, -1)


def _machine() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:  # macOS says only how much is built in; half of it is a fair guess of what is free
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (ValueError, OSError, AttributeError):
        return 4 << 30


def _container() -> int:
    for folder, limit, used, cache in (
        (_CGROUP, "memory.max", "memory.current", "inactive_file"),
        (
            _CGROUP / "memory",
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "total_inactive_file",
        ),
    ):
        try:
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            # Cached files count as used, but are given up when memory is asked for.
            busy = int((folder / used).read_text()) - int(stat.get(cache, 0))
            return int((folder / limit).read_text()) - busy
        except (OSError, ValueError):  # absent, or "max"
            continue
    return 1 << 62


def in_words(size: int | float) -> str:
    """Say a number of bytes: "820 MB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(size) < 1000:
            return f"{size:.3g} {unit}" if unit != "bytes" else f"{size:.0f} bytes"
        size /= 1000
    return f"{size:.3g} TB"

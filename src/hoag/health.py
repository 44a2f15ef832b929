"""What `hoag doctor` looks at: versions, devices, cores, memory, disk, and what is wrong there."""

import importlib
import importlib.metadata
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hoag._version import __version__
from hoag.console import progress
from hoag.provenance import commit, machine

_IMPORT_NAMES = {"pillow": "PIL", "scikit-learn": "sklearn"}
_GIGABYTE = 1e9
_WANTED_MEMORY = 6.0  # GB, what `hoag demo` may use
_WANTED_DISK = 2.0  # GB, room for a demo and its report


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    what
        What was looked at, "torch" or "disk here".
    found
        What was found, in a few words.
    warning
        What is wrong with it and what to do, one sentence; empty if nothing is.
    """

    what: str
    found: str
    warning: str = ""


def examine(folder: str | Path = ".") -> list[Finding]:
    """Look at everything hoag needs on this machine; takes some seconds, as it imports all of it.

    Parameters
    ----------
    folder
        Where results would be written, whose disk is measured.

    Returns
    -------
    list of Finding
        In reading order. Those with a `warning` need attention; `describe` makes lines of them.
    """
    return [
        _hoag(),
        _python(),
        *_libraries(),
        *_devices(),
        _cores(),
        _memory(),
        _disk("disk here", Path(folder), _WANTED_DISK),
        _disk("disk for temporary", Path(tempfile.gettempdir()), 0.5),
        *_shared_memory(),
    ]


def describe(findings: Iterable[Finding]) -> str:
    """Write findings as aligned lines, warnings marked "!" below what they are about.

    Returns
    -------
    str
        Lines without a line break at the end; the last one says whether anything needs attention.
    """
    findings = list(findings)
    width = max((len(finding.what) for finding in findings), default=0) + 2
    lines = []
    for finding in findings:
        lines.append(f"{finding.what:<{width}}{finding.found}".rstrip())
        if finding.warning:
            lines.append(f"{'':{width}}! {finding.warning}")
    troubled = [finding.what for finding in findings if finding.warning]
    verdict = f"Needs attention: {', '.join(troubled)}." if troubled else "Nothing is wrong."
    return "\n".join([*lines, "", verdict])


def _hoag() -> Finding:
    at = commit()
    return Finding("hoag", f"{__version__}{f', commit {at}' if at else ''}")


def _python() -> Finding:
    return Finding("python", f"{machine()['python']}, {machine()['system']}")


def _libraries() -> list[Finding]:
    try:
        needs = importlib.metadata.requires("hoag") or []
    except importlib.metadata.PackageNotFoundError:
        return [Finding("libraries", "unknown", "hoag is not installed here; run pip install .")]
    needs = sorted(need for need in needs if "extra ==" not in need)
    return [_library(need) for need in progress(needs, "importing libraries")]


def _library(need: str) -> Finding:
    # `need` is a requirement as in pyproject, "torch>=2.6".
    match = re.match(r"([\w.-]+)\s*(?:>=\s*([\w.]+))?", need)
    assert match is not None
    name, least = match[1], match[2]
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "missing", f"install it with: pip install '{need}'")
    problem = _import_problem(_IMPORT_NAMES.get(name, name.replace("-", "_")))
    if problem:
        again = f"pip install --force-reinstall {name}"
        if name == "torchvision":
            again = "pip install --upgrade torch torchvision (their versions must fit together)"
        return Finding(name, version, f"it cannot be imported ({problem}); try: {again}")
    if least and _numbers(version) < _numbers(least):
        return Finding(name, version, f"hoag needs {least} or newer; pip install '{need}'")
    return Finding(name, version)


def _import_problem(module: str) -> str:
    # A broken library fails in many ways, from ImportError to an OSError for a missing .so and
    # torchvision's RuntimeError about torch's operators; all are what the doctor is asked about.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(module)
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        return f"{type(error).__name__}: {first[:120]}"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.split("+")[0])[:3])


def _devices() -> list[Finding]:
    if _import_problem("torch"):
        return [Finding("devices", "unknown", "torch cannot be imported, see above")]
    import torch

    return [
        Finding("cpu", f"{machine()['processor']}, torch uses {torch.get_num_threads()} threads"),
        *_cuda(torch),
        *_mps(torch),
    ]


def _cuda(torch: Any) -> list[Finding]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if available:
        return [_cuda_device(torch, n) for n in range(torch.cuda.device_count())]
    if shutil.which("nvidia-smi") is None:
        return [Finding("cuda", "no")]
    if torch.version.cuda is None:
        reason = "this torch is built without CUDA; install a CUDA build from pytorch.org"
    else:
        told = str(said[0].message).splitlines()[0][:120] if said else "no reason given"
        reason = f"torch for CUDA {torch.version.cuda} cannot use the driver ({told}); update it"
    return [Finding("cuda", "no", f"nvidia-smi is here, but {reason}")]


def _cuda_device(torch: Any, number: int) -> Finding:
    facts = torch.cuda.get_device_properties(number)
    found = f"{facts.name}, {facts.total_memory / _GIGABYTE:.0f} GB, CUDA {torch.version.cuda}"
    try:
        torch.ones(2, device=f"cuda:{number}").sum().item()
    except RuntimeError as error:
        problem = str(error).splitlines()[0][:120]
        return Finding(f"cuda:{number}", found, f"it does not compute ({problem}); use another")
    return Finding(f"cuda:{number}", found)


def _mps(torch: Any) -> list[Finding]:
    if not torch.backends.mps.is_built():
        return []
    if not torch.backends.mps.is_available():
        return [Finding("mps", "no, it needs macOS 12.3 and an Apple or AMD GPU")]
    lacking = ", ".join(_lacking(_operations(torch, "mps")))
    found = "yes, without float64"
    if not lacking:
        return [Finding("mps", found)]
    if os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK") == "1":
        return [Finding("mps", f"{found}; run on the CPU instead: {lacking}")]
    advice = "set PYTORCH_ENABLE_MPS_FALLBACK=1 and the CPU does it, or use --device cpu"
    return [Finding("mps", found, f"it lacks {lacking}; {advice}")]


def _operations(torch: Any, device: str) -> dict[str, Callable[[], Any]]:
    # Each operation hoag relies on that some version of torch lacked on MPS.
    def ones(*shape: int) -> Any:
        return torch.ones(*shape, device=device)

    def autocast() -> Any:
        with torch.autocast(device, dtype=torch.float16):
            return ones(2, 2) @ ones(2, 2)

    return {
        "lgamma": lambda: torch.lgamma(ones(2)),
        "digamma": lambda: torch.digamma(ones(2)),
        "64-bit integer shifts": lambda: (ones(2).long() << 40) >> 3,
        "grid_sample": lambda: torch.nn.functional.grid_sample(
            ones(1, 1, 2, 2), ones(1, 2, 2, 2), align_corners=False
        ),
        "grid_sample with reflection": lambda: torch.nn.functional.grid_sample(
            ones(1, 1, 2, 2), ones(1, 2, 2, 2), padding_mode="reflection", align_corners=False
        ),
        "antialiased resize": lambda: torch.nn.functional.interpolate(
            ones(1, 1, 4, 4), (2, 2), mode="bilinear", antialias=True
        ),
        "float16 autocast": autocast,
    }


def _lacking(operations: dict[str, Callable[[], Any]]) -> list[str]:
    lacking = []
    for name, operation in operations.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # torch warns when it falls back to the CPU
                operation()
        except (NotImplementedError, RuntimeError, TypeError, UserWarning):
            lacking.append(name)
    return lacking


def _cores() -> Finding:
    cores = machine()["cores"] or 1
    limit = _first_numbers("/sys/fs/cgroup/cpu.max")
    if len(limit) == 2 and limit[0] / limit[1] < cores:
        return Finding("cores", f"{cores}, of which a limit allows {limit[0] / limit[1]:.1f}")
    return Finding("cores", str(cores))


def _memory() -> Finding:
    total = _physical_memory()
    if total is None:
        return Finding("memory", "unknown")
    limits = _first_numbers("/sys/fs/cgroup/memory.max")
    total = min([total, *limits]) / _GIGABYTE
    found = f"{total:.1f} GB"
    if total < _WANTED_MEMORY:
        return Finding("memory", found, f"hoag demo may use {_WANTED_MEMORY:.0f} GB and be stopped")
    return Finding("memory", found)


def _physical_memory() -> float | None:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return None


def _first_numbers(path: str) -> list[float]:
    # A control group's limit file holds numbers, or "max" where there is none.
    try:
        words = Path(path).read_text().split()
    except OSError:
        return []
    return [float(word) for word in words if word.isdigit()]


def _disk(what: str, folder: Path, wanted: float) -> Finding:
    try:
        free = shutil.disk_usage(folder).free / _GIGABYTE
    except OSError as error:
        return Finding(what, str(folder), f"it cannot be looked at ({error.strerror})")
    found = f"{free:.1f} GB free at {folder.resolve()}"
    if not os.access(folder, os.W_OK):
        return Finding(what, found, "it cannot be written; choose another place with --out")
    if free < wanted:
        return Finding(what, found, f"less than {wanted} GB are free; make room or go elsewhere")
    return Finding(what, found)


def _shared_memory(place: Path = Path("/dev/shm")) -> Iterable[Finding]:
    return [_disk("shared memory", place, 0.25)] if place.is_dir() else []

"""Run one case of the benchmarks or all, and print a table and the same as JSON.

    python benchmarks/run.py vote-loss
    python benchmarks/run.py all --out results.json
    python benchmarks/run.py table results.json      write the table of README.md
    python benchmarks/run.py add results.json        put rows into it, and leave the others

Peers take part once `python benchmarks/peers.py install` has made their environment.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from table import add_to_table, text_of, write_table
from turns import Absent, Bench

from hoag.provenance import commit, machine, package_version

FAMILIES = (
    "loss", "views", "steps", "hybrid", "catalogues", "search", "start", "growth", "probe", "gpu",
)  # fmt: skip
README = Path(__file__).with_name("README.md")

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("case", help="a case, all, list, table or add")
parser.add_argument("results", nargs="*", help="JSON files that the table is written from")
parser.add_argument("--out", help="JSON file that the results are written to")
parser.add_argument("--tiny", action="store_true", help="as small as can be; numbers mean nothing")
parser.add_argument("--busy", action="store_true", help="judge by processor time")
parser.add_argument("--repeats", type=int, default=7, help="rounds of turns")


def cases() -> dict[str, Any]:
    """Find all cases by name."""
    found: dict[str, Any] = {}
    for family in FAMILIES:
        found |= import_module(f"cases.{family}").CASES
    return found


def measure(chosen: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Run cases; one that fails is told of and does not stop the others, nor lose their results."""
    libraries = {name: package_version(name) for name in ("torch", "timm", "numpy", "scikit-learn")}
    found: dict[str, Any] = {
        "command": f"python benchmarks/run.py {' '.join(sys.argv[1:])}", "commit": commit(),
        "machine": machine(), "libraries": libraries, "load before": os.getloadavg(),
        "load after": None, "failed": {}, "rows": [],
    }  # fmt: skip
    for name, case in chosen.items():
        with tempfile.TemporaryDirectory(prefix="hoag-benchmark-") as folder:
            bench = Bench(Path(folder), options.tiny, options.repeats, options.busy)
            started = time.perf_counter()
            try:
                case(bench)
            except Absent as error:
                found["absent"] = f"{name}: {error}"
                print(found["absent"], file=sys.stderr)
            except (Exception, SystemExit) as error:
                if len(chosen) == 1:
                    raise
                found["failed"][name] = f"{type(error).__name__}: {error}"
                print(f"{name} failed: {found['failed'][name]}", file=sys.stderr)
            print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
        found["rows"] += bench.rows
        found["load after"] = os.getloadavg()
        if options.out:
            Path(options.out).write_text(json.dumps(found, indent=1) + "\n")
    return found


def main() -> None:
    options = parser.parse_args()
    known = cases()
    if options.case == "list":
        for name, case in known.items():
            print(f"{name:<24}{(case.__doc__ or '').strip().splitlines()[0]}")
        return
    if options.case in ("table", "add"):
        write = write_table if options.case == "table" else add_to_table
        write(README, [json.loads(Path(path).read_text()) for path in options.results])
        return
    if options.case != "all" and options.case not in known:
        raise SystemExit(f"no case {options.case!r}; there are {', '.join(known)}, all")
    chosen = known if options.case == "all" else {options.case: known[options.case]}
    found = measure(chosen, options)
    if "absent" in found and len(chosen) == 1:
        raise SystemExit(1)
    print(text_of([found]))
    print(json.dumps(found))
    if found["failed"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

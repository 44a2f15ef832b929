"""How long `hoag --help` and `import hoag` take beyond Python's own start."""

import subprocess
import sys

from turns import Bench

HELP = "import sys; sys.argv = ['hoag', '--help']; from hoag.cli import main; main()"


def start(bench: Bench) -> None:
    """Seconds that `hoag --help` and `import hoag` take above Python's start."""

    def run(code: str) -> None:
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)

    for name, code, limit in (("hoag --help", HELP, 0.4), ("import hoag", "import hoag", 0.2)):
        row = bench.compare(
            name, {"hoag": lambda code=code: run(code), "floor": lambda: run("pass")}, None,
            repeats=11,
        )  # fmt: skip
        by = "processor" if bench.busy else "wall"
        above = (row[f"hoag ms {by}"] - row[f"floor ms {by}"]) / 1e3
        bench.keep(row, {"seconds above": limit}, {"seconds above": round(above, 3)}, by=by,
                   least=False)  # fmt: skip


CASES = {"start": start}

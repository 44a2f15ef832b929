"""Run the notebooks of this folder again, in place: ``make notebooks``.

Each runs in an empty folder of its own, in the Python that runs this file, and one that fails is
left as it was. What differs from run to run is not kept: times, the kernel's name and place, and
standard error, where hoag says what it does and draws progress bars. Warnings are errors.
"""

import asyncio
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

HERE = Path(__file__).parent
# What every kernel does before the first cell; and where it computes, so that numbers stay alike.
STRICT = """
import warnings
warnings.simplefilter("error")
warnings.filterwarnings("ignore", module="ipykernel")
"""
ALIKE = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}


class OwnKernel(AsyncKernelManager):
    """Starts the kernel in this very Python, whether or not Jupyter knows of it."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """How to start it."""
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        command += ["--log-level=ERROR"]
        return KernelSpec(argv=command, display_name="Python 3", language="python")


def executed(path: Path, folder: Path, timeout: int = 300) -> nbformat.NotebookNode:
    """Run a notebook in a folder, and give it with its outputs, without what differs by run."""
    notebook = nbformat.read(path, as_version=4)
    with _quiet():
        client = NotebookClient(
            notebook, timeout=timeout, kernel_manager_class=OwnKernel,
            resources={"metadata": {"path": str(folder)}}, record_timing=False,
            coalesce_streams=True,
        )  # fmt: skip
        asyncio.run(_execute(client))
    return plain(notebook)


async def _execute(client: NotebookClient) -> None:
    async with client.async_setup_kernel(env={**os.environ, **ALIKE}):
        reply = await client.kc.execute_interactive(STRICT, store_history=False, timeout=60)
        assert reply["content"]["status"] == "ok", reply
        for number, cell in enumerate(client.nb.cells):
            await client.async_execute_cell(cell, number)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave Jupyter's own warnings alone, which are none of the notebooks'."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(zmq|jupyter_client|nbclient|tornado|traitlets)")
        yield


def plain(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Take out what differs from run to run, and what says where it ran."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells):
        cell.metadata, cell.id = {}, f"cell-{number}"
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
            for output in cell.outputs:
                data = output.get("data", {})
                if "text/html" in data:  # astropy numbers its tables by their place in memory
                    data["text/html"] = re.sub(r' id="table\d+"', "", data["text/html"])
    return notebook


def main() -> None:
    """Run them all."""
    for path in sorted(HERE.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            notebook = executed(path, Path(folder))
        nbformat.write(notebook, path)
        print(path.name, f"{path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

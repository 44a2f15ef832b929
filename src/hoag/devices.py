"""Where training runs: CPU, CUDA or Apple's MPS, one process or many, through Lightning Fabric."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist

from hoag.console import say
from hoag.errors import HoagError
from hoag.memory import keep_freed_memory
from hoag.provenance import cores
from hoag.recipe import Recipe

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(device: str = "auto") -> torch.device:
    """Choose a device by name; "auto" is CUDA, else MPS, else the CPU.

    Raises
    ------
    HoagError
        If the name is unknown or this machine has no such device.
    """
    if device not in DEVICES:
        raise HoagError(f"device {device!r} must be one of {', '.join(DEVICES)}")
    has = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if device == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if has[name])
    if not has[device]:
        raise HoagError(
            f"device {device!r} is not there (hoag doctor lists what is); use --device auto"
        )
    if device == "mps" and os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1") == "1":
        say("device mps: operations that Apple's MPS lacks fall back to the CPU")
    return torch.device(device)


def lay_out(network: torch.nn.Module, device: torch.device) -> None:
    """Lay a network's weights out in place as the device works quickest.

    Convolutions are quicker, depthwise ones twice, with a pixel's channels side by side.
    """
    if device.type in ("cpu", "cuda"):
        network.to(memory_format=torch.channels_last)


@contextmanager
def make_fabric(recipe: Recipe, device: str) -> Iterator[Any]:
    """Start Lightning Fabric for this process, alone or as one of torchrun's or Slurm's.

    Without a launcher one device is used: ``torchrun --nproc-per-node 2 -m hoag train ...`` takes
    two. The process group, if one was started, ends with the block.
    """
    from lightning.fabric import Fabric

    # Lightning tells of its precision plugins and seeds at length; our own lines say what matters.
    logging.getLogger("lightning").setLevel(logging.WARNING)
    chosen = choose_device(device)
    if chosen.type == "cpu":
        keep_freed_memory()
    local, nodes = _processes()
    started = not (dist.is_available() and dist.is_initialized())
    with warnings.catch_warnings():
        # Lightning's advice about srun and unused GPUs is given in our docs instead.
        warnings.simplefilter("ignore")
        fabric = Fabric(
            accelerator=chosen.type,
            devices=local,
            num_nodes=nodes,
            strategy="ddp" if local * nodes > 1 else "auto",
            precision=recipe.training.precision,
        )
        fabric.launch()
    try:
        yield fabric
    finally:
        if started and dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()


def _processes() -> tuple[int, int]:
    """Processes on each node and nodes, as torchrun or Slurm has started them."""
    env = os.environ
    if "LOCAL_WORLD_SIZE" in env and "WORLD_SIZE" in env:
        local = int(env["LOCAL_WORLD_SIZE"])
        return local, int(env["WORLD_SIZE"]) // local
    # Within sbatch or salloc alone, outside srun, there is no step and there are no peers.
    if "SLURM_NTASKS" in env and env.get("SLURM_STEP_ID", "").isdigit():
        nodes = int(env.get("SLURM_NNODES", "1"))
        return int(env["SLURM_NTASKS"]) // nodes, nodes
    return 1, 1


def worker_count(wanted: int, device: torch.device) -> int:
    """Processes that decode images: as wanted, else none on a CPU, whose cores are all at work."""
    if wanted >= 0:
        return wanted
    if device.type == "cpu":
        return 0
    return max(1, min(cores() - 1, 16))

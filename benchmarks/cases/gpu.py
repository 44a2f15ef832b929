"""The GPU: a Hybrid step through the training path, embedding, the kernels of the loss of votes.

Galaxies are of the simulator, in a Parquet store of 128 px JPEGs; no decoded image is kept, as in a
set too large for the memory. Batches are read by processes, views are made on the card.

On a lent machine that has torch, timm, lightning and pyarrow, with the wheel of simplejpeg carried:

    python3 -m pip install --no-deps .whl/*.whl
    PYTHONPATH=src python3 benchmarks/run.py gpu --out $OUT/gpu.json
"""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from turns import Absent, Bench

from cases import made
from cases.steps import SIDE, make_job

KINDS = 64  # different galaxies
# Dense bf16 of tensor cores in TFLOP/s, by NVIDIA's data sheets; the first part of a name counts.
PEAKS = {"NVIDIA H200": 989, "NVIDIA H100 80GB HBM3": 989, "NVIDIA A100": 312}
ASKED = {
    "gpu hybrid-step resnet18": {"galaxies/s": 6000.0},
    "gpu hybrid-step, waiting for data": {"share": 0.05},
    "gpu embed resnet18": {"images/s": 30_000.0},
    "gpu vote-loss": {"kernels": 14.0},
}


def make_store(folder: Path, count: int, side: int) -> Any:
    """Open a store of `count` galaxies that repeat `KINDS`, with their votes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    import hoag
    from hoag import pixel_cache
    from hoag.images import encode_jpeg

    pixel_cache.SHARE = 0.0
    pictures, which = made.pictures(KINDS, side), np.arange(count) % KINDS
    kinds = [encode_jpeg(np.ascontiguousarray(p.transpose(1, 2, 0)), 90) for p in pictures]
    columns: dict[str, Any] = {
        "id_str": [f"galaxy-{n}" for n in range(count)], "image": pa.array(kinds).take(which)
    }  # fmt: skip
    votes = made.votes(KINDS)
    columns |= {name: votes[which, place] for place, name in enumerate(hoag.load_schema().columns)}
    path = folder / "galaxies.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=4096, compression={"image": "NONE"})
    return hoag.open(path)


def wait(device: Any) -> None:
    """Wait until a device is done."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def make_training(job: Any, steps: int) -> tuple[Callable[[], None], Any]:
    """Give a turn of `steps` steps as `hoag.fitting` takes them, validation left out; its meter."""
    from hoag import fitting
    from hoag.batches import BatchSource, Plan, PlannedRows, load_batches
    from hoag.devices import worker_count
    from hoag.meter import Meter

    wrapped, optimiser = fitting.set_up(job)
    recipe, device = job.recipe, job.fabric.device
    source = BatchSource(job.train, recipe.images.stored, recipe.seed)
    rows = PlannedRows(Plan(job.train, recipe.batch, recipe.seed), 0, 10**6)
    workers = worker_count(recipe.training.workers, device)
    batches = load_batches(source, rows, workers=workers, pin=device.type == "cuda")
    meter = Meter(job, recipe.batch.size, show=False)
    timed = meter.timed(batches)
    job.objective.train()

    def turn() -> None:
        for batch in islice(timed, steps):
            result = fitting.take_step(job, wrapped, optimiser, batch.to(device))
            job.progress.step += 1
            meter.count(result)
            if job.progress.step % recipe.training.log_every == 0:
                meter.write_training_row()
        meter.settle()
        wait(device)

    return turn, meter


def make_resident(job: Any, batch: Any, steps: int, compiled: bool) -> Callable[[], None]:
    """Give the same steps with one batch and its two views, which stay on the card."""
    from hoag import fitting
    from hoag.randomness import VIEW_ONE, VIEW_TWO

    wrapped, optimiser = fitting.set_up(job)
    device, objective = job.fabric.device, job.objective
    there = batch.to(device)
    views = {stream: objective.view(there, stream) for stream in (VIEW_ONE, VIEW_TWO)}
    objective.view = lambda _, stream: views[stream]
    objective.train()
    if compiled:
        for network in (objective.encoder, objective.target.encoder):
            network.compile(backend="inductor" if device.type == "cuda" else "eager")

    def turn() -> None:
        for _ in range(steps):
            fitting.take_step(job, wrapped, optimiser, there)
        wait(device)

    return turn


def of_peak(work: Callable[[], object], galaxies: int, rate: float, name: str) -> dict[str, Any]:
    """Count the operations of some work and give what `rate` galaxies a second make of the peak."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        work()
    terms = rate * counter.get_total_flops() / galaxies / 1e12
    peak = next((peak for part, peak in PEAKS.items() if name.startswith(part)), None)
    share = "unknown" if peak is None else f"{terms / peak:.3f}"
    return {"TFLOP/s": f"{terms:.3g}", "share of the card's peak": share}


def hybrid_step(bench: Bench, galaxies: Any, device: str, card: str) -> None:
    """Hybrid steps through the training path against the same with resident views."""
    from hoag.batches import make_batch

    batch, steps = bench.size(512, 8), bench.size(120, 2)

    def job(name: str) -> Any:
        bench.folder.joinpath(name).mkdir(exist_ok=True)
        found = make_job(
            bench, "hybrid", "resnet18", batch, galaxies, device=device,
            **{"training.precision": "bf16-mixed", "training.workers": bench.size(-1, 1)},
        )  # fmt: skip
        return found

    given = make_batch(galaxies, np.arange(batch), bench.size(SIDE, 32), seed=0, step=0)
    training, meter = make_training(job("run"), steps)
    few = bench.size(30, 2)
    floor, compiled = (make_resident(job("floor"), given, few, each) for each in (False, True))
    training()  # so that what processes read ahead at their start does not count
    meter.waited = meter.worked = 0.0
    started = meter.steps
    row = bench.compare(
        "gpu hybrid-step resnet18",
        {"hoag": training, "floor": lambda: [floor() for _ in range(steps // few)],
         "compiled": lambda: [compiled() for _ in range(steps // few)]},
        None, count=batch * steps, repeats=3,
    )  # fmt: skip
    assert meter.steps > started
    noted = of_peak(floor, batch * few, row["galaxies/s"], card)
    noted["compiled"] = f"{row['times compiled wall']:.2f} of its time"
    found: dict[str, float | None] = {"galaxies/s": row["galaxies/s"]}
    bench.keep(row | {"noted": noted}, ASKED[row["case"]], found)
    case = "gpu hybrid-step, waiting for data"
    kept = {name: value for name, value in row.items() if " ms " in name}
    share: dict[str, float | None] = {"share": round(meter.wait_share, 4)}
    bench.keep({"case": case} | kept, ASKED[case], share, least=False)


def embed(bench: Bench, galaxies: Any, device: str, card: str) -> None:
    """Embed in bf16 against the bare forward pass of resident images."""
    import torch

    from hoag.loading import random_model
    from hoag.models import BATCH
    from hoag.recipe import load_recipe

    side, size, count = bench.size(SIDE, 32), bench.size(BATCH, 8), len(galaxies)
    slim = {"encoder.options": {"channels": [8, 8, 8, 8]}} if bench.tiny else {}
    recipe = load_recipe("paper/hybrid").changed(
        {"images.size": side, "images.decode": side, **slim}
    )
    model = random_model(recipe, galaxies.schema, device=device)
    images = torch.rand(size, 3, side, side, device=model.device)
    images = images.contiguous(memory_format=torch.channels_last)

    def half(work: Callable[[], object]) -> Callable[[], None]:
        def turn() -> None:
            with torch.inference_mode(), torch.autocast(model.device.type, torch.bfloat16):
                work()
            wait(model.device)

        return turn

    def bare() -> None:
        for _ in range(count // size):
            model.encoder(images)

    def ours() -> None:
        model.embed(galaxies, quiet=True)

    row = bench.compare(
        "gpu embed resnet18", {"hoag": half(ours), "floor": half(bare), "float32": ours}, None,
        count=count, repeats=3,
    )  # fmt: skip
    noted = of_peak(half(lambda: model.encoder(images)), size, row["galaxies/s"], card)
    noted["float32"] = f"{row['times float32 wall']:.2f} of its time"
    found: dict[str, float | None] = {"images/s": row["galaxies/s"]}
    bench.keep(row | {"noted": noted}, ASKED[row["case"]], found)


def vote_loss(bench: Bench, device: str) -> None:
    """Kernels of the loss of votes, forward and backward, as the profiler sees them."""
    import torch
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    from hoag import load_schema
    from hoag.likelihood import Everywhere

    schema, batch = load_schema(), bench.size(512, 8)
    votes = torch.from_numpy(made.votes(batch)).to(device)
    concentration = 1 + 100 * torch.rand(votes.shape, device=device)
    ones = torch.ones(batch, len(schema.questions), device=device)
    inputs = concentration.requires_grad_()

    def ours() -> None:
        nll: Any = Everywhere.apply(votes, inputs, schema)
        torch.autograd.grad(nll, inputs, ones)
        wait(inputs.device)

    row = bench.compare("gpu vote-loss", {"hoag": ours}, None, count=batch)
    on_card = inputs.device.type == "cuda"
    kinds = [ProfilerActivity.CPU, ProfilerActivity.CUDA][: 1 + on_card]
    for _ in range(2):  # the first time the profiler itself starts late
        with profile(activities=kinds) as seen:
            ours()
    wanted = DeviceType.CUDA if on_card else DeviceType.CPU
    names = [
        event.name for event in seen.events()
        if event.device_type == wanted and not event.name.lower().startswith(("memcpy", "memset"))
    ]  # fmt: skip
    asked: dict[str, float] = ASKED[row["case"]]
    bench.keep(row | {"names": names}, asked, {"kernels": float(len(names))}, least=False)


def gpu(bench: Bench) -> None:
    """Hybrid step, embedding and loss of votes on a CUDA device, bf16, 128 px, batch of 512."""
    import torch

    there = torch.cuda.is_available()
    if not there and not bench.tiny:
        for case, asked in ASKED.items():
            bench.keep({"case": case, "noted": {"not measured:": "no card was lent"}}, asked, {})
        raise Absent("there is no CUDA device here; --tiny runs the same code on a CPU")
    device, card = ("cuda", torch.cuda.get_device_name()) if there else ("cpu", "a CPU")
    galaxies = make_store(bench.folder, bench.size(100_000, 64), bench.size(SIDE, 32))
    vote_loss(bench, device)
    embed(bench, galaxies, device, card)
    hybrid_step(bench, galaxies, device, card)


CASES = {"gpu": gpu}

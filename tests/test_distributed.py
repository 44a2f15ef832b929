"""Two processes on the CPU must give what one gives with the same global batch."""

import csv
import os
import subprocess
import sys
import time

import pytest
import torch
import torch.multiprocessing as mp
from torch import nn

from hoag.distributed import SyncedBatchNorm, all_sum, rank, synchronise_batchnorm, world_size

from .conftest import TINY


def test_one_process_is_its_own_world():
    assert (world_size(), rank()) == (1, 0)
    tensor = torch.ones(2, requires_grad=True)
    total = all_sum(tensor)
    assert torch.equal(total, torch.ones(2))
    assert not total.requires_grad
    total += 1
    assert torch.equal(tensor.detach(), torch.ones(2))


def reference():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 5),
        nn.BatchNorm1d(5),
    )
    images = torch.randn(8, 3, 6, 6) * 3 + 7
    return network.double(), images.double()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_frozen_layers_stay_frozen_when_batchnorm_is_synchronised(device):
    from hoag.encoders import freeze

    network = nn.Sequential(
        freeze(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))), freeze(nn.BatchNorm2d(4)),
        nn.BatchNorm2d(4),
    )  # fmt: skip
    synchronised = synchronise_batchnorm(network, device).train()
    assert type(synchronised[2]) is not nn.BatchNorm2d
    frozen = [synchronised[0][1], synchronised[1]]
    assert all(type(norm) is nn.BatchNorm2d and not norm.training for norm in frozen)


def run_one(process, folder, port):
    import torch.distributed as dist

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=process, world_size=2)
    network, images = reference()
    network = synchronise_batchnorm(network.float(), "cpu")
    share = images.float()[process::2].requires_grad_()
    out = network(share)
    (out * torch.arange(5)).square().sum().backward()
    for parameter in network.parameters():
        dist.all_reduce(parameter.grad)
    torch.save(
        {"out": out.detach(), "grad": [p.grad for p in network.parameters()], "input": share.grad,
         "state": network.state_dict()},
        f"{folder}/{process}.pt",
    )  # fmt: skip
    dist.destroy_process_group()


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_synced_batchnorm_equals_batchnorm_of_the_whole_batch(tmp_path):
    mp.spawn(run_one, (str(tmp_path), free_port()), nprocs=2)
    network, images = reference()
    images.requires_grad_()
    out = network(images)
    (out * torch.arange(5)).square().sum().backward()
    parts = [torch.load(tmp_path / f"{n}.pt", weights_only=True) for n in (0, 1)]
    for process, part in enumerate(parts):
        torch.testing.assert_close(part["out"].double(), out[process::2], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(
            part["input"].double(), images.grad[process::2], atol=2e-3, rtol=1e-3
        )
        for ours, parameter in zip(part["grad"], network.parameters(), strict=True):
            torch.testing.assert_close(ours.double(), parameter.grad, atol=5e-3, rtol=1e-3)
        for name, value in network.state_dict().items():
            torch.testing.assert_close(
                part["state"][name].double(), value.double(), atol=1e-4, rtol=1e-4
            )


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0"])
def test_converting_keeps_names_storage_and_predictions(name):
    import timm

    options = {"channels": (4, 8, 8, 8)} if name == "resnet18" else {}
    network = timm.create_model(name, num_classes=0, **options).eval()
    images = torch.rand(2, 3, 32, 32)
    before, names = network(images), list(network.state_dict())
    pointers = {p.data_ptr() for p in network.parameters()}
    network = synchronise_batchnorm(network, "cpu")
    assert any(isinstance(m, SyncedBatchNorm) for m in network.modules())
    assert list(network.state_dict()) == names
    assert {p.data_ptr() for p in network.parameters()} == pointers
    torch.testing.assert_close(network(images), before)


SCRIPT = """
import json, sys, warnings
import hoag
from hoag.fitting import fit
from hoag.recipe import load_recipe
folder, out, tiny = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
galaxies = hoag.open([folder + "/pretraining.parquet", folder + "/unlabelled.parquet"])
recipe = load_recipe("paper/hybrid").changed(tiny)
fit(recipe, galaxies.split("train"), galaxies.split("val"), out, device="cpu", quiet=True)
"""


def last_row(run):
    with (run / "metrics.csv").open() as file:
        return [row for row in csv.DictReader(file) if row["val/contrastive"]][-1]


def test_two_processes_train_hybrid_as_one_does(simulated, galaxies, tmp_path):
    """Validation losses after 6 steps agree to 1e-3: only the order of float32 sums differs.

    Adam divides a gradient by its own size, so one that is all rounding (of a bias before a
    BatchNorm, say) becomes a whole step of either sign: the steps are small here, or the losses
    would depend on the processor.
    """
    import json

    galaxies.prepare()
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    arguments = [str(script), str(simulated)]
    tiny = json.dumps(TINY | {"optimiser.learning_rate": 3e-5})
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node=2",
        f"--master-port={free_port()}",
    ]
    for command, out in (([sys.executable], "one"), (torchrun, "two")):
        done = subprocess.run(
            [*command, *arguments, str(tmp_path / out), tiny],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-3000:]
    one, two = last_row(tmp_path / "one"), last_row(tmp_path / "two")
    for name in ("val/contrastive", "val/supervised"):
        assert float(two[name]) == pytest.approx(float(one[name]), abs=1e-3)
    assert json.loads((tmp_path / "two" / "run.json").read_text())["processes"] == 2


def test_a_signal_to_one_process_stops_all_after_the_same_step(simulated, galaxies, tmp_path):
    """Nothing else saves this run: it is last/ of the step at which both ended, and it goes on."""
    import json
    import signal

    galaxies.prepare()
    script = tmp_path / "script.py"
    noted = "import os, pathlib\n" + SCRIPT.replace(
        "fit(", "pathlib.Path(f'{out}-{os.environ[\"RANK\"]}').write_text(str(os.getpid()))\nfit("
    )
    script.write_text(noted.replace("quiet=True", "quiet=True, resume=True"))
    out = tmp_path / "run"
    settings = {"training.steps": 5000, "training.save_every": 5000, "training.log_every": 1}
    tiny = json.dumps(TINY | {"training.validate_every": 5000} | settings)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    command = [*torchrun, f"--master-port={free_port()}", script, simulated, out, tiny]
    process = subprocess.Popen(
        list(map(str, command)),
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 240
    while not (out / "metrics.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(int((tmp_path / "run-1").read_text()), signal.SIGTERM)
    said = process.communicate(timeout=120)[1]
    assert process.returncode != 0 and (out / "last").exists(), said[-6000:]
    state = json.loads((out / "last" / "state.json").read_text())["progress"]
    assert 0 < state["step"] < 5000
    assert said.count(f"stopped at step {state['step']}; go on with --resume") >= 2, said[-3000:]


READER = """
import json, os, sys
import hoag
from hoag.batches import BatchSource, Plan, PlannedRows, load_batches
from hoag.recipe import BatchSettings
folder, epochs, workers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
galaxies = hoag.open(folder)
plan = Plan(galaxies, BatchSettings(size=36), seed=5)
steps = epochs * len(galaxies) // plan.size
rows = PlannedRows(plan, 0, steps, rank, world)
batches = load_batches(BatchSource(galaxies, 16, 5), rows, workers=workers, pin=False)
read = [[b.ids, int(b.images.long().sum()), b.votes.sum(1).tolist()] for b in batches]
print(json.dumps(read))
"""


@pytest.mark.parametrize(("world", "workers"), [(3, 0), (2, 2)])
def test_processes_read_their_own_share_of_the_shards_each_galaxy_once_an_epoch(
    tmp_path, world, workers
):
    """As torchrun numbers them, on one node or many: nothing is shared but the files."""
    import json

    import hoag
    from hoag.arrow_copy import make_copies
    from hoag.galaxies import write_galaxies

    from .made_galaxies import rows

    for shard in range(4):
        path = tmp_path / f"labelled-{shard:05d}-of-00004.parquet"
        write_galaxies(rows(45 * shard, 45 * shard + 45), path)
    make_copies(sorted(tmp_path.glob("*.parquet")))
    (tmp_path / "dataset.toml").write_text('[[pretraining]]\ntable = "labelled-*.parquet"\n')
    command = [sys.executable, "-c", READER, str(tmp_path), "2", str(workers)]
    processes = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"RANK": str(n), "WORLD_SIZE": str(world), "OMP_NUM_THREADS": "1"},
        )
        for n in range(world)
    ]  # fmt: skip
    shares = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0] * world
    everyone = hoag.open(tmp_path)
    assert len(everyone) == 180
    for epoch in (0, 1):
        steps = slice(5 * epoch, 5 * epoch + 5)
        read = [name for share in shares for ids, _, _ in share[steps] for name in ids]
        assert sorted(read) == sorted(everyone.ids)
    assert all(len(ids) == 36 // world for share in shares for ids, _, _ in share)
    orders = [
        [name for ids, _, _ in shares[0][s] for name in ids] for s in (slice(5), slice(5, 10))
    ]
    assert orders[0] != orders[1]
    row_of = {name: row for row, name in enumerate(everyone.ids)}
    for ids, pixels, votes in shares[1][:3]:
        rows_read = [row_of[name] for name in ids]
        assert int(everyone.pixels(rows_read, 16).astype(int).sum()) == pixels
        assert everyone.votes_of(rows_read).sum(1).tolist() == votes

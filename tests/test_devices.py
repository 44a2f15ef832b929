import pytest
import torch

from hoag.console import is_first, say
from hoag.devices import _processes, choose_device, worker_count
from hoag.errors import HoagError


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch):
    for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE", "RANK", "SLURM_NTASKS", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)


def test_alone_one_process_on_one_node():
    assert _processes() == (1, 1)


def test_torchruns_processes_are_counted(monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setenv("WORLD_SIZE", "16")
    assert _processes() == (4, 4)


def test_slurms_tasks_are_counted(monkeypatch):
    for name, value in {"SLURM_NTASKS": "8", "SLURM_STEP_ID": "0", "SLURM_NNODES": "2"}.items():
        monkeypatch.setenv(name, value)
    assert _processes() == (4, 2)


def test_a_batch_script_outside_srun_is_alone(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "8")
    assert _processes() == (1, 1)


def test_only_the_first_process_speaks(monkeypatch, capsys):
    say("one")
    monkeypatch.setenv("RANK", "1")
    say("two")
    assert not is_first()
    assert capsys.readouterr().err == "one\n"


def test_a_device_that_is_not_there_is_named():
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(HoagError, match="device 'cuda' is not there"):
        choose_device("cuda")


def test_a_cpu_decodes_in_the_training_process_unless_told():
    assert worker_count(-1, torch.device("cpu")) == 0
    assert worker_count(3, torch.device("cpu")) == 3
    assert worker_count(-1, torch.device("cuda")) >= 1

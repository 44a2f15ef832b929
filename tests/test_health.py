"""The doctor: what it lists, and what it says of each thing that can be broken."""

import importlib
import importlib.metadata
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

import hoag
from hoag import health
from hoag.health import Finding, describe, examine


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    return examine(tmp_path_factory.mktemp("work"))


def named(findings):
    return {finding.what: finding for finding in findings}


def test_everything_hoag_needs_is_listed(findings):
    found = named(findings)
    assert found["hoag"].found.startswith(hoag.__version__)
    assert found["torch"].found == importlib.metadata.version("torch")
    assert {"python", "numpy", "torchvision", "pillow", "scikit-learn"} <= found.keys()
    assert {"cpu", "cores", "memory", "disk here", "disk for temporary"} <= found.keys()
    assert any(what.startswith("cuda") for what in found)
    assert "pytest" not in found


def test_no_library_is_broken_here(findings):
    libraries = [need.split(">=")[0] for need in importlib.metadata.requires("hoag") or []]
    assert not [finding for finding in findings if finding.what in libraries and finding.warning]


def test_description_is_aligned_and_ends_with_a_verdict():
    lines = describe([Finding("a", "1"), Finding("longer", "2", "it is broken")]).splitlines()
    assert lines == [
        "a       1",
        "longer  2",
        "        ! it is broken",
        "",
        "Needs attention: longer.",
    ]
    assert describe([Finding("a", "1")]).endswith("Nothing is wrong.")


def test_a_library_that_cannot_be_imported_is_said_with_the_way_out(monkeypatch):
    really = importlib.import_module

    def broken(name):
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist\nand more lines")
        return really(name)

    monkeypatch.setattr(importlib, "import_module", broken)
    finding = health._library("torchvision>=0.21")
    assert "RuntimeError: operator torchvision::nms does not exist)" in finding.warning
    assert "pip install --upgrade torch torchvision" in finding.warning
    assert "\n" not in finding.warning
    assert health._library("numpy>=1.26").warning == ""


def test_missing_and_old_libraries_are_said():
    missing = health._library("no-such-library-at-all>=2")
    assert (missing.found, missing.warning) == (
        "missing",
        "install it with: pip install 'no-such-library-at-all>=2'",
    )
    assert "hoag needs 999.0 or newer" in health._library("numpy>=999.0").warning


@pytest.mark.parametrize(
    ("older", "newer"), [("1.9.3", "1.26"), ("2.6", "2.15.0+cu130"), ("0.9", "1.0rc1")]
)
def test_versions_are_compared_as_numbers(older, newer):
    assert health._numbers(older) < health._numbers(newer)


def test_hoag_without_an_installation_is_said(monkeypatch):
    def nothing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", nothing)
    assert "not installed" in health._libraries()[0].warning


def test_broken_torch_does_not_stop_the_doctor(monkeypatch):
    monkeypatch.setattr(health, "_import_problem", lambda module: "OSError: libcudart")
    assert health._devices() == [
        Finding("devices", "unknown", "torch cannot be imported, see above")
    ]


def fake_torch(*, cuda=None, available=False, mps=False):
    properties = SimpleNamespace(name="H100", total_memory=80e9)
    return SimpleNamespace(
        cuda=SimpleNamespace(
            is_available=lambda: available,
            device_count=lambda: 1,
            get_device_properties=lambda number: properties,
        ),
        version=SimpleNamespace(cuda=cuda),
        ones=lambda *shape, device: torch.ones(*shape),
        backends=SimpleNamespace(
            mps=SimpleNamespace(is_built=lambda: mps, is_available=lambda: mps)
        ),
    )


def test_a_gpu_that_torch_does_not_see_is_said(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert health._cuda(fake_torch()) == [Finding("cuda", "no")]
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/nvidia-smi")
    assert "built without CUDA" in health._cuda(fake_torch())[0].warning
    assert "cannot use the driver" in health._cuda(fake_torch(cuda="13.2"))[0].warning


def test_a_gpu_is_named_and_tried():
    working = fake_torch(cuda="13.2", available=True)
    assert health._cuda(working) == [Finding("cuda:0", "H100, 80 GB, CUDA 13.2")]

    def failing(*shape, device):
        raise RuntimeError("CUDA error: device busy\nmore")

    working.ones = failing
    assert "does not compute (CUDA error: device busy)" in health._cuda(working)[0].warning


def test_operations_that_a_device_lacks_are_found():
    assert health._lacking(health._operations(torch, "cpu")) in ([], ["float16 autocast"])

    def lacks():
        raise NotImplementedError("aten::lgamma is not implemented for MPS")

    assert health._lacking({"lgamma": lacks, "sum": lambda: 1}) == ["lgamma"]


def test_what_mps_lacks_falls_back_or_is_warned_of(monkeypatch):
    monkeypatch.setattr(health, "_lacking", lambda operations: ["lgamma", "digamma"])
    monkeypatch.setenv("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    (fallen_back,) = health._mps(fake_torch(mps=True))
    assert fallen_back.warning == ""
    assert "run on the CPU instead: lgamma, digamma" in fallen_back.found
    monkeypatch.delenv("PYTORCH_ENABLE_MPS_FALLBACK")
    (warned,) = health._mps(fake_torch(mps=True))
    assert "it lacks lgamma, digamma; set PYTORCH_ENABLE_MPS_FALLBACK=1" in warned.warning
    assert health._mps(fake_torch()) == []


def test_on_a_mac_the_fallback_is_set_before_torch_is_loaded():
    code = (
        "import sys, os; sys.platform = 'darwin'; import hoag;"
        "print(os.environ['PYTORCH_ENABLE_MPS_FALLBACK'], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]


def test_disks_that_are_full_missing_or_read_only_are_said(tmp_path, monkeypatch):
    assert health._disk("disk here", tmp_path, 0.0).warning == ""
    assert "cannot be looked at" in health._disk("disk here", tmp_path / "none", 1).warning
    assert "less than 1000000000.0 GB" in health._disk("disk here", tmp_path, 1e9).warning
    monkeypatch.setattr(os, "access", lambda folder, mode: False)
    assert "cannot be written" in health._disk("disk here", tmp_path, 0.0).warning


def test_memory_and_core_limits_of_a_container_count(monkeypatch):
    limits = {"/sys/fs/cgroup/memory.max": [2e9], "/sys/fs/cgroup/cpu.max": [50_000.0, 100_000.0]}
    monkeypatch.setattr(health, "_first_numbers", limits.__getitem__)
    monkeypatch.setattr(health, "_physical_memory", lambda: 64e9)
    assert health._memory().found == "2.0 GB"
    assert "hoag demo may use 6 GB" in health._memory().warning
    assert health._cores().found.endswith("a limit allows 0.5")
    monkeypatch.setattr(health, "_physical_memory", lambda: None)
    assert health._memory() == Finding("memory", "unknown")


def test_an_unlimited_control_group_gives_no_number(tmp_path):
    (tmp_path / "max").write_text("max 100000\n")
    assert health._first_numbers(str(tmp_path / "max")) == [100_000.0]
    assert health._first_numbers(str(tmp_path / "none")) == []

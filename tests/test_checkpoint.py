import json

import pytest
import torch

from hoag.checkpoint import load_stamp, load_state, load_weights, save_checkpoint, weights_hash
from hoag.errors import HoagError


def make(folder):
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1, betas=(0.8, 0.9))
    model(torch.randn(5, 4, generator=torch.Generator().manual_seed(0))).square().sum().backward()
    optimiser.step()
    save_checkpoint(folder, model.state_dict(), optimiser.state_dict(), {"step": 1}, {"seed": 4})
    return model, optimiser


def test_weights_and_optimiser_come_back_bit_for_bit(tmp_path):
    model, optimiser = make(tmp_path / "last")
    weights, state = load_weights(tmp_path / "last"), load_state(tmp_path / "last")
    assert state["step"] == 1
    for name, tensor in model.state_dict().items():
        assert torch.equal(weights[name], tensor)
    fresh = torch.optim.Adam(model.parameters(), lr=1.0)
    fresh.load_state_dict(state["optimiser"])
    for ours, theirs in zip(fresh.state.values(), optimiser.state.values(), strict=True):
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert fresh.param_groups[0]["lr"] == 0.1
    assert tuple(fresh.param_groups[0]["betas"]) == (0.8, 0.9)


def test_weights_carry_their_stamp(tmp_path):
    make(tmp_path / "last")
    assert load_stamp(tmp_path / "last") == {"seed": 4}


def test_nothing_on_disk_is_a_pickle(tmp_path):
    make(tmp_path / "last")
    names = sorted(path.name for path in (tmp_path / "last").iterdir())
    assert names == ["model.safetensors", "state.json", "training.safetensors"]
    json.loads((tmp_path / "last" / "state.json").read_text())


def test_a_save_replaces_the_one_before_and_leaves_nothing_else(tmp_path):
    make(tmp_path / "last")
    make(tmp_path / "last")
    assert [path.name for path in tmp_path.iterdir()] == ["last"]


def test_a_damaged_file_is_named(tmp_path):
    make(tmp_path / "last")
    path = tmp_path / "last" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(HoagError, match="model.safetensors: not a readable safetensors file"):
        load_weights(tmp_path / "last")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(HoagError, match="model.safetensors: no such file"):
        load_weights(tmp_path)


def test_hash_follows_values_names_and_shapes():
    weights = {"a": torch.arange(6.0)}
    assert weights_hash(weights) == weights_hash({"a": torch.arange(6.0)})
    others = [
        {"b": torch.arange(6.0)},
        {"a": torch.arange(6.0) + 1e-6},
        {"a": torch.arange(6.0).view(2, 3)},
    ]
    assert len({weights_hash(w) for w in [weights, *others]}) == 4

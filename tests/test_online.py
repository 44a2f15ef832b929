import numpy as np

import hoag
from hoag.online import _first, make_online_probe
from hoag.roles import read_roles
from hoag.tasks import Task, load_tasks


def test_no_galaxy_of_the_test_half_is_probed(simulated):
    (task,) = load_tasks(read_roles(simulated))
    rows = _first(task, 1000)
    assert sorted(rows) == sorted(task.open_rows)
    assert not set(rows) & set(task.closed_rows)


def test_a_balanced_task_is_probed_with_as_many_of_each_class(simulated):
    galaxies = hoag.open(simulated / "rings.parquet")
    labels = (np.arange(len(galaxies)) % 5 == 0).astype(np.int64)
    everyone = np.arange(len(galaxies))
    task = Task("few", "", galaxies, labels, ("no", "yes"), False, True, 0, everyone, everyone[:0])
    rows = _first(task, 1000)
    assert np.bincount(labels[rows]).tolist() == [labels.sum()] * 2


def test_probing_changes_nothing_of_the_objective(simulated, galaxies, tiny):
    import torch

    from hoag.objectives import make_objective

    recipe = tiny("hybrid", **{"probe.galaxies": 60})
    objective = make_objective(recipe, galaxies.schema).train()
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    probe = make_online_probe(load_tasks(read_roles(simulated)), recipe)
    first, again = (probe(objective, torch.device("cpu")) for _ in range(2))
    assert first == again and set(first) == {"probe/rings/accuracy"}
    assert all(torch.equal(value, before[n]) for n, value in objective.state_dict().items())
    assert all(part.training for part in objective.modules())

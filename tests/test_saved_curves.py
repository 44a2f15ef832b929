"""Predictions kept as a file: what is read back says the same, and joins other runs."""

import numpy as np
import pytest

from hoag.curves import Curve, combine
from hoag.errors import HoagError
from hoag.saved_curves import read_curve, write_curve
from hoag.subsets import make_trials


def curve_of(name, classes=2, galaxies=60, seed=0, repeats=1):
    ids = [f"g{n:03d}" for n in range(galaxies)]
    labels = np.arange(galaxies) % classes
    rng = np.random.default_rng(seed)
    trials = make_trials(ids, labels, [12, "all"], 5, 3, repeats=repeats)
    scores = [rng.normal(size=(len(t.test_index), classes)) for t in trials]
    chances = [np.exp(s) / np.exp(s).sum(1, keepdims=True) for s in scores]
    names = [f"class {n}" for n in range(classes)]
    return Curve.from_predictions(ids, labels, names, trials, chances, name)


@pytest.mark.parametrize("classes", [2, 4])
def test_what_is_read_back_says_the_same(classes, tmp_path):
    runs = [curve_of(name, classes, seed=n) for n, name in enumerate(["a", "a", "b é"])]
    curve = combine(runs)
    back = read_curve(write_curve(curve, tmp_path / "more" / "task.npz"))
    assert (back.ids, back.classes, back.arms) == (curve.ids, curve.classes, curve.arms)
    np.testing.assert_array_equal(back.labels, curve.labels)
    assert back.table.equals(curve.table)
    for metric in ("accuracy", "auc"):
        assert back.compare("a", "b é", metric).equals(curve.compare("a", "b é", metric))
    for one, other in zip(back.predictions, curve.predictions, strict=True):
        assert [t.key for t in one.trials] == [t.key for t in other.trials]
        for ours, theirs in zip(one.probabilities, other.probabilities, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=2e-7)


def test_it_joins_the_arms_of_another_run(tmp_path):
    one, other = curve_of("a", repeats=2), curve_of("b", seed=1, repeats=2)
    back = read_curve(write_curve(one, tmp_path / "a.npz"))
    joined = combine([back, other])
    assert joined.compare("a", "b").equals(combine([one, other]).compare("a", "b"))
    with pytest.raises(HoagError, match="only curves of one task can be combined"):
        combine([back, curve_of("c", galaxies=80)])


def test_a_cut_held_out_by_many_trials_is_kept_once(tmp_path):
    path = write_curve(curve_of("a"), tmp_path / "a.npz")
    with np.load(path, allow_pickle=False) as file:
        assert len(file["cut_lengths"]) == 5 and file["cut_rows"].size == 60
        assert file["chances"].dtype == np.float32


def test_what_is_no_such_file_is_named(tmp_path):
    with pytest.raises(HoagError, match="no such file"):
        read_curve(tmp_path / "none.npz")
    (tmp_path / "odd.npz").write_bytes(b"odd")
    with pytest.raises(HoagError, match="not predictions as hoag writes them"):
        read_curve(tmp_path / "odd.npz")
    np.savez(tmp_path / "few.npz", ids=np.array(["a"]))
    with pytest.raises(HoagError, match="not predictions as hoag writes them"):
        read_curve(tmp_path / "few.npz")

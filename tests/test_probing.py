import json
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from hoag.embedding import make_table
from hoag.errors import HoagError
from hoag.linear import STRENGTHS, inner_folds_of
from hoag.probing import (
    Curve,
    combine,
    cross_validated_accuracy,
    final_score,
    label_efficiency,
    make_trials,
    run_trials,
    score,
)

N = 150


def embeddings(strength: float = 1.0, seed: int = 0, classes: int = 2) -> tuple[pa.Table, dict]:
    rng = np.random.default_rng(seed)
    labels = np.random.default_rng(9).integers(0, classes, N)
    vectors = rng.normal(size=(N, 12))
    vectors[:, :classes] += strength * np.eye(classes)[labels]
    ids = [f"g{number:03d}" for number in range(N)]
    return make_table(ids, vectors), dict(zip(ids, labels.tolist(), strict=True))


def test_accuracy_is_that_of_the_plain_loop_of_scikit_learn() -> None:
    table, labels = embeddings()
    curve = label_efficiency(table, labels, [20, 60], folds=3, subsets=2)
    vectors = np.stack(table["representation"].to_numpy()).astype(float)
    numbers = np.array(list(labels.values()))
    expected: dict[int, list[float]] = {20: [], 60: []}
    for trial in make_trials(list(labels), numbers, [20, 60], 3, 2):
        mine, truth = vectors[trial.train_index], numbers[trial.train_index]
        scaler = StandardScaler().fit(mine)
        fold = inner_folds_of(truth, 3)
        losses = []
        for strength in STRENGTHS:
            loss = 0.0
            for held in range(3):
                model = LogisticRegression(C=strength, max_iter=5000, tol=1e-8)
                model.fit(scaler.transform(mine[fold != held]), truth[fold != held])
                chances = model.predict_proba(scaler.transform(mine[fold == held]))
                right = chances[np.arange(len(chances)), truth[fold == held]]
                loss -= np.log(np.maximum(right, 1e-300)).sum()
            losses.append(loss)
        best = STRENGTHS[int(np.argmin(losses))]
        model = LogisticRegression(C=best, max_iter=5000, tol=1e-8).fit(
            scaler.transform(mine), truth
        )
        right = model.predict(scaler.transform(vectors[trial.test_index]))
        expected[trial.size].append(float((right == numbers[trial.test_index]).mean()))
    for row in curve.table.to_pylist():
        assert row["accuracy"] == pytest.approx(np.mean(expected[row["size"]]), abs=1e-6)


def test_table_has_a_row_for_each_arm_and_size_with_ordered_intervals() -> None:
    table, labels = embeddings()
    curve = label_efficiency(table, labels, [20, "all"], subsets=2, name="hybrid")
    rows = curve.table.to_pylist()
    assert [(row["arm"], row["size"], row["trials"], row["runs"]) for row in rows] == [
        ("hybrid", 20, 10, 1),
        ("hybrid", 120, 5, 1),
    ]
    for row in rows:
        for metric in ("accuracy", "balanced_accuracy", "auc"):
            assert 0 <= row[f"{metric}_low"] < row[metric] < row[f"{metric}_high"] <= 1
    assert curve.table.to_pandas().shape == (2, 13)
    assert json.loads(json.dumps(curve.to_dict()))["classes"] == ["0", "1"]
    assert repr(curve) == "Curve(hybrid; 150 galaxies; sizes 20, 120)"


def test_order_of_rows_and_other_galaxies_change_nothing() -> None:
    table, labels = embeddings()
    plain = label_efficiency(table, labels, [30], subsets=2).table
    order = np.random.default_rng(0).permutation(N)
    more = make_table(["z1", "z2"], np.zeros((2, 12)))
    moved = pa.concat_tables([more, table.take(order)])
    turned = pa.table({"id_str": list(labels)[::-1], "ring": list(labels.values())[::-1]})
    other = label_efficiency(moved, turned, [30], subsets=2).table
    for column in ("accuracy", "accuracy_low", "auc"):
        np.testing.assert_allclose(plain[column].to_numpy(), other[column].to_numpy(), atol=1e-6)


def test_workers_change_no_prediction(monkeypatch: pytest.MonkeyPatch) -> None:
    table, labels = embeddings()
    vectors = np.stack(table["representation"].to_numpy())
    numbers = np.array(list(labels.values()))
    trials = make_trials(list(labels), numbers, [20, 60], 3, 2)
    alone = run_trials(vectors, numbers, 2, trials, workers=1)
    monkeypatch.setattr("hoag.probing._ALONE", 0.0)
    shared = run_trials(vectors, numbers, 2, trials, workers=2)
    for one, other in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_process_that_dies_loses_no_trial(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table, labels = embeddings()
    vectors = np.stack(table["representation"].to_numpy())
    numbers = np.array(list(labels.values()))
    trials = make_trials(list(labels), numbers, [20, 60], 3, 2)
    alone = run_trials(vectors, numbers, 2, trials, workers=1)

    def breaks(*_: object, **__: object) -> object:
        raise BrokenProcessPool("killed")

    monkeypatch.setattr("hoag.probing._ALONE", 0.0)
    monkeypatch.setattr("joblib.Parallel.__call__", breaks)
    rescued = run_trials(vectors, numbers, 2, trials, workers=2)
    for one, other in zip(alone, rescued, strict=True):
        np.testing.assert_array_equal(one, other)
    assert "going on with this one" in capsys.readouterr().err


def test_better_representations_score_higher_and_differences_are_paired() -> None:
    good, labels = embeddings(2.0)
    poor, _ = embeddings(0.0, seed=1)
    curve = combine(
        [
            label_efficiency(good, labels, [40, 80], subsets=2, name="good"),
            label_efficiency(poor, labels, [40, 80], subsets=2, name="poor"),
        ]
    )
    assert curve.arms == ("good", "poor")
    for row in curve.compare("good", "poor").to_pylist():
        assert row["low"] > 0.1
        assert row["trials"] == 10
    same = curve.compare("good", "good").to_pylist()[0]
    assert (same["difference"], same["low"], same["high"]) == (0, 0, 0)
    reverse = curve.compare("poor", "good", "auc").to_pylist()[0]
    assert reverse["difference"] < 0


def test_an_arm_of_few_trials_is_compared_on_those_alone() -> None:
    table, labels = embeddings(1.0)
    probed = label_efficiency(table, labels, [40, 80], subsets=3, name="hybrid")
    numbers = np.array(list(labels.values()))
    trials = [t for t in make_trials(list(labels), numbers, [40], 5, 3) if t.key[1:] == (0, 1, 2)]
    [trial] = trials
    truth = np.eye(2)[numbers[trial.test_index]]
    direct = Curve.from_predictions(list(labels), numbers, ["0", "1"], trials, [truth], "direct")
    both = combine([probed, direct])
    [row] = both.compare("direct", "hybrid").to_pylist()
    assert (row["size"], row["trials"]) == (40, 1)
    [only] = [
        (t, p)
        for t, p in zip(
            probed.predictions[0].trials, probed.predictions[0].probabilities, strict=True
        )
        if t.key == trial.key
    ]
    theirs = score(*only, probed.labels)["accuracy"]
    assert row["difference"] == pytest.approx(1 - theirs)
    assert [r["trials"] for r in both.table.to_pylist() if r["arm"] == "direct"] == [1]


def test_predictions_given_in_any_order_of_rows_are_the_same_task() -> None:
    table, labels = embeddings()
    probed = label_efficiency(table, labels, [40], subsets=1, name="hybrid")
    order = np.random.default_rng(1).permutation(N)
    ids = [list(labels)[row] for row in order]
    numbers = np.array([labels[name] for name in ids])
    vectors = np.stack(table["representation"].to_numpy())[order]
    trials = make_trials(ids, numbers, [40], 5, 1)
    chances = run_trials(vectors, numbers, 2, trials)
    again = Curve.from_predictions(ids, numbers, ["0", "1"], trials, chances, "again")
    [row] = combine([probed, again]).compare("hybrid", "again").to_pylist()
    assert row["difference"] == pytest.approx(0, abs=1e-9)


def test_an_arm_given_twice_was_run_with_two_seeds() -> None:
    labels = embeddings()[1]
    curves = [
        label_efficiency(embeddings(1.0, seed)[0], labels, [40], subsets=1, name="hybrid")
        for seed in (1, 2)
    ]
    [row] = combine(curves).table.to_pylist()
    means = [curve.table["accuracy"][0].as_py() for curve in curves]
    assert row["runs"] == 2
    assert row["accuracy"] == pytest.approx(np.mean(means))


def test_several_classes_and_balanced_repeats() -> None:
    table, labels = embeddings(2.0, classes=4)
    names = ["a", "b", "c", "d"]
    curve = label_efficiency(
        table, labels, [40, "all"], subsets=1, repeats=3, balance=True, classes=names
    )
    assert curve.classes == tuple(names)
    rows = curve.table.to_pylist()
    assert [row["trials"] for row in rows] == [15, 15]
    assert rows[-1]["accuracy"] > 0.5
    assert rows[-1]["auc"] > 0.8


def test_final_score_needs_to_be_said_and_leaves_the_test_half_out_of_training() -> None:
    table, labels = embeddings(2.0)
    train = dict(list(labels.items())[:90])
    test = dict(list(labels.items())[90:])
    with pytest.raises(HoagError, match="final=True"):
        final_score(table, train, test, [20, "all"])
    curve = final_score(table, train, test, [20, "all"], 3, final=True)
    for trial in curve.predictions[0].trials:
        assert {curve.ids[row] for row in trial.test_index} == set(test)
        assert {curve.ids[row] for row in trial.train_index} <= set(train)
    assert curve.table["trials"].to_pylist() == [3, 1]
    with pytest.raises(HoagError, match="1 galaxies are in the train half and the test half"):
        final_score(table, train, {**test, "g000": 1}, [20], final=True)


def test_quick_accuracy_is_high_for_clear_classes_and_repeats() -> None:
    table, labels = embeddings(4.0)
    vectors = np.stack(table["representation"].to_numpy())
    numbers = np.array(list(labels.values()))
    found = cross_validated_accuracy(list(labels), vectors, numbers, 3)
    assert found > 0.95
    assert found == cross_validated_accuracy(list(labels), vectors, numbers, 3)


def test_images_of_one_object_are_held_out_together() -> None:
    table, labels = embeddings()
    groups = {name: name[:-1] if name < "g060" else name for name in labels}
    curve = label_efficiency(table, labels, [20, "all"], subsets=2, groups=groups)
    [run] = curve.predictions
    for trial in run.trials:
        learned, held = (
            {groups[curve.ids[row]] for row in rows}
            for rows in (trial.train_index, trial.test_index)
        )
        assert not learned & held
    alone = label_efficiency(table, labels, [20], subsets=2, groups={n: n for n in labels})
    assert alone.table == label_efficiency(table, labels, [20], subsets=2).table
    del groups["g003"]
    with pytest.raises(HoagError, match=r"1 of 150 labelled galaxies are in no group.*'g003'"):
        label_efficiency(table, labels, [20], groups=groups)


def test_labelled_galaxies_without_vectors_are_counted() -> None:
    table, labels = embeddings()
    with pytest.raises(HoagError, match=r"mine: 2 of 152 labelled .* \(such as 'x1'\)"):
        label_efficiency(table, {**labels, "x1": 1, "x2": 0}, [20], name="mine")


def test_curves_of_different_tasks_are_not_combined() -> None:
    table, labels = embeddings()
    one = label_efficiency(table, labels, [20], subsets=1)
    fewer = dict(list(labels.items())[:100])
    with pytest.raises(HoagError, match="different galaxies or labels"):
        combine([one, label_efficiency(table, fewer, [20], subsets=1)])
    with pytest.raises(HoagError, match="no curve to combine"):
        combine([])
    with pytest.raises(HoagError, match="no arm 'hybrid' in this curve; it has representation"):
        one.compare("hybrid", "representation")
    with pytest.raises(HoagError, match="no metric 'f1'"):
        one.compare("representation", "representation", "f1")


def test_probabilities_of_the_wrong_shape_are_refused() -> None:
    _, labels = embeddings()
    numbers = np.array(list(labels.values()))
    trials = make_trials(list(labels), numbers, [20], 5, 1)[:1]
    for wrong in (np.ones((3, 2)), np.full((30, 2), np.nan)):
        with pytest.raises(HoagError, match="direct: the probabilities of trial"):
            Curve.from_predictions(list(labels), numbers, ["0", "1"], trials, [wrong], "direct")

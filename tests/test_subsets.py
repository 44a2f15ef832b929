from collections import Counter

import numpy as np
import pytest

from hoag.errors import HoagError
from hoag.subsets import Trial, make_final_trials, make_trials, number_of_subsets


def task(counts: tuple[int, ...], seed: int = 0) -> tuple[list[str], np.ndarray]:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    return [f"g{number:05d}" for number in range(len(labels))], labels


def by_id(ids: list[str], trials: list[Trial]) -> list[tuple[object, ...]]:
    return [
        (t.key, tuple(ids[row] for row in t.train_index), {ids[row] for row in t.test_index})
        for t in trials
    ]


def test_each_galaxy_is_held_out_once_in_each_repeat_and_never_learned_from_there() -> None:
    ids, labels = task((61, 43))
    trials = make_trials(ids, labels, [20, "all"], 5, 3, seed=1, repeats=2)
    for repeat in range(2):
        tests = {t.fold: t.test_index for t in trials if t.repeat == repeat}
        assert sorted(np.concatenate(list(tests.values()))) == list(range(104))
        assert {len(test) for test in tests.values()} == {20, 21}
    for trial in trials:
        assert not set(trial.train_index) & set(trial.test_index)
        assert len(set(trial.train_index)) == trial.size


@pytest.mark.parametrize("counts", [(50, 50), (90, 20), (60, 30, 7), (101, 55, 33, 12)])
def test_subsets_are_nested_and_stratified(counts: tuple[int, ...]) -> None:
    ids, labels = task(counts)
    sizes = [10, 20, 35, "all"]
    trials = make_trials(ids, labels, sizes, 5, 4, seed=2)
    by_series: dict[tuple[int, int], list[Trial]] = {}
    for trial in trials:
        by_series.setdefault((trial.fold, trial.subset), []).append(trial)
    for series in by_series.values():
        series.sort(key=lambda trial: trial.size)
        for small, large in zip(series, series[1:], strict=False):
            assert set(small.train_index) < set(large.train_index)
    for trial in trials:
        others = np.setdiff1d(np.arange(len(labels)), trial.test_index)
        pool = np.bincount(labels[others], minlength=len(counts))
        mine = np.bincount(labels[trial.train_index], minlength=len(counts))
        assert mine.min() >= 2
        expected = trial.size * pool / pool.sum()
        rare = expected < 3  # where two of each at the front weigh more than proportion
        if not rare.any():
            assert np.abs(mine - expected).max() <= 1.5


def test_folds_hold_the_classes_in_proportion() -> None:
    ids, labels = task((60, 30, 7))
    for trial in make_trials(ids, labels, ["all"], 5, 1):
        counts = np.bincount(labels[trial.test_index], minlength=3)
        assert counts[0] == 12
        assert counts[1] == 6
        assert counts[2] in (1, 2)


def test_trials_depend_on_ids_and_seed_and_not_on_the_order_of_rows() -> None:
    ids, labels = task((40, 40))
    order = np.random.default_rng(3).permutation(80)
    moved = [ids[row] for row in order]
    for balance in (False, True):
        options = {"seed": 5, "repeats": 2, "balance": balance}
        one = by_id(ids, make_trials(ids, labels, [10, 30], 5, 2, **options))
        other = by_id(moved, make_trials(moved, labels[order], [10, 30], 5, 2, **options))
        assert one == other
    another = by_id(ids, make_trials(ids, labels, [10, 30], 5, 2, seed=6, repeats=2))
    assert one != another


def test_series_folds_and_repeats_differ_from_each_other() -> None:
    ids, labels = task((100, 100))
    trials = make_trials(ids, labels, [20], 2, 5, repeats=3)
    assert len({tuple(sorted(t.train_index)) for t in trials}) == len(trials) == 30


def test_every_galaxy_is_as_likely_to_be_drawn() -> None:
    ids, labels = task((50, 50))
    drawn: Counter[int] = Counter()
    for seed in range(40):
        for trial in make_trials(ids, labels, [10], 2, 5, seed):
            drawn.update(trial.train_index.tolist())
    counts = np.array([drawn[row] for row in range(100)])
    assert counts.mean() == 40  # 40 seeds, 2 folds, 5 series of 10 labels from 100 galaxies
    assert counts.min() > 15
    assert counts.max() < 70


def test_balanced_draws_have_equal_classes_and_are_fresh_in_each_repeat() -> None:
    ids, labels = task((80, 20))
    trials = make_trials(ids, labels, ["all"], 5, 1, balance=True, repeats=4)
    negatives = set()
    for repeat in range(4):
        held = np.concatenate([t.test_index for t in trials if t.repeat == repeat])
        assert np.bincount(labels[held]).tolist() == [20, 20]
        negatives.add(tuple(sorted(held[labels[held] == 0])))
    assert len(negatives) == 4
    assert {t.size for t in trials} == {32}


def objects(ids: list[str]) -> list[str]:
    """Half of the rows alone, the others two or three images of an object."""
    half = len(ids) // 2
    return ids[:half] + [
        f"object {row // 2 if row % 5 else row // 3}" for row in range(len(ids) - half)
    ]


@pytest.mark.parametrize("balance", [False, True])
def test_no_object_is_both_learned_from_and_scored_on(balance: bool) -> None:
    ids, labels = task((120, 60, 20))  # labels are drawn anew for each row: objects mix classes
    groups = objects(ids)
    trials = make_trials(
        ids, labels, [20, "all"], 5, 3, balance=balance, repeats=3, groups=groups
    )  # fmt: skip
    for trial in trials:
        learned = {groups[row] for row in trial.train_index}
        assert not learned & {groups[row] for row in trial.test_index}
        assert np.bincount(labels[trial.test_index], minlength=3).min() >= 1
        assert np.bincount(labels[trial.train_index], minlength=3).min() >= 2
    for repeat in range(3):
        tests = {t.fold: t.test_index for t in trials if t.repeat == repeat}
        held = np.concatenate(list(tests.values()))
        assert len(np.unique(held)) == len(held) == (60 if balance else 200)
        spread = [len(test) for test in tests.values()]
        assert max(spread) - min(spread) <= 6
    without = make_trials(ids, labels, ["all"], 5, 1, balance=balance)
    assert any(
        {groups[row] for row in t.train_index} & {groups[row] for row in t.test_index}
        for t in without
    )


def test_objects_of_one_class_are_dealt_in_proportion() -> None:
    ids, labels = task((60, 30))
    pairs = [*ids, *(f"{name} again" for name in ids)]
    for trial in make_trials(pairs, np.tile(labels, 2), ["all"], 5, 1, groups=ids * 2):
        assert np.bincount(np.tile(labels, 2)[trial.test_index]).tolist() == [24, 12]


def test_groups_of_one_change_nothing_and_the_order_of_rows_neither() -> None:
    ids, labels = task((70, 45))
    order = np.random.default_rng(3).permutation(115)
    moved = [ids[row] for row in order]
    for balance in (False, True):
        options = {"seed": 5, "repeats": 2, "balance": balance}
        plain = by_id(ids, make_trials(ids, labels, [10, "all"], 5, 2, **options))
        alone = [f"object of {name}" for name in ids]
        options["groups"] = alone
        assert by_id(ids, make_trials(ids, labels, [10, "all"], 5, 2, **options)) == plain
        options["groups"] = objects(ids)
        one = by_id(ids, make_trials(ids, labels, [10, "all"], 5, 2, **options))
        options["groups"] = [options["groups"][row] for row in order]
        assert by_id(moved, make_trials(moved, labels[order], [10, "all"], 5, 2, **options)) == one
        assert one != plain


def test_folds_without_groups_stay_as_published() -> None:
    ids, labels = task((12, 8))
    tests = [t.test_index.tolist() for t in make_trials(ids, labels, [4], 4, 1, seed=1)]
    assert tests == [[0, 2, 5, 8, 11], [1, 3, 9, 10, 16], [4, 6, 12, 14, 17], [7, 13, 15, 18, 19]]


def test_groups_that_leave_a_fold_without_a_class_are_refused() -> None:
    ids, labels = task((30, 10))
    groups = [name if label == 0 else "one" for name, label in zip(ids, labels, strict=True)]
    with pytest.raises(HoagError, match="class number 1 has galaxies of too few sky objects for 5"):
        make_trials(ids, labels, [10], groups=groups)
    with pytest.raises(HoagError, match="39 groups were given for 40 galaxies"):
        make_trials(ids, labels, [10], groups=groups[1:])


def test_number_of_subsets_is_full_up_to_3000_labels_and_one_for_all() -> None:
    assert number_of_subsets(3000, 20, 40000) == 20
    assert number_of_subsets(6000, 20, 40000) == 10
    assert number_of_subsets(39999, 20, 40000) == 1
    assert number_of_subsets(500, 20, 500) == 1
    ids, labels = task((30, 30))
    trials = make_trials(ids, labels, [10, "all"], 5, 7)
    assert Counter(t.size for t in trials) == {10: 35, 48: 5}


def test_final_trials_learn_from_the_train_half_and_are_scored_on_all_of_the_test_half() -> None:
    ids, labels = task((30, 30))
    trials = make_final_trials(ids, labels, np.arange(60, 100), [10, "all"], 3)
    assert Counter(t.size for t in trials) == {10: 3, 60: 1}
    for trial in trials:
        assert trial.train_index.max() < 60
        assert trial.test_index.tolist() == list(range(60, 100))


@pytest.mark.parametrize(
    ("counts", "sizes", "options", "words"),
    [
        ((30, 30), [1000], {}, "size 1000 asks for more labels than there are: .* hold 48"),
        ((30, 30), [3], {}, "size 3 is too small for 2 classes"),
        ((30, 30), [], {}, "no sizes were given"),
        ((30, 30), ["most"], {}, "size 'most' is neither"),
        ((30, 30), [10.5], {}, "size 10.5 is neither"),
        ((30, 3), [10], {}, "class number 1 has 3 galaxies, fewer than the 5 folds"),
        ((30,), [10], {}, "all 30 labels are of one class"),
        ((30, 30), [10], {"folds": 1}, "folds=1 makes no trial"),
        ((30, 30), [10], {"subsets": 0}, "subsets=0 makes no trial"),
        ((30, 30), [10], {"repeats": 0}, "repeats=0 makes no trial"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    counts: tuple[int, ...], sizes: list[int | str], options: dict[str, int], words: str
) -> None:
    ids, labels = task(counts)
    with pytest.raises(HoagError, match=words):
        make_trials(ids, labels, sizes, **options)

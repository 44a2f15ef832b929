import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from hoag.scores import Bootstrap, contributions, estimate, score
from hoag.subsets import Trial


def trial(test: np.ndarray, subset: int = 0) -> Trial:
    return Trial(10, 0, 0, subset, np.arange(0), test)


def chances(rng: np.random.Generator, labels: np.ndarray, classes: int) -> np.ndarray:
    logits = rng.normal(size=(len(labels), classes)) + 1.0 * np.eye(classes)[labels]
    powers = np.exp(np.round(logits, 1))  # rounded, so that some tie
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_scores_are_those_of_scikit_learn(classes: int) -> None:
    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes, 300)
    test = np.arange(50, 300)
    predicted = chances(rng, labels[test], classes)
    found = score(trial(test), predicted, labels)
    truth = labels[test]
    auc = (
        roc_auc_score(truth, predicted[:, 1])
        if classes == 2
        else roc_auc_score(truth, predicted, multi_class="ovr", average="macro")
    )
    assert found["accuracy"] == pytest.approx((predicted.argmax(axis=1) == truth).mean())
    assert found["balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score(truth, predicted.argmax(axis=1))
    )
    assert found["auc"] == pytest.approx(auc)


def test_guessing_scores_half_and_ties_count_half() -> None:
    labels = np.repeat([0, 1], 50)
    even = np.full((100, 2), 0.5)
    assert score(trial(np.arange(100)), even, labels)["auc"] == 0.5


def test_contributions_of_trials_add_up() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 60)
    trials = [trial(np.arange(0, 30)), trial(np.arange(20, 60))]
    predicted = [chances(rng, labels[t.test_index], 2) for t in trials]
    together = contributions(trials, predicted, labels, 2)
    apart = sum(contributions([t], [p], labels, 2) for t, p in zip(trials, predicted, strict=True))
    np.testing.assert_allclose(together, apart)
    assert together[:, :2].sum() == 70


def measured(runs: list[np.ndarray], galaxies: int, **options: int) -> dict[str, np.ndarray]:
    return Bootstrap(galaxies, 2, **options).measures([runs])[0]


def test_interval_of_accuracy_is_binomial_when_each_galaxy_is_held_out_once() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 400)
    predicted = chances(rng, labels, 2)
    found = estimate(
        measured([contributions([trial(np.arange(400))], [predicted], labels, 2)], 400)["accuracy"]
    )
    error = np.sqrt(found.value * (1 - found.value) / 400)
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(error, rel=0.06)


def test_interval_of_auc_is_delongs() -> None:
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], [250, 150])
    predicted = chances(rng, labels, 2)
    values = predicted[:, 1]
    found = estimate(
        measured([contributions([trial(np.arange(400))], [predicted], labels, 2)], 400)["auc"]
    )
    ahead = values[labels == 1][:, None] - values[labels == 0][None]
    kernel = (ahead > 0) + 0.5 * (ahead == 0)
    error = np.sqrt(kernel.mean(1).var(ddof=1) / 150 + kernel.mean(0).var(ddof=1) / 250)
    assert found.value == pytest.approx(kernel.mean())
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(error, rel=0.06)


def test_repeating_predictions_of_the_same_galaxies_narrows_no_interval() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 200)
    predicted = chances(rng, labels, 2)
    once = contributions([trial(np.arange(200))], [predicted], labels, 2)
    often = contributions(
        [trial(np.arange(200), n) for n in range(20)], [predicted] * 20, labels, 2
    )
    for name in ("accuracy", "auc"):
        np.testing.assert_allclose(measured([once], 200)[name], measured([often], 200)[name])


def test_differences_are_paired() -> None:
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, 300)
    predicted = chances(rng, labels, 2)
    better = predicted.copy()
    wrong = np.flatnonzero(predicted.argmax(axis=1) != labels)[:5]
    better[wrong] = np.eye(2)[labels[wrong]]
    one, other = Bootstrap(300, 2).measures(
        [[contributions([trial(np.arange(300))], [p], labels, 2)] for p in (better, predicted)]
    )
    alone, difference = estimate(one["accuracy"]), estimate(one["accuracy"] - other["accuracy"])
    assert difference.value == pytest.approx(5 / 300)
    assert difference.low > 0
    assert difference.high - difference.low < (alone.high - alone.low) / 2


def test_seeds_of_an_arm_widen_its_interval_as_they_differ() -> None:
    labels = np.tile([0, 1], 200)
    runs = []
    for share in (0.6, 0.9):
        right = np.arange(400) < 400 * share
        predicted = np.where((labels == 1) == right, 0.9, 0.1)
        both = np.stack([1 - predicted, predicted], axis=1)
        runs.append(contributions([trial(np.arange(400))], [both], labels, 2))
    two, one = (
        estimate(measured(runs, 400)["accuracy"]),
        estimate(measured(runs[:1], 400)["accuracy"]),
    )
    assert two.value == pytest.approx(0.75)
    assert two.high - two.low > 2 * (one.high - one.low)


def test_intervals_repeat_and_galaxies_never_held_out_do_not_matter() -> None:
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, 100)
    predicted = chances(rng, labels, 2)
    tally = contributions([trial(np.arange(100))], [predicted], labels, 2)
    padded = np.concatenate([tally, np.zeros((30, tally.shape[1]))])
    for name in ("accuracy", "balanced_accuracy", "auc"):
        np.testing.assert_array_equal(measured([tally], 100)[name], measured([tally], 100)[name])
        np.testing.assert_array_equal(measured([tally], 100)[name], measured([padded], 130)[name])


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(6)
    inside = 0
    for _ in range(200):
        right = rng.random(150) < 0.8
        both = np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])
        labels = np.zeros(150, np.int64)
        labels[:75] = 1
        both = np.where(labels[:, None] == 1, both[:, ::-1], both)
        tally = contributions([trial(np.arange(150))], [both], labels, 2)
        found = estimate(measured([tally], 150, replicates=300)["accuracy"])
        inside += found.low <= 0.8 <= found.high
    assert 175 <= inside <= 200

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import balanced_accuracy_score, precision_score, r2_score, recall_score

from hoag.goal_heads import Goal
from hoag.goal_scores import _classes, _labels, _numbers, confusion_figure

RANDOM = np.random.default_rng(0)


def test_scores_of_classes_are_scikit_learns():
    goal = Goal("classes", ("a", "b", "c"), ("kind",))
    labels, answers = RANDOM.integers(0, 3, 200), RANDOM.random((200, 3))
    scores, predicted = _classes(goal, answers, labels), answers.argmax(1)
    assert scores["accuracy"] == pytest.approx((labels == predicted).mean())
    assert scores["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    recalls, precisions = (
        f(labels, predicted, average=None) for f in (recall_score, precision_score)
    )
    for n, name in enumerate("abc"):
        assert scores["by"][name]["recall"] == pytest.approx(recalls[n])
        assert scores["by"][name]["precision"] == pytest.approx(precisions[n])


def test_a_class_that_is_not_there_spoils_nothing():
    goal = Goal("classes", ("a", "b", "c"), ("kind",))
    scores = _classes(goal, np.eye(3)[[0, 1, 1]], np.array([0, 1, 0]))
    assert scores["balanced_accuracy"] == pytest.approx(0.75)
    assert scores["by"]["c"] == {"galaxies": 0, "recall": None, "precision": None}
    assert len(confusion_figure(goal, scores).axes) == 1


def test_labels_are_scored_where_they_are_known():
    labels = np.array([[1, np.nan], [0, 1], [1, 0], [0, 1]], np.float32)
    answers = np.array([[0.9, 0.1], [0.2, 0.8], [0.8, 0.3], [0.4, 0.9]], np.float32)
    scores = _labels(Goal("labels", ("ring", "bar"), ("ring", "bar")), answers, labels)
    assert scores["auc"] == scores["average_precision"] == scores["accuracy"] == 1.0
    assert scores["by"]["bar"]["galaxies"] == 3 and scores["by"]["bar"]["yes"] == 2


def test_calibrated_numbers_lie_within_their_scatter_two_times_of_three():
    truth = RANDOM.normal(5, 2, (20_000, 1))
    answers = np.concatenate([truth + RANDOM.normal(0, 0.5, truth.shape), 0 * truth + 0.5], 1)
    scores = _numbers(Goal("numbers", ("mass",), ("mass",)), answers.astype(np.float32), truth)
    assert scores["within_scatter"] == pytest.approx(norm.cdf(1) - norm.cdf(-1), abs=0.01)
    assert scores["rmse"] == pytest.approx(0.5, rel=0.02)
    assert scores["r2"] == pytest.approx(r2_score(truth, answers[:, :1]), abs=1e-4)

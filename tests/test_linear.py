import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from hoag.errors import HoagError
from hoag.linear import STRENGTHS, fit_linear, inner_folds_of


def galaxies(
    n: int, dim: int, classes: int = 2, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (n, dim) with correlations as a network's have, their labels, and 100 new ones."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n + 100, 8))
    features = np.maximum(latent @ rng.normal(size=(8, dim)) + rng.normal(size=(n + 100, dim)), 0)
    features = features * rng.uniform(0.1, 10, dim) + rng.normal(size=dim)
    if classes == 2:
        labels = (latent[:, 0] + 0.8 * rng.normal(size=n + 100) > 0.3).astype(int)
    else:
        labels = (latent[:, :classes] + 0.5 * rng.normal(size=(n + 100, classes))).argmax(axis=1)
    return features[:n].astype(np.float32), labels[:n], features[n:].astype(np.float32)


@pytest.mark.parametrize("strength", [1e-5, 1e-2, 1.0])
@pytest.mark.parametrize(
    ("n", "dim", "classes"), [(40, 100, 2), (200, 30, 2), (60, 100, 4), (200, 20, 3)]
)
def test_probabilities_are_those_of_scikit_learn(
    n: int, dim: int, classes: int, strength: float
) -> None:
    features, labels, new = galaxies(n, dim, classes)
    ours = fit_linear(features, labels, classes, strengths=[strength])
    mean, scale = features.astype(float).mean(0), features.astype(float).std(0)
    reference = LogisticRegression(C=strength, tol=1e-10, max_iter=20000)
    reference.fit((features - mean) / scale, labels)
    expected = reference.predict_proba((new - mean) / scale)
    np.testing.assert_allclose(ours.probabilities(new), expected, atol=1e-4)


def test_solution_is_the_same_without_the_rotation(monkeypatch: pytest.MonkeyPatch) -> None:
    for n, dim in ((50, 80), (120, 20)):
        features, labels, new = galaxies(n, dim)
        rotated = fit_linear(features, labels, 2).probabilities(new)
        monkeypatch.setattr("hoag.logistic_problem._LARGEST_ROTATION", 1)
        plain = fit_linear(features, labels, 2).probabilities(new)
        monkeypatch.undo()
        np.testing.assert_allclose(plain, rotated, atol=1e-4)


@pytest.mark.parametrize(("n", "dim", "classes"), [(60, 120, 2), (150, 15, 2), (120, 30, 3)])
def test_strength_is_the_one_a_plain_search_chooses(n: int, dim: int, classes: int) -> None:
    features, labels, _ = galaxies(n, dim, classes, seed=1)
    mean, scale = features.astype(float).mean(0), features.astype(float).std(0)
    scaled = (features - mean) / scale
    fold = inner_folds_of(labels, 3)
    losses = []
    for strength in STRENGTHS:
        chances = np.empty((n, classes))
        for held in range(3):
            model = LogisticRegression(C=strength, tol=1e-8, max_iter=20000)
            model.fit(scaled[fold != held], labels[fold != held])
            chances[fold == held] = model.predict_proba(scaled[fold == held])
        losses.append(log_loss(labels, chances))
    assert fit_linear(features, labels, classes).strength == STRENGTHS[int(np.argmin(losses))]


def testinner_folds_of_hold_each_class_in_proportion() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [2, 30, 61]))
    fold = inner_folds_of(labels, 3)
    for name, count in ((0, 2), (1, 30), (2, 61)):
        shares = np.bincount(fold[labels == name], minlength=3)
        assert shares.max() - shares.min() <= 1
        assert (count - shares).min() > 0, "no inner training set lacks a class"


def test_units_of_a_feature_change_nothing_and_constants_are_ignored() -> None:
    features, labels, new = galaxies(80, 10)
    plain = fit_linear(features, labels, 2).probabilities(new)
    scaled = np.concatenate([features * 1e3 + 5, np.full((80, 1), 7.0)], axis=1)
    other = fit_linear(scaled, labels, 2)
    moved = np.concatenate([new * 1e3 + 5, np.full((100, 1), 7.0)], axis=1)
    np.testing.assert_allclose(other.probabilities(moved), plain, atol=1e-4)


def test_separable_labels_and_useless_features_end_in_finite_probabilities() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 20)
    apart = labels[:, None] * 100.0 + rng.normal(size=(40, 3))
    sure = fit_linear(apart, labels, 2).probabilities(apart)
    assert (sure.argmax(axis=1) == labels).all()
    nothing = fit_linear(np.ones((40, 3)), labels, 2).probabilities(np.ones((1, 3)))
    np.testing.assert_allclose(nothing, [[0.5, 0.5]], atol=1e-6)


def test_order_of_rows_changes_nothing_at_a_given_strength() -> None:
    features, labels, new = galaxies(70, 40)
    order = np.random.default_rng(1).permutation(70)
    one = fit_linear(features, labels, 2, strengths=[0.01]).probabilities(new)
    other = fit_linear(features[order], labels[order], 2, strengths=[0.01]).probabilities(new)
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_class_of_one_galaxy_is_refused() -> None:
    with pytest.raises(HoagError, match="class number 1 has 1 galaxies among 5 labels"):
        fit_linear(np.eye(5), np.array([0, 0, 0, 0, 1]), 2)

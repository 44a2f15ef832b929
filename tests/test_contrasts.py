"""Differences of accuracies over arms and sizes: paired over galaxies, against closed forms."""

import numpy as np
import pytest

from hoag.curves import combine
from hoag.errors import HoagError

from .made_curves import known


def test_a_contrast_of_two_arms_is_their_comparison():
    rng = np.random.default_rng(4)
    curve = combine([known(rng.random(300) < p, 50, name) for name, p in (("a", 0.9), ("b", 0.6))])
    found = curve.contrast({("a", 50): 1.0, ("b", 50): -1.0})
    [row] = curve.compare("a", "b").to_pylist()
    assert (found.value, found.low, found.high) == (row["difference"], row["low"], row["high"])


def test_a_contrast_over_sizes_is_paired_over_galaxies():
    # Each galaxy adds a sum of four terms, of which the standard error of the mean is known.
    rng = np.random.default_rng(5)
    right = {
        ("a", 50): rng.random(800) < 0.8, ("b", 50): rng.random(800) < 0.6,
        ("a", 99): rng.random(800) < 0.9, ("b", 99): rng.random(800) < 0.9,
    }  # fmt: skip
    curve = combine([known(values, size, arm) for (arm, size), values in right.items()])
    weights = {("a", 50): 1.0, ("b", 50): -1.0, ("a", 99): -1.0, ("b", 99): 1.0}
    found = curve.contrast(weights)
    terms = sum(weight * right[point] for point, weight in weights.items())
    assert found.value == pytest.approx(terms.mean())
    width = 2 * 1.96 * terms.std() / np.sqrt(800)
    assert found.high - found.low == pytest.approx(width, rel=0.08)
    # What is the same at both sizes cancels exactly, seeds and all.
    same = combine([known(right["a", 50], size, runs=2) for size in (50, 99)])
    cancelled = same.contrast({("one", 50): 1.0, ("one", 99): -1.0})
    assert (cancelled.value, cancelled.low, cancelled.high) == (0, 0, 0)


def test_a_contrast_needs_trials_that_its_arms_share():
    curve = combine([known([1, 0, 1, 1], 50, "a"), known([1, 1, 1, 1], 99, "b")])
    with pytest.raises(HoagError, match="a, b share no trial of 50 labels"):
        curve.contrast({("a", 50): 1.0, ("b", 50): -1.0})
    with pytest.raises(HoagError, match="no arm 'c' in this curve; it has a, b"):
        curve.contrast({("c", 50): 1.0})

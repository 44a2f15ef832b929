"""Temperatures: recovered when known, harmless to means, tied to their weights."""

import json

import numpy as np
import pytest

from hoag import HoagError
from hoag.campaigns import Question
from hoag.schema import Schema
from hoag.temperatures import (
    FILE,
    Temperatures,
    fit_temperatures,
    read_temperatures,
    write_temperatures,
)

SCHEMA = Schema(
    "two",
    (
        Question("kind-x", "x", ("_smooth", "_disc", "_star")),
        Question("edge-x", "x", ("_yes", "_no"), ("kind-x_disc",)),
    ),
)


def simulated(n, temperatures, seed=0):
    """Votes of volunteers who follow alpha / T, and alpha."""
    random = np.random.default_rng(seed)
    alpha = np.exp(random.uniform(0, 4, (n, 5)))
    votes = np.zeros((n, 5), np.int64)
    for question, temperature in zip(SCHEMA.questions, temperatures, strict=True):
        place = slice(question.start, question.stop)
        for row in range(n):
            shared = random.dirichlet(alpha[row, place] / temperature)
            votes[row, place] = random.multinomial(30, shared)
    return votes, alpha


def test_a_known_temperature_is_recovered():
    votes, alpha = simulated(3000, (4.0, 0.4))
    fitted, numbers = fit_temperatures(votes, alpha, SCHEMA)
    assert fitted["kind-x"] == pytest.approx(4.0, rel=0.06)
    assert fitted["edge-x"] == pytest.approx(0.4, rel=0.1)
    assert numbers == {"kind-x": 3000, "edge-x": 3000}


def test_a_question_without_votes_takes_the_temperature_of_all():
    votes, alpha = simulated(800, (3.0, 1.0))
    few_votes = votes.copy()
    votes[:, 3:], few_votes[3:, 3:] = 0, 0
    fitted, numbers = fit_temperatures(votes, alpha, SCHEMA)
    assert numbers["edge-x"] == 0
    assert fitted["edge-x"] == pytest.approx(fitted["kind-x"], rel=1e-3)
    few, _ = fit_temperatures(few_votes, alpha, SCHEMA)  # three galaxies do not decide alone
    assert 0.4 < few["edge-x"] / fitted["edge-x"] < 1


def test_means_stay_and_widths_follow():
    _, alpha = simulated(5, (1.0, 1.0))
    cooled = Temperatures({"kind-x": 5.0}, {}).apply(alpha, SCHEMA)
    assert cooled.dtype == np.float32
    np.testing.assert_allclose(cooled[:, :3], alpha[:, :3] / 5, rtol=1e-6)
    np.testing.assert_allclose(cooled[:, 3:], alpha[:, 3:], rtol=1e-6)
    np.testing.assert_allclose(
        cooled[:, :3] / cooled[:, :3].sum(1, keepdims=True),
        alpha[:, :3] / alpha[:, :3].sum(1, keepdims=True), rtol=1e-5,
    )  # fmt: skip


def test_they_are_kept_with_their_weights(tmp_path):
    written = Temperatures({"kind-x": 2.5, "edge-x": 0.5}, {"weights": "abc", "symmetries": 8})
    write_temperatures(tmp_path, written)
    assert read_temperatures(tmp_path, "abc", SCHEMA) == written
    with pytest.raises(HoagError, match="fitted to weights abc, and those beside it are xyz"):
        read_temperatures(tmp_path, "xyz", SCHEMA)
    assert read_temperatures(tmp_path / "elsewhere", "abc", SCHEMA) is None


@pytest.mark.parametrize(
    "values",
    [{"bar-y": 1.0}, {"kind-x": 0}, {"kind-x": "hot"}, {"edge-x": -1}, {"edge-x": float("nan")}],
)
def test_odd_temperatures_are_refused(tmp_path, values):
    (tmp_path / FILE).write_text(json.dumps({"weights": "abc", "temperatures": values}))
    with pytest.raises(HoagError, match="is no temperature of a question"):
        read_temperatures(tmp_path, "abc", SCHEMA)


def test_what_is_no_file_of_temperatures_is_said(tmp_path):
    (tmp_path / FILE).write_text("[1, 2]")
    with pytest.raises(HoagError, match="holds no temperatures"):
        read_temperatures(tmp_path, "abc", SCHEMA)
    with pytest.raises(HoagError, match="no votes to fit temperatures on"):
        fit_temperatures(np.zeros((3, 5), int), np.ones((3, 5)), SCHEMA)

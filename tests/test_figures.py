import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from hoag.errors import HoagError
from hoag.figure_style import ARMS, arm_styles, png_bytes, save_figure, svg_text
from hoag.figures import (
    _apart,
    _spread,
    label_efficiency_figure,
    loss_accuracy_figure,
    plot_curve,
    training_figure,
)
from tests.example_results import ARMS as EXAMPLE_ARMS
from tests.example_results import SIZES, example_curve, example_results


def lines_of(ax: Axes) -> dict[str, np.ndarray]:
    return {line.get_label(): line.get_xydata() for line in ax.lines if line.get_label()[0] != "_"}


def test_lines_and_bands_are_at_the_numbers_of_the_table() -> None:
    rows = example_curve()
    ax = plot_curve(rows)
    lines = lines_of(ax)
    for arm in EXAMPLE_ARMS:
        own = [row for row in rows if row["arm"] == arm]
        drawn = lines[ARMS[arm].label]
        np.testing.assert_allclose(drawn[:, 0], [row["size"] for row in own])
        np.testing.assert_allclose(drawn[:, 1], [100 * row["accuracy"] for row in own])
    assert len(ax.collections) == len(EXAMPLE_ARMS)
    assert ax.get_xscale() == "log"
    assert [text.get_text() for text in ax.texts] != []


def test_a_measure_other_than_accuracy_is_drawn_and_an_unknown_one_refused() -> None:
    rows = example_curve()
    drawn = lines_of(plot_curve(rows, metric="auc"))["Hybrid"]
    hybrid = [row["auc"] for row in rows if row["arm"] == "hybrid"]
    np.testing.assert_allclose(drawn[:, 1], hybrid)
    for bad in (rows, []):
        with pytest.raises(HoagError, match="no rows with 'f1'"):
            plot_curve(bad, metric="f1")


def test_an_arm_has_one_style_in_every_figure_and_no_two_share_it() -> None:
    together = arm_styles(["mine", *ARMS, "theirs"])
    assert together["hybrid"] == arm_styles(["hybrid"])["hybrid"] == ARMS["hybrid"]
    assert len({style.colour for style in together.values()}) == len(together)
    assert len({style.marker for style in together.values()}) == len(together)
    results = example_results()
    for figure in (label_efficiency_figure(example_curve()), loss_accuracy_figure(results["fig2"])):
        found = {line.get_label(): to_hex(line.get_color()) for line in figure.axes[0].lines}
        assert found.get("Hybrid", ARMS["hybrid"].colour) == ARMS["hybrid"].colour


def test_names_at_the_line_ends_keep_apart_and_in_order() -> None:
    places = _spread(np.array([0.1, 0.5, 0.5, 0.51, 0.9]), 0.06)
    assert (np.diff(places) >= 0.06 - 1e-9).all()
    assert places[0] == 0.1
    assert places[-1] == 0.9
    assert abs(places[1:4].mean() - 0.5033) < 0.001


def test_ticks_that_would_touch_are_left_out() -> None:
    assert _apart([50, 100, 200, 400, 800, 840]) == [50, 100, 200, 400, 840]
    assert _apart([100]) == [100]


def test_loss_figure_joins_an_arms_points_in_the_order_they_were_seen() -> None:
    rows = example_results()["fig2"]
    ax = loss_accuracy_figure(rows[::-1]).axes[0]
    hybrid = [row for row in rows if row["arm"] == "hybrid"]
    drawn = [
        line.get_xydata() for line in ax.lines if to_hex(line.get_color()) == ARMS["hybrid"].colour
    ]
    np.testing.assert_allclose(drawn[0][:, 0], [row["contrastive"] for row in hybrid])
    np.testing.assert_allclose(drawn[0][:, 1], [100 * row["accuracy"] for row in hybrid])
    with pytest.raises(HoagError, match="no rows of accuracy against contrastive loss"):
        loss_accuracy_figure([])


def test_one_validation_is_enough_for_the_loss_figure() -> None:
    row = {"arm": "hybrid", "galaxies_seen": 0, "contrastive": -0.1, "accuracy": 0.5}
    assert len(png_bytes(loss_accuracy_figure([row]))) > 1000


def test_training_figure_has_a_panel_for_each_quantity_logged() -> None:
    histories = {arm: run["history"] for arm, run in example_results()["arms"].items()}
    titles = [ax.get_title(loc="left") for ax in training_figure(histories).axes]
    assert titles == [
        "Contrastive loss",
        "Supervised loss (nats)",
        "Feature spread (0: collapsed)",
        "Online probe: rings accuracy (%)",
    ]
    with pytest.raises(HoagError, match="logged nothing to draw"):
        training_figure({"hybrid": [{"step": 1, "galaxies_seen": 10}]})


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_saved_figure_is_the_same_file_each_time(tmp_path: Path, suffix: str) -> None:
    for name in ("a", "b"):
        save_figure(label_efficiency_figure(example_curve()), tmp_path / f"{name}{suffix}")
    first = (tmp_path / f"a{suffix}").read_bytes()
    assert first == (tmp_path / f"b{suffix}").read_bytes()
    assert len(first) > 2000


def test_other_kinds_of_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HoagError, match="saved as .png, .svg or .pdf"):
        save_figure(label_efficiency_figure(example_curve()), tmp_path / "figure.gif")


def test_ids_in_the_svgs_of_one_page_differ() -> None:
    import re

    texts = [svg_text(label_efficiency_figure(example_curve()), salt=salt) for salt in ("a", "b")]
    first, second = (set(re.findall(r'id="([^"]+)"', text)) for text in texts)
    assert first
    assert not first & second
    for text, ids in zip(texts, (first, second), strict=True):
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', text)) <= ids


def test_figures_leave_the_users_matplotlib_alone() -> None:
    before = dict(matplotlib.rcParams)
    png_bytes(label_efficiency_figure(example_curve(), title="A title", chance=0.5))
    assert dict(matplotlib.rcParams) == before
    assert SIZES == sorted(SIZES)


def test_curves_plot_themselves() -> None:
    from hoag.probing import label_efficiency
    from tests.test_probing import embeddings

    table, labels = embeddings()
    ax = label_efficiency(table, labels, [20, 60], subsets=1, name="mine").plot()
    assert list(lines_of(ax)) == ["mine"]
    assert len(png_bytes(ax.figure)) > 1000
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )

"""The paper's two figures and the training curves, drawn from rows of results.

Rows are plain mappings, as results.json holds them, so that a figure can be drawn again from the
JSON alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from hoag.errors import HoagError
from hoag.figure_style import (
    FAINT,
    arm_styles,
    new_figure,
    png_bytes,
    save_figure,
    styled,
    svg_text,
)
from hoag.loss_figure import loss_accuracy_figure, plot_losses, short_count

__all__ = [
    "label_efficiency_figure",
    "loss_accuracy_figure",
    "name_lines",
    "plot_curve",
    "plot_losses",
    "png_bytes",
    "save_figure",
    "size_axis",
    "svg_text",
    "training_figure",
]

Row = Mapping[str, Any]

_TITLES = {"accuracy": "Accuracy", "balanced_accuracy": "Balanced accuracy", "auc": "AUC"}


def plot_curve(
    rows: Sequence[Row],
    ax: Axes | None = None,
    metric: str = "accuracy",
    *,
    chance: float | None = None,
) -> Axes:
    """Draw a measure against the number of labels, a line an arm, with bands or bars: intervals.

    Parameters
    ----------
    rows
        Rows of ``Curve.table``: arm, size, the metric, and its ``_low`` and ``_high``, in [0, 1].
    ax
        Where to draw; by default on a figure of its own (``ax.figure``).
    metric
        accuracy, balanced_accuracy or auc.
    chance
        What always naming the largest class scores, drawn as a dotted line.

    Raises
    ------
    HoagError
        If there are no rows or they have no such metric.
    """
    if not rows or metric not in rows[0]:
        raise HoagError(f"there are no rows with '{metric}' to draw; give those of a curve's table")
    with styled():
        if ax is None:
            ax = new_figure(7.2, 4.4, layout="constrained").add_subplot()
        scale = 1 if metric == "auc" else 100
        styles = arm_styles(list(dict.fromkeys(row["arm"] for row in rows)))
        ends = {}
        for arm, style in styles.items():
            own = sorted((row for row in rows if row["arm"] == arm), key=lambda row: row["size"])
            sizes = np.array([row["size"] for row in own], float)
            middle, low, high = (
                scale * np.array([row[metric + end] for row in own])
                for end in ("", "_low", "_high")
            )
            # Six bands on top of each other are mud: baselines, and arms of few points, get bars.
            if len(own) > 2 and style.line == "-":
                ax.fill_between(sizes, low, high, color=style.colour, alpha=0.15, linewidth=0)
            else:
                ax.vlines(sizes, low, high, color=style.colour, alpha=0.55, linewidth=1.4)
            ax.plot(
                sizes, middle, style.line, color=style.colour, marker=style.marker, markersize=5.5,
                linewidth=1.9, markeredgewidth=0, label=style.label, clip_on=False, zorder=3,
            )  # fmt: skip
            ends[style.label] = (middle[-1], style.colour)
        if chance is not None:
            ax.axhline(scale * chance, color=FAINT, linewidth=1, linestyle=(0, (1, 2)), zorder=1)
            ax.annotate(
                "largest class", (0, scale * chance), xycoords=("axes fraction", "data"),
                xytext=(4, 3), textcoords="offset points", color=FAINT, fontsize=8.5,
            )  # fmt: skip
        size_axis(ax, sorted({row["size"] for row in rows}))
        ax.set_ylabel(_TITLES.get(metric, metric) + ("" if metric == "auc" else " (%)"))
        name_lines(ax, ends)
    return ax


def size_axis(ax: Axes, sizes: Sequence[int]) -> None:
    """Make the horizontal axis one of numbers of labels, ticked at these, ascending."""
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(_apart(sizes)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.set_xlabel("Number of labels")


def _apart(sizes: Sequence[int]) -> list[int]:
    """Leave out ticks whose labels would touch on a log axis, keeping the largest."""
    span = np.log(sizes[-1] / sizes[0]) or 1.0
    kept = [sizes[-1]]
    for size in reversed(sizes[:-1]):
        if np.log(kept[-1] / size) / span > 0.1:
            kept.append(size)
    return kept[::-1]


def name_lines(ax: Axes, ends: Mapping[str, tuple[float, str]]) -> None:
    """Name each line at the right in its colour, moved apart where names would overlap."""
    low, high = ax.get_ylim()
    ordered = sorted(ends.items(), key=lambda item: item[1][0])
    heights = np.array([(end - low) / (high - low) for _, (end, _) in ordered])
    places = _spread(heights, 0.062)
    for (name, (_, colour)), place in zip(ordered, places, strict=True):
        ax.annotate(
            name, (1.0, place), xycoords="axes fraction", xytext=(12, 0),
            textcoords="offset points", color=colour, va="center", fontsize=10, fontweight="bold",
        )  # fmt: skip


def _spread(heights: np.ndarray, gap: float) -> np.ndarray:
    """Ascending positions at least `gap` apart, each as near its height as the others allow."""
    offsets = gap * np.arange(len(heights))
    wanted = heights - offsets
    blocks: list[list[float]] = []  # pool adjacent violators: isotonic regression
    for value in wanted:
        blocks.append([value, 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            value, count = blocks.pop()
            blocks[-1] = [
                (blocks[-1][0] * blocks[-1][1] + value * count) / (blocks[-1][1] + count),
                blocks[-1][1] + count,
            ]
    flat = np.concatenate([np.full(int(count), value) for value, count in blocks])
    return np.asarray(flat + offsets)


def label_efficiency_figure(
    rows: Sequence[Row],
    *,
    metric: str = "accuracy",
    title: str | None = None,
    chance: float | None = None,
) -> Figure:
    """Draw Walmsley+22 Fig. 1: accuracy against number of labels, a line an arm.

    Parameters
    ----------
    rows, metric, chance
        As in `plot_curve`.
    title
        Above it.
    """
    with styled():
        figure = new_figure(7.6, 4.5, layout="constrained")
        ax = plot_curve(rows, figure.add_subplot(), metric, chance=chance)
        if title:
            ax.set_title(title)
    return figure


_QUANTITIES = {
    "contrastive": "Contrastive loss",
    "supervised": "Supervised loss (nats)",
    "feature_std": "Feature spread (0: collapsed)",
}


def training_figure(histories: Mapping[str, Sequence[Row]]) -> Figure:
    """Draw what was logged along training: losses, feature spread and online probes.

    Parameters
    ----------
    histories
        For each arm the rows of its metrics.csv: ``galaxies_seen`` and such as
        ``train/contrastive`` (thin) and ``val/contrastive`` (thick); cells may be missing.

    Raises
    ------
    HoagError
        If nothing that can be drawn was logged.
    """
    panels = _panels(histories)
    if not panels:
        raise HoagError("the runs logged nothing to draw; train for at least one validation")
    columns = 2 if len(panels) in (2, 4) else min(3, len(panels))
    lines = -(-len(panels) // columns)
    styles = arm_styles(list(histories))
    with styled():
        figure = new_figure(
            (4.6 if columns == 2 else 3.3) * columns + 0.5, 2.6 * lines + 0.4, layout="constrained"
        )
        axes = figure.subplots(lines, columns, squeeze=False).ravel()
        for ax in axes[len(panels) :]:
            ax.remove()
        drawn: dict[str, Any] = {}
        for ax, (title, names) in zip(axes, panels.items(), strict=False):
            for arm, history in histories.items():
                for name in names:
                    line = _draw_history(ax, history, name, styles[arm])
                    if line is not None:
                        drawn[styles[arm].label] = line
            ax.set_title(title)
            ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_count(value)))
            ax.xaxis.set_major_locator(MaxNLocator(4))
            ax.set_xlabel("Galaxies seen", fontsize=9)
        order = [style.label for style in styles.values() if style.label in drawn]
        figure.legend(
            [drawn[name] for name in order], order, loc="outside upper left", ncols=len(order),
            frameon=False, labelcolor="linecolor",
        )  # fmt: skip
    return figure


def _panels(histories: Mapping[str, Sequence[Row]]) -> dict[str, list[str]]:
    """Title of each panel and the logged names it shows, in the order they are read."""
    names = {name for history in histories.values() for row in history for name in row}
    panels = {}
    for quantity, title in _QUANTITIES.items():
        found = [name for name in (f"train/{quantity}", f"val/{quantity}") if name in names]
        if found:
            panels[title] = found
    for name in sorted(name for name in names if name.startswith("probe/")):
        task, _, measure = name.removeprefix("probe/").rpartition("/")
        panels[f"Online probe: {task} {measure} (%)".replace("_", " ")] = [name]
    return panels


def _draw_history(ax: Axes, history: Sequence[Row], name: str, style: Any) -> Any:
    points = [
        (row["galaxies_seen"], row[name]) for row in history if row.get(name) not in (None, "")
    ]
    if not points:
        return None
    x, y = np.array(points, float).T
    if name.startswith("train/"):
        return ax.plot(x, y, color=style.colour, linewidth=0.9, alpha=0.55)[0]
    y = 100 * y if name.startswith("probe/") else y
    return ax.plot(
        x, y, color=style.colour, linewidth=1.8, marker=style.marker, markersize=4.5,
        markeredgewidth=0,
    )[0]  # fmt: skip

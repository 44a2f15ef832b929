"""Accuracy against contrastive loss along training, the paper's second figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from hoag.errors import HoagError
from hoag.figure_style import arm_styles, new_figure, styled

Row = Mapping[str, Any]


def loss_accuracy_figure(rows: Sequence[Row], *, title: str | None = None) -> Figure:
    """Draw Walmsley+22 Fig. 2: downstream accuracy against contrastive loss along training.

    Parameters
    ----------
    rows
        As in `plot_losses`.
    title
        Above it.
    """
    with styled():
        figure = new_figure(7.6, 4.3, layout="constrained")
        ax = plot_losses(rows, figure.add_subplot())
        if title:
            ax.set_title(title)
    return figure


def plot_losses(rows: Sequence[Row], ax: Axes | None = None) -> Axes:
    """Draw accuracy against contrastive loss, a line an arm; marks grow with the galaxies seen.

    Parameters
    ----------
    rows
        ``arm``, ``galaxies_seen``, ``contrastive`` (validation loss) and ``accuracy`` in [0, 1];
        an arm's points are joined in the order of galaxies seen.
    ax
        Where to draw; by default on a figure of its own (``ax.figure``).

    Raises
    ------
    HoagError
        If there are no rows.
    """
    if not rows:
        raise HoagError("there are no rows of accuracy against contrastive loss to draw")
    with styled():
        if ax is None:
            ax = new_figure(7.6, 4.3, layout="constrained").add_subplot()
        most = max(row["galaxies_seen"] for row in rows) or 1
        ends: list[tuple[float, float, str, str]] = []
        for arm, style in arm_styles(list(dict.fromkeys(row["arm"] for row in rows))).items():
            own = sorted(
                (row for row in rows if row["arm"] == arm), key=lambda row: row["galaxies_seen"]
            )
            x = np.array([row["contrastive"] for row in own])
            y = 100 * np.array([row["accuracy"] for row in own])
            seen = np.array([row["galaxies_seen"] for row in own], float)
            ax.plot(x, y, "-", color=style.colour, linewidth=1.2, alpha=0.55, zorder=2)
            ax.scatter(
                x, y, 18 + 90 * seen / most, color=style.colour, marker=style.marker, linewidths=0,
                zorder=3, label=style.label,
            )  # fmt: skip
            _point_along(ax, x, y, style.colour)
            ends.append(
                (x[-1], y[-1], f"{style.label}, {short_count(seen[-1])} seen", style.colour)
            )
        ax.margins(x=0.16, y=0.16)
        _name_ends(ax, ends)
        ax.set_xlabel("Contrastive loss on validation galaxies (lower: views agree better)")
        ax.set_ylabel("Linear accuracy (%)")
    return ax


def _point_along(ax: Axes, x: np.ndarray, y: np.ndarray, colour: str) -> None:
    """Put an arrowhead half way along each line between two points: the way training went."""
    for start in range(len(x) - 1):
        tip = (x[start] + x[start + 1]) / 2, (y[start] + y[start + 1]) / 2
        ax.annotate(
            "", tip, xytext=(x[start], y[start]), annotation_clip=False,
            arrowprops={"arrowstyle": "-|>", "color": colour, "alpha": 0.55, "linewidth": 0,
                        "mutation_scale": 11, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip


def _name_ends(ax: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Name the last point of each line, the upper half of them above it and the others below."""
    ranked = sorted(ends, key=lambda end: -end[1])
    low, high = ax.get_xlim()
    for rank, (x, y, text, colour) in enumerate(ranked):
        above, place = rank < (len(ranked) + 1) // 2, (x - low) / (high - low)
        name = ax.annotate(
            text, (x, y), xytext=(0, 10 if above else -10), textcoords="offset points",
            color=colour, fontsize=9.5, fontweight="bold", va="bottom" if above else "top",
            ha="left" if place < 0.3 else "right" if place > 0.7 else "center",  # not over the edge
        )  # fmt: skip
        name.set_path_effects([withStroke(linewidth=3, foreground="white")])


def short_count(count: float) -> str:
    """12,345 as "12.3k"."""
    return f"{count / 1000:.3g}k" if count >= 1000 else f"{count:.0f}"

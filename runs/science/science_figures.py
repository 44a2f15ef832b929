"""The figures of the page, each drawn from the JSON of results/science alone."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from hoag.figure_style import FAINT, FALSE, INK, TRUE, arm_styles, new_figure, styled
from hoag.figures import name_lines, plot_curve, plot_losses, size_axis

Row = dict[str, Any]


def label_efficiency(task: Row, told: Row, ceiling: float | None = None) -> Figure:
    """Fig. 1: accuracy against labels, and Hybrid's gains, the paper's own numbers as open marks.

    Parameters
    ----------
    task
        Of a results.json: ``curve`` and ``paired``.
    told
        `paper.paper()`.
    ceiling
        Accuracy of who knows how visible each ring is, in [0, 1].
    """
    with styled():
        figure = new_figure(11.2, 4.7, layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1.12, 1])
        few, many = told["few_labels"]["value"], told["all_labels"]["value"]
        others, gain = told["others"]["value"], told["gain"]["value"]
        # The marks come first: lines are named at their height in what the axes then span.
        _papers(left, {("hybrid", few): told["hybrid"]["value"],
                       ("pretrained", few): others, ("contrastive", few): others})  # fmt: skip
        _papers(right, {("pretrained", few): gain, ("contrastive", few): gain,
                        ("pretrained", many): 0.0,
                        ("direct", many): told["over_direct"]["value"]})  # fmt: skip
        if ceiling is not None:
            _ceiling(left, ceiling)
        plot_curve(task["curve"], left)
        gains(task, right)
        left.set_title("Accuracy on held-out galaxies")
        sizes = {row["size"] for row in task["curve"]}
        size_axis(left, sorted(sizes | {few}))
        size_axis(right, sorted(sizes | {few, many}))
    return figure


def _papers(ax: Axes, values: dict[tuple[str, int], float]) -> None:
    """Put the paper's numbers, (arm, labels) -> value, as open marks in their arms' style."""
    styles = arm_styles([arm for arm, _ in values])
    for (arm, size), value in values.items():
        style = styles[arm]
        ax.plot(
            size, 100 * value, style.marker, markersize=9, markerfacecolor="none",
            markeredgecolor=style.colour, markeredgewidth=1.6, zorder=4, clip_on=False,
        )  # fmt: skip
    for size, value in dict.fromkeys((size, value) for (_, size), value in values.items()):
        ax.annotate(
            "paper", (size, 100 * value), xytext=(-9, 5), textcoords="offset points", ha="right",
            va="center", fontsize=8.5, color=FAINT,
        )  # fmt: skip


def _ceiling(ax: Axes, value: float) -> None:
    ax.axhline(100 * value, color=FAINT, linewidth=1, linestyle=(0, (1, 2)), zorder=1)
    ax.annotate(
        "ceiling: the labels are votes", (0, 100 * value), fontsize=8.5, color=FAINT,
        xycoords=("axes fraction", "data"), xytext=(4, 3), textcoords="offset points",
    )  # fmt: skip


def gains(task: Row, ax: Axes) -> Axes:
    """Hybrid less each other arm, in points, paired, against the number of labels."""
    paired = [row for row in task["paired"] if row["a"] == "hybrid" and row["b"] in _OTHERS]
    ends = {}
    for arm, style in arm_styles([row["b"] for row in paired]).items():
        own = sorted((row for row in paired if row["b"] == arm), key=lambda row: row["size"])
        sizes = np.array([row["size"] for row in own], float)
        middle, low, high = (
            100 * np.array([row[name] for row in own]) for name in ("difference", "low", "high")
        )
        if len(own) > 2:
            ax.fill_between(sizes, low, high, color=style.colour, alpha=0.15, linewidth=0)
        else:
            ax.vlines(sizes, low, high, color=style.colour, alpha=0.55, linewidth=1.4)
        ax.plot(sizes, middle, color=style.colour, marker=style.marker, markersize=5.5,
                markeredgewidth=0, linewidth=1.9, zorder=3, clip_on=False)  # fmt: skip
        ends[f"over {style.label}"] = (middle[-1], style.colour)
    ax.axhline(0, color=INK, linewidth=0.9)
    size_axis(ax, sorted({row["size"] for row in paired}))
    ax.set_ylabel("Hybrid's gain (points)")
    ax.set_title("Gain of Hybrid, paired")
    name_lines(ax, ends)
    return ax


_OTHERS = ("pretrained", "contrastive", "direct")


def losses(panels: dict[str, Sequence[Row]]) -> Figure:
    """Fig. 2: accuracy against contrastive loss along training, a panel an encoder."""
    with styled():
        figure = new_figure(5.6 * len(panels) + 0.2, 4.3, layout="constrained")
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for ax, (title, rows) in zip(axes, panels.items(), strict=True):
            plot_losses(rows, ax)
            ax.set_title(title)
            ax.set_xlabel("Contrastive loss (lower: views agree better)")
        for ax in axes[1:]:
            ax.set_ylabel("")
    return figure


def tasks(panels: dict[str, Sequence[Row]], *, alike: bool = False) -> Figure:
    """Accuracy against labels, a small panel a task; `alike` gives all the same heights."""
    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    with styled():
        figure = new_figure(5.6 * columns, 3.5 * lines, layout="constrained")
        axes = figure.subplots(lines, columns, squeeze=False, sharey=alike).ravel()
        for ax in axes[len(panels) :]:
            ax.remove()
        for ax, (title, rows) in zip(axes, panels.items(), strict=False):
            if alike:  # before lines are named at their heights
                ax.set_ylim(*_heights(panels.values()))
            plot_curve(rows, ax)
            ax.set_title(title)
    return figure


def _heights(panels: Iterable[Sequence[Row]]) -> tuple[float, float]:
    """Least and most percent that all bands of all panels fit in."""
    rows = [row for panel in panels for row in panel]
    low, high = min(r["accuracy_low"] for r in rows), max(r["accuracy_high"] for r in rows)
    return 100 * low - 1, 100 * high + 1


def sweep(cells: Sequence[Row], reference: str) -> Figure:
    """Mixing rules against lambda: how far each Hybrid is from a reference, at few and many labels.

    Parameters
    ----------
    cells
        ``mixing``, ``weight``, ``size``, ``accuracy``, ``difference``, ``low``, ``high``.
    reference
        The arm that differences are to.
    """
    sizes = sorted({cell["size"] for cell in cells})
    sizes = list(dict.fromkeys((sizes[0], sizes[-1])))
    rules = sorted({cell["mixing"] for cell in cells})
    weights = sorted({cell["weight"] for cell in cells})
    reach = max(100 * abs(cell["difference"]) for cell in cells) or 1.0
    colours = LinearSegmentedColormap.from_list("less to more", [FALSE, "#ffffff", TRUE])
    with styled():
        figure = new_figure(
            (1.5 + 0.95 * len(weights)) * len(sizes) + 1, 1.6 + 0.72 * len(rules),
            layout="constrained",
        )  # fmt: skip
        axes = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
        for ax, size in zip(axes, sizes, strict=True):
            found = {(c["mixing"], c["weight"]): c for c in cells if c["size"] == size}
            grid = np.full((len(rules), len(weights)), np.nan)
            for (rule, weight), cell in found.items():
                place = rules.index(rule), weights.index(weight)
                grid[place] = 100 * cell["difference"]
                _tell(ax, place, cell)
            image = ax.imshow(grid, cmap=colours, vmin=-reach, vmax=reach, aspect="auto", alpha=0.7)
            ax.set_xticks(range(len(weights)), [f"{weight:g}" for weight in weights])
            ax.set_yticks(range(len(rules)), rules)
            ax.grid(visible=False)
            ax.set_xlabel("lambda")
            ax.set_title(f"{size:,} labels")
        figure.colorbar(image, ax=list(axes), label=f"points above {reference}", shrink=0.9)
    return figure


def _tell(ax: Axes, place: tuple[int, int], cell: Row) -> None:
    """Write a cell's accuracy and, below, its difference with half its interval."""
    half = 50 * (cell["high"] - cell["low"])
    text = f"{100 * cell['accuracy']:.1f}\n{100 * cell['difference']:+.1f} ± {half:.1f}"
    ax.text(
        place[1], place[0], text.replace("-", "\N{MINUS SIGN}"), ha="center", va="center",
        fontsize=8.5, color=INK,
    )  # fmt: skip

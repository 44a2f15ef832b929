"""Figures of calibration: PIT histograms, intervals question by question, reliability diagrams."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator, PercentFormatter

from hoag.figure_style import FAINT, GRID, INK, new_figure, styled

BEFORE, AFTER = "#d55e00", "#0072b2"  # Okabe and Ito's, as for the arms
Group = Mapping[str, Any]


def pit_figure(
    groups: Sequence[Group],
    *,
    across: int = 4,
    labels: tuple[str, str] = ("as trained", "with temperatures"),
) -> Figure:
    """PIT histograms of groups before and after, one panel a group.

    A true model's is flat at 1; a hump in the middle means that its intervals are too wide, two
    horns that they are too narrow, a slope that its fractions are off.

    Parameters
    ----------
    groups
        Each with ``name``, ``before`` and ``after`` as `hoag.calibration.summary` gives them.
    across
        Panels in a row.
    labels
        What before and after are called.
    """
    with styled():
        figure, panels = _panels(groups, across, height=1.9)
        highest = max(_density(g[w]["pit"]).max() for g in groups for w in ("before", "after"))
        top = min(max(2.05, 1.08 * highest), 5.0)  # the same for all, so that they compare
        for group, axes in zip(groups, panels, strict=True):
            axes.axhline(1, color=FAINT, lw=1, ls=":")
            one, two = (_density(group[when]["pit"]) for when in ("before", "after"))
            edges = np.linspace(0, 1, len(two) + 1)
            axes.stairs(two, edges, fill=True, color=AFTER, alpha=0.28, lw=0)
            axes.stairs(two, edges, color=AFTER, lw=1.6, label=labels[1])
            axes.stairs(one, edges, color=BEFORE, lw=1.4, label=labels[0])
            axes.set_xlim(0, 1)
            axes.set_ylim(0, top)
            axes.xaxis.set_major_locator(MultipleLocator(0.5))
            axes.grid(False, axis="x")
        _outer_labels(figure, panels, across, "PIT of the votes", "density")
        _legend(figure, panels[0])
        return figure


def _density(counts: Sequence[int]) -> np.ndarray:
    values = np.asarray(counts, float)
    return values / max(values.mean(), 1e-12)


def coverage_figure(
    groups: Sequence[Group], goal: tuple[float, float], least: int, labels: Sequence[str]
) -> Figure:
    """Draw the share of PIT values in the central 90 %, before and after, a line a group.

    Parameters
    ----------
    groups
        As in `pit_figure`.
    goal
        The band to lie in, shaded.
    least
        Groups with fewer galaxies are drawn faint: they cannot tell.
    labels
        What each line is called.
    """
    with styled():
        figure = new_figure(7.2, 0.9 + 0.235 * len(groups), layout="constrained")
        axes = figure.add_subplot()
        heights = np.arange(len(groups))[::-1]
        axes.axvspan(*goal, color=AFTER, alpha=0.1, lw=0)
        axes.axvline(0.9, color=FAINT, lw=1, ls=":")
        for height, group in zip(heights, groups, strict=True):
            before, after = group["before"], group["after"]
            alpha = 1.0 if after["galaxies"] >= least else 0.35
            axes.plot(
                [before["pit_90"], after["pit_90"]], [height, height], color=FAINT, lw=0.9,
                alpha=0.6 * alpha, zorder=1,
            )  # fmt: skip
            axes.plot(
                before["pit_90"], height, "o", mfc="none", mec=BEFORE, ms=5, alpha=alpha,
                label="as trained" if height == 0 else None,
            )  # fmt: skip
            axes.errorbar(
                after["pit_90"], height, xerr=1.96 * after["pit_90_error"], fmt="o", color=AFTER,
                ms=4.5, elinewidth=1.2, alpha=alpha,
                label="with temperatures" if height == 0 else None,
            )  # fmt: skip
        axes.set_yticks(heights, labels)
        axes.set_ylim(-0.7, len(groups) - 0.3)
        lowest = min(min(g[w]["pit_90"] for w in ("before", "after")) for g in groups)
        axes.set_xlim(min(0.7, lowest - 0.03), 1.005)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel("PIT values in the central 90 %")
        axes.grid(False, axis="y")
        axes.tick_params(axis="y", length=0, labelsize=8.5)
        figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=9)
        return figure


def reliability_figure(groups: Sequence[Group], *, across: int = 4) -> Figure:
    """Reliability diagrams: observed against expected fraction, one panel a group.

    Bars are twice the error that the scatter shows; the grey band around the diagonal is twice the
    error that binomial counting alone would leave, the least that is to be expected.
    """
    with styled():
        figure, panels = _panels(groups, across, height=2.15)
        for group, axes in zip(groups, panels, strict=True):
            rows = group["reliability"]
            expected, observed, floor, error = (
                np.array([row[name] for row in rows])
                for name in ("expected", "observed", "floor", "error")
            )
            axes.plot([0, 1], [0, 1], color=FAINT, lw=1, ls=":")
            axes.fill_between(
                expected, expected - 2 * floor, expected + 2 * floor, color=FAINT, alpha=0.25, lw=0
            )
            axes.errorbar(
                expected, observed, yerr=2 * error, fmt="o-", color=AFTER, ms=3.5, lw=1.1,
                elinewidth=1.1,
            )  # fmt: skip
            axes.set_xlim(-0.02, 1.02)
            axes.set_ylim(-0.02, 1.02)
            axes.set_aspect("equal")
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(MultipleLocator(0.5))
        _outer_labels(figure, panels, across, "expected fraction", "observed")
        return figure


def _panels(groups: Sequence[Group], across: int, height: float) -> tuple[Figure, list[Axes]]:
    across = min(across, len(groups))
    down = -(-len(groups) // across)
    height = height if across > 1 else 1.6 * height
    figure = new_figure(7.2, height * down + 0.5, layout="constrained")
    panels = [figure.add_subplot(down, across, n + 1) for n in range(len(groups))]
    for group, axes in zip(groups, panels, strict=True):
        axes.set_title(
            f"{group.get('label', group['name'])}  $\\it{{{group['after']['galaxies']:,}}}$",
            fontsize=8 if across > 1 else 10, fontweight="normal", color=INK,
        )  # fmt: skip
        axes.tick_params(labelsize=8, color=GRID)
    return figure, panels


def _outer_labels(figure: Figure, panels: Sequence[Axes], across: int, x: str, y: str) -> None:
    across = min(across, len(panels))
    for n, axes in enumerate(panels):
        if n % across:
            axes.set_yticklabels([])
        if n + across < len(panels):
            axes.set_xticklabels([])
    figure.supxlabel(x, fontsize=9, color=INK)
    figure.supylabel(y, fontsize=9, color=INK)


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, frameon=False, fontsize=9)

"""Charts of the page of a built set: where its galaxies are on the sky, how many looked at each."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from hoag.data.report_numbers import MOST_VOTES
from hoag.figure_style import FAINT, GRID, TRUE, new_figure, styled

FEW_CELLS = 300


def sky_figure(sky: npt.NDArray[np.int64]) -> Figure:
    """Draw the number of galaxies by place, as an equal-area (Mollweide) map.

    Parameters
    ----------
    sky
        (across, up) galaxies by cells of right ascension, from 0 to 360 degrees, and of the sine of
        declination, from -1 to 1. Right ascension grows to the left, 180 degrees in the middle.
    """
    across, up = sky.shape
    with styled():
        figure = new_figure(7.2, 3.9, layout="constrained")
        ax = figure.add_subplot(projection="mollweide")
        ra = np.pi - np.linspace(0, 2 * np.pi, across + 1)
        dec = np.arcsin(np.linspace(-1, 1, up + 1))
        norm = LogNorm(1, max(10, int(sky.max())))
        cells = np.nonzero(sky)
        if len(cells[0]) < FEW_CELLS:  # too small to be seen as cells
            x, y = (ra[:-1] + ra[1:])[cells[0]] / 2, (dec[:-1] + dec[1:])[cells[1]] / 2
            mesh: Any = ax.scatter(
                x, y, c=sky[cells], s=14, norm=norm, cmap="viridis", linewidths=0
            )
        else:
            shown = np.ma.masked_equal(sky.T[:, ::-1], 0)
            mesh = ax.pcolormesh(ra[::-1], dec, shown, norm=norm, cmap="viridis", rasterized=True)
        ticks = np.arange(30, 331, 60)
        ax.set_xticks(np.pi - np.radians(ticks), [f"{tick}°" for tick in ticks])
        ax.tick_params(axis="x", labelsize=8, colors=FAINT)
        ax.tick_params(axis="y", labelsize=8)
        ax.grid(color=GRID, linewidth=0.6)
        area = 4 * 180**2 / np.pi / sky.size
        bar = figure.colorbar(mesh, ax=ax, shrink=0.75, pad=0.03)
        bar.set_label(f"galaxies in {area:.2g} square degrees")
        bar.outline.set_visible(False)
    return figure


def volunteers_figure(volunteers: dict[str, npt.NDArray[np.int64]]) -> Figure:
    """Draw the number of galaxies by the votes for a campaign's first question, one row each."""
    with styled():
        figure = new_figure(7.2, 0.5 + 1.15 * len(volunteers), layout="constrained")
        axes = figure.subplots(len(volunteers), 1, squeeze=False, sharex=True)[:, 0]
        last = max(
            (int(np.flatnonzero(counts[1:]).max(initial=0)) + 1 for counts in volunteers.values()),
            default=1,
        )
        width = max(1, -(-(last + 1) // 80))
        edges = np.arange(1, last + width + 1, width)
        for ax, (campaign, counts) in zip(axes, volunteers.items(), strict=True):
            padded = np.zeros(len(edges) * width, np.int64)
            padded[: min(len(counts) - 1, len(padded))] = counts[1 : 1 + len(padded)]
            heights = padded.reshape(-1, width).sum(1)
            ax.bar(edges, heights, width=0.9 * width, align="edge", color=TRUE, linewidth=0)
            ax.set_title(campaign)
            ax.set_ylabel("galaxies")
            ax.grid(axis="x", visible=False)
        ends = " (more are in the last bar)" if last == MOST_VOTES else ""
        axes[-1].set_xlabel(f"volunteers who answered the first question{ends}")
    return figure


def quantiles(counts: npt.NDArray[np.int64]) -> tuple[int, int, int]:
    """Tenth, fiftieth and ninetieth percentile of volunteers, among galaxies that had any."""
    seen = counts.copy()
    seen[0] = 0
    total = np.cumsum(seen)
    if not total[-1]:
        return 0, 0, 0
    low, middle, high = (int(np.searchsorted(total, q * total[-1])) for q in (0.1, 0.5, 0.9))
    return low, middle, high

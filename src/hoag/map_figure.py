"""The picture of a map: where galaxies lie, coloured by a column, and a mosaic of what they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hoag.figure_style import FAINT, TRUE, new_figure, styled
from hoag.images import Pixels

# Okabe and Ito's, told apart by readers with any colour vision.
_PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#5a8f29")
_NONE = "#b8bdc4"
_CLASSES = len(_PALETTE)
_CELLS = 22  # of the mosaic, on a side
_EDGE = 0.3  # per cent of galaxies left outside at each side, so that one outlier sets no scale
_MANY = 30_000  # points beyond which density is drawn instead


@dataclass(frozen=True)
class Shade:
    """Colours of points by a column.

    Attributes
    ----------
    name
        Of the column.
    colours
        (galaxies, 4) RGBA in [0, 1].
    classes
        Names and colours, for a column of few values.
    limits
        Values of the two ends of the colour scale, for one of numbers.
    """

    name: str
    colours: NDArray[np.float64]
    classes: tuple[tuple[str, str], ...] = ()
    limits: tuple[float, float] | None = None

    def hex(self, row: int) -> str:
        """Colour of one galaxy as CSS writes it."""
        return to_hex(self.colours[row])

    def legend(self) -> list[tuple[str, str]]:
        """Names and colours, of a scale of numbers five steps."""
        if self.limits is None:
            return list(self.classes)
        steps = np.linspace(0, 1, 5)
        low, high = self.limits
        return [(f"{low + (high - low) * s:.3g}", to_hex(colormaps["viridis"](s))) for s in steps]


def shade_of(column: Any, name: str) -> Shade:
    """Colour galaxies by a column, an Arrow array: numbers on a scale, few values by class."""
    values = column.to_pylist()
    distinct = sorted({v for v in values if v is not None}, key=str)
    numeric = all(isinstance(v, int | float) for v in distinct)
    if numeric and len(distinct) > _CLASSES:
        numbers = np.array([np.nan if v is None else float(v) for v in values])
        low, high = np.nanpercentile(numbers, [2, 98])
        scaled = np.clip((numbers - low) / ((high - low) or 1.0), 0, 1)
        colours = np.asarray(colormaps["viridis"](np.nan_to_num(scaled)), np.float64)
        colours[np.isnan(numbers)] = _rgba(_NONE)
        return Shade(name, colours, limits=(float(low), float(high)))
    counts: dict[Any, int] = dict.fromkeys(distinct, 0)
    for value in values:
        if value is not None:
            counts[value] += 1
    named = sorted(distinct, key=lambda v: -counts[v])[:_CLASSES]
    lookup = {value: _PALETTE[i] for i, value in enumerate(sorted(named, key=str))}
    colours = np.array([_rgba(lookup.get(value, _NONE)) for value in values])
    classes = [(f"{value} ({counts[value]:,})", colour) for value, colour in lookup.items()]
    missing = values.count(None)
    others = len(values) - missing - sum(counts[value] for value in named)
    grey = [(others, "others"), (missing, "no value")]
    classes += [(f"{what} ({count:,})", _NONE) for count, what in grey if count]
    return Shade(name, colours, tuple(classes))


def _rgba(colour: str) -> tuple[float, ...]:
    return (*(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)), 1.0)


def limits_of(places: NDArray[np.floating]) -> NDArray[np.float64]:
    """Corners (2, 2) of the part of the plane to show: all but the outermost few galaxies."""
    low, high = np.percentile(places, [_EDGE, 100 - _EDGE], axis=0)
    margin = 0.04 * np.where(high > low, high - low, 1.0)
    return np.stack([low - margin, high + margin])


def mosaic_rows(places: NDArray[np.floating]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Cut the plane into cells and take from each the galaxy nearest its centre.

    Returns
    -------
    rows, centres
        (cells,) rows of galaxies and (cells, 2) float32 centres of the cells, in units of cells.
    """
    low, high = limits_of(places)
    scaled = (places - low) / (high - low) * _CELLS
    inside = np.flatnonzero(((scaled >= 0) & (scaled < _CELLS)).all(axis=1))
    cells = np.floor(scaled[inside])
    away = ((scaled[inside] - cells - 0.5) ** 2).sum(axis=1)
    number = cells[:, 0] * _CELLS + cells[:, 1]
    order = np.lexsort((away, number))
    _, first = np.unique(number[order], return_index=True)
    chosen = order[first]
    return inside[chosen].astype(np.int64), (cells[chosen] + 0.5).astype(np.float32)


def map_figure(
    places: NDArray[np.floating],
    axes: tuple[str, str],
    shade: Shade | None = None,
    mosaic: tuple[NDArray[np.floating], Sequence[Pixels]] | None = None,
) -> Figure:
    """Draw a map.

    Parameters
    ----------
    places
        (galaxies, 2).
    axes
        Names of the two axes.
    shade
        Colours of the points.
    mosaic
        Centres in cells, from `mosaic_rows`, and the picture of each.
    """
    with styled():
        panels = 1 if mosaic is None else 2
        figure = new_figure(6.4 * panels, 6.4, layout="constrained")
        grid = figure.subplots(1, panels, squeeze=False)[0]
        _points(grid[0], places, axes, shade)
        if mosaic is not None:
            _tiles(grid[1], *mosaic)
    return figure


def _points(
    ax: Axes, places: NDArray[np.floating], axes: tuple[str, str], shade: Shade | None
) -> None:
    low, high = limits_of(places)
    if shade is None and len(places) > _MANY:
        ax.hexbin(
            places[:, 0], places[:, 1], gridsize=110, bins="log", cmap="Blues", mincnt=1,
            extent=(low[0], high[0], low[1], high[1]), linewidths=0.1,
        )  # fmt: skip
    else:
        order = np.random.default_rng(0).permutation(len(places))
        colours = TRUE if shade is None else shade.colours[order]
        size = float(np.clip(30_000 / len(places), 0.5, 20))
        ax.scatter(
            places[order, 0], places[order, 1], s=size, c=colours, linewidths=0,
            alpha=0.75 if len(places) < _MANY else 0.4, rasterized=True,
        )  # fmt: skip
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    ax.set_xlabel(axes[0])
    ax.set_ylabel(axes[1])
    ax.set_title(f"{len(places):,} galaxies" + ("" if shade is None else f" by {shade.name}"))
    if shade is not None:
        for name, colour in shade.legend():
            ax.plot([], [], "o", color=colour, label=name, markersize=6)
        ax.legend(loc="best", fontsize=8, framealpha=0.85, edgecolor="none")


def _tiles(ax: Axes, centres: NDArray[np.floating], pictures: Sequence[Pixels]) -> None:
    for (x, y), picture in zip(centres, pictures, strict=True):
        ax.imshow(
            picture, extent=(x - 0.48, x + 0.48, y - 0.48, y + 0.48), interpolation="antialiased"
        )
    ax.set_xlim(0, _CELLS)
    ax.set_ylim(0, _CELLS)
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.set_title("In each cell the galaxy nearest its centre", color=FAINT, weight="normal")

"""A small matrix drawn as tinted cells with its numbers in them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hoag.figure_style import FALSE, TRUE, new_figure, styled


def matrix_figure(
    values: Sequence[Sequence[float]],
    row_names: Sequence[str],
    column_names: Sequence[str],
    *,
    rows: str,
    columns: str,
    percent: bool = False,
    signed: bool = False,
) -> Figure:
    """Draw a matrix.

    Parameters
    ----------
    values
        (rows, columns) numbers.
    row_names, column_names
        What each row and column is.
    rows, columns
        What rows and columns are.
    percent
        Values are shares, written in per cent.
    signed
        Tint by sign: blue above 0, orange below.
    """
    matrix = np.asarray(values, float)
    with styled():
        figure = new_figure(7.2, 0.85 + 0.36 * len(row_names), layout="constrained")
        axes = figure.add_subplot()
        largest = max(float(np.abs(matrix).max()), 1e-12)
        # Clear where there is little, so that the page's own paper shows through.
        for row, column in np.ndindex(*matrix.shape):
            value = float(matrix[row, column])
            colour = FALSE if signed and value < 0 else TRUE
            axes.add_patch(_cell(column, row, colour, 0.55 * abs(value) / largest))
            text = (
                f"{100 * value:.0f}" if percent else f"{value:+.3f}" if signed else f"{value:.3f}"
            )
            axes.text(column, row, text, ha="center", va="center", fontsize=9)
        axes.set_xlim(-0.5, matrix.shape[1] - 0.5)
        axes.set_ylim(matrix.shape[0] - 0.5, -0.5)
        axes.set_xticks(range(matrix.shape[1]), column_names)
        axes.set_yticks(range(matrix.shape[0]), row_names)
        axes.set_xlabel(columns + (" (%)" if percent else ""))
        axes.set_ylabel(rows)
        axes.grid(False)
        axes.tick_params(length=0, labelsize=8.5)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return figure


def _cell(column: int, row: int, colour: str, strength: float) -> Rectangle:
    return Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, fc=colour, alpha=strength, lw=0)

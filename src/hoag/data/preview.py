"""One page of images under several stretches, to choose a stretch by eye."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hoag.data.fits_images import FitsImage, FitsSettings, is_fits, read_fits, render
from hoag.data.stretches import Pixels, get_stretch, stretches
from hoag.errors import HoagError
from hoag.images import decode

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_FILES = 40
_CELL = 1.75  # inches
_EDGE = 1.9  # for the files' names


def preview(
    files: Sequence[str | Path],
    out: str | Path,
    names: Sequence[str] = (),
    settings: FitsSettings | None = None,
) -> Path:
    """Draw each file under each stretch, one row a file.

    A stretch that does not suit a file (its unit, its bands) says so in its place. JPEG and PNG
    are shown as they are.

    Parameters
    ----------
    files
        FITS, JPEG or PNG images, 40 at most.
    out
        A .png, .svg or .pdf file.
    names
        Stretches; () for all that are named for a survey and the automatic ones.
    settings
        Which extension, bands and mask; its own stretch is not used.

    Returns
    -------
    path
        `out`.

    Raises
    ------
    HoagError
        If there are no files or too many, a stretch is unknown, or a file shows nothing at all.
    """
    from hoag.figure_style import save_figure

    if not 0 < len(files) <= MOST_FILES:
        raise HoagError(f"a preview shows 1 to {MOST_FILES} files, not {len(files)}; choose some")
    chosen = [get_stretch(n).name for n in names] or [n for n in stretches() if n != "values"]
    settings = settings or FitsSettings()
    rows = [_row(Path(path), chosen, settings) for path in files]
    if all(not is_fits(path) for path in files):
        chosen = chosen[:1]
    save_figure(_page([Path(path) for path in files], chosen, rows), out)
    return Path(out)


def _row(path: Path, chosen: Sequence[str], settings: FitsSettings) -> list[Pixels | str | None]:
    """Make the pictures of one file: of each stretch, or why there is none."""
    if not is_fits(path):
        return [decode(path, where=str(path)), *([None] * (len(chosen) - 1))]
    cells: list[Pixels | str | None] = []
    first: HoagError | None = None
    for name in chosen:
        stretch = get_stretch(name)
        own = FitsSettings(name, settings.bands, settings.extension, settings.mask)
        try:
            image: FitsImage = read_fits(path, own, str(path))
            cells.append(render(image, stretch, str(path)))
        except HoagError as error:
            first = first or error
            cells.append(str(error).removeprefix(f"{path}: "))
    if first is not None and not any(isinstance(cell, np.ndarray) for cell in cells):
        raise first
    return cells


def _page(
    files: Sequence[Path], chosen: Sequence[str], rows: Sequence[Sequence[Pixels | str | None]]
) -> Figure:
    from hoag.figure_style import FAINT, GRID, INK, new_figure, styled

    with styled():
        width, height = _EDGE + _CELL * len(chosen), 0.45 + _CELL * len(rows)
        figure = new_figure(width, height)
        for r, (path, cells) in enumerate(zip(files, rows, strict=True)):
            bottom = (height - 0.35 - _CELL * (r + 1)) / height
            figure.text(
                0.08 / width, bottom + _CELL / 2 / height, _label(path), va="center", fontsize=8.5
            )
            for c, cell in enumerate(cells[: len(chosen)]):
                left = (_EDGE + _CELL * c) / width
                box = (left, bottom, 0.97 * _CELL / width, 0.97 * _CELL / height)
                axes = figure.add_axes(box)
                axes.set(xticks=[], yticks=[])
                for side in axes.spines.values():
                    side.set(visible=cell is not None, color=GRID, linewidth=0.6)
                if r == 0:
                    figure.text(left, (height - 0.28) / height, chosen[c], color=INK,
                                fontsize=10, weight="bold")  # fmt: skip
                if isinstance(cell, str):
                    axes.text(0.04, 0.5, _wrapped(cell), color=FAINT, fontsize=6.5, va="center",
                              transform=axes.transAxes)  # fmt: skip
                elif cell is not None:
                    axes.imshow(cell, interpolation="antialiased", aspect="equal")
    return figure


def _label(path: Path) -> str:
    return _wrapped(path.name, 24)


def _wrapped(text: str, width: int = 30) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width)[:9])

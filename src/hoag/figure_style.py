"""How hoag's figures look: one colour and marker an arm, and how figures become PNG, SVG and files.

Figures are drawn on matplotlib's objects alone, never through pyplot, so that they share no state
with a user's own plots and need no display.
"""

import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hoag.errors import HoagError
from hoag.files import written_whole

INK = "#1f2428"
FAINT = "#6a737d"
GRID = "#e1e4e8"
TRUE, FALSE = "#0072b2", "#d55e00"

STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",  # text stays text: selectable, and in the page's own fonts
}


@dataclass(frozen=True)
class ArmStyle:
    """Colour, marker and line of an arm, the same in every figure."""

    label: str
    colour: str
    marker: str
    line: str = "-"


# Okabe and Ito's colours, told apart by readers with any colour vision; greys for the baselines.
ARMS = {
    "hybrid": ArmStyle("Hybrid", "#d55e00", "o"),
    "pretrained": ArmStyle("Pretrained", "#0072b2", "s"),
    "contrastive": ArmStyle("Contrastive", "#009e73", "^"),
    "direct": ArmStyle("Direct", "#b0609a", "D"),
    "random weights": ArmStyle("Random weights", "#6e7681", "v", "--"),
    "hand made features": ArmStyle("Hand-made features", "#4c5f2a", "p", "-."),
    "raw pixels": ArmStyle("Raw pixels", "#a08a5b", "P", ":"),
}
_OTHERS = (("#56b4e9", "X"), ("#e69f00", "h"), ("#8c6bb1", "<"), ("#5a8f29", ">"))


def arm_styles(names: Sequence[str]) -> dict[str, ArmStyle]:
    """Style of each arm by its name; arms that are not the paper's get colours in their order."""
    styles: dict[str, ArmStyle] = {}
    strangers = 0
    for name in names:
        known = ARMS.get(name.lower().replace("_", " ").replace("-", " "))
        if known is None:
            colour, marker = _OTHERS[strangers % len(_OTHERS)]
            known = ArmStyle(name, colour, marker)
            strangers += name not in styles
        styles[name] = known
    return styles


class ShownFigure(Figure):
    """A figure that notebooks show as it is: they know only pyplot's, or none before its import."""

    def _repr_png_(self) -> bytes:
        return png_bytes(self, dpi=80)  # on white, so that inks can be read in dark mode


def new_figure(width: float, height: float, **options: Any) -> Figure:
    """Make an empty figure of a size in inches, outside pyplot."""
    figure = ShownFigure(figsize=(width, height), **options)
    FigureCanvasAgg(figure)
    return figure


@contextmanager
def styled() -> Iterator[None]:
    """Draw in hoag's style inside the block, and leave the user's settings alone after it."""
    with matplotlib.rc_context(STYLE):
        yield


def png_bytes(figure: Figure, *, dpi: int = 160, background: str = "white") -> bytes:
    """Render a figure as PNG."""
    memory = io.BytesIO()
    with styled():
        figure.savefig(
            memory, format="png", dpi=dpi, facecolor=background, metadata={"Software": "hoag"}
        )
    return memory.getvalue()


def svg_text(figure: Figure, *, background: str = "none", salt: str = "hoag") -> str:
    """Render a figure as SVG, from its ``<svg`` on; the same figure gives the same text.

    Parameters
    ----------
    figure
        What to render.
    background
        Colour behind it.
    salt
        Keeps the ids inside apart from those of other figures on one page.
    """
    memory = io.StringIO()
    with styled(), matplotlib.rc_context({"svg.hashsalt": salt}):
        figure.savefig(memory, format="svg", facecolor=background, metadata={"Date": None})
    text = memory.getvalue()
    text = text[text.index("<svg") :]
    prefix = "f" + hashlib.sha256(salt.encode()).hexdigest()[:6]
    return re.sub(r'\bid="([A-Za-z0-9.]+_\d+)"', rf'id="{prefix}-\1"', text)


def save_figure(figure: Figure, path: str | Path) -> None:
    """Save a figure on white by its suffix, .png, .svg or .pdf, whole or not at all."""
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in (".png", ".svg", ".pdf"):
        raise HoagError(f"{path}: figures are saved as .png, .svg or .pdf; end the name in one")
    with written_whole(path) as temporary:
        if kind == ".png":
            temporary.write_bytes(png_bytes(figure))
        elif kind == ".svg":
            header = '<?xml version="1.0" encoding="utf-8"?>\n'
            temporary.write_text(header + svg_text(figure, background="white"))
        else:
            with styled():
                figure.savefig(temporary, facecolor="white", metadata={"CreationDate": None})

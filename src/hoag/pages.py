"""Pages that need nothing from outside themselves: templates, pictures as data URIs, charts as SVG.

Charts stand in a page as SVG in the page's own inks and fonts, so that they are sharp at any size
and follow the reader's light or dark mode.
"""

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hoag.figure_style import ARMS, FAINT, GRID, INK, svg_text
from hoag.files import written_whole

if TYPE_CHECKING:
    import jinja2
    from matplotlib.figure import Figure


def page_environment() -> "jinja2.Environment":
    """Make the environment in which hoag's templates are filled in, strictly and escaped."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.globals["colours"] = {
        style.colour.lstrip("#"): style.colour for style in ARMS.values()
    }
    return environment


def render(template: str, **content: Any) -> str:
    """Fill in one of hoag's templates, ``NAME.html.j2``."""
    return page_environment().get_template(template).render(**content)


def write_page(path: str | Path, page: str) -> Path:
    """Write a page, whole or not at all."""
    path = Path(path)
    with written_whole(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def chart(figure: "Figure", name: str) -> str:
    """Markup of a chart for a page: SVG whose inks and fonts are the page's."""
    from markupsafe import Markup, escape

    drawn = themed(svg_text(figure, salt=name))
    opening = f'<svg role="img" aria-label="{escape(name)}"'
    return Markup(drawn.replace("<svg", opening, 1))


def themed(svg: str) -> str:
    """Let the page decide inks and fonts, so that a chart can be read in dark mode too."""
    inks = {INK: "ink", FAINT: "faint", GRID: "grid"}
    inks |= {style.colour: f"c-{style.colour.lstrip('#')}" for style in ARMS.values()}
    for colour, variable in inks.items():
        svg = svg.replace(f": {colour}", f": var(--{variable}, {colour})")
    return re.sub(r"'DejaVu Sans'(, sans-serif)?", "var(--sans)", svg)


def data_uri(content: bytes, kind: str) -> str:
    """Give bytes of a media type, image/jpeg say, as a link that holds them."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"

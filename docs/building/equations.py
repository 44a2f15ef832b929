r"""Turn equations into MathML while the site is built, so that no page needs a script for them.

pymdownx.arithmatex marks an equation as ``\(...\)`` or ``\[...\]``; latex2mathml writes what
browsers draw by themselves.
"""

import html
import re
from typing import Any

from latex2mathml.converter import convert

_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
_DISPLAYED = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)
_FUNCTION = re.compile(r"\\(log|cos|exp) (?=[^(_\s])")


def on_page_content(content: str, **_: Any) -> str:
    """Replace the equations of a page."""
    content = _INLINE.sub(lambda found: _mathml(found[1], "inline"), content)
    return _DISPLAYED.sub(
        lambda found: f'<div class="equation">{_mathml(found[1], "block")}</div>', content
    )


def _mathml(latex: str, display: str) -> str:
    spaced = _FUNCTION.sub(r"\\\1\\,", html.unescape(latex).strip())  # as TeX sets functions
    return str(convert(spaced, display=display))

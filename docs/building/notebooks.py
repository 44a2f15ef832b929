"""Pages of notebooks set no equations, so nbconvert's set-up of MathJax is left out of them."""

import re
from typing import Any

_MATHJAX = re.compile(r"<!-- Load mathjax -->.*?<!-- End of mathjax configuration -->", re.DOTALL)


def on_post_page(output: str, **_: Any) -> str:
    """Leave it out."""
    return _MATHJAX.sub("", output)

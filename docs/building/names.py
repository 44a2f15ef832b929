"""Names in code, such as ``hoag.find``, become links to their place in the API reference."""

import re
from typing import Any

_NAME = re.compile(r"(?<!</a>)<code>(hoag(?:\.\w+)+)(\(\))?</code>")
_TEST = re.compile(r"<code>(test_\w+\.py::test_\w+)</code>")
_HEADING_OR_LINK = re.compile(r"(<h[1-6].*?</h[1-6]>|<a .*?</a>)", re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """Mark names as references that mkdocs-autorefs may resolve, outside headings and links."""
    parts = _HEADING_OR_LINK.split(content)
    parts[::2] = [
        _NAME.sub(r'<autoref optional identifier="\1"><code>\1\2</code></autoref>', part)
        for part in parts[::2]
    ]
    # Long names of tests may break after an underscore.
    return _TEST.sub(
        lambda found: f"<code>{found[1].replace('_', '_<wbr>')}</code>", "".join(parts)
    )

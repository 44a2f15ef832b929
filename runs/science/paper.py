"""The paper's own numbers, from paper.toml, and the two accuracies that follow from them."""

import tomllib
from pathlib import Path
from typing import Any

PLACE = Path(__file__).with_name("paper.toml")


def paper() -> dict[str, Any]:
    """All entries of paper.toml by name, and ``others`` and ``hybrid``: accuracies at few labels.

    A gain g that removes a share f of the errors started from an error of g / f.
    """
    told = tomllib.loads(PLACE.read_text())
    error = told["gain"]["value"] / told["fewer_errors"]["value"]
    derived = "derived: the gain divided by the share of errors that it removes"
    told["others"] = {"value": 1 - error, "line": told["gain"]["line"], "words": derived}
    told["hybrid"] = {
        "value": 1 - error + told["gain"]["value"], "line": told["gain"]["line"], "words": derived,
    }  # fmt: skip
    return told

"""hoag: galaxy foundation models from images and volunteer votes.

The names below are the public face. They are imported when first used, so that ``import hoag`` and
``hoag --help`` stay quick.
"""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hoag._version import __version__
from hoag.errors import HoagError

if TYPE_CHECKING:
    from hoag import votes
    from hoag.asking import calibrate, predict
    from hoag.atlas import map_galaxies as map
    from hoag.exporting import export
    from hoag.finding import find
    from hoag.finetuning import finetune
    from hoag.galaxies import Galaxies, open
    from hoag.loading import load
    from hoag.models import Model
    from hoag.probing import Curve, label_efficiency
    from hoag.schema import Schema, load_schema
    from hoag.searching import search
    from hoag.simulator import simulate
    from hoag.training import train

__all__ = [
    "Curve",
    "Galaxies",
    "HoagError",
    "Model",
    "Schema",
    "__version__",
    "calibrate",
    "export",
    "find",
    "finetune",
    "label_efficiency",
    "load",
    "load_schema",
    "map",
    "open",
    "predict",
    "search",
    "simulate",
    "train",
    "votes",
]

_HOMES = {
    "Curve": "probing",
    "Galaxies": "galaxies",
    "Model": "models",
    "Schema": "schema",
    "calibrate": "asking",
    "export": "exporting",
    "find": "finding",
    "finetune": "finetuning",
    "label_efficiency": "probing",
    "load": "loading",
    "load_schema": "schema",
    "map": "atlas",
    "open": "galaxies",
    "predict": "asking",
    "search": "searching",
    "simulate": "simulator",
    "train": "training",
}

if sys.platform == "darwin":
    # torch reads this when it is loaded, so any later is too late.
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")


def __getattr__(name: str) -> Any:
    if name == "votes":
        return import_module("hoag.votes")
    if name in _HOMES:
        return getattr(import_module(f"hoag.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'hoag' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

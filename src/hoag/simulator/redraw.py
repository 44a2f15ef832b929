"""A simulated galaxy again, through another telescope: the same object, frame and neighbours.

Only the survey changes: its bands, seeing, pixels, depth and stretch. The galaxy keeps its angular
size and brightness, so a difference between two such images is the telescope's alone.
"""

import io
import re

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hoag.campaigns import closest
from hoag.errors import HoagError
from hoag.simulator.render import encode, render
from hoag.simulator.sample import (
    _FIELD,
    _PIXELS,
    _STRUCTURE,
    _WHO,
    EVO,
    RING,
    VERSION,
    _belonging,
)
from hoag.simulator.structure import draw_truth
from hoag.simulator.surveys import load_surveys

_ID = re.compile(rf"sim{VERSION}-(\d+)-(r?)(\d+)")


def is_simulated(id_str: str) -> bool:
    """Tell whether an id is one of this simulator's, so that its galaxy can be drawn again."""
    return _ID.fullmatch(id_str) is not None


def redraw(id_str: str, survey: str | None = None, *, size: int = 128, noise: int = 0) -> (
    NDArray[np.uint8]
):  # fmt: skip
    """Draw a simulated galaxy as another survey would see it.

    Parameters
    ----------
    id_str
        Its id, which says which galaxy of which seed it is.
    survey
        sdss, decals, mzls-bass, hst-hubble or hst-candels; None: its own.
    size
        Pixels on a side.
    noise
        0: the very noise of the galaxy's image, as far as the survey has the same; another number:
        another exposure.

    Returns
    -------
    ndarray
        (size, size, 3) uint8, through JPEG as all simulated images are.

    Raises
    ------
    HoagError
        If the id is no simulated galaxy's, or there is no such survey.
    """
    match = _ID.fullmatch(id_str)
    if match is None:
        raise HoagError(f"{id_str!r} is no id of a simulated galaxy, so it cannot be drawn again")
    seed, n, sample = int(match[1]), int(match[3]), RING if match[2] else EVO

    def stream(*purpose: int) -> np.random.Generator:
        return np.random.default_rng([seed, VERSION, sample, n, *purpose])

    own = _belonging(stream(_WHO), sample)[2]
    known = load_surveys()
    if survey is not None and survey not in known:
        raise HoagError(
            f"survey {survey!r} is none of {', '.join(known)}{closest(survey, list(known))}"
        )
    truth = draw_truth(stream(_STRUCTURE), known[own], ring_task=sample == RING)
    truth.survey = survey or own
    pixels = stream(_PIXELS, noise) if noise else stream(_PIXELS)
    image = render(truth, size, stream(_FIELD), pixels)
    with Image.open(io.BytesIO(encode(image))) as decoded:
        return np.asarray(decoded.convert("RGB")).copy()

"""One simulated galaxy from its number: role, survey, structure, image and votes.

Everything about galaxy n comes from streams keyed by (seed, VERSION, sample, n, purpose) and from
nothing else, so it never depends on how many galaxies are made, in which order or by whom.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hoag.errors import HoagError
from hoag.simulator.perception import Perception, perceive, ring_probability
from hoag.simulator.render import encode, render
from hoag.simulator.structure import Truth, draw_truth
from hoag.simulator.surveys import load_surveys
from hoag.simulator.volunteers import vote, vote_on_ring

if TYPE_CHECKING:
    from hoag.schema import Schema

# Any change of what a seed gives is a new version.
VERSION = 2

# Walmsley+22 (paper of GZ-Evo v0.1) section 2: 552k labelled, 1.34M unlabelled, 93k rings.
LABELLED, UNLABELLED, RINGS = 552, 1340, 93
# Galaxies labelled by campaign, thousands; its 305k of DECaLS are dr1/2 and dr5 (Walmsley+22a).
CAMPAIGNS = {"gz2": 209, "dr12": 60, "dr5": 245, "dr8": 60, "hubble": 100, "candels": 50}
SURVEY_OF = {
    "gz2": "sdss", "dr12": "decals", "dr5": "decals", "dr8": "decals",
    "hubble": "hst-hubble", "candels": "hst-candels",
}  # fmt: skip
# Unlabelled galaxies are spread as the Legacy Surveys' footprint: 9,000 and 5,000 square degrees.
UNLABELLED_SURVEYS = {"decals": 9, "mzls-bass": 5}

EVO, RING = 0, 1
_WHO, _STRUCTURE, _FIELD, _PIXELS, _VOLUNTEERS = range(5)


@dataclass(slots=True)
class SimulatedGalaxy:
    """One galaxy: where it belongs, what it is, what is seen of it, and what volunteers said.

    `role` is "pretraining", "unlabelled" or "rings"; `votes` (answers,) int16 are all zero but for
    the first, `ring_votes` of 10 is -1 but for the last. `image` is (size, size, 3) uint8.
    """

    id_str: str
    role: str
    survey: str
    campaign: str
    truth: Truth
    perception: Perception
    image: NDArray[np.uint8]
    votes: NDArray[np.int16]
    ring_votes: int

    @property
    def ring(self) -> int:
        """1 if the majority of volunteers call it ringed; a tie is not a majority."""
        return int(self.ring_votes > 5)

    @property
    def ring_probability(self) -> float:
        """Chance that a volunteer calls it ringed."""
        return ring_probability(self.truth, self.perception)

    def encoded(self) -> bytes:
        """Give the image as JPEG."""
        return encode(self.image)


@cache
def _schema() -> "Schema":
    from hoag.schema import load_schema

    return load_schema("gz-evo")


def draw(n: int, *, seed: int = 0, size: int = 128, sample: int = EVO) -> SimulatedGalaxy:
    """Draw the n-th galaxy of a sample: a pure function of its arguments and VERSION.

    Parameters
    ----------
    n
        Its number, from 0.
    seed
        Seed of the universe, from 0.
    size
        Pixels on a side; the galaxy, its field of view and its votes do not depend on it.
    sample
        EVO (labelled and unlabelled) or RING (the ring task).

    Raises
    ------
    HoagError
        If n, seed or size is out of range.
    """
    if n < 0 or seed < 0:
        raise HoagError(f"galaxy {n} of seed {seed}: numbers and seeds start at 0")

    known = draw_known(n, seed, sample)
    field, pixels = _stream(n, seed, sample, _FIELD), _stream(n, seed, sample, _PIXELS)
    image = render(known.truth, size, field, pixels)
    letter = "r" if sample == RING else ""
    return SimulatedGalaxy(
        id_str=f"sim{VERSION}-{seed}-{letter}{n:07d}",
        role=known.role,
        survey=known.truth.survey,
        campaign=known.campaign,
        truth=known.truth,
        perception=known.perception,
        image=image,
        votes=known.votes,
        ring_votes=known.ring_votes,
    )


class Known(NamedTuple):
    """What is known of a galaxy without its image; the fields are those of `SimulatedGalaxy`."""

    role: str
    campaign: str
    truth: Truth
    perception: Perception
    votes: NDArray[np.int16]
    ring_votes: int


def draw_known(n: int, seed: int, sample: int) -> Known:
    """Draw everything of the n-th galaxy of a sample but its image."""
    role, campaign, survey = _belonging(_stream(n, seed, sample, _WHO), sample)
    structure = _stream(n, seed, sample, _STRUCTURE)
    truth = draw_truth(structure, load_surveys()[survey], ring_task=sample == RING)
    sight = perceive(truth)
    schema = _schema()
    votes, ring_votes = np.zeros(len(schema.columns), np.int16), -1
    if role == "pretraining":
        votes = vote(schema, campaign, truth, sight, _stream(n, seed, sample, _VOLUNTEERS))
    elif role == "rings":
        ring_votes = vote_on_ring(truth, sight, _stream(n, seed, sample, _VOLUNTEERS))
    return Known(role, campaign, truth, sight, votes, ring_votes)


def _stream(n: int, seed: int, sample: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng([seed, VERSION, sample, n, purpose])


def _belonging(rng: np.random.Generator, sample: int) -> tuple[str, str, str]:
    if sample == RING:
        return "rings", "", "decals"
    labelled, which = rng.random(2)
    if labelled < LABELLED / (LABELLED + UNLABELLED):
        campaign = _chosen(CAMPAIGNS, which)
        return "pretraining", campaign, SURVEY_OF[campaign]
    return "unlabelled", "", _chosen(UNLABELLED_SURVEYS, which)


def _chosen(weights: dict[str, int], uniform: float) -> str:
    steps = np.cumsum(list(weights.values()))
    return list(weights)[int(np.searchsorted(steps, uniform * steps[-1], side="right"))]

"""One short name of what the simulator makes, for a result to carry."""

from dataclasses import astuple
from functools import cache
from hashlib import sha256
from importlib.resources import files

from hoag.simulator.sample import EVO, RING, draw_known

_GALAXIES = 200


@cache
def fingerprint() -> str:
    """Hash what a seed gives: 16 hexadecimal digits, the same on every machine.

    Covered are truth, role and votes of the first 200 galaxies of seed 0 of both samples, numbers
    rounded to 6 significant digits, and the bytes of surveys.toml. Pixels are not, since their last
    bit may differ between machines; the tests pin their statistics.
    """
    digest = sha256(files("hoag.simulator").joinpath("surveys.toml").read_bytes())
    for sample in (EVO, RING):
        for n in range(_GALAXIES):
            known = draw_known(n, 0, sample)
            words = [known.role, known.campaign, *map(_word, astuple(known.truth))]
            words += [str(known.ring_votes), *map(str, known.votes.tolist())]
            digest.update(" ".join(words).encode())
    return digest.hexdigest()[:16]


def _word(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)

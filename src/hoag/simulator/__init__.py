"""Simulated GZ-Evo: galaxies of known structure, seen by five surveys and read by volunteers.

`structure` draws what a galaxy is, `light` and `render` make its image, `perception` and
`volunteers` its votes, `sample` one galaxy from its number, `frozen` a fingerprint of what is made,
`store` a folder of them, `sheet` contact sheets. README.md beside this file says how hard the tasks
are and how that was measured.
"""

from hoag.simulator.frozen import fingerprint
from hoag.simulator.sample import VERSION, SimulatedGalaxy, draw
from hoag.simulator.sheet import contact_sheets
from hoag.simulator.store import simulate

__all__ = ["VERSION", "SimulatedGalaxy", "contact_sheets", "draw", "fingerprint", "simulate"]

"""One galaxy, taken out of many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Galaxy:
    """One galaxy.

    Attributes
    ----------
    id_str
        Its id.
    image
        (height, width, 3) uint8, as stored.
    votes
        (answers,) int32 in the order of the schema; 0 where not asked.
    row
        The other columns of its table.
    """

    id_str: str
    image: npt.NDArray[np.uint8]
    votes: npt.NDArray[np.int32]
    row: dict[str, Any]

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        return (
            f"Galaxy({self.id_str!r}, {height} x {width} px, {int(self.votes.sum()):,} votes, "
            f"{len(self.row)} columns)"
        )

    def _repr_html_(self) -> str:
        from hoag.notebook import galaxy_html

        return galaxy_html(self)

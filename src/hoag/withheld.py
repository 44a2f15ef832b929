"""Votes that are there but not looked at: of some galaxies, and to some questions of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hoag.errors import HoagError

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Withheld:
    """Whose votes read as 0, and the votes for which answers. Nothing is copied for it.

    Attributes
    ----------
    silent
        (galaxies,) bool: those as if nobody had been asked about them.
    unasked
        (answers,) bool: those as if nobody had ever been asked for them.
    """

    silent: Flags
    unasked: Flags

    @classmethod
    def nothing(cls, galaxies: int, answers: int) -> Withheld:
        """Withhold no vote."""
        return cls(np.zeros(galaxies, bool), np.zeros(answers, bool))

    @classmethod
    def join(cls, parts: Sequence[Withheld]) -> Withheld:
        """Put those of several lists of galaxies one after another.

        Raises
        ------
        HoagError
            If they leave out different questions, since one list cannot.
        """
        unasked = parts[0].unasked
        if any(not np.array_equal(part.unasked, unasked) for part in parts):
            raise HoagError(
                "galaxies with different questions left out cannot be joined; "
                "join them first and leave questions out afterwards"
            )
        return cls(np.concatenate([part.silent for part in parts]), unasked)

    def take(self, chosen: npt.NDArray[np.int64]) -> Withheld:
        """Give that of some galaxies."""
        return Withheld(self.silent[chosen], self.unasked)

    def more(self, silent: Flags, unasked: Flags) -> Withheld:
        """Withhold these as well."""
        return Withheld(self.silent | silent, self.unasked | unasked)

    def clear(self, votes: npt.NDArray[np.int32], chosen: npt.NDArray[np.int64]) -> None:
        """Set what is withheld of some galaxies' votes, (k, answers), to 0."""
        votes[self.silent[chosen]] = 0
        votes[:, self.unasked] = 0

"""Which of the volunteers' votes a run learns from: all, those of a share, or not every question's.

Nothing is rewritten: the votes left out read as 0, as if nobody had been asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hoag.campaigns import closest
from hoag.errors import HoagError
from hoag.options import option
from hoag.randomness import VOTES_KEPT, key_tensor, uniform
from hoag.toml_settings import demand

if TYPE_CHECKING:
    from hoag.galaxies import Galaxies
    from hoag.recipe import Recipe
    from hoag.schema import Schema


@dataclass(frozen=True)
class VoteSettings:
    """Which votes are learned from; the others are as if never given."""

    leave_out: tuple[str, ...] = option(
        (), 'questions left out: "bar" in all campaigns, "bar-gz2" in one'
    )
    share: float = option(1.0, "share of the galaxies with votes that keep theirs, 0 to 1, nested")

    def __post_init__(self) -> None:
        demand(0 <= self.share <= 1, "votes.share", self.share, "0 to 1")


def withhold(galaxies: Galaxies, settings: VoteSettings) -> Galaxies:
    """Give the same galaxies without the votes that a recipe leaves out.

    A galaxy that is left with no vote is one without votes. Who keeps theirs is a function of the
    id alone, apart from the splits: the 1 % lie within the 10 %, in every split, whatever the seed.

    Raises
    ------
    HoagError
        If a question is not in the schema.
    """
    unasked = answers_of(settings.leave_out, galaxies.schema)
    if settings.share == 1 and not unasked.any():
        return galaxies
    return galaxies.without_votes(silent_at(galaxies.keys, settings.share), unasked)


def learned_from(galaxies: Galaxies, recipe: Recipe) -> Galaxies:
    """Give those of the galaxies that an arm learns from, with the votes that it may see.

    Raises
    ------
    HoagError
        If a question is not in the schema.
    """
    left = withhold(galaxies, recipe.votes)
    # "Purely supervised": galaxies without votes have nothing to teach this arm.
    return left.where(left.labelled) if recipe.arm == "pretrained" else left


def silent_at(keys: npt.NDArray[np.uint64], share: float) -> npt.NDArray[np.bool_]:
    """Tell which galaxies lose their votes at a share, by the hashes of their ids; (n,) bool."""
    places = uniform(0, 0, key_tensor(keys), 1, VOTES_KEPT)[:, 0].numpy()
    return np.asarray(places >= share)


def answers_of(names: Iterable[str], schema: Schema) -> npt.NDArray[np.bool_]:
    """Tell which answers belong to questions; (answers,) bool.

    Parameters
    ----------
    names
        Questions with their campaign ("bar-gz2") or without, then those of all campaigns ("bar").
    schema
        Where they stand.

    Raises
    ------
    HoagError
        If there is no such question.
    """
    chosen = np.zeros(len(schema.columns), bool)
    stems = [question.short for question in schema.questions]
    for name in names:
        found = [
            question
            for question, stem in zip(schema.questions, stems, strict=True)
            if name in (stem, question.name)
        ]
        if not found:
            known = [*dict.fromkeys(stems), *(question.name for question in schema.questions)]
            raise HoagError(
                f"votes.leave_out names {name!r}, which is no question of schema {schema.name}"
                f"{closest(name, known)}"
            )
        for question in found:
            chosen[question.start : question.stop] = True
    return chosen

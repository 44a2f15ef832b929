"""Are labels and priors enough to go by, and what must a reader of the result know of them?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hoag.console import say
from hoag.errors import HoagError
from hoag.half_vectors import Ints, Vectors
from hoag.sought import Sought

FEWEST, FEWEST_NUMBERS = 3, 10  # labels of each class; labels of a number
_FEW = 10


def with_vectors(told: Sought, vectors: Vectors) -> tuple[Sought, Ints]:
    """Keep the labelled galaxies that have vectors, and check that they are enough."""
    rows = vectors.rows_of(list(told.ids))
    there = np.flatnonzero(rows >= 0)
    if not len(there):
        raise HoagError(
            f"none of the {len(told):,} labelled galaxies is in {vectors.source}; ids look like "
            f"'{told.ids[0]}' in the labels and '{vectors.names[0].as_py()}' there"
        )
    if len(there) < len(told):
        missing = told.ids[int(np.flatnonzero(rows < 0)[0])]
        say(
            f"{len(told) - len(there):,} of {len(told):,} labelled galaxies are not in "
            f"{vectors.source} and count for nothing ('{missing}' is one)"
        )
        told = told.take(there)
    if told.kind == "numbers":
        if len(told) < FEWEST_NUMBERS or np.ptp(told.values) == 0:
            raise HoagError(
                f"{len(told)} labelled galaxies with numbers from {told.values.min():g} to "
                f"{told.values.max():g}: at least {FEWEST_NUMBERS}, not all alike, are needed"
            )
        return told, rows[there]
    counts = np.bincount(told.values, minlength=len(told.classes))
    fewest = int(counts.argmin())
    if counts[fewest] < FEWEST:
        listed = ", ".join(f"{n} {name}" for n, name in zip(counts, told.classes, strict=True))
        raise HoagError(
            f"the labels are {listed}: at least {FEWEST} of each are needed; label more "
            f"'{told.classes[fewest]}'"
        )
    return told, rows[there]


def checked_priors(prior: float | Mapping[str, float] | None, told: Sought) -> dict[str, float]:
    """Shares by class as given, checked."""
    if prior is None:
        return {}
    if told.kind == "numbers":
        raise HoagError("a prior belongs to yes and no or classes; the labels are numbers")
    if not isinstance(prior, Mapping):
        if told.kind == "classes":
            raise HoagError(
                "with several classes give each its own prior, as NAME=SHARE (a mapping in Python)"
            )
        prior = {"yes": prior}
    wanted = {str(name): float(share) for name, share in prior.items()}
    for name, share in wanted.items():
        if name not in told.classes:
            raise HoagError(f"prior of '{name}': the classes are {', '.join(told.classes)}")
        if not 0 < share < 1:
            raise HoagError(f"prior of '{name}' is {share:g}; it is a share between 0 and 1")
    if told.kind == "classes" and sum(wanted.values()) > 1 + 1e-9:
        raise HoagError(f"the priors add up to {sum(wanted.values()):g}; they are shares of one")
    return wanted


def notes_on(told: Sought, priors: Mapping[str, float]) -> list[str]:
    """What a reader of the result must know to believe it."""
    notes = []
    if told.kind == "numbers":
        return ["The intervals hold for galaxies like the labelled ones, drawn as they were."]
    aimed = aims_of(told)
    without = [name for name in aimed if name not in priors]
    if without:
        counts = np.bincount(told.values, minlength=len(told.classes))
        listed = ", ".join(
            f"{100 * counts[told.classes.index(name)] / len(told):.0f} % {name}" for name in without
        )
        note = (
            f"No prior was given, so the labelled galaxies are taken as drawn from all without "
            f"looking ({listed}). If they were picked, as many of each say, the probabilities, "
            "purity and completeness are wrong until a prior is given (--prior)."
        )
        say(note)
        notes.append(note)
    if priors:
        notes.append(
            "The prior is taken as exact: purity goes up and down with it. Labelled galaxies of a "
            "class are taken as fair examples of that class in the sky, which those "
            "labelled because they were suggested are not quite."
        )
    counts = np.bincount(told.values)
    if counts.min() < _FEW:
        notes.append(
            f"Only {counts.min()} labels of '{told.classes[int(counts.argmin())]}': the intervals "
            "rest more on assumptions than on labels. Label more."
        )
    return notes


def aims_of(told: Sought) -> list[str]:
    """Names of what is ranked: yes, or each class."""
    return ["yes"] if told.kind == "yes or no" else list(told.classes)

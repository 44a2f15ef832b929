"""What changes in what a model makes of galaxies, from one set of pictures of them to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hoag.beliefs import Beliefs
from hoag.calibration import make_pairs, summary
from hoag.errors import HoagError
from hoag.galaxies import Galaxies
from hoag.models import Model
from hoag.nearest import neighbours as nearest_others
from hoag.prediction_choices import own_campaigns
from hoag.views import evaluation_view

Vectors = NDArray[np.float32]

_BATCH = 128


@dataclass(frozen=True)
class Seen:
    """What a model makes of some pictures.

    Attributes
    ----------
    vectors
        (n, dim) representations.
    concentrations
        (n, answers).
    """

    vectors: Vectors
    concentrations: NDArray[np.float32]


def see(model: Model, images: NDArray[np.uint8]) -> Seen:
    """Show a model pictures, (n, 3, size, size) uint8, as its evaluation views."""
    vectors, concentrations = [], []
    for start in range(0, len(images), _BATCH):
        part = torch.from_numpy(images[start : start + _BATCH].copy()).to(model.device)
        vector, concentration = model.respond(evaluation_view(part, model.recipe.images.size))
        vectors.append(vector)
        concentrations.append(concentration)
    return Seen(np.concatenate(vectors), np.concatenate(concentrations))


def compare_views(
    model: Model, galaxies: Galaxies, before: Seen, after: Seen, mirrored: Seen,
    neighbours: int = 10, seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Compare what a model makes of the same galaxies before and after.

    Returns
    -------
    dict
        ``galaxies``; ``shift``, the root-mean-square distance between a galaxy's two
        representations over that between two different galaxies; ``common``, the share of its
        square that is the same for all; ``mirrored``, the shift by a mere left-right flip;
        ``neighbours``, ``kept``, the share of a galaxy's nearest that it still has among the others
        degraded too, and ``chance``; ``questions``, see `question_shifts`; ``calibration`` before
        and after, None without votes.
    """
    spread = np.sqrt(2 * before.vectors.var(axis=0, dtype=np.float64).sum()) or 1.0
    moved = (after.vectors - before.vectors).astype(np.float64)
    square = float((moved**2).sum(axis=1).mean())
    flipped = ((mirrored.vectors - before.vectors) ** 2).sum(axis=1).mean()
    k = min(neighbours, len(moved) - 1)
    return {
        "galaxies": len(moved),
        "shift": float(np.sqrt(square) / spread),
        "common": float((moved.mean(axis=0) ** 2).sum() / square) if square else 0.0,
        "mirrored": float(np.sqrt(flipped) / spread),
        "neighbours": k,
        "kept": neighbours_kept(before.vectors, after.vectors, k),
        "chance": k / max(len(moved) - 1, 1),
        "questions": question_shifts(model, galaxies, before, after),
        "calibration": _calibration(model, galaxies, before, after, seed),
    }


def neighbours_kept(before: Vectors, after: Vectors, k: int) -> float:
    """Share of each galaxy's k nearest by cosine, after the mean is subtracted, that it keeps."""
    if k < 1:
        return 1.0
    found = [nearest_others(each - each.mean(axis=0), k) for each in (before, after)]
    kept = sum(len(np.intersect1d(*pair)) for pair in zip(*found, strict=True))
    return kept / (k * len(before))


def question_shifts(
    model: Model, galaxies: Galaxies, before: Seen, after: Seen
) -> list[dict[str, Any]]:
    """Say how expected vote fractions shift, question by question.

    Galaxies are weighted by how likely each is asked the question, as seen before. Those that were
    in a campaign count for its questions alone; where none was in any, all count for those of the
    campaigns that the model has learned from.

    Returns
    -------
    list of dict
        ``question``; ``asked``, mean probability; ``rms`` change over galaxies and answers; and
        ``answers``, for each ``name``, ``before`` (mean fraction) and ``shift`` (mean change).
    """
    schema = model.schema
    one, two = (Beliefs.of([each.concentrations], schema) for each in (before, after))
    fraction, change = one.fraction(), two.fraction() - one.fraction()
    asked = one.probability_asked()
    campaigns = _campaigns(galaxies)
    foreign = bool((campaigns == "").all())
    learned = model.record.get("trained_on", {}).get("campaigns", {})
    found = []
    for number, question in enumerate(schema.questions):
        theirs = campaigns == question.campaign
        if foreign:
            theirs = np.full(len(galaxies), not learned or question.campaign in learned)
        if not theirs.any():
            continue
        own = slice(question.start, question.stop)
        weight = asked[:, number] * theirs
        share = weight / max(float(weight.sum()), 1e-12)
        found.append(
            {
                "question": question.name, "asked": float(weight.sum() / theirs.sum()),
                "rms": float(np.sqrt((share[:, None] * change[:, own] ** 2).sum(axis=0).mean())),
                "answers": [
                    {"name": answer.lstrip("_"), "before": float(share @ fraction[:, place]),
                     "shift": float(share @ change[:, place])}
                    for place, answer in enumerate(question.answers, question.start)
                ],
            }
        )  # fmt: skip
    return found


def _campaigns(galaxies: Galaxies) -> NDArray[np.str_]:
    """Campaign of each galaxy, "" where it has none."""
    try:
        return own_campaigns(galaxies)
    except HoagError:  # none has one
        return np.full(len(galaxies), "")


def _calibration(
    model: Model, galaxies: Galaxies, before: Seen, after: Seen, seed: int
) -> dict[str, Any] | None:
    labelled = galaxies.labelled
    if not labelled.any():
        return None
    votes, keys = galaxies.votes[labelled], galaxies.keys[labelled]
    return {
        name: summary(
            make_pairs(votes, each.concentrations[labelled], keys, model.schema, seed=seed)
        )
        for name, each in (("before", before), ("after", after))
    }

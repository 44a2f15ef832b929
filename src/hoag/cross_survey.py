"""What a model makes of the telescope: is the survey in its representation, in its neighbours?

Morphology differs from survey to survey, so some of it has to be; what no telescope should change
is shown by the same simulated galaxies drawn again through another one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hoag.beliefs import Beliefs
from hoag.console import progress
from hoag.errors import HoagError
from hoag.linear import fit_linear
from hoag.models import Model
from hoag.nearest import neighbours
from hoag.simulator.redraw import redraw
from hoag.view_changes import Seen, see

Vectors = NDArray[np.floating]
Texts = Sequence[str]

_FOLDS, _BATCH = 5, 128


def probe_surveys(
    vectors: Vectors, surveys: Texts, groups: NDArray[np.uint64], *, most: int = 5000
) -> dict[str, Any]:
    """See whether a linear classifier can read the survey from representations.

    Equal numbers of each survey are taken and cut into 5 folds by group, so that chance is one over
    the number of surveys.

    Parameters
    ----------
    vectors
        (galaxies, dim) representations.
    surveys
        Survey of each galaxy.
    groups
        (galaxies,) hashes of the groups, by which folds are cut.
    most
        Most galaxies of a survey.

    Returns
    -------
    dict
        ``surveys``; ``galaxies`` used; ``accuracy`` with its standard error ``error``; ``chance``;
        ``confusion``, (surveys, surveys) shares: row, where from; column, taken for.

    Raises
    ------
    HoagError
        If there are fewer than two surveys with 20 galaxies each.
    """
    names, labels = _numbered(surveys)
    order = np.argsort(groups, kind="stable")
    few = min(most, int(np.bincount(labels).min()))
    chosen = np.concatenate([order[labels[order] == n][:few] for n in range(len(names))])
    fold = (groups[chosen] % np.uint64(_FOLDS)).astype(int)
    told = np.full(len(chosen), -1)
    for number in progress(range(_FOLDS), "probing surveys", unit="folds"):
        train, test = chosen[fold != number], chosen[fold == number]
        if len(test):
            fitted = fit_linear(vectors[train], labels[train], len(names))
            told[fold == number] = fitted.probabilities(vectors[test]).argmax(axis=1)
    confusion = np.zeros((len(names), len(names)))
    np.add.at(confusion, (labels[chosen], told), 1)
    accuracy = float((told == labels[chosen]).mean())
    return {
        "surveys": names,
        "galaxies": len(chosen),
        "accuracy": accuracy,
        "error": float(np.sqrt(accuracy * (1 - accuracy) / len(chosen))),
        "chance": 1 / len(names),
        "confusion": (confusion / confusion.sum(axis=1, keepdims=True)).tolist(),
    }


def mix_of_neighbours(
    vectors: Vectors, surveys: Texts, *, k: int = 10, most: int = 2000
) -> dict[str, Any]:
    """Find from which surveys the nearest neighbours of each survey's galaxies are.

    Parameters
    ----------
    vectors, surveys
        As in `probe_surveys`; as many galaxies of each survey are taken, the first in order.
    k
        Neighbours looked at, by cosine, without the galaxy itself.
    most
        Most galaxies of a survey.

    Returns
    -------
    dict
        ``surveys``, ``k``, ``galaxies``; ``shares``, (surveys, surveys): row, the galaxy's;
        column, its neighbours'; ``even``, what each would be were surveys mixed evenly.
    """
    names, labels = _numbered(surveys)
    few = min(most, int(np.bincount(labels).min()))
    chosen = np.concatenate([np.flatnonzero(labels == n)[:few] for n in range(len(names))])
    k, own = min(k, len(chosen) - 1), labels[chosen]
    found = own[neighbours(vectors[chosen], k)]
    shares = np.zeros((len(names), len(names)))
    np.add.at(shares, (np.repeat(own, k), found.ravel()), 1)
    return {
        "surveys": names,
        "k": k,
        "galaxies": len(chosen),
        "shares": (shares / shares.sum(axis=1, keepdims=True)).tolist(),
        "even": 1 / len(names),
    }


def through_other_telescopes(
    model: Model,
    ids: Texts,
    own: Texts,
    campaigns: Texts,
    targets: Texts,
    *,
    most: int = 200,
) -> dict[str, Any]:
    """Draw simulated galaxies again through other telescopes, and see what the model says then.

    Each is asked the questions of its own campaign, once as its survey saw it and once as a target
    does. On the diagonal, the same telescope exposed again: what noise alone changes.

    Parameters
    ----------
    model
        With a vote head.
    ids, own, campaigns
        Of simulated galaxies: id, survey and campaign.
    targets
        Surveys to see them by.
    most
        Most galaxies of a survey.

    Returns
    -------
    dict
        ``from`` and ``to``, surveys; ``galaxies`` of each of ``from``; and matrices: ``cosine``
        between the two representations (mean, after subtracting the mean of all the originals),
        ``rms``, the change of expected fractions over the campaign's questions weighted by how
        likely they are asked, and ``smooth``, the mean change of the first question's first answer.
    """
    names, labels = _numbered(own, least=1)
    cells: dict[str, list[list[float]]] = {"cosine": [], "rms": [], "smooth": []}
    counts, chosen = [], {}
    for number, name in enumerate(names):
        chosen[name] = np.flatnonzero(labels == number)[:most]
        counts.append(len(chosen[name]))
    before = {name: _seen(model, [ids[r] for r in rows], None, 0) for name, rows in chosen.items()}
    centre = np.mean([seen.vectors.mean(axis=0) for seen in before.values()], axis=0)
    jobs = [(name, target) for name in names for target in targets]
    results = {}
    for name, target in progress(jobs, "redrawing", unit="pairs of telescopes"):
        rows = chosen[name]
        again = 1 if target == name else 0
        after = _seen(model, [ids[r] for r in rows], target, again)
        results[name, target] = _changes(
            model, before[name], after, [campaigns[r] for r in rows], centre
        )
    for quantity, rows_of in cells.items():
        rows_of += [[results[name, target][quantity] for target in targets] for name in names]
    return {"from": names, "to": list(targets), "galaxies": counts, **cells}


def _seen(model: Model, ids: Texts, survey: str | None, noise: int) -> Seen:
    """What a model makes of galaxies drawn through a telescope."""
    size = model.recipe.images.stored
    parts = []
    for start in range(0, len(ids), _BATCH):
        images = np.stack(
            [redraw(each, survey, size=size, noise=noise) for each in ids[start : start + _BATCH]]
        )
        parts.append(see(model, images.transpose(0, 3, 1, 2)))
    return Seen(
        np.concatenate([part.vectors for part in parts]),
        np.concatenate([part.concentrations for part in parts]),
    )


def _changes(
    model: Model,
    before: Seen,
    after: Seen,
    campaigns: Texts,
    centre: NDArray[np.float32],
) -> dict[str, float]:
    one, two = before.vectors - centre, after.vectors - centre
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    cosine = (one * two).sum(axis=1) / np.maximum(norms, 1e-12)
    beliefs = [Beliefs.of([each.concentrations], model.schema) for each in (before, after)]
    shift = beliefs[1].fraction() - beliefs[0].fraction()
    schema = model.schema
    theirs = np.array(campaigns)[:, None] == np.array(schema.campaign_of_question)
    weight = (beliefs[0].probability_asked() * theirs)[:, schema.question_index]
    first = [next(q.start for q in schema.questions if q.campaign == name) for name in campaigns]
    return {
        "cosine": float(cosine.mean()),
        "rms": float(np.sqrt((weight * shift**2).sum() / weight.sum())),
        "smooth": float(shift[np.arange(len(shift)), first].mean()),
    }


def _numbered(surveys: Texts, least: int = 20) -> tuple[list[str], NDArray[np.int64]]:
    names, labels = np.unique(np.asarray(surveys, str), return_inverse=True)
    counts = np.bincount(labels, minlength=1)
    if least > 1 and (len(names) < 2 or counts.min() < least):
        found = ", ".join(f"{n} {c:,}" for n, c in zip(names, counts, strict=True))
        raise HoagError(
            f"comparing surveys needs two or more with {least} galaxies each; there are {found}"
        )
    return [str(name) for name in names], labels.astype(np.int64)

"""``hoag find``: from a few labels to a catalogue, with what to expect of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hoag.active_labels import WANTS, Want, suggest
from hoag.embedding import ID
from hoag.errors import HoagError
from hoag.few_labels import aims_of, checked_priors, notes_on, with_vectors
from hoag.found import Aim, Found
from hoag.half_vectors import Ints, Vectors
from hoag.held_out_scores import area_under_curve, fit_probe
from hoag.joining_ids import read_catalogue, with_columns
from hoag.more_labels import learn_classes
from hoag.numbers_found import fit_numbers, learning_of
from hoag.opening_vectors import open_vectors
from hoag.ranking_odds import Odds, Population, fit_odds
from hoag.same_object import objects_of, weights_of
from hoag.sought import GivenLabels, Kind, Sought, read_sought
from hoag.thumbnails import GivenGalaxies, opened

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]

_SAMPLE = 20_000  # galaxies on which scores are standardised


@dataclass(frozen=True)
class _Ranking:
    """The result for all galaxies: columns of the table, the order, and each one's doubt."""

    columns: dict[str, NDArray[Any] | list[str]]
    order: Ints
    doubt: Floats
    aims: tuple[Aim, ...]


def find(
    embeddings: str | Path | pa.Table | Vectors,
    labels: GivenLabels,
    *,
    label: str | None = None,
    key: str = ID,
    target: str | None = None,
    kind: Kind | None = None,
    prior: float | Mapping[str, float] | None = None,
    suggest: int = 20,
    want: Want = "uncertain",
    catalogue: str | Path | pa.Table | None = None,
    galaxies: GivenGalaxies | None = None,
    seed: int = 0,
) -> Found:
    """Rank all galaxies by a few labels, and say what to expect of the ranking.

    A linear probe (`hoag.linear`, ridge for numbers) is fitted to the labelled galaxies' vectors;
    their own scores are out of fold, so that labelled galaxies stand in the ranking as if nobody
    had looked at them. Images of one sky object, which columns `group` or `ra` and `dec` of the
    galaxies, the catalogue or the embeddings tell, are held out together and count as one label.
    Probabilities, purity and completeness: see `hoag.ranking_odds`.

    Parameters
    ----------
    embeddings
        File or table of ids and vectors.
    labels
        Table or mapping of ids and yes or no, several classes, or numbers.
    label
        Column of the labels; ``label`` if there is one, else the only one beside the ids.
    key
        Column of the ids, in `labels` and in `catalogue`.
    target
        The class that is looked for, all others being no.
    kind
        ``yes or no``, ``classes`` or ``numbers``, where labels could be read in two ways.
    prior
        Share of yes among all the galaxies of `embeddings`, in (0, 1), for labels that were picked
        by class; of several classes, by name. None: the labelled were drawn without looking, so
        that their shares are those of all.
    suggest
        How many galaxies to suggest for labelling next.
    want
        ``uncertain``, ``diverse`` or ``top``; see `hoag.active_labels.suggest`.
    catalogue
        Table joined by id, whose columns go into the result.
    galaxies
        Where pictures for the page come from.
    seed
        Draws folds, subsets and resamplings.

    Returns
    -------
    Found
        With the ranked table, the curves and the suggestions.

    Raises
    ------
    HoagError
        If labels contradict each other, are of one class or too few, or lack vectors.
    """
    if want not in WANTS:
        raise HoagError(f"want = '{want}' is none of {', '.join(WANTS)}")
    if suggest < 0:
        raise HoagError(f"suggest = {suggest}: 0 or more galaxies can be suggested")
    vectors = open_vectors(embeddings)
    told = read_sought(labels, label=label, key=key, target=target, kind=kind)
    told, rows = with_vectors(told, vectors)
    priors = checked_priors(prior, told)
    joined = None if catalogue is None else read_catalogue(catalogue, key)
    store = None if galaxies is None else opened(galaxies)
    objects = objects_of(told.ids, [store, joined, embeddings])
    ranking = (
        _rank_numbers(vectors, told, rows, objects, seed)
        if told.kind == "numbers"
        else _rank_classes(vectors, told, rows, objects, priors, seed)
    )
    table = _table(vectors, told, rows, ranking, joined)
    chosen = _suggested(vectors, ranking, rows, suggest, want, seed)
    about = {
        "embeddings": vectors.source, "model": vectors.stamp.get("model"),
        "galaxies": len(vectors), "labels": len(told), "kind": told.kind, "column": told.column,
        "classes": {n: int((told.values == i).sum()) for i, n in enumerate(told.classes)},
        "prior": dict(priors) or None, "want": want, "seed": seed, "notes": notes_on(told, priors),
    }  # fmt: skip
    return Found(table, ranking.aims, chosen, about, store)


def score_all(vectors: Vectors, weights: Floats, intercepts: Floats) -> NDArray[np.float32]:
    """Score all galaxies a block at a time: (galaxies, outputs)."""
    import torch

    matrix = torch.from_numpy(np.asarray(weights, np.float32))
    offset = torch.from_numpy(np.asarray(intercepts, np.float32))
    scores = np.empty((len(vectors), matrix.shape[1]), np.float32)

    def apply(start: int, stop: int) -> None:
        for first, block in vectors.blocks(start, stop):
            scores[first : first + len(block)] = (block @ matrix + offset).numpy()

    vectors.in_stretches(apply)
    return scores


def _rank_classes(
    vectors: Vectors, told: Sought, rows: Ints, objects: Ints, priors: Mapping[str, float],
    seed: int,
) -> _Ranking:  # fmt: skip
    """Rank by each class against the rest."""
    features = vectors.take(rows).astype(np.float64)
    sample = vectors.take(vectors.sample(_SAMPLE, seed))
    names = aims_of(told)
    truths = [told.values == told.classes.index(name) for name in names]
    probes = [fit_probe(features, yes, sample, seed, objects) for yes in truths]
    scores = score_all(
        vectors,
        np.stack([probe.weights for probe in probes], axis=1),
        np.array([probe.intercept for probe in probes]),
    )
    aims, chances = [], []
    shown = [told.column] if told.kind == "yes or no" and told.column != "label" else names
    for number, (name, yes, probe) in enumerate(zip(names, truths, probes, strict=True)):
        scores[rows, number] = probe.held_out.mean(axis=0)
        population = Population.of(scores[:, number])
        odds = fit_odds(probe.held_out, yes, population, priors.get(name), weights_of(objects))
        chance = odds.probabilities(scores[:, number])
        chances.append(chance)
        auc = area_under_curve(probe.held_out, yes)
        learning = learn_classes(told.ids, features, yes, seed, objects)
        aims.append(_aim(shown[number], odds, chance, chance[rows], yes, auc, learning, seed))
    return _joined_classes(names, np.stack(chances, axis=1), scores, tuple(aims))


def _aim(
    name: str, odds: Odds, chance: Floats, labelled: Floats, yes: NDArray[np.bool_], auc: float,
    learning: Any, seed: int,
) -> Aim:  # fmt: skip
    expected = odds.expected(seed)
    least = -np.sort(-chance)[expected.cuts - 1]
    return Aim(
        name, len(chance), odds.prior, odds.prior_interval, auc, expected, least, learning,
        labelled, yes,
    )  # fmt: skip


def _joined_classes(
    names: list[str], chances: Floats, scores: NDArray[np.float32], aims: tuple[Aim, ...]
) -> _Ranking:
    if len(names) == 1:
        chance = chances[:, 0]
        order = np.argsort(-scores[:, 0], kind="stable").astype(np.int64)
        return _Ranking({"probability": chance}, order, -np.abs(chance - 0.5), aims)
    best = chances.argmax(axis=1)
    top = chances.max(axis=1)
    order = np.argsort(-top, kind="stable").astype(np.int64)
    columns: dict[str, Any] = {"class": np.array(names, dtype=object)[best].tolist()}
    columns |= {"probability": top}
    columns |= {f"probability_{name}": chances[:, number] for number, name in enumerate(names)}
    ordered = np.sort(chances, axis=1)
    return _Ranking(columns, order, ordered[:, -2] - ordered[:, -1], aims)


def _rank_numbers(vectors: Vectors, told: Sought, rows: Ints, objects: Ints, seed: int) -> _Ranking:
    features = vectors.take(rows).astype(np.float64)
    probe = fit_numbers(features, told.values, seed, objects)
    value = score_all(vectors, probe.weights[:, None], np.array([probe.intercept]))[:, 0]
    value = value.astype(np.float64)
    value[rows] = probe.held_out
    doubt = np.empty(len(vectors))
    for start, block in vectors.blocks():
        numbers = block.numpy()
        doubt[start : start + len(block)] = ((numbers @ probe.spread) * numbers).sum(axis=1)
    aim = Aim.of_numbers(
        told.column, len(vectors), probe.scatter(told.values),
        learning_of(features, told.values, seed, objects), probe.held_out, told.values,
    )  # fmt: skip
    columns: dict[str, Any] = {
        "value": value,
        "value_low": value - probe.half_width,
        "value_high": value + probe.half_width,
    }
    order = np.argsort(-value, kind="stable").astype(np.int64)
    return _Ranking(columns, order, doubt, (aim,))


def _table(
    vectors: Vectors, told: Sought, rows: Ints, ranking: _Ranking, catalogue: pa.Table | None
) -> pa.Table:
    import pyarrow as pa

    order = pa.array(ranking.order)
    columns: dict[str, Any] = {
        "rank": pa.array(np.arange(1, len(vectors) + 1), pa.int32()),
        ID: vectors.names.take(order),
    }
    columns |= {name: pa.array(values).take(order) for name, values in ranking.columns.items()}
    given: list[Any] = [None] * len(vectors)
    for row, value in zip(rows, told.values, strict=True):
        given[row] = told.classes[value] if told.classes else float(value)
    kind = pa.string() if told.classes else pa.float64()
    columns["label"] = pa.array(given, kind).take(order)
    return with_columns(pa.table(columns), catalogue)


def _suggested(
    vectors: Vectors, ranking: _Ranking, rows: Ints, count: int, want: Want, seed: int
) -> pa.Table:
    """Galaxies to label next, with an empty column ``label`` to fill in."""
    import pyarrow as pa

    chosen = suggest(vectors, ranking.doubt, ranking.order, rows, count, want, seed)
    place = np.empty(len(vectors), np.int64)
    place[ranking.order] = np.arange(1, len(vectors) + 1)
    name = "probability" if "probability" in ranking.columns else "value"
    return pa.table(
        {
            ID: pa.array(vectors.ids_at(chosen), pa.string()),
            "label": pa.nulls(len(chosen), pa.string()),
            name: np.asarray(ranking.columns[name])[chosen],
            "rank": place[chosen],
        }
    )

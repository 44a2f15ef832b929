"""Linear evaluation: how well a linear classifier does on representations, for few labels or many.

``label_efficiency`` is the paper's probe (Walmsley+22 Sec. 3.3): frozen representations, subsets of
the labels, 5 folds. Its ``Curve`` holds every prediction on held-out galaxies, so that curves of
several arms, joined by ``combine``, are compared on the same galaxies, folds and subsets.
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from hoag.console import progress, say
from hoag.curves import Curve, Predictions, combine
from hoag.embedding import ids_of, vectors
from hoag.errors import HoagError
from hoag.labels import Labels, encode_labels, label_mapping
from hoag.linear import fit_linear
from hoag.provenance import cores
from hoag.scores import score
from hoag.subsets import Trial, make_final_trials, make_trials

__all__ = [
    "Curve",
    "Predictions",
    "Trial",
    "combine",
    "cross_validated_accuracy",
    "encode_labels",
    "final_score",
    "label_efficiency",
    "label_mapping",
    "make_trials",
    "run_trials",
    "score",
]

_ALONE = 1.0  # seconds of work that one process does before others are started


def label_efficiency(
    table: pa.Table,
    labels: Labels,
    sizes: Sequence[int | str],
    folds: int = 5,
    subsets: int = 20,
    seed: int = 0,
    *,
    balance: bool = False,
    repeats: int = 1,
    groups: Mapping[str, str] | None = None,
    classes: Sequence[str] | None = None,
    name: str = "representation",
    workers: int | None = None,
) -> Curve:
    """Measure how well a linear classifier does on representations, against the number of labels.

    Give the train half of a task (or, where it is too small for halves, all of it with
    ``repeats=20, subsets=1``). The classifier is an L2 logistic regression on features standardised
    on its labels, its strength chosen by inner folds of them (`hoag.linear`); the trials are those
    of `make_trials`.

    Parameters
    ----------
    table
        Ids and vectors: hoag's embeddings table, or anybody's (`hoag.embedding.canonical`). Further
        galaxies in it are not used.
    labels
        id_str -> label (whole number, text or truth value) as a mapping, or a table of ``id_str``
        and one more column; two classes or more.
    sizes
        Numbers of labels; "all" is as many as each fold leaves.
    folds, subsets, seed, balance, repeats
        As in `make_trials`.
    groups
        id_str -> key of the sky object, for every labelled galaxy: no object is cut by a fold. By
        default each id is its own.
    classes
        Names of the classes in their order, if labels are their numbers or names; by default the
        labels found, sorted.
    name
        Name of the arm.
    workers
        Processes; by default one a core, once the work exceeds a second. It changes no result.

    Raises
    ------
    HoagError
        If a labelled galaxy is not in the table or the groups, or sizes and classes do not fit the
        labels.
    """
    ids, numbers, names = encode_labels(labels, classes)
    features = _features(table, ids, name)
    trials = make_trials(
        ids, numbers, sizes, folds, subsets, seed,
        balance=balance, repeats=repeats, groups=_groups_of(ids, groups),
    )  # fmt: skip
    chances = run_trials(features, numbers, len(names), trials, name=name, workers=workers)
    return Curve.from_predictions(ids, numbers, names, trials, chances, name)


def final_score(
    table: pa.Table,
    train_labels: Labels,
    test_labels: Labels,
    sizes: Sequence[int | str],
    subsets: int = 20,
    seed: int = 0,
    *,
    final: bool = False,
    classes: Sequence[str] | None = None,
    name: str = "representation",
    workers: int | None = None,
) -> Curve:
    """Learn from subsets of the train half and score on the test half: once, at the very end.

    Parameters
    ----------
    table, sizes, subsets, seed, classes, name, workers
        As in `label_efficiency`; "all" is the whole train half.
    train_labels, test_labels
        The halves.
    final
        Must be said: the test half is for the last word, not for choosing.

    Raises
    ------
    HoagError
        If `final` is not said, a galaxy is in both halves, or as in `label_efficiency`.
    """
    if not final:
        raise HoagError(
            "the test half is scored with final=True (--final) only; choose on the train half"
        )
    train_ids, train_numbers, names = encode_labels(train_labels, classes)
    test_ids, test_numbers, _ = encode_labels(test_labels, names)
    both = set(train_ids) & set(test_ids)
    if both:
        raise HoagError(
            f"{len(both)} galaxies are in the train half and the test half (such as "
            f"'{min(both)}'); take them out of one"
        )
    ids, numbers = [*train_ids, *test_ids], np.concatenate([train_numbers, test_numbers])
    features = _features(table, ids, name)
    rows = np.arange(len(train_ids), len(ids))
    trials = make_final_trials(train_ids, train_numbers, rows, sizes, subsets, seed)
    chances = run_trials(features, numbers, len(names), trials, name=name, workers=workers)
    return Curve.from_predictions(ids, numbers, names, trials, chances, name)


def cross_validated_accuracy(
    ids: Sequence[str],
    vectors: NDArray[np.floating],
    labels: NDArray[np.integer],
    seed: int = 0,
    folds: int = 5,
) -> float:
    """Accuracy in [0, 1] of the linear probe over one cut into folds: a quick look during training.

    Parameters
    ----------
    ids, vectors, labels
        (galaxies,), (galaxies, dim) and (galaxies,) class numbers from 0.
    seed
        Changes the cut, which depends on nothing else but the ids and labels.
    folds
        Number of folds.
    """
    found, numbers = np.unique(labels, return_inverse=True)
    trials = make_trials(ids, numbers, ["all"], folds, 1, seed)
    chances = run_trials(vectors, numbers, len(found), trials, workers=1)
    right = [
        chance.argmax(axis=1) == numbers[trial.test_index]
        for trial, chance in zip(trials, chances, strict=True)
    ]
    return float(np.concatenate(right).mean())


def run_trials(
    features: NDArray[np.floating],
    labels: NDArray[np.integer],
    classes: int,
    trials: Sequence[Trial],
    *,
    name: str = "representation",
    workers: int | None = None,
) -> list[NDArray[np.float32]]:
    """Train the linear classifier of each trial and predict its held-out galaxies.

    Parameters
    ----------
    features
        (galaxies, dim), finite.
    labels
        (galaxies,) class numbers.
    classes
        Number of classes.
    trials
        Their indices count the rows of `features`.
    name
        Named by the progress bar.
    workers
        Processes; by default one a core, and this one alone for what takes it a second.

    Returns
    -------
    list of numpy.ndarray
        For each trial (held out, classes) float32.
    """
    single = np.ascontiguousarray(features, np.float32)
    numbers = np.asarray(labels, np.int64)
    workers = workers or cores()
    # The largest first, so that no process is left with one when the others have finished.
    order = sorted(range(len(trials)), key=lambda number: -trials[number].size)
    chances: dict[int, NDArray[np.float32]] = {}
    started = time.monotonic()
    while order and (workers == 1 or time.monotonic() - started < _ALONE):
        number = order.pop()
        with threadpool_limits(1):
            chances[number] = _run_trial(single, numbers, classes, trials[number])
    if order:
        chances |= _in_processes(single, numbers, classes, trials, order, name, workers)
    for number in order:
        if number not in chances:
            with threadpool_limits(1):
                chances[number] = _run_trial(single, numbers, classes, trials[number])
    return [chances[number] for number in range(len(trials))]


def _run_trial(
    features: NDArray[np.float32], labels: NDArray[np.int64], classes: int, trial: Trial
) -> NDArray[np.float32]:
    rows = trial.train_index
    classifier = fit_linear(features[rows], labels[rows], classes)
    return classifier.probabilities(features[trial.test_index]).astype(np.float32)


def _in_processes(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    classes: int,
    trials: Sequence[Trial],
    order: Sequence[int],
    name: str,
    workers: int,
) -> dict[int, NDArray[np.float32]]:
    from joblib import Parallel, delayed, parallel_config  # type: ignore[import-untyped]

    parts = min(len(order), 32 * workers)
    portions = [[(number, trials[number]) for number in order[i::parts]] for i in range(parts)]
    chances: dict[int, NDArray[np.float32]] = {}
    with tempfile.TemporaryDirectory(prefix="hoag-probe-") as folder:
        # One copy that every process maps, as plain numbers: nothing is unpickled from a file.
        shared = Path(folder) / "features.npy"
        np.save(shared, features, allow_pickle=False)
        jobs = (delayed(_run_portion)(shared, labels, classes, portion) for portion in portions)
        with parallel_config(backend="loky", inner_max_num_threads=1):
            pool = Parallel(n_jobs=workers, return_as="generator_unordered", max_nbytes=None)
            try:
                for done in progress(pool(jobs), f"probing {name}", total=parts, unit="portions"):
                    chances |= done
            except BrokenProcessPool:
                say("a probing process was ended from outside (memory?); going on with this one")
    return chances


def _run_portion(
    shared: Path, labels: NDArray[np.int64], classes: int, portion: Sequence[tuple[int, Trial]]
) -> dict[int, NDArray[np.float32]]:
    features = np.load(shared, mmap_mode="r", allow_pickle=False)
    with threadpool_limits(1):
        return {number: _run_trial(features, labels, classes, trial) for number, trial in portion}


def _groups_of(ids: Sequence[str], groups: Mapping[str, str] | None) -> list[str] | None:
    if groups is None:
        return None
    missing = [each for each in ids if each not in groups]
    if missing:
        raise HoagError(
            f"{len(missing)} of {len(ids)} labelled galaxies are in no group (such as "
            f"'{missing[0]}'); give each its sky object, or its own id if it has no other image"
        )
    return [groups[each] for each in ids]


def _features(table: pa.Table, ids: Sequence[str], name: str) -> NDArray[np.float32]:
    """(labelled galaxies, dim) float32, rows as `ids`."""
    place = {each: row for row, each in enumerate(ids_of(table, name))}
    missing = [each for each in ids if each not in place]
    if missing:
        raise HoagError(
            f"{name}: {len(missing)} of {len(ids)} labelled galaxies have no vector in the table "
            f"(such as '{missing[0]}'); embed them, or leave them out of the labels for every arm"
        )
    return vectors(table, name)[[place[each] for each in ids]]

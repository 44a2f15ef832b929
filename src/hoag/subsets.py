"""Which labels a probe learns from and which galaxies it is scored on: folds and nested subsets.

Every choice is a keyed hash of the galaxy's id, so that the same galaxies with the same seed give
the same folds and subsets for every arm, whatever the order of the rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from hoag.errors import HoagError

Ints = NDArray[np.int64]

MANY_LABELS = 3000
"""Up to this many labels every size is measured with the full number of subsets."""


@dataclass(frozen=True)
class Trial:
    """One classifier to train and score.

    Attributes
    ----------
    size
        Number of labels it learns from.
    repeat, fold, subset
        Which cut into folds, which fold is held out, which nested series of subsets: trials that
        agree in these and in `size` are the same for every arm.
    train_index
        (size,) int64 rows of the labels it learns from, in a random order of their own.
    test_index
        Rows of the galaxies it is scored on, int64.
    """

    size: int
    repeat: int
    fold: int
    subset: int
    train_index: Ints
    test_index: Ints

    @property
    def key(self) -> tuple[int, int, int, int]:
        """What identifies the trial among those of a task: (size, repeat, fold, subset)."""
        return self.size, self.repeat, self.fold, self.subset


def make_trials(
    ids: Sequence[str],
    labels: NDArray[np.integer],
    sizes: Sequence[int | str],
    folds: int = 5,
    subsets: int = 20,
    seed: int = 0,
    *,
    balance: bool = False,
    repeats: int = 1,
    groups: Sequence[str] | None = None,
) -> list[Trial]:
    """Make the trials of the paper's linear evaluation (Walmsley+22 Sec. 3.3, made precise).

    The labelled galaxies are cut into stratified folds. In the others of each fold, nested
    stratified series of subsets are drawn: the first n of a random order in which every stretch
    holds the classes in proportion, with two of each class at the front. Each subset is scored on
    the whole fold.

    Parameters
    ----------
    ids
        (galaxies,) distinct ids.
    labels
        (galaxies,) class numbers from 0.
    sizes
        Numbers of labels; "all" is every label that each fold leaves (and one subset a fold).
    folds
        Folds of each cut.
    subsets
        Nested series drawn in each fold for up to 3,000 labels; above, fewer in inverse proportion.
    seed
        Changes every choice.
    balance
        Draw as many of each class as the rarest has, afresh in each repeat.
    repeats
        Different cuts into folds.
    groups
        (galaxies,) keys; rows that share one are images of one sky object and fall in one fold, so
        that no object is both learned from and scored on. By default each row is its own.

    Raises
    ------
    HoagError
        If a size asks for more labels than there are, or there are too few of a class.
    """
    numbers = np.asarray(labels, np.int64)
    _check_counts(numbers, folds, subsets, repeats)
    hashes = _hashes(ids)
    objects = _object_numbers(groups, len(numbers))
    rounds = []
    for repeat in range(repeats):
        pool = np.arange(len(numbers))
        if balance:
            pool = _balanced(hashes, numbers, f"{seed}/{repeat}/balance")
        cut = _cut(hashes, numbers, objects, pool, folds, f"{seed}/{repeat}/fold")
        rounds.append((pool, cut))
    largest = min(len(pool) - len(test) for pool, cut in rounds for test in cut)
    wanted = _sizes(sizes, largest, len(np.unique(numbers)), folds)
    trials = []
    for repeat, (pool, cut) in enumerate(rounds):
        for fold, test in enumerate(cut):
            others = np.setdiff1d(pool, test)
            series = _series(hashes, numbers, others, subsets, f"{seed}/{repeat}/{fold}")
            for size in wanted:
                for subset in range(number_of_subsets(size, subsets, largest)):
                    train = series[subset][:size]
                    trials.append(Trial(size, repeat, fold, subset, train, np.sort(test)))
    return trials


def make_final_trials(
    train_ids: Sequence[str],
    train_labels: NDArray[np.integer],
    test_rows: NDArray[np.integer],
    sizes: Sequence[int | str],
    subsets: int = 20,
    seed: int = 0,
) -> list[Trial]:
    """Make the trials of the final score: subsets of the whole train half, the test half held out.

    Parameters
    ----------
    train_ids, train_labels
        The train half; its rows are 0 to len(train_ids) - 1.
    test_rows
        The rows of the test half, in whatever array the caller indexes with the trials.
    sizes, subsets, seed
        As in `make_trials`.
    """
    numbers = np.asarray(train_labels, np.int64)
    _check_counts(numbers, 2, subsets, 1)
    everything = np.arange(len(numbers))
    series = _series(_hashes(train_ids), numbers, everything, subsets, f"{seed}/final")
    test = np.asarray(test_rows, np.int64)
    wanted = _sizes(sizes, len(everything), len(np.unique(numbers)), 0)
    return [
        Trial(size, 0, 0, subset, series[subset][:size], test)
        for size in wanted
        for subset in range(number_of_subsets(size, subsets, len(everything)))
    ]


def number_of_subsets(size: int, subsets: int, largest: int) -> int:
    """Subsets drawn at a size: all up to 3,000 labels, then fewer; one where it is every label."""
    if size >= largest:
        return 1
    return subsets if size <= MANY_LABELS else max(1, subsets * MANY_LABELS // size)


def _check_counts(labels: Ints, folds: int, subsets: int, repeats: int) -> None:
    for name, value, least in (
        ("folds", folds, 2),
        ("subsets", subsets, 1),
        ("repeats", repeats, 1),
    ):
        if value < least:
            raise HoagError(f"{name}={value} makes no trial; it must be {least} or more")
    counts = np.bincount(labels) if len(labels) else np.zeros(1, int)
    present = counts[counts > 0]
    if len(present) < 2:
        raise HoagError(
            f"all {len(labels)} labels are of one class; a probe needs galaxies of two or more"
        )
    if present.min() < folds:
        name = np.flatnonzero(counts == present.min())[0]
        raise HoagError(
            f"class number {name} has {present.min()} galaxies, fewer than the {folds} folds; "
            "label more of it or leave it out"
        )


def _sizes(sizes: Sequence[int | str], largest: int, classes: int, folds: int) -> list[int]:
    wanted = set()
    for size in sizes:
        if size == "all":
            wanted.add(largest)
            continue
        if isinstance(size, str | bool) or int(size) != size:
            raise HoagError(f"size {size!r} is neither a whole number of labels nor 'all'")
        place = (
            f"the {folds - 1} folds that are not held out hold" if folds else "the train half has"
        )
        if size > largest:
            raise HoagError(
                f"size {size} asks for more labels than there are: {place} {largest}; "
                "use 'all' or smaller sizes"
            )
        if size < 2 * classes:
            raise HoagError(
                f"size {size} is too small for {classes} classes; a subset holds 2 of each at least"
            )
        wanted.add(int(size))
    if not wanted:
        raise HoagError(
            "no sizes were given; say how many labels to learn from, such as [100, 'all']"
        )
    return sorted(wanted)


def _hashes(ids: Sequence[str]) -> NDArray[np.uint64]:
    digests = b"".join(blake2b(name.encode(), digest_size=8).digest() for name in ids)
    return np.frombuffer(digests, np.dtype("<u8")).astype(np.uint64)


def _order(hashes: NDArray[np.uint64], rows: Ints, key: str) -> Ints:
    """Rows in a random order that depends on their ids and the key alone."""
    start = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little")
    mixed = hashes[rows] ^ np.uint64(start)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # splitmix64
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return rows[np.argsort(mixed ^ (mixed >> np.uint64(31)), kind="stable")]


def _balanced(hashes: NDArray[np.uint64], labels: Ints, key: str) -> Ints:
    counts = np.bincount(labels)
    fewest = counts[counts > 0].min()
    chosen = [
        _order(hashes, np.flatnonzero(labels == name), key)[:fewest]
        for name in np.flatnonzero(counts)
    ]
    return np.sort(np.concatenate(chosen))


def _object_numbers(groups: Sequence[str] | None, rows: int) -> Ints:
    """Number the sky object of each row."""
    if groups is None:
        return np.arange(rows)
    if len(groups) != rows:
        raise HoagError(f"{len(groups)} groups were given for {rows} galaxies; give one for each")
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in groups], np.int64)


def _cut(
    hashes: NDArray[np.uint64], labels: Ints, objects: Ints, pool: Ints, folds: int, key: str
) -> list[Ints]:
    """Deal the objects of each class to the folds one after another.

    Where each row is its own object, folds differ by one galaxy at most. An object of several
    classes counts for the one that is rarest, which the folds can least do without.
    """
    ordered = _order(hashes, pool, key)
    _, first, which = np.unique(objects[ordered], return_index=True, return_inverse=True)
    counts = np.bincount(labels[pool])
    rarest_first = np.lexsort((np.arange(len(counts)), counts))
    rarity = np.full(len(first), len(counts))
    np.minimum.at(rarity, which, np.argsort(rarest_first)[labels[ordered]])
    # By class, then the objects of most rows first so that folds are of even size, then at random.
    turn = np.lexsort((first, -np.bincount(which), rarest_first[rarity]))
    fold = np.empty(len(first), np.int64)
    fold[turn] = np.arange(len(first)) % folds
    cut = [ordered[fold[which] == number] for number in range(folds)]
    for name in np.flatnonzero(counts):
        if not all((labels[test] == name).any() for test in cut):
            raise HoagError(
                f"class number {name} has galaxies of too few sky objects for {folds} folds; "
                "label more of it or leave it out"
            )
    return cut


def _series(
    hashes: NDArray[np.uint64], labels: Ints, rows: Ints, subsets: int, key: str
) -> list[Ints]:
    return [_stratified(hashes, labels, rows, f"{key}/{subset}") for subset in range(subsets)]


def _stratified(hashes: NDArray[np.uint64], labels: Ints, rows: Ints, key: str) -> Ints:
    """Order rows so that every prefix holds the classes in proportion (Sainte-Lague's rule).

    That rule, unlike rounding each class's share, never takes a galaxy back as the number grows, so
    that prefixes are nested for any number of classes. Two of each class come first.
    """
    ordered = _order(hashes, rows, key)
    place = np.empty(len(ordered))
    for name in np.unique(labels[ordered]):
        members = np.flatnonzero(labels[ordered] == name)
        rank = np.arange(len(members))
        place[members] = np.where(rank < 2, rank - 2.0, (rank + 0.5) / len(members))
    return ordered[np.argsort(place, kind="stable")]

"""What is to be learned, read from a user's labels: which kind, which columns, and the values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hoag.answers import may_be_answer, may_be_predicted, votes_from_table
from hoag.catalogue import list_names, read_table, require_columns
from hoag.console import say
from hoag.embedding import ID
from hoag.errors import HoagError
from hoag.goal_heads import KINDS, Goal, Kind
from hoag.sought import (
    NO,
    YES,
    GivenLabels,
    distinct_labels,
    kind_of,
    label_text,
    labels_column,
    numbers_of,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from hoag.galaxies import Galaxies
    from hoag.schema import Schema

# What tables of galaxies hold beside labels.
_NO_LABELS = ("image", "file_loc", "group", "ra", "dec")


def read_goal(
    labels: GivenLabels | None, galaxies: Galaxies, *, columns: Sequence[str] = (),
    key: str = ID, kind: Kind | None = None, schema: Schema | None = None,
) -> tuple[Goal, NDArray[Any]]:  # fmt: skip
    """Read labels in any accepted form and put them in the order of the galaxies.

    Parameters
    ----------
    labels
        A file or table of ids and labels, or a mapping from id to label; None: the galaxies' own
        table.
    galaxies
        Whose labels they are.
    columns
        Columns of the labels. One holds classes or numbers; several hold yes or no each, or
        numbers. None: ``label`` if there is one, else the only one that may be meant.
    key
        Column of the ids.
    kind
        What the labels are, where they could be read in two ways.
    schema
        The questions of a campaign whose votes are the labels.

    Returns
    -------
    Goal, numpy.ndarray
        What is learned, and for each galaxy, where a row is unknown if all of it is: (n,) int64
        class numbers, -1 unknown; (n, labels) float32 0, 1 or NaN; (n, numbers) float32 or NaN; or
        (n, answers) int32 votes, 0 unknown.

    Raises
    ------
    HoagError
        If a column is missing or could be one of several, labels are odd or of two kinds, or none
        is that of a galaxy.
    """
    where = "the galaxies' table" if labels is None else "the labels"
    where = str(labels) if isinstance(labels, str | Path) else where
    if kind not in (None, *KINDS):
        raise HoagError(f"kind = {kind!r} must be one of {', '.join(KINDS)}")
    if (kind == "votes") != (schema is not None) and kind is not None:
        raise HoagError("votes need the questions that were asked: --kind votes --schema MY.toml")
    if schema is not None:
        return _votes(labels, galaxies, key, schema, where)
    given = _own_table(galaxies, columns, key) if labels is None else _table(labels, key, columns)
    chosen = list(columns) or [labels_column(given, where, None, key)[2]]
    read = {}
    for name in chosen:
        ids, values, _ = labels_column(given, where, name, key)
        read[name] = distinct_labels(ids, values, where)
        if not read[name]:
            raise HoagError(f"{where}: no row has a label in column '{name}'; fill some in")
    found = kind or _kind(read, where)
    if found == "classes" and len(chosen) > 1:
        raise HoagError(f"{where}: classes stand in one column; {list_names(chosen)} were named")
    make = {"classes": _classes, "labels": _yes_or_no, "numbers": _numbers}[found]
    names, of_galaxy = make(read, where)
    goal = Goal(found, tuple(names), tuple(chosen))
    return goal, _aligned(of_galaxy, galaxies, found, len(chosen), where)


def _own_table(galaxies: Galaxies, columns: Sequence[str], key: str) -> pa.Table:
    if columns:
        require_columns(galaxies.columns, [key, *columns], "the galaxies' table")
        return galaxies.select(list(dict.fromkeys([key, *columns])))
    return _without_others(galaxies.table)


def _table(labels: GivenLabels, key: str, named: Sequence[str]) -> GivenLabels:
    """Read a file once; leave out what is never a label, so that the one column is found."""
    table = read_table(labels, text=(key,)) if isinstance(labels, str | Path) else labels
    return table if isinstance(table, Mapping) else _without_others(table, named)


def _without_others(table: pa.Table, named: Sequence[str] = ()) -> pa.Table:
    dropped = [
        name for name in table.column_names
        if name not in named
        and (name in _NO_LABELS or may_be_answer(name) or may_be_predicted(name))
    ]  # fmt: skip
    return table.drop_columns(dropped)


def _kind(read: Mapping[str, Mapping[str, Any]], where: str) -> Kind:
    """Tell what the labels are: several columns are yes or no each, or numbers each."""
    kinds = {name: kind_of(list(pairs.values()), None, where) for name, pairs in read.items()}
    if len(read) == 1:
        return "numbers" if "numbers" in kinds.values() else "classes"
    binary = [n for n, p in read.items() if _texts(p) <= {*YES, *NO}]
    if len(binary) == len(read):
        return "labels"
    if not any(isinstance(value, str) for p in read.values() for value in p.values()):
        return "numbers"
    odd = next(name for name in read if name not in binary)
    raise HoagError(
        f"{where}: several columns of labels hold yes or no each, or numbers each; '{odd}' holds "
        f"{list_names(sorted(_texts(read[odd])), 4)}"
    )


def _texts(pairs: Mapping[str, Any]) -> set[str]:
    return {label_text(value).lower() for value in pairs.values()}


def _classes(
    read: Mapping[str, Mapping[str, Any]], where: str
) -> tuple[list[str], dict[str, NDArray[Any]]]:
    ((column, pairs),) = read.items()
    texts = {name: label_text(value) for name, value in pairs.items()}
    names = sorted(set(texts.values()))
    if {name.lower() for name in names} <= {*YES, *NO}:
        names = ["no", "yes"]
        texts = {name: "yes" if text.lower() in YES else "no" for name, text in texts.items()}
    if len(set(texts.values())) < 2:
        only = next(iter(texts.values()))
        raise HoagError(f"{where}: all of column '{column}' is {only!r}; two classes are needed")
    number = {name: np.array([n], np.int64) for n, name in enumerate(names)}
    return names, {name: number[text] for name, text in texts.items()}


def _yes_or_no(
    read: Mapping[str, Mapping[str, Any]], where: str
) -> tuple[list[str], dict[str, NDArray[Any]]]:
    found: dict[str, NDArray[Any]] = {}
    for place, (column, pairs) in enumerate(read.items()):
        for name, value in pairs.items():
            text = label_text(value).lower()
            if text not in (*YES, *NO):
                raise HoagError(
                    f"{where}: column '{column}' of galaxy '{name}' is {value!r}; labels that may "
                    "be several at once are yes or no"
                )
            row = found.setdefault(name, np.full(len(read), np.nan, np.float32))
            row[place] = text in YES
        if len(_texts(pairs)) < 2:
            raise HoagError(f"{where}: all of column '{column}' is alike; give some of yes and no")
    return list(read), found


def _numbers(
    read: Mapping[str, Mapping[str, Any]], where: str
) -> tuple[list[str], dict[str, NDArray[Any]]]:
    found: dict[str, NDArray[Any]] = {}
    for place, pairs in enumerate(read.values()):
        ids = list(pairs)
        for name, value in zip(ids, numbers_of(list(pairs.values()), ids, where), strict=True):
            found.setdefault(name, np.full(len(read), np.nan, np.float32))[place] = value
    return list(read), found


def _aligned(
    found: Mapping[str, NDArray[Any]], galaxies: Galaxies, kind: Kind, width: int, where: str
) -> NDArray[Any]:
    unknown = np.array([-1]) if kind == "classes" else np.full(width, np.nan, np.float32)
    ids = galaxies.ids
    _refuse_strangers(found, ids, where)
    values = np.stack([found.get(name, unknown) for name in ids])
    return values[:, 0] if kind == "classes" else values


def _refuse_strangers(found: Mapping[str, Any], ids: Sequence[str], where: str) -> None:
    known = set(ids)
    strangers = [name for name in found if name not in known]
    if len(strangers) == len(found):
        raise HoagError(
            f"{where}: no id there is that of a galaxy (such as '{next(iter(found))}'; a galaxy's "
            f"is '{ids[0] if ids else ''}'); name the column of ids with --key (key=)"
        )
    if strangers:
        say(f"{where}: {len(strangers):,} of {len(found):,} labels are of no galaxy given")


def _votes(
    labels: GivenLabels | None, galaxies: Galaxies, key: str, schema: Schema, where: str
) -> tuple[Goal, NDArray[Any]]:
    goal = Goal("votes", (), schema.columns)
    if labels is None:
        if galaxies.schema.hash != schema.hash:
            raise HoagError("open the galaxies with schema= the questions whose votes they hold")
        votes = galaxies.votes
    elif isinstance(labels, Mapping):
        raise HoagError("votes are a table with a column for each answer, not a mapping")
    else:
        votes = _votes_of_table(labels, galaxies, key, schema, where)
    if not votes.any():
        raise HoagError(
            f"{where}: there are no votes for {schema.name}, whose columns are called "
            f"{list_names(schema.columns, 3)}"
        )
    return goal, votes


def _votes_of_table(
    labels: str | Path | pa.Table, galaxies: Galaxies, key: str, schema: Schema, where: str
) -> NDArray[np.int32]:
    table = read_table(labels, text=(key,)) if isinstance(labels, str | Path) else labels
    require_columns(table.column_names, [key], where)
    given = votes_from_table(table, schema, where)
    names = [str(name) for name in table[key].to_pylist()]
    rows = dict(zip(names, range(len(names)), strict=True))
    if len(rows) < len(names):
        twice = next(name for n, name in enumerate(names) if rows[name] != n)
        raise HoagError(f"{where}: id '{twice}' comes more than once; add up its votes")
    _refuse_strangers(rows, galaxies.ids, where)
    votes = np.zeros((len(galaxies), len(schema.columns)), np.int32)
    for place, name in enumerate(galaxies.ids):
        if name in rows:
            votes[place] = given[rows[name]]
    return votes


def is_known(values: NDArray[Any], kind: Kind) -> NDArray[np.bool_]:
    """Tell which galaxies have a label (one at least); (n,) bool."""
    if kind == "classes":
        return np.asarray(values >= 0)
    known = values > 0 if kind == "votes" else np.isfinite(values)
    return np.asarray(known.any(axis=1))

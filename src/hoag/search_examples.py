"""What to search by: ids, and tables of examples and counterexamples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hoag.errors import HoagError
from hoag.sought import GivenLabels, Sought, read_sought


def read_examples(
    id: str | Sequence[str] | None,  # noqa: A002
    examples: GivenLabels | None,
    negatives: GivenLabels | Sequence[str] | None,
    key: str,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids to be like and ids to be unlike."""
    like = [id] if isinstance(id, str) else list(id or ())
    unlike: list[str] = []
    if examples is not None:
        told = _told(examples, key)
        like += [name for name, value in zip(told.ids, told.values, strict=True) if value]
        unlike += [name for name, value in zip(told.ids, told.values, strict=True) if not value]
        if not any(told.values):
            raise HoagError(f"{_name(examples)}: every row is labelled no; give examples too")
    if isinstance(negatives, str | Path) or hasattr(negatives, "column_names"):
        unlike += _only_ids(negatives, key)
    elif negatives is not None:
        unlike += [str(name) for name in negatives]
    both = set(like) & set(unlike)
    if both:
        raise HoagError(f"galaxy '{min(both)}' is given both as an example and as none; choose one")
    return tuple(dict.fromkeys(like)), tuple(dict.fromkeys(unlike))


def _told(examples: GivenLabels, key: str) -> Sought:
    """Read examples: with a column `label`, yes or no; without, all yes."""
    from collections.abc import Mapping

    from hoag.catalogue import read_table

    if isinstance(examples, Mapping):
        return read_sought(examples, kind="yes or no")
    table = read_table(examples, text=(key,)) if isinstance(examples, str | Path) else examples
    if "label" in table.column_names:
        return read_sought(table, label="label", key=key, kind="yes or no")
    ids = _only_ids(examples, key)
    return Sought(tuple(ids), "yes or no", np.ones(len(ids), np.int64), ("no", "yes"), "label")


def _only_ids(table: Any, key: str) -> list[str]:
    from hoag.catalogue import read_table, require_columns

    where = _name(table)
    content = read_table(table, text=(key,)) if isinstance(table, str | Path) else table
    require_columns(content.column_names, [key], where)
    ids = content[key].to_pylist()
    if not ids or None in ids:
        raise HoagError(f"{where}: column '{key}' is empty or lacks an id; give one id a row")
    return [str(name) for name in ids]


def _name(table: Any) -> str:
    return str(table) if isinstance(table, str | Path) else "the examples"

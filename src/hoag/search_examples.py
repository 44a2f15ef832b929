"""What to search by: ids, and tables of examples and counterexamples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hoag.console import say
from hoag.errors import HoagError
from hoag.sought import NO, YES, GivenLabels, Sought, label_text, read_sought


def read_examples(
    id: str | Sequence[str] | None,  # noqa: A002
    examples: GivenLabels | None,
    negatives: GivenLabels | Sequence[str] | None,
    key: str,
    label: str | None = None,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids to be like and ids to be unlike; `label` names the examples' column of yes and no."""
    like = [id] if isinstance(id, str) else list(id or ())
    unlike: list[str] = []
    if examples is not None:
        told = _told(examples, key, label)
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


def _told(examples: GivenLabels, key: str, label: str | None) -> Sought:
    """Read examples: with a column `label`, or one that is named, yes or no; without, all yes."""
    from collections.abc import Mapping

    from hoag.catalogue import read_table

    if isinstance(examples, Mapping):
        return read_sought(examples, kind="yes or no")
    table = read_table(examples, text=(key,)) if isinstance(examples, str | Path) else examples
    chosen = label or ("label" if "label" in table.column_names else None)
    if chosen is not None:
        return read_sought(examples, label=chosen, key=key, kind="yes or no")
    ids = _only_ids(examples, key)
    for name in table.column_names:
        said = {label_text(v).lower() for v in table[name].to_pylist() if v is not None}
        if name != key and said & {*NO} and said <= {*YES, *NO}:
            say(f"{_name(examples)}: all {len(ids)} are examples; column '{name}' would say which "
                "are, if you name it with --label (label=)")  # fmt: skip
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

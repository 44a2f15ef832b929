"""What is checked and counted as published votes are read: rows, votes, parents, rounding, ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hoag.schema import Schema

Votes = Mapping[str, npt.NDArray[np.int32]]


@dataclass
class VoteChecks:
    """What was found while votes were read; grows part by part.

    Attributes
    ----------
    rows
        Rows kept.
    set_aside
        Rows that could not be used.
    votes
        Votes in the rows kept, over all questions.
    over_parents
        By question, the rows in which it has more votes than its parents allow, by more than one
        (for rounding). These rows are kept. A question asked of everybody has no entry.
    largest_rounding
        By question, the largest change, in votes, that was made to get a whole number. A question
        whose votes were whole as published has no entry.
    """

    rows: int = 0
    set_aside: int = 0
    votes: int = 0
    over_parents: dict[str, int] = field(default_factory=dict)
    largest_rounding: dict[str, float] = field(default_factory=dict)

    def add(
        self, votes: Votes, rounding: Mapping[str, float], schema: Schema, rows: int, aside: int
    ) -> None:
        """Add a part: votes by column, (rows,) int32 each, and the largest rounding by question."""
        self.rows += rows
        self.set_aside += aside
        self.votes += sum(int(column.sum(dtype=np.int64)) for column in votes.values())
        for question, number in rows_over_parents(votes, schema).items():
            self.over_parents[question] = self.over_parents.get(question, 0) + number
        self._note_rounding(rounding)

    def merged(self, others: Sequence[VoteChecks]) -> VoteChecks:
        """Give the sum of this and other tables' checks."""
        total = VoteChecks()
        for checks in (*others, self):
            total.rows += checks.rows
            total.set_aside += checks.set_aside
            total.votes += checks.votes
            for question, number in checks.over_parents.items():
                total.over_parents[question] = total.over_parents.get(question, 0) + number
            total._note_rounding(checks.largest_rounding)
        return total

    def _note_rounding(self, rounding: Mapping[str, float]) -> None:
        for question, largest in rounding.items():
            self.largest_rounding[question] = max(
                self.largest_rounding.get(question, 0.0), float(largest)
            )

    def to_dict(self) -> dict[str, Any]:
        """Give all of it as plain numbers and texts, for JSON; roundings to 6 digits."""
        return {
            "rows": self.rows,
            "set_aside": self.set_aside,
            "votes": self.votes,
            "over_parents": dict(self.over_parents),
            "largest_rounding": {q: round(x, 6) for q, x in self.largest_rounding.items()},
        }

    def lines(self) -> list[str]:
        """Say it in lines for people."""
        lines = [f"{self.rows:,} rows with {self.votes:,} votes"]
        if self.set_aside:
            lines.append(f"{self.set_aside:,} rows set aside")
        for question, rows in self.over_parents.items():
            if rows:
                lines.append(
                    f"{question}: more votes than its parents allow in {rows:,} rows, which are "
                    "kept"
                )
        if self.largest_rounding:
            question, largest = max(self.largest_rounding.items(), key=lambda item: item[1])
            lines.append(
                f"votes are fractions of a total, rounded by {largest:.3f} at most ({question})"
            )
        return lines


def rows_over_parents(votes: Votes, schema: Schema) -> dict[str, int]:
    """Count rows in which a question has more votes than those who were asked it can have given.

    A question is asked of the volunteers who gave any of its parent answers, so it has at most the
    sum of their votes; one vote more is taken for rounding.

    Parameters
    ----------
    votes
        Columns of answers, (rows,) int32 each. A question that is not there whole, or whose parents
        are not there, is not checked.
    schema
        Says the questions and their parents.

    Returns
    -------
    dict
        Rows by question, for every question that could be checked.
    """
    found = {}
    for question in schema.questions:
        parents = question.asked_after
        if parents and all(name in votes for name in (*question.columns, *parents)):
            given = np.sum([votes[name] for name in question.columns], axis=0)
            allowed = np.sum([votes[name] for name in parents], axis=0)
            found[question.name] = int((given > allowed + 1).sum())
    return found


class SeenIds:
    """Remembers ids as 64-bit hashes, 16 bytes each, so that millions take little memory.

    Two different ids share a hash once in 2**64 pairs: about one in ten million for 2M ids.
    """

    def __init__(self) -> None:
        self._hashes = np.empty(0, np.uint64)  # sorted
        self._rows = np.empty(0, np.int64)

    def first_rows(self, ids: Sequence[str], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Row at which each id came first: its own row if it is new. Remembers the new ones.

        Parameters
        ----------
        ids
            Ids in the order of the table.
        rows
            Their rows, (ids,) int64.
        """
        from pandas.util import hash_array

        hashes = hash_array(np.asarray(ids, object), categorize=False)
        unique, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
        firsts = rows[first]
        place = np.searchsorted(self._hashes, unique)
        within = np.minimum(place, len(self._hashes) - 1)
        known = (
            (self._hashes[within] == unique) if len(self._hashes) else np.zeros(len(unique), bool)
        )
        firsts[known] = self._rows[within[known]]
        self._hashes = np.insert(self._hashes, place[~known], unique[~known])
        self._rows = np.insert(self._rows, place[~known], firsts[~known])
        return firsts[inverse]

"""Checks of votes: children beyond their parents, rounding, and ids that come again."""

import numpy as np
import pytest

from hoag.data.vote_checks import SeenIds, VoteChecks, rows_over_parents
from hoag.schema import load_schema
from tests.conftest import SHARED
from tests.published_tables import votes_of

GZ2 = load_schema("gz2")


def test_votes_that_follow_the_tree_exceed_nothing() -> None:
    for campaign in load_schema().campaigns:
        schema = load_schema(campaign)
        found = rows_over_parents(votes_of(campaign, 50), schema)
        assert set(found) == {q.name for q in schema.questions if q.asked_after}
        assert not any(found.values())


@pytest.mark.parametrize(("more", "rows"), [(1, 0), (2, 1), (30, 1)])
def test_one_vote_more_than_the_parents_is_rounding_two_are_not(more: int, rows: int) -> None:
    votes = votes_of("gz2", 10)
    votes["how-rounded-gz2_round"][3] += more
    assert rows_over_parents(votes, GZ2)["how-rounded-gz2"] == rows


def test_a_question_with_several_parents_may_have_the_votes_of_all_of_them() -> None:
    votes = {column: np.zeros(2, np.int32) for column in GZ2.columns}
    votes["smooth-or-featured-gz2_smooth"][:] = 20
    votes["smooth-or-featured-gz2_featured-or-disk"][:] = 15
    votes["something-odd-gz2_no"][:] = [36, 37]
    assert rows_over_parents(votes, GZ2)["something-odd-gz2"] == 1


def test_a_question_without_its_parents_is_not_checked() -> None:
    votes = {"bar-gz2_yes": np.array([5]), "bar-gz2_no": np.array([5])}
    assert rows_over_parents(votes, GZ2) == {}


def test_checks_add_up_over_parts_and_tables() -> None:
    votes = votes_of("gz2", 6)
    whole, halves, other = VoteChecks(), VoteChecks(), VoteChecks()
    whole.add(votes, {"bar-gz2": 0.25}, GZ2, 6, 2)
    for half in (slice(0, 3), slice(3, 6)):
        part = {name: column[half] for name, column in votes.items()}
        halves.add(part, {"bar-gz2": 0.25 if half.start else 0.1}, GZ2, 3, 1)
    assert whole.to_dict() == halves.to_dict()
    other.add(votes, {"bar-gz2": 0.4}, GZ2, 6, 0)
    total = whole.merged([other])
    assert total.rows == 12 and total.set_aside == 2 and total.votes == 2 * whole.votes
    assert total.to_dict()["largest_rounding"] == {"bar-gz2": 0.4}
    assert any("0.400" in line for line in total.lines())


def test_the_first_row_of_each_id_is_found_over_parts() -> None:
    seen = SeenIds()
    first = seen.first_rows(["a", "b", "a", "c"], np.arange(4))
    assert first.tolist() == [0, 1, 0, 3]
    assert seen.first_rows(["d", "c", "d", "b"], np.arange(4, 8)).tolist() == [4, 3, 4, 1]
    assert seen.first_rows([], np.arange(0)).tolist() == []


def test_ids_seen_are_those_of_a_plain_dictionary() -> None:
    random = np.random.default_rng(0)
    seen, known = SeenIds(), {}
    for start in range(0, 5000, 500):
        ids = [str(n) for n in random.integers(0, 2000, 500)]
        wanted = [known.setdefault(one, start + n) for n, one in enumerate(ids)]
        assert seen.first_rows(ids, np.arange(start, start + 500)).tolist() == wanted


REAL = SHARED / "galaxies" / "gz2.parquet"


@pytest.mark.skipif(not REAL.is_file(), reason=f"{REAL} is not there")
def test_real_votes_exceed_their_parents_where_their_makers_say_so() -> None:
    from hoag.data.published import read_votes

    table, checks = read_votes(REAL, "gz2")
    odd = table["something-odd-gz2_yes"].to_numpy() + table["something-odd-gz2_no"].to_numpy()
    parents = [
        table[f"smooth-or-featured-gz2_{a}"].to_numpy() for a in ("smooth", "featured-or-disk")
    ]
    assert table.num_rows == checks.rows == 4629
    assert (odd > sum(parents)).sum() == 2085
    assert checks.over_parents["something-odd-gz2"] == (odd > sum(parents) + 1).sum() > 0
    assert sum(checks.over_parents.values()) == checks.over_parents["something-odd-gz2"]

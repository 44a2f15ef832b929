import numpy as np
import pytest

from hoag.batches import Plan, PlannedRows, Stream, in_chunks, make_batch
from hoag.errors import HoagError
from hoag.recipe import BatchSettings


def rows_of(plan, steps):
    return [plan(step) for step in range(steps)]


def test_an_epoch_holds_every_galaxy_once(galaxies):
    plan = Plan(galaxies, BatchSettings(size=len(galaxies) // 4), seed=1)
    seen = np.concatenate(rows_of(plan, 4))
    assert len(set(seen.tolist())) == 4 * plan.size


def test_a_step_depends_on_nothing_before_it(galaxies):
    settings = BatchSettings(size=32, labelled_fraction=0.5, campaign_mix="constant")
    walked, jumped = Plan(galaxies, settings, seed=1), Plan(galaxies, settings, seed=1)
    last = [walked(step) for step in range(30)][-1]
    assert np.array_equal(last, jumped(29))


def test_the_plan_depends_on_ids_not_on_rows(galaxies):
    order = np.random.default_rng(0).permutation(len(galaxies))
    shuffled = galaxies.take(order)
    settings = BatchSettings(size=32, labelled_fraction=0.4)
    for step in range(5):
        ours = [galaxies.ids[row] for row in Plan(galaxies, settings, 2)(step)]
        theirs = [shuffled.ids[row] for row in Plan(shuffled, settings, 2)(step)]
        assert ours == theirs


def test_labelled_fraction_holds_in_every_batch(galaxies):
    plan = Plan(galaxies, BatchSettings(size=32, labelled_fraction=0.3), seed=0)
    shares = [galaxies.labelled[rows].sum() for rows in rows_of(plan, 50)]
    assert set(shares) <= {9, 10}
    assert sum(shares) == pytest.approx(0.3 * 32 * 50, abs=1)


@pytest.mark.parametrize("mix", ["constant", "equal"])
def test_campaign_mix_is_held_from_batch_to_batch(galaxies, mix):
    labelled = galaxies.where(galaxies.labelled)
    plan = Plan(labelled, BatchSettings(size=32, labelled_fraction=1.0, campaign_mix=mix), seed=0)
    campaigns, natural = np.unique(labelled.campaign, return_counts=True)
    wanted = (
        natural / natural.sum()
        if mix == "constant"
        else np.full(len(campaigns), 1 / len(campaigns))
    )
    for rows in rows_of(plan, 40):
        counts = np.array([(labelled.campaign[rows] == name).sum() for name in campaigns])
        assert len(rows) == 32
        assert np.abs(counts - 32 * wanted).max() <= len(campaigns)


def test_processes_share_a_batch_without_overlap(galaxies):
    plan = Plan(galaxies, BatchSettings(size=16), seed=0)
    shares = [list(PlannedRows(plan, 3, 4, rank, 2))[0] for rank in (0, 1)]
    together = {row for share in shares for _, row in share}
    assert together == set(plan(3).tolist())
    assert len(shares[0]) == len(shares[1]) == 8


def test_asking_for_labelled_galaxies_where_there_are_none_is_refused(galaxies):
    bare = galaxies.where(~galaxies.labelled)
    with pytest.raises(HoagError, match="asks for galaxies with votes, and there are none"):
        Plan(bare, BatchSettings(size=8, labelled_fraction=0.5), seed=0)


def test_epochs_differ_and_seeds_differ():
    keys = np.arange(50, dtype=np.uint64)
    stream = Stream(np.arange(50), keys, 0, "all")
    assert not np.array_equal(stream.take(0, 50), stream.take(50, 50))
    assert not np.array_equal(stream.take(0, 50), Stream(np.arange(50), keys, 1, "all").take(0, 50))


def test_a_take_across_epochs_joins_them():
    stream = Stream(np.arange(10), np.arange(10, dtype=np.uint64), 0, "all")
    assert np.array_equal(stream.take(7, 6), np.r_[stream.take(7, 3), stream.take(10, 3)])


def test_chunks_cover_everything_once_over_processes(galaxies):
    seen = [
        name
        for rank in (0, 1, 2)
        for batch in in_chunks(galaxies, 8, size=20, rank=rank, world=3)
        for name in batch.ids
    ]
    assert sorted(seen) == sorted(galaxies.ids)


def test_chunks_read_ahead_by_a_process_are_the_same(galaxies):
    alone, ahead = (list(in_chunks(galaxies, 8, size=20, workers=n, keep=False)) for n in (0, 1))
    assert [batch.ids for batch in ahead] == [batch.ids for batch in alone]
    for one, other in zip(alone, ahead, strict=True):
        assert np.array_equal(one.images, other.images) and np.array_equal(one.votes, other.votes)


def test_a_batch_holds_pixels_votes_and_keys_of_its_rows(galaxies):
    batch = make_batch(galaxies, np.array([5, 2]), 16, seed=0, step=4)
    assert batch.images.shape == (2, 3, 16, 16)
    assert batch.ids == [galaxies.ids[5], galaxies.ids[2]]
    assert np.array_equal(batch.votes.numpy(), galaxies.votes[[5, 2]])
    assert np.array_equal(batch.keys.numpy().view(np.uint64), galaxies.keys[[5, 2]])

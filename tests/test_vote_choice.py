"""Votes left out: of a share of the galaxies, or to whole questions, as if never given."""

import numpy as np
import pytest
import torch

import hoag
from hoag.batches import make_batch
from hoag.errors import HoagError
from hoag.files import read_json
from hoag.fitting import fit
from hoag.hashes import hashes_of
from hoag.objectives import make_objective
from hoag.schema import load_schema
from hoag.splits import split_names
from hoag.vote_choice import VoteSettings, answers_of, learned_from, silent_at, withhold

LEFT = {"votes.leave_out": ("bar", "merging")}


def test_a_question_by_its_stem_is_left_out_in_all_campaigns_and_by_its_name_in_one():
    schema = load_schema("gz-evo")
    columns = np.array(schema.columns)
    everywhere = columns[answers_of(["bar"], schema)]
    assert set(everywhere) == {
        name for q in schema.questions if q.name == f"bar-{q.campaign}" for name in q.columns
    }
    assert len({name.split("_")[0] for name in everywhere}) > 3
    assert columns[answers_of(["bar-gz2"], schema)].tolist() == ["bar-gz2_yes", "bar-gz2_no"]
    assert not answers_of([], schema).any()


@pytest.mark.parametrize(
    ("name", "said"),
    [("bra", "names 'bra', .*; did you mean 'bar'"), ("merging-gz3", "did you mean 'merging")],
)
def test_an_unknown_question_is_named_with_the_closest(name, said, galaxies):
    with pytest.raises(HoagError, match=said):
        withhold(galaxies, VoteSettings((name,)))


def test_left_out_votes_read_as_zero_and_all_others_stay(galaxies):
    unasked = answers_of(["bar"], galaxies.schema)
    left = withhold(galaxies, VoteSettings(("bar",)))
    assert galaxies.votes[:, unasked].any() and not left.votes[:, unasked].any()
    np.testing.assert_array_equal(left.votes[:, ~unasked], galaxies.votes[:, ~unasked])
    assert left.votes_given == galaxies.votes[:, ~unasked].sum()
    assert left.hash != galaxies.hash and left.take([3, 1]).ids == galaxies.take([3, 1]).ids
    np.testing.assert_array_equal(left.take([3, 1]).votes, left.votes[[3, 1]])
    assert withhold(galaxies, VoteSettings()) is galaxies


def test_a_galaxy_with_no_vote_left_is_one_without_votes(galaxies):
    stems = tuple({q.name.removesuffix(f"-{q.campaign}") for q in galaxies.schema.questions})
    assert galaxies.labelled.any()
    assert not withhold(galaxies, VoteSettings(stems)).labelled.any()
    assert len(withhold(galaxies, VoteSettings(stems))) == len(galaxies)


def test_shares_are_nested_near_their_size_and_alike_in_every_split():
    keys = hashes_of(f"galaxy-{n}" for n in range(20_000))
    assert not silent_at(keys, 1.0).any() and silent_at(keys, 0.0).all()
    kept = [~silent_at(keys, share) for share in (0.01, 0.1, 0.5)]
    assert (kept[0] <= kept[1]).all() and (kept[1] <= kept[2]).all()
    names = split_names(keys)
    for share, each in zip((0.01, 0.1, 0.5), kept, strict=True):
        for split in ("train", "val", "test"):
            own = each[names == split]
            assert abs(own.mean() - share) < 5 * np.sqrt(share * (1 - share) / len(own))
    order = np.random.default_rng(0).permutation(len(keys))
    np.testing.assert_array_equal(silent_at(keys[order], 0.1), ~kept[1][order])


def test_what_is_withheld_survives_choosing_joining_and_pickling(galaxies):
    import pickle

    left = withhold(galaxies, VoteSettings(("bar",), 0.5))
    again = hoag.galaxies.concatenate([left.where(left.labelled), left.where(~left.labelled)])
    order = np.argsort(again.keys)
    np.testing.assert_array_equal(again.votes[order], left.votes[np.argsort(left.keys)])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(left)).votes, left.votes)
    with pytest.raises(HoagError, match="different questions left out cannot be joined"):
        hoag.galaxies.concatenate([left.take([0]), galaxies.take([1])])


@pytest.mark.parametrize("arm", ["pretrained", "hybrid"])
def test_the_loss_does_not_know_votes_that_are_left_out(arm, galaxies, tiny):
    """What the head says of left-out questions moves no loss and gets no gradient."""
    recipe = tiny(arm, **LEFT)
    withheld = learned_from(galaxies, recipe)
    unasked = torch.from_numpy(answers_of(recipe.votes.leave_out, galaxies.schema))
    rows = np.flatnonzero(withheld.labelled)[:16]
    batch = make_batch(withheld, rows, 24, seed=0, step=0)
    assert batch.votes.any() and not batch.votes[:, unasked].any()
    losses = []
    for shift in (0, 3):
        objective = make_objective(recipe, galaxies.schema, None)
        (last,) = (m for m in objective.modules() if getattr(m, "out_features", 0) == len(unasked))
        with torch.no_grad():
            last.bias[unasked] += shift
        loss = objective(batch)["loss"]
        loss.backward()
        assert not last.weight.grad[unasked].any() and last.weight.grad[~unasked].any()
        losses.append(float(loss.detach()))
    assert losses[0] == losses[1]


def test_hoag_train_obeys_and_records_it(simulated, tiny, tmp_path):
    whole = hoag.train(tiny("pretrained"), simulated, tmp_path / "whole", device="cpu")
    recipe = tiny("pretrained", **LEFT, **{"votes.share": 0.5})
    out = hoag.train(recipe, simulated, tmp_path / "part", device="cpu")
    before, after = (read_json(run / "run.json")["trained_on"] for run in (whole, out))
    assert 0.3 < after["galaxies"] / before["galaxies"] < 0.7
    assert after["with votes"] == after["galaxies"] and after["votes"] < 0.7 * before["votes"]
    assert hoag.load(out, device="cpu").recipe.votes.leave_out == ("bar", "merging")
    assert "share = 0.5" in (out / "recipe.toml").read_text()


def test_a_share_leaves_hybrid_all_of_its_images(galaxies, tiny, tmp_path):
    parts = galaxies.split("train"), galaxies.split("val")
    out = fit(tiny("hybrid", **{"votes.share": 0.3}), *parts, tmp_path / "run", device="cpu")
    told = read_json(out / "run.json")["trained_on"]
    assert told["galaxies"] == len(parts[0])
    assert 0 < told["with votes"] < 0.6 * parts[0].labelled.sum()


def test_hybrid_without_a_vote_takes_the_steps_of_contrastive(galaxies, tiny, tmp_path):
    from safetensors.torch import load_file

    parts = galaxies.split("train"), galaxies.split("val")
    runs = [
        fit(tiny(arm, **{"votes.share": 0.0}), *parts, tmp_path / arm, device="cpu")
        for arm in ("hybrid", "contrastive")
    ]
    ours, theirs = (load_file(run / "last/model.safetensors") for run in runs)
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())


def test_an_arm_of_votes_without_any_is_refused(simulated, galaxies, tiny, tmp_path):
    for arm in ("pretrained", "hybrid"):
        with pytest.raises(HoagError, match="leave fewer of them out in its section votes"):
            hoag.train(tiny(arm, **{"votes.share": 0.0}), simulated, tmp_path / "r", device="cpu")
    parts = galaxies.split("train"), galaxies.split("val")
    with pytest.raises(HoagError, match="no galaxy that the pretrained arm can learn from"):
        fit(tiny("pretrained", **{"votes.share": 0.0}), *parts, tmp_path / "r", device="cpu")
    with pytest.raises(HoagError, match=r"votes.share = 1.5 must be 0 to 1"):
        tiny("hybrid", **{"votes.share": 1.5})

import copy
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from hoag.arm import apply_head
from hoag.errors import HoagError
from hoag.losses import vote_loss
from hoag.mixing import MIXINGS
from hoag.objectives import Batch, Contrastive, Hybrid, Objective, make_objective
from hoag.randomness import DROPOUT, DROPOUT_TWO, VIEW_ONE, VIEW_TWO
from hoag.recipe import ARMS, Recipe
from hoag.schema import load_schema

SCHEMA = load_schema("gz-evo")
TINY = {
    "encoder.options": {"channels": [8, 16, 16, 32]},
    "images.size": 32,
    "heads.projector_hidden": 32,
    "heads.projector_out": 16,
    "heads.predictor_hidden": 32,
    "objective.weight": 0.5,
}
COMBINATIONS = [("direct", "paper"), ("pretrained", "paper"), ("contrastive", "paper")]
COMBINATIONS += [("hybrid", name) for name in MIXINGS]


def make(arm: str, **changes: Any) -> Objective:
    dotted = {name.replace("__", "."): value for name, value in changes.items()}
    return make_objective(Recipe().changed(TINY | {"arm": arm} | dotted), SCHEMA, ["no", "ring"])


def make_batch(n: int = 16, labelled: int = 8, step: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(5)
    votes = torch.zeros(n, len(SCHEMA.columns), dtype=torch.int32)
    for question in SCHEMA.questions[:3]:
        shape = (labelled, question.stop - question.start)
        counts = torch.randint(0, 12, shape, generator=generator, dtype=torch.int32)
        votes[:labelled, question.start : question.stop] = counts
    labels = torch.randint(0, 2, (n,), generator=generator)
    labels[labelled:] = -1
    images = torch.randint(0, 256, (n, 3, 36, 36), generator=generator, dtype=torch.uint8)
    # A wide square in some galaxies, so that there is something to learn.
    images[:, :, 12:24, 12:24] = torch.where(labels == 1, 250, 5)[:, None, None, None].byte()
    keys = torch.arange(n)
    return Batch(images, keys, votes, labels, [str(row) for row in range(n)], seed=0, step=step)


def rows(batch: Batch, chosen: torch.Tensor) -> Batch:
    images, keys, votes = batch.images[chosen], batch.keys[chosen], batch.votes[chosen]
    labels = None if batch.labels is None else batch.labels[chosen]
    return replace(batch, images=images, keys=keys, votes=votes, labels=labels)


def bits(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def take_step(objective: Objective, optimiser: torch.optim.Optimizer, batch: Batch) -> dict:
    result = objective(batch)
    optimiser.zero_grad()
    result["loss"].backward()
    optimiser.step()
    objective.after_step(batch.step, 100)
    return {name: value.detach().item() for name, value in result.items()}


def adam(objective: Objective, rate: float = 3e-3) -> torch.optim.Optimizer:
    return torch.optim.Adam(objective.trainable_parameters(), rate)


# --- learning ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arm", "mixing"), COMBINATIONS)
def test_thirty_steps_on_the_same_views_lower_every_loss(arm, mixing):
    # equation3 pushes views apart once the votes weigh in, so only its votes are looked at.
    objective = make(arm, objective__mixing=mixing).train()
    optimiser = adam(objective)
    course = [take_step(objective, optimiser, make_batch()) for _ in range(30)]
    assert {"loss", "feature_std"} < course[0].keys()
    for name in ("contrastive", "supervised"):
        if name in course[0] and not (mixing == "equation3" and name == "contrastive"):
            assert course[-1][name] < course[0][name] - 0.1, name
    assert all(0 < row["feature_std"] < 1.1 for row in course)


@pytest.mark.parametrize("arm", ARMS)
def test_steps_move_every_trainable_parameter_and_nothing_else(arm):
    objective = make(arm, target__tau=1.0).train()
    before = {name: value.clone() for name, value in objective.named_parameters()}
    optimiser = adam(objective)
    # Two, because a ResNet's blocks start as the identity and pass no gradient inside at the first.
    for step in range(2):
        take_step(objective, optimiser, make_batch(step=step))
    for name, value in objective.named_parameters():
        if value.requires_grad:
            assert not torch.equal(value, before[name]), name
        else:
            assert name.startswith("target.") and torch.equal(value, before[name]), name


@pytest.mark.parametrize("arm", ["contrastive", "hybrid"])
def test_the_target_moves_only_through_the_moving_average(arm):
    objective = make(arm, target__tau=0.9).train()
    assert isinstance(objective, Contrastive)
    target = objective.target
    old = [value.clone() for value in target.parameters()]
    take_step(objective, adam(objective), make_batch())
    online = [*objective.encoder.parameters(), *objective.projector.parameters()]
    for mine, before, theirs in zip(target.parameters(), old, online, strict=True):
        torch.testing.assert_close(mine, 0.9 * before + 0.1 * theirs, rtol=1e-6, atol=1e-7)
    stores = {value.untyped_storage().data_ptr() for value in target.state_dict().values()}
    others = [*objective.encoder.state_dict().values(), *objective.projector.state_dict().values()]
    assert not stores & {value.untyped_storage().data_ptr() for value in others}


@pytest.mark.parametrize(("arm", "mixing"), COMBINATIONS)
@pytest.mark.parametrize("labelled", [0, 8])
def test_finite_with_and_without_labels_also_in_bfloat16(arm, mixing, labelled):
    objective = make(arm, objective__mixing=mixing).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = objective(make_batch(labelled=labelled))
    result["loss"].backward()
    assert result["loss"].dtype == torch.float32
    assert all(torch.isfinite(value) for value in result.values())
    for name, value in objective.named_parameters():
        assert value.grad is None or torch.isfinite(value.grad).all(), name


@pytest.mark.parametrize("mixing", ["paper", "fixed"])
def test_hybrid_without_votes_in_a_batch_is_contrastive(mixing):
    batch = make_batch(labelled=0)
    hybrid, contrastive = make("hybrid", objective__mixing=mixing), make("contrastive")
    results = [objective.train()(batch) for objective in (hybrid, contrastive)]
    assert results[0]["loss"].item() == results[1]["loss"].item()
    assert results[0]["supervised"].item() == 0.0
    for result in results:
        result["loss"].backward()
    for one, two in zip(hybrid.encoder.parameters(), contrastive.encoder.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-5, atol=1e-8)


# --- what the losses are -------------------------------------------------------------------------


def test_contrastive_is_symmetric_in_the_two_views(monkeypatch):
    objective = make("contrastive").train()
    first = objective(make_batch())["contrastive"]
    swapped = {VIEW_ONE: VIEW_TWO, VIEW_TWO: VIEW_ONE}
    plain = objective.view
    monkeypatch.setattr(objective, "view", lambda batch, stream: plain(batch, swapped[stream]))
    torch.testing.assert_close(objective(make_batch())["contrastive"], first)


def test_contrastive_by_hand():
    objective = make("contrastive").train()
    assert isinstance(objective, Contrastive)
    batch = make_batch()
    views = [objective.view(batch, stream) for stream in (VIEW_ONE, VIEW_TWO)]
    assert not torch.equal(*views)
    online = [objective.predictor(objective.projector(objective.encoder(v))) for v in views]
    wanted = [objective.target(view) for view in views]
    cosines = [
        (a / a.norm(dim=1, keepdim=True) * b / b.norm(dim=1, keepdim=True)).sum(1).mean()
        for a, b in ((online[0], wanted[1]), (online[1], wanted[0]))
    ]
    torch.testing.assert_close(objective(batch)["contrastive"], -(cosines[0] + cosines[1]) / 2)


@pytest.mark.parametrize("votes_on", ["first", "both"])
def test_votes_are_fed_by_the_first_view_or_both(votes_on):
    objective = make("hybrid", objective__votes_on=votes_on).train()
    assert isinstance(objective, Hybrid)
    batch = make_batch()
    parts = []
    for view, drop in ((VIEW_ONE, DROPOUT), (VIEW_TWO, DROPOUT_TWO)):
        representation = objective.encoder(objective.view(batch, view))
        concentration = apply_head(objective.vote_head, representation, batch, drop)
        parts.append(vote_loss(concentration, batch.votes, SCHEMA))
    used = parts if votes_on == "both" else parts[:1]
    wanted = sum(total for total, _ in used) / sum(count for _, count in used)
    torch.testing.assert_close(objective(batch)["supervised"], wanted)


def test_hybrid_loss_is_its_two_parts_mixed():
    result = make("hybrid", objective__mixing="fixed").train()(make_batch())
    mixed = result["contrastive"] + 0.5 * result["supervised"]
    torch.testing.assert_close(result["loss"].detach(), mixed)


def test_direct_is_cross_entropy_over_labelled_galaxies():
    objective = make("direct", heads__vote_dropout=0.0).train()
    batch = make_batch()
    logits = objective.class_head(objective.encoder(objective.view(batch, VIEW_ONE)))
    wanted = nn.functional.cross_entropy(logits[:8], batch.labels[:8])
    torch.testing.assert_close(objective(batch)["loss"], wanted)


def test_arms_start_from_the_same_encoder_and_heads():
    encoders = [bits(make(arm).encoder) for arm in ARMS]
    assert all(same(encoders[0], other) for other in encoders[1:])
    assert same(bits(make("pretrained").vote_head), bits(make("hybrid").vote_head))
    assert not same(encoders[0], bits(make("direct", seed=1).encoder))


# --- validation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("arm", ARMS)
def test_evaluation_changes_nothing_and_repeats_at_any_step(arm):
    objective = make(arm).train()
    objective(make_batch())
    before = bits(objective)
    modes = [part.training for part in objective.modules()]
    one, two = objective.evaluate(make_batch(step=3)), objective.evaluate(make_batch(step=99))
    assert same(bits(objective), before)
    assert [part.training for part in objective.modules()] == modes
    assert set(one) == set(objective.metrics)
    assert objective.monitor.removeprefix("val/") in one
    for name, (total, count) in one.items():
        assert torch.equal(total, two[name][0]) and torch.equal(count, two[name][1])
        assert torch.isfinite(total) and count > 0 and not total.requires_grad


@pytest.mark.parametrize("arm", ARMS)
def test_evaluation_adds_up_over_batches_of_any_size_and_order(arm):
    objective = make(arm).train()
    objective(make_batch())
    whole = objective.evaluate(make_batch())
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    parts = [objective.evaluate(rows(make_batch(), chosen)) for chosen in order.split([1, 5, 10])]
    for name in set(objective.metrics) - {"feature_std"}:
        total = sum(part[name][0] for part in parts)
        torch.testing.assert_close(total, whole[name][0], rtol=1e-4, atol=1e-4)
        assert sum(part[name][1] for part in parts) == whole[name][1]


def test_validation_views_are_none_of_the_training_views():
    objective = make("contrastive").eval()
    batch = make_batch()
    evaluated = objective.evaluate(batch)["contrastive"][0]
    assert all(
        objective.measure(replace(batch, step=n))["contrastive"][0] != evaluated for n in range(5)
    )


def test_accuracy_counts_labelled_galaxies_that_are_right():
    objective = make("direct").eval()
    batch = make_batch()
    logits = objective.class_head(objective.encoder(objective.clean(batch)))
    right, count = objective.evaluate(batch)["accuracy"]
    assert right == (logits.argmax(1)[:8] == batch.labels[:8]).sum()
    assert count == 8


@pytest.mark.parametrize("arm", ["pretrained", "hybrid"])
def test_predictions_do_not_depend_on_the_batch(arm):
    objective = make(arm).train()
    objective(make_batch())
    objective.eval()
    batch = make_batch()
    with torch.no_grad():
        whole = objective.vote_head(objective.representation(objective.clean(batch)))
        for chosen in (torch.arange(16).flip(0), torch.tensor([3]), torch.tensor([3, 9, 1])):
            some = objective.clean(rows(batch, chosen))
            again = objective.vote_head(objective.representation(some))
            torch.testing.assert_close(again, whole[chosen], rtol=1e-4, atol=1e-4)


# --- resuming ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arm", "mixing"), COMBINATIONS)
def test_stopped_and_resumed_is_bitwise_the_same(arm, mixing):
    straight = make(arm, objective__mixing=mixing).train()
    optimiser = adam(straight)
    for step in range(2):
        take_step(straight, optimiser, make_batch(step=step))
    resumed = make(arm, objective__mixing=mixing, seed=9).train()
    resumed.load_state_dict(bits(straight))
    again = adam(resumed)
    again.load_state_dict(copy.deepcopy(optimiser.state_dict()))  # torch would share it
    torch.rand(11)  # the global generator plays no part
    take_step(straight, optimiser, make_batch(step=2))
    take_step(resumed, again, make_batch(step=2))
    assert same(bits(straight), bits(resumed))


# --- bad input -----------------------------------------------------------------------------------


def test_bad_input_is_one_clear_sentence():
    recipe = Recipe().changed(TINY | {"arm": "direct"})
    with pytest.raises(HoagError, match="direct arm needs two classes or more to learn; it got 0"):
        make_objective(recipe, SCHEMA)
    with pytest.raises(HoagError, match="come without any"):
        make("direct")(replace(make_batch(), labels=None))
    with pytest.raises(HoagError, match="arm: 'hybird' is unknown"):
        make_objective(SimpleNamespace(arm="hybird"), SCHEMA)  # type: ignore[arg-type]


def test_a_batch_moves_between_devices_whole():
    moved = make_batch().to("cpu")
    assert torch.equal(moved.images, make_batch().images)
    assert replace(make_batch(), labels=None).to("cpu").labels is None

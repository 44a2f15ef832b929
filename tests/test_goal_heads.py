import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.metrics import log_loss

from hoag.errors import HoagError
from hoag.goal_heads import Goal, make_goal_head
from hoag.losses import vote_loss
from hoag.recipe import HeadSettings
from hoag.schema import load_schema

SCHEMA = load_schema("gz2")
NAN = float("nan")


def head(kind, *names, **settings):
    goal = Goal(kind, names, names)
    return make_goal_head(goal, 5, SCHEMA, HeadSettings(vote_dropout=0.0, **settings)).eval()


def representations(count=7):
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(0))


def test_the_loss_of_classes_is_scikit_learns_log_loss():
    classes = head("classes", "a", "b", "c")
    labels = torch.tensor([0, 1, 2, 2, 1, 0, 2])
    output = classes(representations()).detach()
    total, count = classes.loss(output, labels)
    chances = classes.answer(output).double().numpy()
    np.testing.assert_allclose(chances.sum(1), 1, rtol=1e-6)
    wanted = log_loss(labels.numpy(), chances / chances.sum(1, keepdims=True))
    assert float(total / count) == pytest.approx(wanted, rel=1e-5)


def test_balanced_classes_weigh_alike_together():
    classes = head("classes", "a", "b")
    labels = torch.tensor([0, 0, 0, 0, 0, 0, 1])
    classes.prepare(labels, "balanced", {})
    output = classes(representations())
    total, count = classes.loss(output, labels)
    each = -classes.answer(output).log()[torch.arange(7), labels]
    wanted = 0.5 * each[:6].mean() + 0.5 * each[6]
    torch.testing.assert_close(total / count, wanted)


def test_weights_by_name_are_taken_and_strangers_refused():
    classes = head("classes", "a", "b")
    classes.prepare(torch.tensor([0, 1]), "equal", {"b": 3})
    assert classes.weights.tolist() == [1, 3]
    with pytest.raises(HoagError, match="finetune.weights names 'z'; there are a, b"):
        classes.prepare(torch.tensor([0, 1]), "equal", {"z": 3})


@pytest.mark.parametrize(
    ("kind", "unknown"), [("classes", -1), ("labels", [NAN, NAN]), ("numbers", [NAN, NAN])]
)
def test_what_is_unknown_teaches_nothing(kind, unknown):
    made = head(kind, "a", "b")
    known = {"classes": [1, 0], "labels": [[1.0, 0.0], [0.0, NAN]], "numbers": [[1.0, 5], [2, 9]]}
    some, more = (torch.tensor([*known[kind], *extra]) for extra in ([], [unknown, unknown]))
    made.prepare(more, "equal", {})
    few = made.loss(made(representations(2)), some)
    inputs = representations(2)
    padded = torch.cat([inputs, 100 * torch.ones(2, 5)]).requires_grad_()
    total, count = made.loss(made(padded), more)
    torch.testing.assert_close((total, count), few)
    total.backward()
    assert padded.grad[2:].abs().max() == 0 and padded.grad[:2].abs().max() > 0


def test_nothing_known_at_all_is_a_loss_of_zero():
    for kind, unknown in (("classes", [-1]), ("labels", [[NAN]]), ("numbers", [[NAN]])):
        made = head(kind, "a") if kind != "classes" else head(kind, "a", "b")
        total, count = made.loss(made(representations(1)).detach(), torch.tensor(unknown))
        assert (float(total), float(count)) == (0, 0)


def test_the_loss_of_labels_is_the_mean_log_loss_over_known_pairs():
    labels = head("labels", "ring", "bar")
    truth = torch.tensor([[1, 0], [0, NAN], [NAN, 1], [1, 1], [0, 0], [0, 1], [1, 0]]).float()
    output = labels(representations()).detach()
    total, count = labels.loss(output, truth)
    known = ~truth.isnan()
    chances = labels.answer(output).detach()[known].double().numpy()
    assert float(count) == 12
    wanted = log_loss(truth[known].numpy(), chances)
    assert float(total / count) == pytest.approx(wanted, rel=1e-5)
    right, pairs = labels.measure(output, truth)["accuracy"]
    assert float(right) == ((chances > 0.5) == (truth[known].numpy() > 0.5)).sum() and pairs == 12


def test_balanced_labels_weigh_yes_and_no_alike():
    labels = head("labels", "ring")
    truth = torch.tensor([[1.0], [0], [0], [0], [0], [NAN]])
    labels.prepare(truth, "balanced", {})
    torch.testing.assert_close(labels.weights[:, 0], torch.tensor([5 / 8, 5 / 2]))


def test_the_loss_of_numbers_is_a_gaussians_and_answers_are_in_the_users_units():
    numbers = head("numbers", "mass", "redshift")
    truth = torch.tensor([[10.0, 0.1], [11, 0.2], [9, NAN], [10.5, 0.05]])
    numbers.prepare(truth, "equal", {})
    output = numbers(representations(4)).detach()
    values, scatters = np.split(numbers.answer(output).detach().double().numpy(), 2, axis=1)
    total, count = numbers.loss(output, truth)
    known = ~np.isnan(truth.numpy())
    spread = np.nanstd(truth.numpy().astype(float), axis=0)
    wanted = -norm(values, scatters).logpdf(truth.numpy())[known]
    # The loss is taken in units of the spread, and without the constant.
    constant = 0.5 * np.log(2 * np.pi) + np.log(np.broadcast_to(spread, (4, 2))[known])
    assert float(total) == pytest.approx((wanted - constant).sum(), rel=1e-4)
    assert count == 7
    np.testing.assert_allclose(numbers.centre.numpy(), np.nanmean(truth.numpy(), 0), rtol=1e-6)


def test_guessing_the_mean_has_a_squared_error_of_one():
    numbers = head("numbers", "mass")
    truth = torch.tensor([[1.0], [2], [3], [6]])
    numbers.prepare(truth, "equal", {})
    total, count = numbers.measure(torch.zeros(4, 2), truth)["squared_error"]
    assert float(total / count) == pytest.approx(1.0)


def test_votes_are_the_dirichlet_multinomials():
    votes = head("votes", concentration="unbounded")
    counts = torch.zeros(3, len(SCHEMA.columns), dtype=torch.int32)
    counts[0, :3] = torch.tensor([3, 4, 1])
    output = votes(representations(3))
    torch.testing.assert_close(votes.loss(output, counts), vote_loss(output, counts, SCHEMA))


@pytest.mark.parametrize("kind", ["numbers", "votes"])
def test_class_weights_are_for_classes(kind):
    with pytest.raises(HoagError, match=f"class weights are for classes and labels; {kind}"):
        head(kind, "a").prepare(torch.ones(2, 1), "balanced", {})


def test_a_goal_survives_json_and_a_damaged_one_is_named():
    goal = Goal("labels", ("ring", "bar"), ("ring", "bar"))
    assert Goal.from_dict(goal.to_dict(), "run.json") == goal
    with pytest.raises(HoagError, match="run.json: its goal is not as hoag writes it"):
        Goal.from_dict({"kind": "magic", "names": [], "columns": []}, "run.json")


def test_a_head_is_fed_features_of_mean_0_and_spread_1():
    made = head("classes", "a", "b")
    # A millionth of the largest spread counts as none, so the smallest one here is well above that.
    drawn = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
    inputs = drawn * torch.tensor([1.0, 1e3, 1e-2, 1, 0]) + 7
    made.standardise.measure(inputs)
    fed = made.standardise(inputs)
    torch.testing.assert_close(fed.mean(0), torch.zeros(5), atol=1e-3, rtol=0)
    torch.testing.assert_close(fed[:, :4].std(0, correction=0), torch.ones(4), atol=1e-3, rtol=0)
    assert fed.isfinite().all()

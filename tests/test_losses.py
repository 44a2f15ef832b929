import threading

import pytest
import torch

from hoag import losses
from hoag.losses import feature_std, global_mean, global_ratio, minus_cosine, vote_loss
from hoag.mixing import MIXINGS, make_mixing
from hoag.schema import load_schema


def test_minus_cosine_of_known_angles():
    one = torch.tensor([[1.0, 0.0], [1.0, 0.0], [2.0, 0.0], [1.0, 1.0]])
    two = torch.tensor([[3.0, 0.0], [0.0, 1.0], [-5.0, 0.0], [0.0, 2.0]])
    torch.testing.assert_close(minus_cosine(one, two), torch.tensor([-1.0, 0.0, 1.0, -(0.5**0.5)]))


def test_minus_cosine_is_float32_under_autocast():
    one, two = torch.randn(5, 64), torch.randn(5, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(minus_cosine(one, two), minus_cosine(one.clone(), two.clone()))
        assert minus_cosine(one.bfloat16(), two.bfloat16()).dtype == torch.float32


def test_vote_loss_counts_asked_pairs_and_is_zero_without_votes():
    schema = load_schema("gz2")
    votes = torch.zeros(4, len(schema.columns), dtype=torch.int32)
    concentration = torch.full(votes.shape, 5.0, requires_grad=True)
    total, count = vote_loss(concentration, votes, schema)
    (gradient,) = torch.autograd.grad(global_ratio(total, count), concentration)
    assert (total.item(), count.item()) == (0.0, 0.0)
    assert (gradient == 0).all()
    votes[0, schema.questions[0].start] = 3
    votes[1, schema.questions[0].start] = 3
    votes[1, schema.questions[1].start] = 1
    total, count = vote_loss(concentration, votes, schema)
    assert count.item() == 3 and total.item() > 0


class Ranks:
    """Two processes played by two threads that meet at every sum."""

    def __init__(self) -> None:
        self.barrier = threading.Barrier(2)
        self.local = threading.local()
        self.parts: dict[int, torch.Tensor] = {}

    def all_sum(self, tensor: torch.Tensor) -> torch.Tensor:
        self.parts[self.local.rank] = tensor.detach().clone()
        self.barrier.wait(10)
        total = self.parts[0] + self.parts[1]
        self.barrier.wait(10)
        return total

    def run(self, work) -> list:
        results = [None, None]

        def one(rank: int) -> None:
            self.local.rank = rank
            results[rank] = work(rank)

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results


@pytest.mark.parametrize("name", MIXINGS)
@pytest.mark.parametrize("labelled", ["unevenly", "on one", "nowhere"])
def test_two_processes_give_the_loss_and_gradient_of_one(monkeypatch, name, labelled):
    generator = torch.Generator().manual_seed(0)
    agreement = -torch.rand(8, 3, generator=generator, dtype=torch.float64)
    nll = 5 * torch.rand(8, 3, generator=generator, dtype=torch.float64)
    count = torch.zeros(8, dtype=torch.float64)
    if labelled != "nowhere":
        count[:3] = torch.tensor([1.0, 4.0, 2.0])
    if labelled == "unevenly":
        count[6] = 5.0

    def loss_and_gradient(rows: slice) -> tuple[float, torch.Tensor]:
        theta = torch.full((3,), 0.5, dtype=torch.float64, requires_grad=True)
        contrastive = global_mean((agreement[rows] @ theta).mean())
        total = ((nll[rows] @ theta) * count[rows]).sum()
        supervised = global_ratio(total, count[rows].sum())
        loss = make_mixing(name)(contrastive, supervised, 0.7)
        loss.backward()
        return loss.item(), theta.grad

    value, gradient = loss_and_gradient(slice(0, 8))
    ranks = Ranks()
    monkeypatch.setattr(losses, "all_sum", ranks.all_sum)
    monkeypatch.setattr(losses, "world_size", lambda: 2)
    results = ranks.run(lambda rank: loss_and_gradient(slice(4 * rank, 4 * rank + 4)))
    for there, _ in results:
        assert there == pytest.approx(value, rel=1e-6)
    mean = (results[0][1] + results[1][1]) / 2
    torch.testing.assert_close(mean, gradient, rtol=1e-6, atol=1e-9)


def test_feature_std_is_one_for_even_directions_and_zero_when_collapsed():
    generator = torch.Generator().manual_seed(0)
    even = torch.randn(4000, 64, generator=generator)
    assert feature_std(even).item() == pytest.approx(1.0, abs=0.02)
    assert feature_std(even * torch.rand(4000, 1)).item() == pytest.approx(1.0, abs=0.02)
    same = torch.randn(1, 64, generator=generator).expand(100, -1)
    assert feature_std(same).item() == pytest.approx(0.0, abs=1e-6)
    assert feature_std(same * torch.arange(1, 101)[:, None]).item() == pytest.approx(0, abs=1e-6)
    assert feature_std(torch.zeros(5, 4)).item() == 0.0

import pytest
import torch
from torch import nn

from hoag.errors import HoagError
from hoag.heads import ClassHead, Predictor, Projector, VoteHead
from hoag.randomness import DROPOUT, uniform
from hoag.schema import load_schema

SCHEMA = load_schema("gz2")
ANSWERS = len(SCHEMA.columns)


def features(n: int = 6, width: int = 16) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", [Projector, Predictor])
def test_two_linear_layers_with_batchnorm_and_relu_between(kind):
    head = kind(16, 32, 8)
    assert [type(layer) for layer in head] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]
    assert head(features()).shape == (6, 8)


def test_sigmoid_concentrations_are_one_plus_a_hundred_sigmoid():
    head = VoteHead(16, SCHEMA).eval()
    logits = head.linear(features())
    torch.testing.assert_close(head(features()), 1 + 100 * torch.sigmoid(logits))
    extreme = head(features() * 1e4)
    assert extreme.min() >= 1 and extreme.max() <= 101
    assert extreme.min() < 1.01 and extreme.max() > 100.9


def test_unbounded_concentrations_are_positive_and_go_beyond_both_bounds():
    head = VoteHead(16, SCHEMA, concentration="unbounded").eval()
    extreme = head(features() * 1e4)
    assert extreme.min() > 0 and extreme.min() < 0.01 and extreme.max() > 1000
    assert torch.isfinite(extreme).all()


@pytest.mark.parametrize("concentration", ["sigmoid", "unbounded"])
def test_float32_under_autocast(concentration):
    head = VoteHead(16, SCHEMA, concentration=concentration).eval()
    plain = head(features())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(head(features()), plain)
        assert head(features().bfloat16()).dtype == torch.float32
    assert plain.dtype == torch.float32 and plain.shape == (6, ANSWERS)


def test_dropout_follows_the_numbers_it_is_given():
    head = VoteHead(16, SCHEMA, dropout=0.25).train()
    draws = uniform(0, 0, torch.arange(6), head.dropout_width, DROPOUT)
    kept = features() * (draws >= 0.25) / 0.75
    wanted = 1 + 100 * torch.sigmoid(head.linear(kept))
    torch.testing.assert_close(head(features(), draws), wanted)
    with pytest.raises(ValueError, match="uniform"):
        head(features())


def test_dropout_happens_at_its_rate_and_keeps_the_mean():
    head = ClassHead(64, 64, dropout=0.2).train()
    nn.init.eye_(head.linear.weight)
    nn.init.zeros_(head.linear.bias)
    draws = uniform(0, 0, torch.arange(2000), 64, DROPOUT)
    kept = head(torch.ones(2000, 64), draws)
    assert abs((kept == 0).float().mean() - 0.2) < 0.005
    assert abs(kept.mean() - 1) < 0.01


def test_no_dropout_in_evaluation():
    head = VoteHead(16, SCHEMA, dropout=0.9).eval()
    assert torch.equal(head(features()), head(features(), torch.zeros(6, 16)))


def test_a_hidden_layer_comes_before_dropout_and_answers():
    head = VoteHead(16, SCHEMA, dropout=0.2, hidden=40)
    assert head.dropout_width == 40
    assert head(features(), torch.rand(6, 40)).shape == (6, ANSWERS)


def test_class_head_gives_logits_not_probabilities():
    head = ClassHead(16, 3).eval()
    torch.testing.assert_close(head(features()), head.linear(features()))


def test_bad_settings_are_one_clear_sentence():
    with pytest.raises(HoagError, match="heads.concentration: 'softmax' is unknown"):
        VoteHead(16, SCHEMA, concentration="softmax")
    with pytest.raises(HoagError, match=r"heads.vote_dropout: 1.0 must lie in \[0, 1\)"):
        VoteHead(16, SCHEMA, dropout=1.0)

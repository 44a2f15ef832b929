import pytest
import torch

from hoag.encoders import create_encoder
from hoag.errors import HoagError
from hoag.layer_groups import block_numbers, block_rates, freeze_early

ENCODERS = [
    ("resnet18", {"channels": [4, 8, 8, 16]}, 4),
    ("mobilenetv3_small_050", {}, 6),
    ("convnext_atto", {}, 4),
    ("vit_tiny_patch16_224", {"img_size": 32}, 12),
]


@pytest.mark.parametrize(("name", "options", "last"), ENCODERS)
def test_blocks_are_numbered_from_the_stem_and_hold_every_weight(name, options, last):
    encoder = create_encoder(name, **options)
    numbers = block_numbers(encoder)
    assert set(numbers) == {name for name, _ in encoder.named_parameters()}
    assert set(numbers.values()) == set(range(last + 1))


@pytest.mark.parametrize(("name", "options", "last"), ENCODERS)
def test_the_last_block_moves_and_nothing_else(name, options, last):
    encoder = create_encoder(name, **options)
    numbers = block_numbers(encoder)
    freeze_early(encoder, "last-blocks", 1)
    moving = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert moving == {name for name, number in numbers.items() if number == last}


def test_frozen_blocks_keep_their_running_statistics_in_training_mode():
    encoder = create_encoder("resnet18", channels=[4, 8, 8, 16])
    freeze_early(encoder, "last-blocks", 2)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    encoder.train()
    encoder(torch.rand(4, 3, 32, 32))
    after = encoder.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved and all(name.startswith(("layer3", "layer4")) for name in moved)
    assert {name.split(".")[0] for name in moved} == {"layer3", "layer4"}


def test_rates_fall_by_the_decay_from_block_to_block():
    encoder = create_encoder("resnet18", channels=[4, 8, 8, 16])
    rates = block_rates(encoder, 0.5)
    assert rates["layer4.1.conv2.weight"] == 0.5
    assert rates["layer1.0.bn1.bias"] == 0.5**4
    assert rates["conv1.weight"] == 0.5**5
    assert block_rates(encoder, 1.0) == {}


def test_frozen_weights_have_no_rate():
    encoder = create_encoder("resnet18", channels=[4, 8, 8, 16])
    freeze_early(encoder, "head", 1)
    assert block_rates(encoder, 0.5) == {}
    other = create_encoder("resnet18", channels=[4, 8, 8, 16])
    freeze_early(other, "last-blocks", 1)
    assert {name.split(".")[0] for name in block_rates(other, 0.5)} == {"layer4"}


def test_more_blocks_than_there_are_is_said():
    with pytest.raises(HoagError, match="has 4 blocks and a stem; give 1 to 4, or --train all"):
        freeze_early(create_encoder("resnet18"), "last-blocks", 5)


def test_an_encoder_without_blocks_is_said():
    with pytest.raises(HoagError, match="which blocks a Linear has; use --train head"):
        freeze_early(torch.nn.Linear(2, 2), "last-blocks", 1)

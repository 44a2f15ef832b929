import copy

import pytest
import torch
from torch import nn

from hoag.encoders import create_encoder, freeze, recalibrate_batchnorm
from hoag.errors import HoagError

SLIM = {"channels": (8, 16, 16, 32)}


def images(n: int, size: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def bits(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet18", SLIM),
        ("test_efficientnet", {}),
        ("mobilenetv3_small_050", {}),  # its num_features in timm is not the width of its output
        ("test_vit", {"img_size": 32, "patch_size": 8}),
    ],
)
def test_num_features_is_the_length_of_the_representation(name, options):
    encoder = create_encoder(name, **options).eval()
    with torch.no_grad():
        assert encoder(images(2)).shape == (2, encoder.num_features)


def test_weights_follow_the_seed_and_nothing_else():
    torch.rand(7)
    state = torch.random.get_rng_state()
    one = create_encoder("resnet18", seed=3, **SLIM)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(7)
    assert same(bits(one), bits(create_encoder("resnet18", seed=3, **SLIM)))
    assert not same(bits(one), bits(create_encoder("resnet18", seed=4, **SLIM)))


def test_unknown_name_comes_with_close_matches():
    with pytest.raises(HoagError, match="no architecture 'resnet81'; did you mean .*resnet18"):
        create_encoder("resnet81")
    with pytest.raises(HoagError, match="see timm.list_models"):
        create_encoder("?")


@pytest.mark.parametrize("name", ["hf_hub:someone/model", "local-dir:/tmp/model"])
def test_names_that_would_reach_for_a_network_or_a_file_are_refused(name):
    with pytest.raises(HoagError, match="timm has no architecture"):
        create_encoder(name)


def test_options_that_do_not_fit_are_one_clear_sentence():
    with pytest.raises(HoagError, match="encoder.options: resnet18 cannot be made with"):
        create_encoder("resnet18", chanels=(8, 16, 16, 32))


@pytest.mark.parametrize("name", ["resnet18", "test_efficientnet", "mobilenetv3_small_050"])
def test_representations_do_not_depend_on_the_batch(name):
    encoder = create_encoder(name, **(SLIM if name == "resnet18" else {})).eval()
    with torch.no_grad():
        whole = encoder(images(12))
        backwards = encoder(images(12).flip(0)).flip(0)
        alone = torch.cat([encoder(image[None]) for image in images(12)])
        others = encoder(torch.cat([images(1), images(5, seed=9)]))[:1]
    scale = whole.abs().max().item()
    for again in (backwards, alone):
        torch.testing.assert_close(again, whole, atol=1e-5 * scale, rtol=1e-4)
    torch.testing.assert_close(others, whole[:1], atol=1e-5 * scale, rtol=1e-4)


def test_frozen_is_frozen_to_the_bit():
    encoder = freeze(create_encoder("resnet18", **SLIM))
    head = nn.Linear(encoder.num_features, 2)
    model = nn.Sequential(encoder, nn.BatchNorm1d(encoder.num_features), head)
    before, head_before = bits(encoder), bits(head)
    optimiser = torch.optim.Adam(model.parameters(), 0.1, weight_decay=0.1)
    model.train()
    encoder.train()
    encoder.layer1.train()
    for step in range(3):
        optimiser.zero_grad()
        model(images(8, seed=step)).square().sum().backward()
        optimiser.step()
    assert same(bits(encoder), before)
    assert not same(bits(head), head_before)
    assert model.training and not any(part.training for part in encoder.modules())


def test_a_copy_of_a_frozen_encoder_is_its_own_and_frozen_too():
    encoder = freeze(create_encoder("resnet18", **SLIM))
    twin = copy.deepcopy(encoder)
    twin.train()
    assert not twin.bn1.training
    assert twin.__dict__["train"].__self__ is twin


def test_recalibration_is_the_plain_mean_over_clean_batches():
    encoder = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Conv2d(3, 4, 3)).train()
    batches = [images(8, seed=seed) * (seed + 1) for seed in range(4)]
    weights = bits(encoder[2])
    recalibrate_batchnorm(encoder, batches)
    means = torch.stack([batch.mean((0, 2, 3)) for batch in batches])
    variances = torch.stack([batch.transpose(0, 1).flatten(1).var(1) for batch in batches])
    torch.testing.assert_close(encoder[0].running_mean, means.mean(0))
    torch.testing.assert_close(encoder[0].running_var, variances.mean(0))
    assert same(bits(encoder[2]), weights)
    assert encoder[0].momentum == 0.1
    assert all(part.training for part in encoder.modules())


def test_recalibration_mends_statistics_that_do_not_fit():
    encoder = create_encoder("resnet18", **SLIM).eval()
    for part in encoder.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.add_(3.0)
    recalibrate_batchnorm(encoder, [images(64)])
    assert not any(part.training for part in encoder.modules())
    evaluated = encoder(images(64))
    torch.testing.assert_close(evaluated, encoder.train()(images(64)), rtol=0.05, atol=0.02)


def test_recalibration_without_images_changes_nothing_and_says_so():
    encoder = create_encoder("resnet18", **SLIM)
    encoder(images(8))
    before = bits(encoder)
    with pytest.raises(HoagError, match="no images"):
        recalibrate_batchnorm(encoder, [])
    assert same(bits(encoder), before)
    recalibrate_batchnorm(nn.Linear(2, 2), [])  # nothing to recalibrate

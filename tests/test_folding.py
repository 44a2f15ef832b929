import pytest
import torch
from torch import nn

from hoag.encoders import create_encoder
from hoag.folding import folded


def statistics_of_its_own(encoder):
    """BatchNorms as training leaves them."""
    generator = torch.Generator().manual_seed(1)
    for part in encoder.modules():
        if isinstance(part, nn.BatchNorm2d):
            for values, low, high in (
                (part.running_mean, -0.3, 0.3), (part.running_var, 0.5, 2.0),
                (part.weight.data, 0.5, 1.5), (part.bias.data, -0.3, 0.3),
            ):  # fmt: skip
                values.uniform_(low, high, generator=generator)
    return encoder.eval()


def norms(network):
    return sum(isinstance(part, nn.BatchNorm2d) for part in network.modules())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet18", {"channels": (8, 16, 32, 64)}),
        ("efficientnet_b0", {}),
        ("mobilenetv3_small_050", {}),
        ("resnet18", {"channels": (8, 16, 32, 64), "mean": (0.2, 0.3, 0.4), "std": (0.5,) * 3}),
    ],
)
def test_a_folded_encoder_gives_the_same_without_batchnorms(name, options):
    encoder = statistics_of_its_own(create_encoder(name, **options))
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    network = folded(encoder)
    with torch.inference_mode():
        wanted, found = encoder(images), network(images)
    assert (wanted - found).abs().max() < 1e-5 * wanted.abs().max()
    assert norms(encoder) > 10 and norms(network) == 0
    assert all(torch.equal(before[key], value) for key, value in encoder.state_dict().items())
    assert not any(parameter.requires_grad for parameter in network.parameters())


class Shared(nn.Module):
    """One convolution with two BatchNorms after it, and a BatchNorm after an activation."""

    def __init__(self):
        super().__init__()
        self.conv, self.one, self.two = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.relu, self.last = nn.ReLU(), nn.BatchNorm2d(4)

    def forward(self, x):
        made = self.conv(x)
        return self.last(self.relu(self.one(made) + self.two(made)))


class Depends(nn.Module):
    """Takes another way for bright images, which cannot be traced."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x):
        return self.norm(self.conv(x if x.mean() < 0.5 else 1 - x))


@pytest.mark.parametrize("make", [Shared, Depends, lambda: nn.Conv2d(3, 4, 3)])
def test_what_cannot_be_folded_is_left(make):
    encoder = make().eval()
    assert folded(encoder) is encoder

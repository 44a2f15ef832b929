"""Encoders from timm by name, and what may be done to one: freeze it, recalibrate its BatchNorm."""

from collections.abc import Iterable
from difflib import get_close_matches
from types import MethodType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hoag.errors import HoagError
from hoag.randomness import seeded


def create_encoder(name: str, *, seed: int = 0, **options: Any) -> nn.Module:
    """Make an encoder with random weights.

    Parameters
    ----------
    name
        A timm architecture, for example "resnet18" or "efficientnet_b0" (the paper's two).
    seed
        Of the initial weights; the global generator of torch is left as it was.
    options
        Passed to timm, for example ``channels=(16, 32, 64, 128)`` for a slim resnet18.

    Returns
    -------
    nn.Module
        From (batch, 3, height, width) float32 to (batch, num_features), its `.num_features`.

    Raises
    ------
    HoagError
        If timm has no such architecture, or it does not take the options.
    """
    import timm

    check_encoder(name)
    try:
        with seeded(seed):
            encoder = timm.create_model(name, pretrained=False, num_classes=0, **options)
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise HoagError(
            f"encoder.options: {name} cannot be made with {options} ({error})"
        ) from error
    # timm's num_features is the width before a head's hidden layer (MobileNetV3), which stays in.
    encoder.num_features = getattr(encoder, "head_hidden_size", None) or encoder.num_features
    return cast(nn.Module, encoder)


def check_encoder(name: str) -> None:
    """Raise `HoagError` with the nearest names if timm has no architecture called `name`."""
    import timm

    if "/" in name or ":" in name or not timm.is_model(name):
        close = get_close_matches(name, timm.list_models(), n=3, cutoff=0.5)
        hint = f"; did you mean {', '.join(close)}?" if close else "; see timm.list_models()"
        raise HoagError(f"encoder.name: timm has no architecture {name!r}{hint}")


def freeze(module: nn.Module) -> nn.Module:
    """Freeze a module to the bit, and return it.

    No parameter takes a gradient, and the module and all its parts stay in evaluation mode even
    when `.train()` is called on them or on a parent, so BatchNorm's running statistics stay put.
    """
    module.requires_grad_(False)
    for part in module.modules():
        part.eval()
        part.__dict__["train"] = MethodType(_stay_in_evaluation, part)
    return module


def _stay_in_evaluation(module: nn.Module, mode: bool = True) -> nn.Module:
    return module


@torch.no_grad()
def recalibrate_batchnorm(encoder: nn.Module, batches: Iterable[Tensor]) -> None:
    """Measure BatchNorm's running statistics anew on clean images, in place.

    The statistics of an exponential moving average of weights, or of weights trained on strong
    views, do not fit clean images. The new ones are the plain mean over the batches, so give
    batches of equal size and of more than one image. Dropout is off meanwhile; modes are restored.

    Parameters
    ----------
    encoder
        Any module; one without BatchNorm is left as it is.
    batches
        Inputs of `encoder`, each (batch, 3, height, width) float32 in [0, 1].

    Raises
    ------
    HoagError
        If there are no batches.
    """
    norms = [part for part in encoder.modules() if isinstance(part, _BatchNorm)]
    norms = [norm for norm in norms if norm.track_running_stats]
    if not norms:
        return
    modes = {part: part.training for part in encoder.modules()}
    momenta = {norm: norm.momentum for norm in norms}
    before = [{k: v.clone() for k, v in norm.named_buffers()} for norm in norms]
    encoder.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's way to say: cumulative mean
        norm.training = True
    seen = 0
    try:
        for images in batches:
            encoder(images)
            seen += 1
    finally:
        for part, mode in modes.items():
            part.training = mode
        for norm, momentum in momenta.items():
            norm.momentum = momentum
        if not seen:
            for norm, buffers in zip(norms, before, strict=True):
                for name, value in buffers.items():
                    cast(Tensor, getattr(norm, name)).copy_(value)
    if not seen:
        raise HoagError("BatchNorm cannot be recalibrated: there are no images to do it on")

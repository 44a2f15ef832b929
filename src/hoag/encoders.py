"""Encoders from timm by name, and what may be done to one: freeze it, recalibrate its BatchNorm."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from types import MethodType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hoag.errors import HoagError
from hoag.randomness import seeded

UNSHIFTED, UNSCALED = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


def create_encoder(
    name: str,
    *,
    seed: int = 0,
    mean: Sequence[float] = UNSHIFTED,
    std: Sequence[float] = UNSCALED,
    **options: Any,
) -> nn.Module:
    """Make an encoder with random weights.

    Parameters
    ----------
    name
        A timm architecture, for example "resnet18" or "efficientnet_b0" (the paper's two).
    seed
        Of the initial weights; the global generator of torch is left as it was.
    mean, std
        Of each colour; the encoder first takes (image - mean) / std, so that its input is always
        in [0, 1]. Encoders from elsewhere were trained so; hoag's own are not.
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
    _normalise_input(encoder, mean, std)
    return cast(nn.Module, encoder)


def _normalise_input(encoder: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
    """Let an encoder shift and scale its input itself; its state dict stays as it is."""
    if tuple(mean) == UNSHIFTED and tuple(std) == UNSCALED:
        return
    # Buffers move with the encoder; not persistent, since they belong to the recipe, not to timm.
    for name, values in (("input_mean", mean), ("input_std", std)):
        encoder.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def normalise(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        mean, std = cast(Tensor, module.input_mean), cast(Tensor, module.input_std)
        return ((inputs[0] - mean) / std, *inputs[1:])

    encoder.register_forward_pre_hook(normalise)


def check_encoder(name: str) -> None:
    """Raise `HoagError` with the nearest names if timm has no architecture called `name`."""
    import timm

    if "/" in name or ":" in name or not timm.is_model(name):
        close = get_close_matches(name, timm.list_models(), n=3, cutoff=0.5)
        hint = f"; did you mean {', '.join(close)}?" if close else "; see timm.list_models()"
        raise HoagError(f"encoder.name: timm has no architecture {name!r}{hint}")


@torch.no_grad()
def check_size(encoder: nn.Module, size: int, name: str) -> None:
    """Raise `HoagError` if an encoder does not take images of `size` pixels."""
    modes = {part: part.training for part in encoder.modules()}
    encoder.eval()
    try:
        encoder(torch.zeros(1, 3, size, size, device=next(encoder.parameters()).device))
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise HoagError(f"{name} does not take images of {size} px ({reason})") from None
    finally:
        for part, mode in modes.items():
            part.training = mode


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


def is_frozen(module: nn.Module) -> bool:
    """Tell whether `freeze` was applied to a module or to what it is part of."""
    return "train" in module.__dict__


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

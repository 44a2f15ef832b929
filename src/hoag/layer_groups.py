"""The blocks of an encoder in order: which are frozen, and how fast the others learn.

Blocks are timm's coarse layer groups: the stages of a ResNet or ConvNeXt, the layers of a
transformer, each with all before the first of them as the stem.
"""

from collections.abc import Iterable

from torch import nn

from hoag.encoders import freeze
from hoag.errors import HoagError

_AS_BEFORE = (99999,)  # what timm's matchers end in for a layer that joins the group before it


def block_numbers(encoder: nn.Module) -> dict[str, int]:
    """Number the block of every parameter of an encoder, 0 for the stem.

    What follows the last block (norms, a mobile net's last convolution) belongs to it.

    Raises
    ------
    HoagError
        If timm does not say which blocks the encoder has.
    """
    from timm.models import group_parameters

    try:
        matcher = encoder.group_matcher(coarse=True)  # type: ignore[operator]
    except (AttributeError, TypeError, NotImplementedError):
        kind = type(encoder).__name__
        raise HoagError(f"timm does not say which blocks a {kind} has; use --train head") from None
    if isinstance(matcher, dict):
        matcher = {**matcher, "rest": [(r".*", _AS_BEFORE)]}
    numbers: dict[str, int] = group_parameters(encoder, matcher, reverse=True)
    return numbers


def freeze_early(encoder: nn.Module, train: str, blocks: int) -> None:
    """Freeze to the bit what may not move: weights and BatchNorm's running statistics.

    Parameters
    ----------
    encoder
        A timm model.
    train
        "head": all of it; "last-blocks": all but the last `blocks`; "all": nothing.
    blocks
        How many may move.

    Raises
    ------
    HoagError
        If it has fewer blocks.
    """
    if train == "all":
        return
    if train == "head":
        freeze(encoder)
        return
    numbers = block_numbers(encoder)
    last = max(numbers.values())
    if blocks > last:
        raise HoagError(
            f"finetune.blocks = {blocks}: the encoder has {last} blocks and a stem; give 1 to "
            f"{last}, or --train all"
        )
    _freeze_where(encoder, {name for name, number in numbers.items() if number <= last - blocks})


def _freeze_where(module: nn.Module, frozen: set[str], prefix: str = "") -> None:
    """Freeze the largest parts of a module all of whose weights are frozen, dropout with them."""
    names = [f"{prefix}{name}" for name, _ in module.named_parameters()]
    if names and all(name in frozen for name in names):
        freeze(module)
        return
    for name, parameter in module.named_parameters(recurse=False):
        parameter.requires_grad_(f"{prefix}{name}" not in frozen)
    for name, child in module.named_children():
        _freeze_where(child, frozen, f"{prefix}{name}.")


def block_rates(encoder: nn.Module, decay: float) -> dict[str, float]:
    """Give learning rates by name of the parameter, as shares of the head's (Clark et al. 2020).

    Parameters
    ----------
    encoder
        A timm model.
    decay
        Rate of a block over that of the one behind it; the last block's is that of the head times
        `decay`.
    """
    movable = [name for name, parameter in encoder.named_parameters() if parameter.requires_grad]
    if decay == 1.0 or not movable:
        return {}
    numbers = block_numbers(encoder)
    last = max(numbers.values())
    return {name: decay ** (last + 1 - numbers[name]) for name in movable}


def said_of(encoder: nn.Module) -> str:
    """Say which share of an encoder's weights may move."""
    counts = [(p.numel(), p.requires_grad) for p in encoder.parameters()]
    return f"{_total(n for n, moves in counts if moves)} of {_total(n for n, _ in counts)}"


def _total(numbers: Iterable[int]) -> str:
    return f"{sum(numbers):,}"

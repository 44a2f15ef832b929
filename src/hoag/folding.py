"""Encoders for use alone: each BatchNorm folded into the convolution before it, a pass over less.

In evaluation mode a BatchNorm scales and shifts each channel by fixed numbers, which the weights of
the convolution can take over. Representations change by rounding alone (about 1e-6 of their size).
"""

import copy
from typing import Any, cast

import torch
from torch import nn
from torch.fx import Graph, Tracer
from torch.nn.utils.fusion import fuse_conv_bn_weights

Pairs = list[tuple[str, str]]


@torch.no_grad()
def folded(encoder: nn.Module) -> nn.Module:
    """Copy an encoder, its BatchNorms folded where they follow a convolution; the encoder stays.

    What cannot be followed (an architecture whose flow depends on its input, a BatchNorm after
    something else, parts used twice) stays as it is.

    Parameters
    ----------
    encoder
        A timm model in evaluation mode.
    """
    pairs = _pairs(encoder)
    if not pairs:
        return encoder
    copied = copy.deepcopy(encoder).eval()
    for before, after in pairs:
        convolution = cast(nn.Conv2d, copied.get_submodule(before))
        norm = cast(Any, copied.get_submodule(after))
        convolution.weight, convolution.bias = fuse_conv_bn_weights(
            convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps,
            norm.weight, norm.bias,
        )  # fmt: skip
        # timm's BatchNormAct2d is the activation too.
        rest = [getattr(norm, name) for name in ("drop", "act") if hasattr(norm, name)]
        parent, _, name = after.rpartition(".")
        setattr(copied.get_submodule(parent), name, nn.Sequential(*rest))
    return copied.requires_grad_(False)


class _Tracer(Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        leaf = isinstance(m, nn.Conv2d | nn.BatchNorm2d)
        return leaf or super().is_leaf_module(m, module_qualified_name)


def _pairs(encoder: nn.Module) -> Pairs:
    """Names of convolutions and of the BatchNorm that alone follows each."""
    parts = dict(encoder.named_modules())
    try:
        graph: Graph = _Tracer().trace(encoder)
    except Exception:  # whatever an architecture does that cannot be traced: it is used as it is
        return []
    calls = [node for node in graph.nodes if node.op == "call_module"]
    times = {node.target: 0 for node in calls}
    for node in calls:
        times[node.target] += 1
    found = []
    for node in calls:
        norm, (before, *_) = parts[node.target], node.args
        if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None:
            continue
        if before.op != "call_module" or not isinstance(parts[before.target], nn.Conv2d):
            continue
        if len(before.users) == 1 and times[before.target] == times[node.target] == 1:
            found.append((str(before.target), str(node.target)))
    return found

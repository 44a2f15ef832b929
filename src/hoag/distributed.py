"""What several processes must agree on: sums over all of them and BatchNorm statistics."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hoag.encoders import is_frozen


def world_size() -> int:
    """Count the processes that train together, 1 outside a distributed run."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Give the number of this process, 0 outside a distributed run."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def all_sum(tensor: Tensor) -> Tensor:
    """Sum `tensor` over all processes, without gradient; a detached copy when there is one."""
    total = tensor.detach().clone()
    if world_size() > 1:
        dist.all_reduce(total)
    return total


def in_any(flag: bool, device: torch.device) -> bool:
    """Tell whether `flag` is set in any process; all of them get the same answer."""
    if world_size() == 1:
        return flag
    return bool(all_sum(torch.tensor(float(flag), device=device)))


class _DifferentiableSum(torch.autograd.Function):
    """Sum over processes whose gradient is summed over processes too."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return all_sum(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return all_sum(gradients[0])


class SyncedBatchNorm(_BatchNorm):
    """BatchNorm over the batches of all processes, on any device that can all-reduce.

    torch's own SyncBatchNorm refuses CPU tensors. Statistics are exact global moments in float32:
    count, sum and sum of squares about the running mean travel in one all-reduce. An activation
    that the replaced layer applied itself (timm's ``BatchNormAct2d``) is kept as ``drop`` and
    ``act``, so that names in the state dict stay the same.
    """

    def __init__(self, layer: _BatchNorm):
        super().__init__(
            layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats
        )
        # The very same parameters and buffers, so that optimisers and the target keep their hold.
        self.weight, self.bias = layer.weight, layer.bias
        self.running_mean, self.running_var = layer.running_mean, layer.running_var
        self.num_batches_tracked = layer.num_batches_tracked
        self.training = layer.training
        self.drop = getattr(layer, "drop", nn.Identity())
        self.act = getattr(layer, "act", nn.Identity())

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected at least 2 dimensions, got {input.dim()}")

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (batch, channels, ...) with the statistics of all processes' batches."""
        if self.training and world_size() > 1:
            normalised = self._normalise(input)
        else:
            normalised = super().forward(input)
        activated: Tensor = self.act(self.drop(normalised))
        return activated

    def _normalise(self, input: Tensor) -> Tensor:
        axes = [axis for axis in range(input.dim()) if axis != 1]
        shape = [1, -1] + [1] * (input.dim() - 2)
        values = input.float()
        count = values.new_tensor([values.numel() / values.shape[1]])
        # Moments about a common shift: sums of squares about zero lose digits in float32.
        shift = (
            torch.zeros_like(values[0].flatten(1).mean(1))
            if self.running_mean is None
            else (self.running_mean.detach().clone().float())
        )
        centred = values - shift.view(shape)
        moments = torch.cat([centred.sum(axes), centred.square().sum(axes), count])
        total = _DifferentiableSum.apply(moments)
        channels = values.shape[1]
        total_count = total[-1].detach()
        mean = total[:channels] / total_count
        variance = total[channels : 2 * channels] / total_count - mean.square()
        self._update_running(mean.detach() + shift, variance.detach(), float(total_count))
        normalised = (centred - mean.view(shape)) * torch.rsqrt(variance + self.eps).view(shape)
        if self.weight is not None:
            normalised = normalised * self.weight.view(shape) + self.bias.view(shape)
        return normalised.to(input.dtype)

    @torch.no_grad()
    def _update_running(self, mean: Tensor, variance: Tensor, count: float) -> None:
        if not self.track_running_stats or self.running_mean is None:
            return
        assert self.num_batches_tracked is not None and self.running_var is not None
        self.num_batches_tracked.add_(1)
        weight = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, weight)
        self.running_var.lerp_(variance * (count / max(count - 1, 1)), weight)


def synchronise_batchnorm(module: nn.Module, device_type: str) -> nn.Module:
    """Replace every BatchNorm in `module` by one that sees all processes' batches.

    On CUDA this is torch's SyncBatchNorm (through timm, which knows its own fused layers),
    elsewhere `SyncedBatchNorm`. Frozen modules use no batch's statistics and are left as they are.
    Returns the module; names and values in its state dict stay.
    """
    if is_frozen(module) or isinstance(module, SyncedBatchNorm):
        return module
    if isinstance(module, _BatchNorm):
        if device_type == "cuda":
            from timm.layers import convert_sync_batchnorm

            converted: nn.Module = convert_sync_batchnorm(module)
            return converted
        return SyncedBatchNorm(module)
    for name, child in module.named_children():
        setattr(module, name, synchronise_batchnorm(child, device_type))
    return module

"""Losses of a batch as sums and counts, and their means over all processes.

A mean over the global batch has the value of the whole batch on every process, while its gradient
is that of this process's share, scaled so that the mean over processes (which DDP takes) is the
gradient of the whole.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from hoag.distributed import all_sum, world_size
from hoag.schema import Schema
from hoag.votes import asked, masked_mean, negative_log_likelihood


def vote_loss(concentration: Tensor, votes: Tensor, schema: Schema) -> tuple[Tensor, Tensor]:
    """Give the votes' negative log-likelihood summed over asked (galaxy, question) pairs.

    Returns
    -------
    Tensor, Tensor
        The sum in nats and the number of pairs; both 0, with gradient 0, where nothing was asked.
    """
    nll = negative_log_likelihood(votes, concentration, schema)
    total, count = masked_mean(nll, asked(votes, schema))
    return total, count


def minus_cosine(prediction: Tensor, wanted: Tensor) -> Tensor:
    """Give minus the cosine of rows, (batch,) float32 in [-1, 1] (Grill et al. 2020, Eq. 2)."""
    with torch.autocast(prediction.device.type, enabled=False):
        return -F.cosine_similarity(prediction.float(), wanted.float(), dim=1)


def global_mean(local: Tensor) -> Tensor:
    """Give a mean over one process's batch the value of the mean over all, and its own gradient.

    Any function of such means then has, after the mean of gradients over processes, the gradient of
    the global batch; that would not hold for the mean of a ratio of local losses.
    """
    everywhere = all_sum(local) / world_size()
    return everywhere + (local - local.detach())


def global_ratio(total: Tensor, count: Tensor) -> Tensor:
    """Divide this process's sum by the count over all processes, in the sense of `global_mean`.

    Exactly 0 where the count is 0 everywhere.
    """
    return global_mean(total * world_size() / all_sum(count).clamp_min(1.0))


@torch.no_grad()
def feature_std(representation: Tensor) -> Tensor:
    """Measure collapse: the spread of directions, scalar in [0, 1].

    The standard deviation over the batch of each dimension of the L2-normalised representation,
    mean over dimensions, times the square root of their number: near 1 for directions spread
    evenly, 0 when all galaxies share one. Representations after a ReLU lie in one orthant, so they
    stay well below 1 when healthy.
    """
    directions = F.normalize(representation.float(), dim=1)
    return directions.std(0, unbiased=False).mean() * directions.shape[1] ** 0.5


def counted_std(representation: Tensor) -> tuple[Tensor, Tensor]:
    """Give `feature_std` of a batch as (sum, count), to be averaged over batches by their size."""
    count = representation.new_tensor(float(len(representation)), dtype=torch.float32)
    return feature_std(representation) * count, count

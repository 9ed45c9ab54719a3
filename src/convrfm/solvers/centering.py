"""Targets less their mean, of which an image that is left out is left out too."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def about(targets: Float[Tensor, "n k"], mean: Float[Tensor, " k"]) -> Float[Tensor, "n k"]:
    """The targets less their mean; nothing of those that are equal but for rounding."""
    rounding = 8 * torch.finfo(targets.dtype).eps * targets.abs().amax(0)
    return torch.where(targets.amax(0) - targets.amin(0) > rounding, targets - mean, 0)


def mean_moves(
    remainder: Float[Tensor, "n k"], weights: Float[Tensor, " n"], groups: Int[Tensor, " n"] | None
) -> Float[Tensor, "n k"]:
    """By how much the mean falls when an image, or its group, is left out.

    Args:
        remainder: the targets less their weighted mean.
        weights: of the images.
        groups: the number of every image's group; None for one image a group.
    """
    weighted, left_out = weights[:, None] * remainder, weights
    if groups is not None:
        left_out, weighted = (_sums_by_group(values, groups) for values in (left_out, weighted))
    return weighted / (weights.sum() - left_out)[:, None]


def _sums_by_group(values: Float[Tensor, "n *k"], groups: Int[Tensor, " n"]) -> Float[Tensor, "n *k"]:
    """For every image the sum over its group."""
    sums = values.new_zeros(int(groups.max()) + 1, *values.shape[1:]).index_add_(0, groups, values)
    return sums[groups]

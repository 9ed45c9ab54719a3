"""Patches of images: unfolded, and met with filters without unfolding."""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from .precision import convolutions_as_products
from .window_means import pad
from .windows import Window

UNFOLDED_AT_ONCE = 1 << 23  # numbers of patches: in double precision torch unfolds those of all images that it is given


def unfold_patches(images: Float[Tensor, "n c h w"], window: Window) -> Float[Tensor, "n d rows cols"]:
    """Every patch as a vector of d = c q q entries, channel first, as `Conv2d.weight.reshape(k, -1)` orders them."""
    q, s = window.size, window.stride
    rows, cols = (window.output_length(length) for length in images.shape[-2:])
    columns = functional.unfold(pad(images, window, (-2, -1)), q, stride=s)
    patches = columns.reshape(len(images), -1, rows, cols)
    if window.contrast is None:
        return patches
    centered = patches - patches.mean(1, keepdim=True)
    return centered / (centered.square().mean(1, keepdim=True) + window.contrast).sqrt()


def filter_patches(
    images: Float[Tensor, "n c h w"], filters: Float[Tensor, "r d"], window: Window
) -> Float[Tensor, "n r rows cols"]:
    """The inner product of every patch with each of r filters: a convolution, so that no patch is ever unfolded.

    Only where patches are brought to one contrast for filters that are no fewer than their entries they are unfolded, which
    takes less than the answers do.
    """
    if window.contrast is not None and len(filters) >= filters.shape[1]:
        return filter_unfolded(unfold_patches(images, window), filters)  # fewer numbers to normalize than the answers
    if window.contrast is not None:
        plain = replace(window, contrast=None)
        # In single precision the mean square less the square of the mean is nothing but rounding far from 0.
        wide = images.double()
        flat = wide.new_full((1, filters.shape[1]), 1 / filters.shape[1])
        mean, square = filter_patches(wide, flat, plain), filter_patches(wide.square(), flat, plain)
        deviation = ((square - mean.square()).clamp_min(0) + window.contrast).sqrt()
        return filter_patches(images, filters - filters.mean(1, keepdim=True), plain) / deviation.to(images)
    kernels = filters.reshape(len(filters), images.shape[1], window.size, window.size)
    padded = pad(images, window, (-2, -1))
    of_an_image = filters.shape[1] * math.prod(map(window.output_length, images.shape[-2:]))
    at_once = max(1, UNFOLDED_AT_ONCE // of_an_image)
    with convolutions_as_products(images.device):
        if images.dtype != torch.float64 or len(images) <= at_once:
            return functional.conv2d(padded, kernels, stride=window.stride)
        out = images.new_empty(len(images), len(filters), *map(window.output_length, images.shape[-2:]))
        for part, place in zip(padded.split(at_once), out.split(at_once), strict=True):
            place.copy_(functional.conv2d(part, kernels, stride=window.stride))
        return out


def filter_unfolded(
    patches: Float[Tensor, "n d rows cols"], filters: Float[Tensor, "r d"]
) -> Float[Tensor, "n r rows cols"]:
    """The inner product of every unfolded patch with each of r filters; channels last in memory, as poolings like it."""
    return (patches.flatten(2).mT @ filters.T).mT.unflatten(2, patches.shape[2:])


def response_lengths(
    images: Float[Tensor, "n c h w"], filters: Float[Tensor, "r d"] | None, window: Window
) -> Float[Tensor, "n rows cols"]:
    """|F x[u]| at every position u, for the filters as the rows of F: the paper's feature maps (Sec. 2.2); None for |x[u]|."""
    seen = unfold_patches(images, window) if filters is None else filter_patches(images, filters, window)
    return torch.linalg.vector_norm(seen, dim=1)

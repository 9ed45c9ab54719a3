"""Symmetric products: one half is computed, the other is its mirror image."""

from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor

BAND = 192
"""Rows that are computed at a time, from the diagonal on; narrower products run slower than what they save."""


def symmetric_product(
    left: Float[Tensor, "*blocks rows m"], right: Float[Tensor, "*blocks rows m"] | None = None
) -> Float[Tensor, "*blocks rows rows"]:
    """`L R^T` of each block, where that is symmetric, exactly so; `L L^T` without R, of few rows up to rounding."""
    rows = left.shape[-2]
    if right is None and rows < 2 * BAND:
        return left @ left.mT
    right = left if right is None else right
    product = left.new_empty(*left.shape[:-1], rows)
    for band in bands(rows):
        product[..., band, band.start :] = left[..., band, :] @ right[..., band.start :, :].mT
    return mirrored(product)


def add_upper(total: Float[Tensor, "*blocks rows rows"], *factors: Float[Tensor, "*blocks rows _"]) -> None:
    """Add the product, entry by entry, of every `D D^T` to a sum, of which only what `mirrored` looks at is kept."""
    for band in bands(total.shape[-1]):
        add_band(total, band, *factors)


def add_band(total: Float[Tensor, "*blocks rows rows"], band: slice, *factors: Float[Tensor, "*blocks rows _"]) -> None:
    """What `add_upper` does to one of the `bands`."""
    grams = (factor[..., band, :] @ factor[..., band.start :, :].mT for factor in factors)
    total[..., band, band.start :].add_(reduce(torch.mul, grams))


def mirrored(upper: Float[Tensor, "*blocks rows rows"]) -> Float[Tensor, "*blocks rows rows"]:
    """The same matrices, filled in below the diagonal in place."""
    for band in bands(upper.shape[-1]):
        corner = upper[..., band, band]
        upper[..., band, band] = corner.triu() + corner.triu(1).mT
        upper[..., band.stop :, band] = upper[..., band, band.stop :].mT
    return upper


def bands(rows: int) -> list[slice]:
    """Rows that are computed at a time."""
    return [slice(start, min(rows, start + BAND)) for start in range(0, rows, BAND)]

"""Products `D D^T`: one half is computed, the other is its mirror image."""

from collections.abc import Iterator

from jaxtyping import Float
from torch import Tensor

BAND = 192
"""Rows that are computed at a time, from the diagonal on."""


def symmetric_product(columns: Float[Tensor, "*blocks rows m"]) -> Float[Tensor, "*blocks rows rows"]:
    """`D D^T` of each block."""
    rows = columns.shape[-2]
    if rows < 2 * BAND:
        return columns @ columns.mT
    product = columns.new_empty(*columns.shape[:-1], rows)
    for band in _bands(rows):
        product[..., band, band.start :] = columns[..., band, :] @ columns[..., band.start :, :].mT
    return mirrored(product)


def add_upper(total: Float[Tensor, "*blocks rows rows"], columns: Float[Tensor, "*blocks rows m"]) -> None:
    """Add `D D^T` to a sum, of which only what `mirrored` looks at is kept."""
    for band in _bands(columns.shape[-2]):
        total[..., band, band.start :] += columns[..., band, :] @ columns[..., band.start :, :].mT


def mirrored(upper: Float[Tensor, "*blocks rows rows"]) -> Float[Tensor, "*blocks rows rows"]:
    """The same matrices, filled in below the diagonal in place."""
    for band in _bands(upper.shape[-1]):
        upper[..., band.stop :, band] = upper[..., band, band.stop :].mT
    return upper


def _bands(rows: int) -> Iterator[slice]:
    return (slice(start, min(rows, start + BAND)) for start in range(0, rows, BAND))

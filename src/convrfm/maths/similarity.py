"""Cosine and Pearson correlation between the entries of two matrices, from sums alone."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Similarity(NamedTuple):
    """Two ways to correlate the entries of two matrices, both in [-1, 1].

    Attributes:
        cosine: uncentered, `<A, B> / (|A| |B|)`.
        pearson: centered, the cosine of A and B after each has lost the mean of its entries.
    """

    cosine: Float[Tensor, "*batch"]
    pearson: Float[Tensor, "*batch"]


def similarity_from_sums(
    inner: Tensor, squares: tuple[Tensor, Tensor], sums: tuple[Tensor, Tensor], n_entries: int
) -> Similarity:
    """Similarity of A and B when only sums over their entries are known; all tensors broadcast.

    Args:
        inner: `<A, B>`, the sum of products of entries.
        squares: `|A|^2` and `|B|^2`.
        sums: the sum of the entries of A, and of B.
        n_entries: how many entries each matrix has.

    Returns:
        `nan` where a matrix is zero (for Pearson: constant).
    """
    cosine = inner / (squares[0] * squares[1]).sqrt()
    centered = inner - sums[0] * sums[1] / n_entries
    variances = [_variance(square, total, n_entries) for square, total in zip(squares, sums, strict=True)]
    pearson = centered / (variances[0] * variances[1]).sqrt()
    return Similarity(cosine.clamp(-1, 1), pearson.clamp(-1, 1))  # beyond, by the rounding of the sums


def _variance(square: Tensor, total: Tensor, n_entries: int) -> Tensor:
    """`n_entries` times the variance of the entries; nan where it is nothing but the rounding of two equal sums."""
    variance = square - total.square() / n_entries
    return variance.where(variance > 64 * torch.finfo(square.dtype).eps * square, torch.nan)


def similarity(a: Tensor, b: Tensor) -> Similarity:
    """Similarity of two arrays of one shape, over all their entries, in float64.

    >>> m = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
    >>> float(similarity(m, 5 * m).cosine), float(similarity(m, -m).pearson)
    (1.0, -1.0)
    """
    a, b = a.double(), b.double()
    return similarity_from_sums((a * b).sum(), (a.square().sum(), b.square().sum()), (a.sum(), b.sum()), a.numel())


def gram_similarity(first: Float[Tensor, "groups rows d"], second: Float[Tensor, "groups other_rows d"]) -> Similarity:
    """Similarity of `A^T A` and `B^T B` without forming them: `<A^T A, B^T B> = |A B^T|^2`."""
    a, b = first.double(), second.double()

    def inner(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.mT).square().sum()

    sums = (a.sum(-1).square().sum(), b.sum(-1).square().sum())
    return similarity_from_sums(inner(a, b), (inner(a, a), inner(b, b)), sums, a.shape[0] * a.shape[-1] ** 2)

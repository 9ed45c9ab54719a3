"""Spectra of positive semidefinite matrices, and the row space in which a layer's matrices are small."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from .symmetric import add_upper, mirrored

GRAM_ENTRIES = 2**22
"""Filters are brought to float64 this many entries at a time."""


def effective_rank(matrices: Float[Tensor, "*blocks d d"]) -> float:
    """Participation ratio `(tr M)^2 / tr M^2` of a PSD matrix, or of a block-diagonal one given by its blocks.

    It is `d` for the identity, 1 for a rank-one matrix, and `nan` for zero.

    >>> round(effective_rank(torch.diag(torch.tensor([1.0, 1.0, 0.0]))), 12)
    2.0
    """
    trace = matrices.diagonal(dim1=-2, dim2=-1).sum(dtype=torch.float64)
    return float((trace / torch.linalg.vector_norm(matrices, dtype=torch.float64)).square())


def eigenpairs(
    matrices: Float[Tensor, "*blocks r r"],
) -> tuple[Float[Tensor, "*blocks r"], Float[Tensor, "*blocks r r"]]:
    """Eigenvalues of PSD matrices in ascending order, zero where rounding cannot tell them from it, and eigenvectors."""
    if matrices.shape[-1] == 1:
        return matrices[..., 0].clamp(min=0), torch.ones_like(matrices)
    values, vectors = torch.linalg.eigh(matrices)
    smallest = values[..., -1:] * values.shape[-1] ** 0.5 * torch.finfo(values.dtype).eps  # roundings add up at random
    return values.where(values > smallest, 0), vectors


@dataclass(frozen=True)
class RowSpace:
    """Filters `W = L V` of each group, with orthonormal rows of V: the basis in which a layer's matrices are small.

    Every symmetric matrix that the meter compares lives between rows of W: `W^T G W = V^T core(G) V` with
    `core(G) = L^T G L`, and `W^T W` has the core `L^T L`. As V is orthonormal, inner products, norms, powers and
    eigenvalues of the `(d, d)` matrices are those of the `(r, r)` cores, r = min(rows, d). V itself is never formed:
    sums of entries need `V 1` alone.

    Attributes:
        left: L.
        ones: `V 1`: the sum of all entries of `V^T S V` is `ones^T S ones`.
        n_entries: Of all `(d, d)` blocks together.
    """

    left: Float[Tensor, "groups rows r"]
    ones: Float[Tensor, "groups r"]
    n_entries: int

    @classmethod
    def of(cls, filters: Float[Tensor, "groups rows d"]) -> "RowSpace":
        """Decompose the filters in float64: V is the identity where they are tall; otherwise L is a root of `W W^T`."""
        groups, rows, d = filters.shape
        if rows >= d:
            return cls(filters.double(), filters.new_ones(groups, d, dtype=torch.float64), groups * d**2)
        left, ones = _root(row_gram(filters), filters.sum(-1, dtype=torch.float64))
        return cls(left, ones, groups * d**2)

    @cached_property
    def cnfm_core(self) -> Float[Tensor, "groups r r"]:
        """The core of `W^T W`."""
        return self.left.mT @ self.left

    @cached_property
    def gain(self) -> Float[Tensor, "groups r r"]:
        """A square T with `T^T T = L^T L`: the filters up to a rotation of their rows."""
        rows, r = self.left.shape[-2:]
        return self.left if rows == r else _root(self.cnfm_core, self.ones)[0].mT

    def core(self, covariance: Float[Tensor, "*batch groups rows rows"]) -> Float[Tensor, "*batch groups r r"]:
        """The core of `W^T G W`, in the precision of G where that is at least float32."""
        left = self.left.to(torch.promote_types(covariance.dtype, torch.float32))
        return left.mT @ covariance.to(left) @ left


def row_gram(filters: Float[Tensor, "groups rows d"]) -> Float[Tensor, "groups rows rows"]:
    """`W W^T` in float64."""
    groups, rows, _ = filters.shape
    gram = filters.new_zeros(groups, rows, rows, dtype=torch.float64)
    for part in filters.split(max(1, GRAM_ENTRIES // (groups * rows)), -1):
        add_upper(gram, part.double())
    return mirrored(gram)


def _root(
    gram: Float[Tensor, "groups r r"], sums: Float[Tensor, "groups r"]
) -> tuple[Float[Tensor, "groups r r"], Float[Tensor, "groups r"]]:
    """L with `L L^T` the Gram matrix, and the solution x of `L x = sums`; where the matrix is singular, the shortest."""
    left, failures = torch.linalg.cholesky_ex(gram)
    if not failures.any():
        return left, torch.linalg.solve_triangular(left, sums.unsqueeze(-1), upper=False).squeeze(-1)
    values, vectors = eigenpairs(gram)
    roots = values.sqrt()
    solution = (sums.unsqueeze(-2) @ vectors).squeeze(-2) / roots
    return vectors * roots.unsqueeze(-2), solution.where(roots > 0, 0)

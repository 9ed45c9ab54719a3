"""Spectra of positive semi-definite matrices, and the row space in which a layer's matrices are small."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


def effective_rank(matrices: Float[Tensor, "*blocks d d"]) -> float:
    """Participation ratio `(tr M)^2 / tr M^2` of a PSD matrix, or of a block-diagonal one given by its blocks.

    It is `d` for the identity, 1 for a rank-one matrix, and `nan` for zero.

    >>> effective_rank(torch.diag(torch.tensor([1.0, 1.0, 0.0])))
    2.0
    """
    trace = matrices.diagonal(dim1=-2, dim2=-1).double().sum()
    return float(trace.square() / matrices.double().square().sum())


def psd_sqrt(matrices: Float[Tensor, "*blocks d d"]) -> Float[Tensor, "*blocks d d"]:
    """Symmetric square root; eigenvalues that rounding made negative count as zero."""
    values, vectors = torch.linalg.eigh(matrices)
    return (vectors * values.clamp(min=0).sqrt().unsqueeze(-2)) @ vectors.mT


@dataclass(frozen=True)
class RowSpace:
    """The thin singular value decomposition `W = U diag(s) V^T` of the filters of a layer, one per group.

    Every symmetric matrix that the meter compares lives between rows of W: `W^T W = V diag(s^2) V^T` and
    `W^T G W = V core(G) V^T` with `core(G) = diag(s) U^T G U diag(s)`. As V is orthonormal, inner products,
    norms, powers and eigenvalues of the `(d, d)` matrices are those of the `(r, r)` cores, r = min(c_out, d).
    """

    left: Float[Tensor, "groups rows r"]
    singular_values: Float[Tensor, "groups r"]
    right: Float[Tensor, "groups r d"]

    @classmethod
    def of(cls, filters: Float[Tensor, "groups rows d"]) -> "RowSpace":
        """Decompose the filters in float64."""
        return cls(*torch.linalg.svd(filters.double(), full_matrices=False))

    @property
    def ones(self) -> Float[Tensor, "groups r"]:
        """`V^T 1`: the sum of all entries of `V S V^T` is `ones^T S ones`."""
        return self.right.sum(-1)

    @property
    def cnfm_core(self) -> Float[Tensor, "groups r r"]:
        """The core of `W^T W`."""
        return torch.diag_embed(self.singular_values.square())

    def core(self, covariance: Float[Tensor, "*batch groups rows rows"]) -> Float[Tensor, "*batch groups r r"]:
        """The core of `W^T G W`."""
        return self.between(covariance, self.left)

    def between(
        self, covariance: Float[Tensor, "*batch groups rows rows"], frame: Float[Tensor, "groups rows r"]
    ) -> Float[Tensor, "*batch groups r r"]:
        """`core(G)` with another orthonormal frame in the place of U."""
        scaled = frame * self.singular_values.unsqueeze(-2)
        return scaled.mT @ covariance.double() @ scaled

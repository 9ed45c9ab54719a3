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


@dataclass(frozen=True)
class RowSpace:
    """Filters `W = L V` of each group, with orthonormal rows of V: the basis in which a layer's matrices are small.

    Every symmetric matrix that the meter compares lives between rows of W: `W^T G W = V^T core(G) V` with
    `core(G) = L^T G L`, and `W^T W` has the core `L^T L`. As V is orthonormal, inner products, norms, powers and
    eigenvalues of the `(d, d)` matrices are those of the `(r, r)` cores, r = min(rows, d).
    """

    left: Float[Tensor, "groups rows r"]
    right: Float[Tensor, "groups r d"]

    @classmethod
    def of(cls, filters: Float[Tensor, "groups rows d"]) -> "RowSpace":
        """Decompose the filters in float64: V is the identity where they are tall, otherwise from a QR of `W^T`."""
        filters = filters.double()
        groups, rows, d = filters.shape
        if rows >= d:
            return cls(filters, torch.eye(d, dtype=filters.dtype, device=filters.device).expand(groups, d, d))
        q, triangle = torch.linalg.qr(filters.mT)
        return cls(triangle.mT, q.mT)

    @property
    def ones(self) -> Float[Tensor, "groups r"]:
        """`V 1`: the sum of all entries of `V^T S V` is `ones^T S ones`."""
        return self.right.sum(-1)

    @property
    def cnfm_core(self) -> Float[Tensor, "groups r r"]:
        """The core of `W^T W`."""
        return self.left.mT @ self.left

    @property
    def gain(self) -> Float[Tensor, "groups r r"]:
        """A square T with `T^T T = L^T L`: the filters up to a rotation of their rows."""
        rows, r = self.left.shape[-2:]
        return self.left if rows == r else torch.linalg.qr(self.left, mode="r").R

    def core(self, covariance: Float[Tensor, "*batch groups rows rows"]) -> Float[Tensor, "*batch groups r r"]:
        """The core of `W^T G W`."""
        return core(self.left, covariance)


def core(
    left: Float[Tensor, "groups rows r"], covariance: Float[Tensor, "*batch groups rows rows"]
) -> Float[Tensor, "*batch groups r r"]:
    """`L^T G L`, in the precision of G where that is at least float32."""
    left = left.to(torch.promote_types(covariance.dtype, torch.float32))
    return left.mT @ covariance.to(left) @ left

"""Symmetric positive semidefinite matrices: powered, factored, scaled."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError


def psd_power(matrix: Float[Tensor, "*blocks d d"], power: float) -> Float[Tensor, "*blocks d d"]:
    """`matrix ** power` through the eigenvalues; those that rounding made negative count as zero."""
    if power == 1:
        return matrix
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * (values.clamp_min(0) ** power).unsqueeze(-2)) @ vectors.mT


def psd_factor(
    matrix: Float[Tensor, "d d"], name: str = "the matrix", smallest_share: float = 0.0
) -> Float[Tensor, "r d"]:
    """L with L^T L = matrix, one row for each eigenvalue that rounding can tell from zero, and at least one.

    Args:
        matrix: `(d, d)`.
        name: what an error calls it.
        smallest_share: eigenvalues below this share of the trace are dropped: L^T L is then the matrix but for them.

    Raises:
        InputError: unless the matrix is finite, symmetric and positive semidefinite up to rounding.
    """
    if not torch.isfinite(matrix).all():
        raise InputError(f"{name} must be finite; it holds NaN or infinity.")
    tolerance = 1e4 * torch.finfo(matrix.dtype).eps * float(matrix.abs().max())
    asymmetry = float((matrix - matrix.T).abs().max())
    if asymmetry > tolerance:
        raise InputError(
            f"{name} must be symmetric; it differs from its transpose by {asymmetry:.2g}. Pass (m + m.T) / 2 if that is "
            "meant."
        )
    # In double precision: in single LAPACK gives up on some metrics of many entries and of eigenvalues near zero.
    values, vectors = torch.linalg.eigh(matrix.double())
    if float(values[0]) < -tolerance:
        raise InputError(
            f"{name} must be positive semidefinite; its smallest eigenvalue is {float(values[0]):.2g}. A metric on patches "
            "has the form A A^T."
        )
    kept = values > values[-1] * len(values) * torch.finfo(matrix.dtype).eps
    kept &= values >= smallest_share * values.sum()
    kept[-1] = True
    return (vectors[:, kept] * values[kept].clamp_min(0).sqrt()).T.to(matrix.dtype).contiguous()


def scale_to_trace(matrix: Float[Tensor, "d d"], trace: float) -> Float[Tensor, "d d"]:
    """The matrix times the number that gives it this trace."""
    return matrix * (trace / float(matrix.trace()))

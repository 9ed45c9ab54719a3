"""Symmetric positive semidefinite matrices: checked, powered, factored, scaled."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError


def check_psd(matrix: Float[Tensor, "d d"], name: str) -> None:
    """Raise `InputError` unless the matrix is finite, symmetric and positive semidefinite up to rounding."""
    tolerance = 1e4 * torch.finfo(matrix.dtype).eps * float(matrix.abs().max())
    if not torch.isfinite(matrix).all():
        raise InputError(f"{name} must be finite; it holds NaN or infinity.")
    asymmetry = float((matrix - matrix.T).abs().max())
    if asymmetry > tolerance:
        raise InputError(
            f"{name} must be symmetric; it differs from its transpose by {asymmetry:.2g}. Pass (m + m.T) / 2 if "
            f"that is meant."
        )
    lowest = float(torch.linalg.eigvalsh(matrix).min())
    if lowest < -tolerance:
        raise InputError(
            f"{name} must be positive semidefinite; its smallest eigenvalue is {lowest:.2g}. "
            "A metric on patches has the form A A^T."
        )


def psd_power(matrix: Float[Tensor, "d d"], power: float) -> Float[Tensor, "d d"]:
    """`matrix ** power` through the eigenvalues; those that rounding made negative count as zero."""
    if power == 1:
        return matrix
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp_min(0) ** power) @ vectors.T


def psd_factor(matrix: Float[Tensor, "d d"]) -> Float[Tensor, "r d"]:
    """L with L^T L = matrix, one row for each eigenvalue that rounding can tell from zero."""
    values, vectors = torch.linalg.eigh(matrix)
    kept = values > values[-1] * len(values) * torch.finfo(values.dtype).eps
    return (vectors[:, kept] * values[kept].sqrt()).T.contiguous()


def scale_to_trace(matrix: Float[Tensor, "d d"], trace: float) -> Float[Tensor, "d d"]:
    """The matrix times the number that gives it this trace; a zero matrix has no such number."""
    total = float(matrix.trace())
    if not total > 0:
        raise InputError(
            "the average gradient outer product is zero: the fitted predictor does not depend on the images, so "
            "there is "
            "no feature to learn. Check that the images differ and that the labels are not all alike."
        )
    return matrix * (trace / total)

"""Symmetric positive semidefinite matrices: powered, factored, scaled."""

from typing import Any

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
        InputError: unless the matrix is finite, symmetric and positive semidefinite up to rounding, that of single precision
            where all of its numbers are such.
    """
    given = matrix.detach()
    if not torch.isfinite(given).all():
        raise InputError(f"{name} must be finite; it holds NaN or infinity.")
    eps = torch.finfo(torch.float32 if torch.equal(given.float().to(given), given) else given.dtype).eps
    tolerance = 1e4 * eps * float(given.abs().max())
    asymmetry = float((given - given.T).abs().max())
    if asymmetry > tolerance:
        raise InputError(
            f"{name} must be symmetric; it differs from its transpose by {asymmetry:.2g}. Pass (m + m.T) / 2 if that is "
            "meant."
        )
    values, vectors = _eigenvectors(given.double())
    if float(values[0]) < -tolerance:
        raise InputError(
            f"{name} must be positive semidefinite; its smallest eigenvalue is {float(values[0]):.2g}. A metric on patches "
            "has the form A A^T."
        )
    kept = values > values[-1] * len(values) * torch.finfo(matrix.dtype).eps
    kept &= values >= smallest_share * values.sum()
    kept[-1] = True
    factor = (vectors[:, kept] * values[kept].clamp_min(0).sqrt()).T.to(matrix.dtype).contiguous()
    differentiable: Tensor = Factored.apply(matrix, factor)
    return differentiable


def _eigenvectors(matrix: Float[Tensor, "d d"]) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]:
    """The eigenvalues of a symmetric matrix, ascending, and their vectors; a diagonal one tells them by itself.

    In double precision: in single LAPACK gives up on some metrics of many entries and of eigenvalues near zero.
    """
    if torch.equal(matrix, matrix.diagonal().diag()):
        values, order = matrix.diagonal().sort(stable=True)
        return values, torch.eye(len(matrix)).to(matrix)[:, order]
    values, vectors = torch.linalg.eigh(matrix)
    return values, vectors


class Factored(torch.autograd.Function):
    """L from M = L^T L, for functions of L that depend on M alone, also where eigenvalues of M are equal.

    With g the gradient with respect to L, that with respect to M is L^-1 g / 2: L^T dL = dM / 2 is one way to move L.
    """

    @staticmethod
    def forward(matrix: Float[Tensor, "d d"], factor: Float[Tensor, "r d"]) -> Float[Tensor, "r d"]:
        """The factor."""
        return factor.view_as(factor)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        """Keep the factor."""
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "r d"]) -> tuple[Float[Tensor, "d d"], None]:
        """L^-1 g / 2, symmetric but for rounding."""
        (factor,) = ctx.saved_tensors
        r, d = factor.shape
        if r < d:
            raise InputError(
                f"a metric of rank {r} cannot be differentiated: what its other {d - r} directions would change is not "
                "computed. Add a small multiple of the identity, or detach it."
            )
        inverse = factor.double().T / factor.double().square().sum(1)
        of_matrix = (inverse @ gradient.double()) / 2
        return ((of_matrix + of_matrix.T) / 2).to(gradient.dtype), None


def scale_to_trace(matrix: Float[Tensor, "d d"], trace: float) -> Float[Tensor, "d d"]:
    """The matrix times the number that gives it this trace."""
    return matrix * (trace / float(matrix.trace()))


def unit_trace(matrix: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    """The matrix over its trace, as pictures show it beside others; one without a trace as it is."""
    trace = float(matrix.trace())
    return matrix / trace if trace > 0 else matrix

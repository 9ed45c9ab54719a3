"""Kernel ridge regression for every ridge at once, with closed-form leave-one-out, from one eigendecomposition."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError


class RidgePath:
    """(K / scale + ridge I) alpha = y for any number of ridges, where `scale` is K's largest entry.

    With K / scale = Q L Q^T, alpha(ridge) = Q (L + ridge)^-1 Q^T y, and the leave-one-out residual of image i is
    alpha_i / [(K / scale + ridge I)^-1]_ii. Exact given K; a metric in K that was learned from the same labels makes
    leave-one-out optimistic. The decomposition is in float64: n^3 time once, n^2 k for each ridge, three matrices of
    n^2 doubles.

    Args:
        kernel_matrix: `(n, n)`, symmetric.
        targets: `(n, k)`.
    """

    def __init__(self, kernel_matrix: Float[Tensor, "n n"], targets: Float[Tensor, "n k"]) -> None:
        self.scale = float(kernel_matrix.max())
        if not 0 < self.scale < float("inf"):
            raise InputError(
                f"the kernel matrix must have a positive, finite largest entry; it is {self.scale}. Images that are "
                f"zero, or "
                "a feature matrix that ignores them, make it zero."
            )
        values, self._vectors = torch.linalg.eigh(kernel_matrix.double() / self.scale)
        # Rounding of K makes its smallest eigenvalues negative; a covariance has none below zero.
        self._values = values.clamp_min(len(values) * torch.finfo(values.dtype).eps)
        self._targets = targets.double()
        self._projected = self._vectors.T @ self._targets

    def dual_coef(self, ridge: float) -> Float[Tensor, "n k"]:
        """Coefficients for K itself: `K(x, x_train) @ dual_coef` is the prediction."""
        return self._alpha(ridge) / self.scale

    def fitted(self, ridge: float) -> Float[Tensor, "n k"]:
        """Predictions on the training images."""
        return self._targets - ridge * self._alpha(ridge)

    def leave_one_out(self, ridge: float) -> Float[Tensor, "n k"]:
        """For every training image, the prediction of the fit to all others."""
        inverse_diagonal = self._vectors.square() @ (1 / (self._values + ridge))
        return self._targets - self._alpha(ridge) / inverse_diagonal[:, None]

    def _alpha(self, ridge: float) -> Tensor:
        return self._vectors @ (self._projected / (self._values + ridge)[:, None])

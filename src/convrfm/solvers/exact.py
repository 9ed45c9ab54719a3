"""Kernel ridge regression for every ridge at once, with closed-form leave-one-out, from one eigendecomposition."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError

ROWS_AT_ONCE = 256  # of the eigenvectors, squared


class RidgePath:
    """(K / scale + ridge I) alpha = y for any number of ridges, where `scale` is K's largest entry.

    With K / scale = Q L Q^T, alpha(ridge) = Q (L + ridge)^-1 Q^T y, and the leave-one-out residual of image i is
    alpha_i / [(K / scale + ridge I)^-1]_ii. Exact given K; a metric in K that was learned from the same labels makes
    leave-one-out optimistic. The decomposition is in float64: n^3 time once, then n^2 (k + 1) for each ridge; K and three
    matrices of n^2 doubles are alive at once.

    Args:
        kernel_matrix: `(n, n)`, symmetric.
        targets: `(n, k)`.

    Raises:
        InputError: if K has no positive, finite largest entry.
    """

    def __init__(self, kernel_matrix: Float[Tensor, "n n"], targets: Float[Tensor, "n k"]) -> None:
        self.scale = float(kernel_matrix.max())
        if not 0 < self.scale < float("inf"):
            raise InputError(
                f"the kernel matrix must have a positive, finite largest entry; it is {self.scale}. Images of zeros alone make "
                "it zero, very large or very small ones infinite or zero by rounding: rescale the images."
            )
        self._kernel_matrix = kernel_matrix
        values, self._vectors = torch.linalg.eigh(kernel_matrix.double() / self.scale)
        # Rounding of K makes its smallest eigenvalues negative; a covariance has none below zero.
        self._values = values.clamp_min(len(values) * torch.finfo(values.dtype).eps)
        self._targets = targets.double()
        self._projected = self._vectors.T @ self._targets

    def dual_coef(self, ridge: float) -> Float[Tensor, "n k"]:
        """Coefficients for K itself: `K(x, x_train) @ dual_coef` is the prediction."""
        return self._alpha(ridge) / self.scale

    def fitted(self, ridge: float) -> Float[Tensor, "n k"]:
        """Predictions on the training images, in K's own precision."""
        return (self._kernel_matrix @ self.dual_coef(ridge).to(self._kernel_matrix)).double()

    def leave_one_out(self, ridges: Sequence[float]) -> list[Float[Tensor, "n k"]]:
        """For every ridge and every training image, the prediction of the fit to all others."""
        weights = 1 / (self._values[:, None] + self._values.new_tensor(ridges))
        rows = self._vectors.split(ROWS_AT_ONCE)
        inverse_diagonals = torch.cat([part.square() @ weights for part in rows])
        return [
            self._targets - self._alpha(ridge) / diagonal[:, None]
            for ridge, diagonal in zip(ridges, inverse_diagonals.T, strict=True)
        ]

    def _alpha(self, ridge: float) -> Tensor:
        return self._vectors @ (self._projected / (self._values + ridge)[:, None])

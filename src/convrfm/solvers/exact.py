"""Kernel ridge regression for every ridge at once, with closed-form leave-one-out, from one eigendecomposition."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..errors import InputError

ROWS_AT_ONCE = 256  # of the eigenvectors, squared


class RidgePath:
    """The regression that minimises sum_i w_i (y_i - f(x_i))^2 + ridge |f|^2, for any number of ridges.

    The norm is that of K / scale, where `scale` is K's largest entry, so that ridges mean the same for any scale of K. With
    the weighted matrix W^(1/2) (K / scale) W^(1/2) = Q L Q^T,

        alpha(ridge) = W^(1/2) Q (L + ridge)^-1 Q^T W^(1/2) y ,

    and the leave-one-out residual of image i is alpha_i / P_ii, where P = (K / scale + ridge W^-1)^-1; that of a group G of
    images is P_GG^-1 alpha_G. Exact given K; a metric in K that was learned from the same labels makes leave-one-out
    optimistic. The decomposition is in float64: n^3 time once, then n^2 (k + 1) for each ridge (groups of m images: n^2 m);
    K and four matrices of n^2 doubles are alive at once.

    Args:
        kernel_matrix: `(n, n)`, symmetric.
        targets: `(n, k)`.
        weights: `(n,)`, positive: an image of weight w counts as w images; None for 1.

    Raises:
        InputError: if K has no positive, finite largest entry.
    """

    def __init__(
        self,
        kernel_matrix: Float[Tensor, "n n"],
        targets: Float[Tensor, "n k"],
        weights: Float[Tensor, " n"] | None = None,
    ) -> None:
        self.scale = largest_entry(kernel_matrix)
        self._kernel_matrix = kernel_matrix
        self._targets = targets.double()
        self._roots = self._targets.new_ones(len(targets)) if weights is None else weights.double().sqrt()
        weighted = kernel_matrix.double() / self.scale
        if weights is not None:
            weighted *= self._roots
            weighted *= self._roots[:, None]
        values, self._vectors = torch.linalg.eigh(weighted)
        # Eigenvalues near sqrt(n) eps are K's own rounding: images that are all but the same would get coefficients that
        # leave-one-out takes for good and that K, as it is computed for new images, cannot bear.
        self._values = values.clamp_min(8 * len(values) ** 0.5 * torch.finfo(kernel_matrix.dtype).eps)
        self._projected = self._vectors.T @ (self._roots[:, None] * self._targets)

    def dual_coef(self, ridge: float) -> Float[Tensor, "n k"]:
        """Coefficients for K itself: `K(x, x_train) @ dual_coef` is the prediction."""
        return self._alpha(ridge) / self.scale

    def fitted(self, ridge: float) -> Float[Tensor, "n k"]:
        """Predictions on the training images, in K's own precision."""
        return (self._kernel_matrix @ self.dual_coef(ridge).to(self._kernel_matrix)).double()

    def leave_one_out(
        self, ridges: Sequence[float], groups: Int[Tensor, " n"] | None = None
    ) -> list[Float[Tensor, "n k"]]:
        """For every ridge and every training image, the prediction of the fit to all others.

        Args:
            ridges: the ridges.
            groups: the number of every image's group (0, 1, ...): a whole group is left out together.
        """
        if groups is None:
            diagonals = self._precision_diagonals(ridges)
            left_out = zip(ridges, diagonals, strict=True)
            return [self._targets - self._alpha(ridge) / diagonal[:, None] for ridge, diagonal in left_out]
        return [self._targets - self._group_residuals(ridge, groups) for ridge in ridges]

    def amplitude(self, ridge: float) -> Float[Tensor, " k"]:
        """The variance s^2 of every output as a Gaussian process with covariance s^2 K / scale and noise s^2 ridge.

        Such a process predicts y_i from all others with variance s^2 / P_ii; s^2 is what makes the squared leave-one-out
        residuals those variances on average, an image of weight w counting as w.
        """
        shares = self._alpha(ridge).square() / self._precision_diagonals([ridge])[0][:, None]
        return shares.sum(0) / self._roots.square().sum()

    def _alpha(self, ridge: float) -> Tensor:
        return self._roots[:, None] * (self._vectors @ (self._projected / (self._values + ridge)[:, None]))

    def _precision_diagonals(self, ridges: Sequence[float]) -> list[Tensor]:
        inverses = 1 / (self._values[:, None] + self._values.new_tensor(ridges))
        rows = self._vectors.split(ROWS_AT_ONCE)
        diagonals = torch.cat([part.square() @ inverses for part in rows])
        return list((self._roots.square()[:, None] * diagonals).T)

    def _group_residuals(self, ridge: float, groups: Tensor) -> Tensor:
        alpha = self._alpha(ridge)
        residuals = torch.empty_like(alpha)
        for group in groups.unique():
            members = groups == group
            rows = self._roots[members, None] * self._vectors[members]
            precision = (rows / (self._values + ridge)) @ rows.T
            residuals[members] = torch.linalg.solve(precision, alpha[members])
        return residuals


class GaussianPosterior:
    """How sure the regression is: the Gaussian process with covariance K / scale and noise ridge / weight, after its data.

    Args:
        kernel_matrix: `(n, n)` of the training images.
        ridge: the regression's.
        weights: the regression's, `(n,)`; None for 1.

    Raises:
        InputError: if the matrix plus its ridge is not positive definite.
    """

    def __init__(self, kernel_matrix: Float[Tensor, "n n"], ridge: float, weights: Float[Tensor, " n"] | None) -> None:
        self.scale, self._ridge = largest_entry(kernel_matrix), ridge
        covariance = kernel_matrix.double() / self.scale
        covariance.diagonal().add_(ridge if weights is None else ridge / weights.double())
        self._factor, wrong = torch.linalg.cholesky_ex(covariance)
        if int(wrong):
            raise InputError(
                f"the standard deviation needs a kernel matrix that is positive definite with its ridge {ridge:g}; rounding "
                "made it indefinite. Pass larger ridges, or images in float64."
            )

    def variance(self, meeting: Float[Tensor, "m n"], own: Float[Tensor, " m"]) -> Float[Tensor, " m"]:
        """The variance of a new target (its noise included), in units of the amplitude.

        Args:
            meeting: K between new images and the training images.
            own: K of every new image with itself.
        """
        explained = torch.linalg.solve_triangular(self._factor, meeting.double().T / self.scale, upper=False)
        return (own.double() / self.scale - explained.square().sum(0)).clamp_min(0) + self._ridge


def largest_entry(kernel_matrix: Float[Tensor, "n n"]) -> float:
    """The scale by which a kernel matrix is divided.

    Raises:
        InputError: unless it is positive and finite.
    """
    scale = float(kernel_matrix.max())
    if not 0 < scale < float("inf"):
        raise InputError(
            f"the kernel matrix must have a positive, finite largest entry; it is {scale}. Images of zeros alone make "
            "it zero, very large or very small ones infinite or zero by rounding: rescale the images."
        )
    return scale

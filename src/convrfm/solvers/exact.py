"""Kernel ridge regression for every ridge at once, with closed-form leave-one-out, from one eigendecomposition."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..errors import InputError
from .centering import about, mean_moves
from .groups import members_by_size

ROWS_AT_ONCE = 256  # of the eigenvectors, squared


class Spectrum:
    """The weighted kernel matrix W^(1/2) (K / scale) W^(1/2) = Q L Q^T, in float64.

    `scale` is K's largest entry, so that ridges mean the same for any scale of K. Eigenvalues of K / scale below 8 sqrt(n) eps,
    where eps is K's precision, are K's own rounding and lifted to that before W comes in: images that are all but the same
    would get coefficients that leave-one-out takes for good and that K, as it is computed for new images, cannot bear.
    With weights there are two decompositions.

    Args:
        kernel_matrix: `(n, n)`, symmetric.
        weights: `(n,)`, positive; None for 1.

    Raises:
        InputError: if K has no positive, finite largest entry.
    """

    def __init__(self, kernel_matrix: Float[Tensor, "n n"], weights: Float[Tensor, " n"] | None) -> None:
        self.scale = largest_entry(kernel_matrix)
        n, least = len(kernel_matrix), 8 * len(kernel_matrix) ** 0.5 * torch.finfo(kernel_matrix.dtype).eps
        self.weights = kernel_matrix.new_ones(n, dtype=torch.float64) if weights is None else weights.double()
        values, self.vectors = torch.linalg.eigh(kernel_matrix.double() / self.scale)
        self.values = values.clamp_min(least)
        if weights is not None:
            root = self.weights.sqrt()[:, None] * self.vectors * self.values.sqrt()
            values, self.vectors = torch.linalg.eigh(root @ root.T)
            self.values = values.clamp_min(least * float(self.weights.min()))


class RidgePath:
    """The regression that minimizes sum_i w_i (y_i - f(x_i))^2 + ridge |f|^2, for any number of ridges.

    The norm is that of K / scale. With the eigenvalues L and vectors Q of the weighted matrix (see `Spectrum`),

        alpha(ridge) = W^(1/2) Q (L + ridge)^-1 Q^T W^(1/2) y ,

    and the leave-one-out residual of image i is alpha_i / P_ii, where P = (K / scale + ridge W^-1)^-1; that of a group G of
    images is P_GG^-1 alpha_G. Exact given K; a metric in K that was learned from the same labels makes leave-one-out
    optimistic. Where targets are centered, y is less its weighted mean m, which predictions have again. Left-out images are
    left out of that mean too: with the residuals r(y) of y less m and r(1) of a constant, theirs are
    r(y) + (m - m_without) r(1).

    The decomposition takes n^3 time once, then n^2 (k + 1) for each ridge (groups of m images: n^2 m); K and four matrices of
    n^2 doubles are alive at once.

    Args:
        kernel_matrix: `(n, n)`, symmetric.
        targets: `(n, k)`.
        weights: `(n,)`, positive: an image of weight w counts as w images; None for 1.
        groups: the number of every image's group (0, 1, ...), which is left out together; None for one image a group.
        centered: whether the regression is of the targets less their mean.

    Attributes:
        intercept: that mean, `(k,)`; None where targets are as they are.

    Raises:
        InputError: if K has no positive, finite largest entry.
    """

    estimated = False

    def __init__(
        self,
        kernel_matrix: Float[Tensor, "n n"],
        targets: Float[Tensor, "n k"],
        weights: Float[Tensor, " n"] | None = None,
        groups: Int[Tensor, " n"] | None = None,
        *,
        centered: bool = False,
    ) -> None:
        self._kernel_matrix = kernel_matrix
        self._targets, self._groups = targets.double(), groups
        self._spectrum = Spectrum(kernel_matrix, weights)
        self.scale = self._spectrum.scale
        self._rows = self._spectrum.weights.sqrt()[:, None]  # W^(1/2), on rows
        heavy = self._spectrum.weights
        self.intercept = heavy @ self._targets / heavy.sum() if centered else None
        self._remainder = self._targets if self.intercept is None else about(self._targets, self.intercept)
        self._projected = self._spectrum.vectors.T @ (self._rows * self._remainder)
        self._projected_one = self._spectrum.vectors.T @ self._rows

    def dual_coef(self, ridge: float) -> Float[Tensor, "n k"]:
        """Coefficients for K itself: `K(x, x_train) @ dual_coef` is the prediction, less the intercept."""
        return self._alpha(ridge, self._projected) / self.scale

    def coefs(self, ridges: Sequence[float]) -> list[Float[Tensor, "n k"]]:
        """`dual_coef` of every ridge."""
        return [self.dual_coef(ridge) for ridge in ridges]

    def fitted(self, ridge: float) -> Float[Tensor, "n k"]:
        """Predictions on the training images, in K's own precision."""
        return self._raised((self._kernel_matrix @ self.dual_coef(ridge).to(self._kernel_matrix)).double())

    def leave_one_out(self, ridges: Sequence[float]) -> list[Float[Tensor, "n k"]]:
        """For every ridge and every training image, the prediction of the fit to all others, or to all other groups."""
        return [self._targets - residuals for residuals, _ in self._left_out(ridges)]

    def amplitude(self, ridge: float) -> Float[Tensor, " k"]:
        """The variance s^2 of every output as a Gaussian process with covariance s^2 K / scale and noise s^2 ridge / w.

        Such a process predicts y_i from all others, or from all other groups, with a variance of which s^2 is a factor; s^2
        is what makes the squares of the left-out residuals, each over its variance, 1 on weighted average.
        """
        ((residuals, variances),) = self._left_out([ridge])
        weights = self._spectrum.weights
        return weights @ (residuals.square() / variances[:, None]) / weights.sum()

    def _raised(self, outputs: Float[Tensor, "m k"]) -> Float[Tensor, "m k"]:
        return outputs if self.intercept is None else outputs + self.intercept

    def _alpha(self, ridge: float, projected: Float[Tensor, "n m"]) -> Float[Tensor, "n m"]:
        return self._rows * (self._spectrum.vectors @ (projected / (self._spectrum.values + ridge)[:, None]))

    def _left_out_alpha(self, ridge: float) -> Float[Tensor, "n k"]:
        """The coefficients of which left-out residuals are made, with the mean of all others as the intercept."""
        alpha = self._alpha(ridge, self._projected)
        if self.intercept is None:
            return alpha
        moves = mean_moves(self._remainder, self._spectrum.weights, self._groups)
        return alpha + moves * self._alpha(ridge, self._projected_one)

    def _left_out(self, ridges: Sequence[float]) -> Iterator[tuple[Float[Tensor, "n k"], Float[Tensor, " n"]]]:
        """For every ridge, each image's residual when it, or its group, is left out, and its variance over s^2."""
        if self._groups is None:
            for ridge, precision in zip(ridges, self._precision_diagonals(ridges), strict=True):
                yield self._left_out_alpha(ridge) / precision[:, None], 1 / precision
            return
        by_size = members_by_size(self._groups, len(self._targets))
        together = [part for each in by_size for part in each.split(max(1, ROWS_AT_ONCE // each.shape[1]))]
        for ridge in ridges:
            alpha = self._left_out_alpha(ridge)
            residuals, variances = torch.empty_like(alpha), torch.empty_like(alpha[:, 0])
            for members in together:
                rows = self._rows[members] * self._spectrum.vectors[members]
                covariance = torch.linalg.inv((rows / (self._spectrum.values + ridge)) @ rows.mT)
                residuals[members] = covariance @ alpha[members]
                variances[members] = covariance.diagonal(dim1=-2, dim2=-1)
            yield residuals, variances

    def _precision_diagonals(self, ridges: Sequence[float]) -> list[Tensor]:
        inverses = 1 / (self._spectrum.values[:, None] + self._targets.new_tensor(ridges))
        rows = self._spectrum.vectors.split(ROWS_AT_ONCE)
        diagonals = torch.cat([part.square() @ inverses for part in rows])
        return list((self._rows.square() * diagonals).T)


class GaussianPosterior:
    """How sure the regression is: the Gaussian process with covariance K / scale and noise ridge / weight, after its data.

    A new target has the noise of one as heavy as the training images, on their average by weight.

    Args:
        kernel_matrix: `(n, n)` of the training images.
        ridge: the regression's.
        weights: the regression's, `(n,)`; None for 1.
    """

    def __init__(self, kernel_matrix: Float[Tensor, "n n"], ridge: float, weights: Float[Tensor, " n"] | None) -> None:
        spectrum = Spectrum(kernel_matrix, weights)
        self._scale, heavy = spectrum.scale, spectrum.weights
        self._noise = ridge * float(heavy.sum() / heavy.square().sum())
        self._root = heavy.sqrt()[:, None] * spectrum.vectors / (spectrum.values + ridge).sqrt()

    def variance(self, meeting: Float[Tensor, "m n"], own: Float[Tensor, " m"]) -> Float[Tensor, " m"]:
        """The variance of a new target (its noise included), in units of the amplitude.

        Args:
            meeting: K between new images and the training images.
            own: K of every new image with itself.
        """
        explained = (meeting.double() / self._scale @ self._root).square().sum(1)
        return (own.double() / self._scale - explained).clamp_min(0) + self._noise


def largest_entry(kernel_matrix: Float[Tensor, "..."]) -> float:
    """The scale by which a kernel matrix, of which these entries are the largest or all, is divided.

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

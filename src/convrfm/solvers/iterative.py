"""Kernel ridge regression by conjugate gradients, for matrices that are too large to decompose."""

import warnings
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..kernels.kernel_tiles import Tiles
from .centering import about, mean_moves
from .conjugate_gradients import AfterIteration, IndefiniteError, Solution, State, solve
from .preconditioner import Preconditioner, pivoted_factor
from .tiled import TiledKernel

TOLERANCE, PROBE_TOLERANCE = 1e-6, 1e-3
PROBES = 32
MOST_ITERATIONS = 1000
LARGEST_FLOOR = 64  # times what K's precision tells: beyond that it is no kernel matrix


def default_rank(n: int) -> int:
    """Of the preconditioner: 8 sqrt(n) columns, at most n / 4."""
    return max(1, min(n // 4, round(8 * n**0.5)))


class IterativePath:
    """The regression of `exact.RidgePath`, its coefficients to a relative residual of 1e-6 for every ridge.

    All ridges and outputs share the products with K, and the preconditioner. Predictions on the training images are within
    1e-6 |y| of exact ones. Ridges over an image's weight that are below K's rounding (`TiledKernel.floor`) count as that; where
    conjugate gradients prove that K's rounding is larger, it counts as four times as much, with a warning.

    Leave-one-out residuals alpha_i / P_ii need the diagonal of P = (K / scale + ridge W^-1)^-1. It is estimated: the mean of
    z * (P z) over 32 vectors z of random signs, the same for every ridge, and at least 1 / (K_ii / scale + ridge / w_i), which
    it is in any case. Entries are off by up to a tenth or two, and so much of an image's own label comes into its output: mean
    squared errors are a few percent too large, and what ridge is best is told by them, because all ridges share the signs.
    Accuracies are no measure: where little can be told of an image, its own label decides.

    Args:
        tiles: of K.
        targets: `(n, k)`; what comes out lies where they do, and the CPU computes it.
        generator: draws pivots and signs.
        weights: `(n,)`, positive; None for 1.
        centered: whether the regression is of the targets less their mean.
        rank: of the preconditioner; None for `default_rank`.
        start: where the first solve of an earlier path with the same arguments stood.
        after: called after every iteration.

    Attributes:
        intercept: that mean, `(k,)`; None where targets are as they are.
        scale: K's largest entry.
        iterations: how many all solves took so far.
        estimated: that leave-one-out is.
    """

    estimated = True

    def __init__(
        self,
        tiles: Tiles,
        targets: Float[Tensor, "n k"],
        generator: torch.Generator,
        weights: Float[Tensor, " n"] | None = None,
        *,
        centered: bool = False,
        rank: int | None = None,
        start: State | None = None,
        after: AfterIteration | None = None,
    ) -> None:
        self._kernel = TiledKernel(tiles)
        self.scale, n, self._floor = self._kernel.scale, self._kernel.n, self._kernel.floor
        self._device, self._targets = targets.device, targets.cpu().double()
        self._weights = self._targets.new_ones(n) if weights is None else weights.cpu().double()
        self._rows = self._weights.sqrt()[:, None]
        self._mean = self._weights @ self._targets / self._weights.sum() if centered else None
        self._remainder = self._targets if self._mean is None else about(self._targets, self._mean)
        self.intercept = None if self._mean is None else self._mean.to(self._device)
        factor = pivoted_factor(self._kernel, default_rank(n) if rank is None else rank, generator)
        self._preconditioner = Preconditioner(factor, self._rows[:, 0])
        self._signs = torch.randint(0, 2, (n, PROBES), generator=generator).double() * 2 - 1
        self._start, self._after, self.iterations = start, after, 0
        self._alphas: dict[float, Tensor] = {}
        self._answers: dict[float, Tensor] = {}

    def dual_coef(self, ridge: float) -> Float[Tensor, "n k"]:
        """Coefficients for K itself: `K(x, x_train) @ dual_coef` is the prediction, less the intercept."""
        return self._dual_coef(ridge).to(self._device)

    def coefs(self, ridges: Sequence[float]) -> list[Float[Tensor, "n k"]]:
        """`dual_coef` of every ridge."""
        self._solve(ridges, probes=False)
        return [self.dual_coef(ridge) for ridge in ridges]

    def fitted(self, ridge: float) -> Float[Tensor, "n k"]:
        """Predictions on the training images: what the equation leaves of the targets."""
        alpha = self._dual_coef(ridge) * self.scale
        outputs = self._remainder - self._noise(ridge)[:, None] * alpha
        return (outputs if self._mean is None else outputs + self._mean).to(self._device)

    def leave_one_out(self, ridges: Sequence[float]) -> list[Float[Tensor, "n k"]]:
        """For every ridge and every training image, the prediction of the fit to all others, estimated."""
        self._solve(ridges, probes=True)
        residuals = [self._left_out_alpha(ridge) / self._diagonal(ridge)[:, None] for ridge in ridges]
        return [(self._targets - residual).to(self._device) for residual in residuals]

    def amplitude(self, ridge: float) -> Float[Tensor, " k"]:
        """The variance of every output as a Gaussian process, by the left-out residuals (`RidgePath.amplitude`)."""
        self._solve([ridge], probes=True)
        squares = self._left_out_alpha(ridge).square() / self._diagonal(ridge)[:, None]
        return (self._weights @ squares / self._weights.sum()).to(self._device)

    def _dual_coef(self, ridge: float) -> Float[Tensor, "n k"]:
        return self._alpha(ridge)[:, : self._targets.shape[1]] / self.scale

    def _shift(self, ridge: float) -> float:
        """The ridge by which a solve is known: all those that are below the rounding for every image are one."""
        return max(ridge, self._floor * float(self._weights.min()))

    def _noise(self, ridge: float) -> Float[Tensor, " n"]:
        """What the diagonal of K / scale has besides."""
        return (ridge / self._weights).clamp_min(self._floor)

    def _alpha(self, ridge: float) -> Float[Tensor, "n m"]:
        """The coefficients for K / scale of the targets and, where they are centered, of a constant."""
        self._solve([ridge], probes=False)
        return self._alphas[self._shift(ridge)]

    def _left_out_alpha(self, ridge: float) -> Float[Tensor, "n k"]:
        """The coefficients of which left-out residuals are made, with the mean of all others as the intercept."""
        alpha, k = self._alpha(ridge), self._targets.shape[1]
        if self._mean is None:
            return alpha
        return alpha[:, :k] + mean_moves(self._remainder, self._weights, None) * alpha[:, k:]

    def _diagonal(self, ridge: float) -> Float[Tensor, " n"]:
        """Of P."""
        estimated = self._weights * (self._signs * self._answers[self._shift(ridge)]).mean(1)
        return torch.maximum(estimated, 1 / (self._kernel.diagonal + self._noise(ridge)))

    def _solve(self, ridges: Sequence[float], *, probes: bool) -> None:
        """Solve what is not solved yet for these ridges, all at once; again where K's rounding proves larger than it was."""
        while True:
            try:
                return self._attempt(ridges, probes=probes)
            except IndefiniteError:
                if self._floor >= LARGEST_FLOOR * self._kernel.floor:
                    raise
                self._floor, self._alphas, self._answers = 4 * self._floor, {}, {}
                warnings.warn(
                    "the kernel matrix is not positive definite as it is computed or kept, because images are nearly alike: "
                    f"ridges (over an image's weight) below {self._floor:.1e} count as that. Images of float64 allow smaller "
                    'ones; so does solver="exact".',
                    stacklevel=2,
                )

    def _attempt(self, ridges: Sequence[float], *, probes: bool) -> None:
        """The same, as long as the matrix is positive definite."""
        shifts = dict.fromkeys(self._shift(ridge) for ridge in ridges)
        unsolved = [shift for shift in shifts if shift not in self._alphas]
        unprobed = [shift for shift in shifts if probes and shift not in self._answers]
        if not unsolved and not unprobed:
            return
        ones = [] if self._mean is None else [self._rows]
        targets = torch.cat([self._rows * self._remainder, *ones], 1)
        blocks = [targets] * len(unsolved) + [self._signs] * len(unprobed)
        widths = torch.tensor([block.shape[1] for block in blocks])
        tolerances = targets.new_tensor([TOLERANCE] * len(unsolved) + [PROBE_TOLERANCE] * len(unprobed))
        found = self._solved(
            torch.cat(blocks, 1),
            targets.new_tensor([*unsolved, *unprobed]).repeat_interleave(widths),
            tolerances.repeat_interleave(widths),
        )
        self._start = None
        self.iterations += found.iterations
        parts = found.solution.split(widths.tolist(), 1)
        for shift, part in zip(unsolved, parts, strict=False):
            self._alphas[shift] = self._rows * part
        for shift, part in zip(unprobed, parts[len(unsolved) :], strict=True):
            self._answers[shift] = part

    def _solved(self, targets: Float[Tensor, "n c"], ridges: Float[Tensor, " c"], tolerances: Tensor) -> Solution:
        """For every column and its ridge r, (W^(1/2) (K / scale) W^(1/2) + max(r, w floor))^-1 times it."""
        equal = bool((self._weights == self._weights[0]).all())
        least = self._floor * (self._weights[:1] if equal else self._weights)
        return solve(
            lambda v: self._rows * (self._kernel @ (self._rows * v)),
            targets,
            torch.maximum(ridges, least[:, None]),
            self._preconditioner.solve,
            tolerances,
            most_iterations=MOST_ITERATIONS,
            start=self._start,
            after=self._after,
        )

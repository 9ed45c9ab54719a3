"""Kernel ridge regression by conjugate gradients, for matrices that are too large to decompose."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from .centering import about, mean_moves
from .conjugate_gradients import AfterIteration, State, solve
from .preconditioner import Preconditioner, pivoted_factor
from .tiled import TiledKernel, Tiles

TOLERANCE, PROBE_TOLERANCE = 1e-6, 1e-3
PROBES = 32
MOST_ITERATIONS = 1000


def default_rank(n: int) -> int:
    """Of the preconditioner: 8 sqrt(n) columns, at most n / 4."""
    return max(1, min(n // 4, round(8 * n**0.5)))


class IterativePath:
    """The regression of `exact.RidgePath`, its coefficients to a relative residual of 1e-6 for every ridge.

    All ridges and outputs share the products with K, and the preconditioner. Predictions on the training images are within
    1e-6 |y| of exact ones. Ridges below K's rounding (`TiledKernel.floor`, times the largest weight) count as that.

    Leave-one-out residuals alpha_i / P_ii need the diagonal of P = (K / scale + ridge W^-1)^-1. It is estimated: the mean of
    z * (P z) over 32 vectors z of random signs, the same for every ridge, and at least 1 / (K_ii / scale + ridge / w_i), which
    it is in any case. Entries are off by up to a tenth, mean squared errors a few percent too large, accuracies off by a
    percent or less; what ridge is best is told well, because all ridges share the signs.

    Args:
        tiles: of K.
        targets: `(n, k)`.
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
    """

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
        self.scale, n = self._kernel.scale, self._kernel.n
        self._targets = targets.double()
        self._weights = self._targets.new_ones(n) if weights is None else weights.double()
        self._rows = self._weights.sqrt()[:, None]
        self.intercept = self._weights @ self._targets / self._weights.sum() if centered else None
        self._remainder = self._targets if self.intercept is None else about(self._targets, self.intercept)
        factor = pivoted_factor(self._kernel, default_rank(n) if rank is None else rank, generator)
        self._preconditioner = Preconditioner(factor, self._rows[:, 0])
        self._signs = torch.randint(0, 2, (n, PROBES), generator=generator).double() * 2 - 1
        self._start, self._after, self.iterations = start, after, 0
        self._alphas: dict[float, Tensor] = {}
        self._answers: dict[float, Tensor] = {}

    def dual_coef(self, ridge: float) -> Float[Tensor, "n k"]:
        """Coefficients for K itself: `K(x, x_train) @ dual_coef` is the prediction, less the intercept."""
        return self._alpha(ridge)[:, : self._targets.shape[1]] / self.scale

    def coefs(self, ridges: Sequence[float]) -> list[Float[Tensor, "n k"]]:
        """`dual_coef` of every ridge."""
        self._solve(ridges, probes=False)
        return [self.dual_coef(ridge) for ridge in ridges]

    def fitted(self, ridge: float) -> Float[Tensor, "n k"]:
        """Predictions on the training images: what the equation leaves of the targets."""
        alpha = self.dual_coef(ridge) * self.scale
        outputs = self._remainder - self._shift(ridge) * alpha / self._weights[:, None]
        return outputs if self.intercept is None else outputs + self.intercept

    def leave_one_out(self, ridges: Sequence[float]) -> list[Float[Tensor, "n k"]]:
        """For every ridge and every training image, the prediction of the fit to all others, estimated."""
        self._solve(ridges, probes=True)
        return [self._targets - self._left_out_alpha(ridge) / self._diagonal(ridge)[:, None] for ridge in ridges]

    def amplitude(self, ridge: float) -> Float[Tensor, " k"]:
        """The variance of every output as a Gaussian process, by the left-out residuals (`RidgePath.amplitude`)."""
        self._solve([ridge], probes=True)
        squares = self._left_out_alpha(ridge).square() / self._diagonal(ridge)[:, None]
        return self._weights @ squares / self._weights.sum()

    def _shift(self, ridge: float) -> float:
        return max(ridge, self._kernel.floor * float(self._weights.max()))

    def _alpha(self, ridge: float) -> Float[Tensor, "n m"]:
        """The coefficients for K / scale of the targets and, where they are centered, of a constant."""
        self._solve([ridge], probes=False)
        return self._alphas[self._shift(ridge)]

    def _left_out_alpha(self, ridge: float) -> Float[Tensor, "n k"]:
        """The coefficients of which left-out residuals are made, with the mean of all others as the intercept."""
        alpha, k = self._alpha(ridge), self._targets.shape[1]
        if self.intercept is None:
            return alpha
        return alpha[:, :k] + mean_moves(self._remainder, self._weights, None) * alpha[:, k:]

    def _diagonal(self, ridge: float) -> Float[Tensor, " n"]:
        """Of P."""
        shift = self._shift(ridge)
        estimated = self._weights * (self._signs * self._answers[shift]).mean(1)
        return torch.maximum(estimated, 1 / (self._kernel.diagonal + shift / self._weights))

    def _solve(self, ridges: Sequence[float], *, probes: bool) -> None:
        """Solve what is not solved yet for these ridges, all at once."""
        shifts = dict.fromkeys(self._shift(ridge) for ridge in ridges)
        unsolved = [shift for shift in shifts if shift not in self._alphas]
        unprobed = [shift for shift in shifts if probes and shift not in self._answers]
        if not unsolved and not unprobed:
            return
        ones = [] if self.intercept is None else [self._rows]
        targets = torch.cat([self._rows * self._remainder, *ones], 1)
        blocks = [targets] * len(unsolved) + [self._signs] * len(unprobed)
        widths = torch.tensor([block.shape[1] for block in blocks])
        found = solve(
            lambda v: self._rows * (self._kernel @ (self._rows * v)),
            torch.cat(blocks, 1),
            targets.new_tensor([*unsolved, *unprobed]).repeat_interleave(widths),
            self._preconditioner.solve,
            targets.new_tensor([TOLERANCE] * len(unsolved) + [PROBE_TOLERANCE] * len(unprobed)).repeat_interleave(
                widths
            ),
            most_iterations=MOST_ITERATIONS,
            start=self._start,
            after=self._after,
        )
        self._start = None
        self.iterations += found.iterations
        parts = found.solution.split(widths.tolist(), 1)
        for shift, part in zip(unsolved, parts, strict=False):
            self._alphas[shift] = self._rows * part
        for shift, part in zip(unprobed, parts[len(unsolved) :], strict=True):
            self._answers[shift] = part

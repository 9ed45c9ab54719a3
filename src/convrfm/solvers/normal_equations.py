"""Ridge regression in the primal: from sums over batches of features, every ridge and what is left out."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .centering import about, mean_moves
from .exact import largest_entry

Batch = tuple[Float[Tensor, "m columns"], Float[Tensor, "m k"], Float[Tensor, " m"] | None]


@dataclass(eq=False)
class NormalEquations:
    """Sums over images, in double precision, with weights w and features phi.

    Attributes:
        products: of w phi phi^T, `(columns, columns)`.
        with_targets: of w phi y^T, `(columns, k)`.
        features: of w phi, `(columns,)`.
        targets: of w y, `(k,)`.
        weight: of w.
        scale: the largest phi . phi.
        least: what rounding of the features makes of an eigenvalue of 0, over the scale.
    """

    products: Float[Tensor, "columns columns"]
    with_targets: Float[Tensor, "columns k"]
    features: Float[Tensor, " columns"]
    targets: Float[Tensor, " k"]
    weight: float
    scale: float
    least: float

    @classmethod
    def of(cls, batches: Iterable[Batch]) -> "NormalEquations":
        """Those of all batches, each of features `(m, columns)`, targets `(m, k)` and weights `(m,)` or None for 1.

        Raises:
            InputError: if there is no batch, or features are all zero or not finite.
        """
        sums: list[Tensor] | None = None
        weight, largest, n, lightest, eps = 0.0, 0.0, 0, float("inf"), 0.0
        for features, targets, weights in batches:
            w = features.new_ones(len(features), dtype=torch.float64) if weights is None else weights.double()
            unit = w.mean()  # weights of any size are near 1 in the precision of the features
            weighted = features * (w / unit).sqrt()[:, None].to(features)
            products = (weighted.T @ weighted).double() * unit
            wide = features.double()
            parts = [products, wide.T @ (w[:, None] * targets.double()), w @ wide, w @ targets.double()]
            sums = parts if sums is None else [total.add_(part) for total, part in zip(sums, parts, strict=True)]
            weight, n, eps = weight + float(w.sum()), n + len(w), torch.finfo(features.dtype).eps
            largest = max(largest, float(features.square().sum(1).max()))
            lightest = min(lightest, float(w.min()))
        scale = largest_entry(torch.tensor([[largest]], dtype=torch.float64))
        assert sums is not None
        return cls(sums[0], sums[1], sums[2], sums[3], weight, scale, 8 * n**0.5 * eps * lightest)


class PrimalPath:
    """The regression that minimizes sum_i w_i (y_i - m - phi_i . b)^2 + ridge scale |b|^2, as `exact.RidgePath` has it.

    With A = sum_i w_i phi_i phi_i^T / scale + ridge, the coefficients are b = A^-1 sum_i w_i phi_i (y_i - m) / scale, and with
    the leverages H = phi A^-1 phi^T W / scale of images that are left out together, their left-out residuals are
    (1 - H)^-1 times their residuals. One eigendecomposition gives A^-1 for every ridge; no ridge counts less than the rounding
    of the features.

    Args:
        equations: the sums over all images.
        features: of the images with these numbers.
        batches: the numbers of all images, those of a group in one batch.
        targets: `(n, k)`.
        weights: `(n,)`, positive; None for 1.
        groups: the number of every image's group; None for one image a group.
        ridges: those that may be asked for.
        centered: whether the regression is of the targets less their mean.
    """

    estimated = False

    def __init__(
        self,
        equations: NormalEquations,
        features: Callable[[Int[Tensor, " m"]], Float[Tensor, "m columns"]],
        batches: Sequence[Int[Tensor, " _"]],
        targets: Float[Tensor, "n k"],
        weights: Float[Tensor, " n"] | None,
        groups: Int[Tensor, " n"] | None,
        *,
        ridges: Sequence[float],
        centered: bool,
    ) -> None:
        self._sums, self._targets = equations, targets.double()
        self._weights = self._targets.new_ones(len(targets)) if weights is None else weights.double()
        self.intercept = equations.targets / equations.weight if centered else None
        values, self._vectors = torch.linalg.eigh(equations.products / equations.scale)
        self._values = values.clamp_min(0)
        moment, remainder = equations.with_targets, self._targets
        if self.intercept is not None:
            moment = moment - equations.features[:, None] * self.intercept
            remainder = about(self._targets, self.intercept)
        both = torch.cat([moment, equations.features[:, None]], 1)  # of the targets, and of a constant
        self._projected = self._vectors.T @ both / equations.scale
        self._remainder = remainder
        self._moves = torch.zeros_like(remainder)
        if centered:
            self._moves = mean_moves(remainder, self._weights, groups)
        self._at = {ridge: _Residuals.zeros(self._targets) for ridge in ridges}
        for rows in batches:
            self._meet(features(rows).double() @ self._vectors, rows, None if groups is None else groups[rows])

    def coefs(self, ridges: Sequence[float]) -> list[Float[Tensor, "columns k"]]:
        """For every ridge, the coefficients of the features."""
        return [self._vectors @ self._in_basis(ridge)[:, :-1] for ridge in ridges]

    def fitted(self, ridge: float) -> Float[Tensor, "n k"]:
        """Predictions on the training images."""
        return self._targets - self._at[ridge].kept

    def leave_one_out(self, ridges: Sequence[float]) -> list[Float[Tensor, "n k"]]:
        """For every ridge and every training image, the prediction of the fit to all others, or to all other groups."""
        return [self._targets - self._at[ridge].left_out for ridge in ridges]

    def amplitude(self, ridge: float) -> Float[Tensor, " k"]:
        """The variance of every output as a Gaussian process; see `exact.RidgePath`."""
        at = self._at[ridge]
        squares = at.left_out.square() / at.variances[:, None]
        return self._weights @ squares / self._weights.sum()

    def _penalty(self, ridge: float) -> float:
        return max(ridge, self._sums.least)

    def _in_basis(self, ridge: float) -> Float[Tensor, "columns k_and_1"]:
        return self._projected / (self._values + self._penalty(ridge))[:, None]

    def _meet(
        self, rotated: Float[Tensor, "m columns"], rows: Int[Tensor, " m"], groups: Int[Tensor, " m"] | None
    ) -> None:
        """What remains of these images' targets, for every ridge."""
        outputs = rotated @ torch.cat([self._in_basis(ridge) for ridge in self._at], 1)
        weights = self._weights[rows]
        for (ridge, at), output in zip(self._at.items(), outputs.chunk(len(self._at), 1), strict=True):
            residuals = self._remainder[rows] - output[:, :-1]
            leaving = residuals + self._moves[rows] * (1 - output[:, -1:])
            at.kept[rows] = residuals
            penalty = self._penalty(ridge)
            shrunk = rotated / (self._values + penalty) / self._sums.scale
            if groups is None:
                remaining = 1 - weights * (shrunk * rotated).sum(1)
                inverse = 1 / remaining.clamp_min(torch.finfo(remaining.dtype).eps)
                at.left_out[rows], at.variances[rows] = leaving * inverse[:, None], penalty * inverse / weights
                continue
            for group in groups.unique():
                own = groups == group
                leverage = shrunk[own] @ rotated[own].T * weights[own]
                inverse = torch.linalg.inv(torch.eye(len(leverage)).to(leverage) - leverage)
                at.left_out[rows[own]] = inverse @ leaving[own]
                at.variances[rows[own]] = penalty * inverse.diagonal() / weights[own]


@dataclass(frozen=True, eq=False)
class _Residuals:
    """With one ridge: what remains of the targets in the fit to all, and in that to all others with its variance over s^2."""

    kept: Float[Tensor, "n k"]
    left_out: Float[Tensor, "n k"]
    variances: Float[Tensor, " n"]

    @classmethod
    def zeros(cls, targets: Float[Tensor, "n k"]) -> "_Residuals":
        """Nothing yet."""
        return cls(torch.zeros_like(targets), torch.zeros_like(targets), torch.zeros_like(targets[:, 0]))

"""Ridge regression in the primal: from sums over batches of features, every ridge and what is left out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .centering import about, mean_moves
from .exact import largest_entry
from .groups import members_by_size

BLOCK = 1024  # columns of the products that are summed at a time
Progress = Callable[[int, int], None]
Numbers = Float[Tensor, "..."]


@dataclass(eq=False)
class NormalEquations:
    """Sums over images, in double precision, with weights w and features phi.

    Attributes:
        products: of w phi phi^T, `(columns, columns)`; what is below its diagonal means nothing.
        with_targets: of w phi y^T, `(columns, k)`.
        features: of w phi, `(columns,)`.
        targets: of w y, `(k,)`.
        weight: of w.
        lightest: the least w.
        largest: the largest phi . phi.
        images: how many there are.
        eps: the rounding of the features.
    """

    products: Float[Tensor, "columns columns"]
    with_targets: Float[Tensor, "columns k"]
    features: Float[Tensor, " columns"]
    targets: Float[Tensor, " k"]
    weight: float = 0.0
    lightest: float = float("inf")
    largest: float = 0.0
    images: int = 0
    eps: float = 0.0

    @classmethod
    def empty(cls, columns: int, targets: Float[Tensor, "n k"]) -> "NormalEquations":
        """Those of no image, for targets like these."""

        def zeros(*shape: int) -> Numbers:
            return targets.new_zeros(shape, dtype=torch.float64)

        k = targets.shape[1]
        return cls(zeros(columns, columns), zeros(columns, k), zeros(columns), zeros(k))

    def add(
        self, features: Float[Tensor, "m columns"], targets: Float[Tensor, "m k"], weights: Float[Tensor, " m"] | None
    ) -> None:
        """More images; None for weights of 1."""
        w = features.new_ones(len(features), dtype=torch.float64) if weights is None else weights.double()
        unit = w.mean()  # weights of any size are near 1 in the precision of the features
        weighted = features * (w / unit).sqrt()[:, None].to(features)
        for first in range(0, features.shape[1], BLOCK):
            rows = slice(first, first + BLOCK)
            self.products[rows, first:].add_(weighted[:, rows].T @ weighted[:, first:], alpha=float(unit))
        wide = features.double()
        self.with_targets += wide.T @ (w[:, None] * targets.double())
        self.features += w @ wide
        self.targets += w @ targets.double()
        self.weight += float(w.sum())
        self.lightest = min(self.lightest, float(w.min()))
        self.largest = max(self.largest, float(features.square().sum(1).max()))
        self.images += len(features)
        self.eps = torch.finfo(features.dtype).eps

    @property
    def scale(self) -> float:
        """The largest phi . phi; raises `InputError` where features are all zero or not finite."""
        return largest_entry(torch.tensor([[self.largest]], dtype=torch.float64))

    @property
    def least(self) -> float:
        """What rounding of the features makes of an eigenvalue of 0, over the scale."""
        return 8 * self.images**0.5 * self.eps * self.lightest

    def to_tensors(self) -> dict[str, Numbers]:
        """All of it by name."""
        return {
            name: value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
            for name, value in vars(self).items()
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Numbers], device: torch.device) -> "NormalEquations":
        """Those of which `to_tensors` were."""
        there = {name: value.to(device) for name, value in tensors.items()}
        return cls(
            products=there["products"],
            with_targets=there["with_targets"],
            features=there["features"],
            targets=there["targets"],
            weight=float(there["weight"]),
            lightest=float(there["lightest"]),
            largest=float(there["largest"]),
            images=int(there["images"]),
            eps=float(there["eps"]),
        )


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
        progress: is told how many batches of how many were met.
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
        progress: Progress | None = None,
    ) -> None:
        self._targets = targets.double()
        self._weights = self._targets.new_ones(len(targets)) if weights is None else weights.double()
        self.intercept = equations.targets / equations.weight if centered else None
        self._scale = equations.scale
        values, self._vectors = torch.linalg.eigh(equations.products, UPLO="U")
        self._values = (values / self._scale).clamp_min(0)
        moment, remainder = equations.with_targets, self._targets
        if self.intercept is not None:
            remainder = about(self._targets, self.intercept)
            moment = torch.where(remainder.any(0), moment - equations.features[:, None] * self.intercept, 0)
        both = torch.cat([moment, equations.features[:, None]], 1)  # of the targets, and of a constant
        self._projected = self._vectors.T @ both / self._scale
        self._remainder = remainder
        self._moves = torch.zeros_like(remainder)
        if centered:
            self._moves = mean_moves(remainder, self._weights, groups)
        self._ridges = list(ridges)
        self._penalties = self._values.new_tensor([max(ridge, equations.least) for ridge in ridges])
        self._kept, self._left_out = (self._targets.new_zeros(len(ridges), *targets.shape) for _ in range(2))
        self._variances = self._targets.new_zeros(len(ridges), len(targets))
        vectors = self._vectors
        for number, rows in enumerate(batches, 1):
            phi = features(rows)
            vectors = vectors.to(phi)  # once, for the first batch
            rotated = (phi @ vectors).double()
            self._meet(rotated, rows, None if groups is None else groups[rows])
            if progress:
                progress(number, len(batches))

    def coefs(self, ridges: Sequence[float]) -> list[Float[Tensor, "columns k"]]:
        """For every ridge, the coefficients of the features."""
        return [self._vectors @ self._in_basis(self._ridges.index(ridge))[:, :-1] for ridge in ridges]

    def fitted(self, ridge: float) -> Float[Tensor, "n k"]:
        """Predictions on the training images."""
        return self._targets - self._kept[self._ridges.index(ridge)]

    def leave_one_out(self, ridges: Sequence[float]) -> list[Float[Tensor, "n k"]]:
        """For every ridge and every training image, the prediction of the fit to all others, or to all other groups."""
        return [self._targets - self._left_out[self._ridges.index(ridge)] for ridge in ridges]

    def amplitude(self, ridge: float) -> Float[Tensor, " k"]:
        """The variance of every output as a Gaussian process; see `exact.RidgePath`."""
        at = self._ridges.index(ridge)
        squares = self._left_out[at].square() / self._variances[at, :, None]
        return self._weights @ squares / self._weights.sum()

    def _in_basis(self, number: int) -> Float[Tensor, "columns k_and_1"]:
        return self._projected / (self._values + self._penalties[number])[:, None]

    def _meet(
        self, rotated: Float[Tensor, "m columns"], rows: Int[Tensor, " m"], groups: Int[Tensor, " m"] | None
    ) -> None:
        """What remains of these images' targets, for every ridge."""
        outputs = (rotated @ torch.cat([self._in_basis(number) for number in range(len(self._ridges))], 1)).unflatten(
            1, (len(self._ridges), -1)
        )
        kept = self._remainder[rows, None] - outputs[..., :-1]
        leaving = (kept + self._moves[rows, None] * (1 - outputs[..., -1:])).transpose(0, 1)
        self._kept[:, rows] = kept.transpose(0, 1)
        shares = 1 / (self._values[:, None] + self._penalties) / self._scale
        for together in members_by_size(groups, len(rows)):
            met, weights = rotated[together], self._weights[rows[together]]
            for number, leverages in enumerate(_leverages(met, shares)):
                inverse = _inverse_of_rest(leverages * weights[:, None, :])
                self._left_out[number, rows[together]] = inverse @ leaving[number, together]
                variances = inverse.diagonal(dim1=-2, dim2=-1) / weights
                self._variances[number, rows[together]] = self._penalties[number] * variances


def _leverages(
    met: Float[Tensor, "groups size columns"], shares: Float[Tensor, "columns ridges"]
) -> Iterator[Float[Tensor, "groups size size"]]:
    """For every ridge, how images that are left out together bear on each other, but for their weights."""
    if met.shape[1] == 1:
        yield from (met[:, 0].square() @ shares).T[:, :, None, None]
    else:
        yield from ((met * share) @ met.mT for share in shares.T)


def _inverse_of_rest(leverages: Float[Tensor, "*n size size"]) -> Float[Tensor, "*n size size"]:
    """(1 - H)^-1."""
    rest = torch.eye(leverages.shape[-1]).to(leverages) - leverages
    return 1 / rest.clamp_min(torch.finfo(rest.dtype).eps) if rest.shape[-1] == 1 else torch.linalg.inv(rest)

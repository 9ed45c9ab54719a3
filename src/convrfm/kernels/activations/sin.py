"""The sine, as `stax.Sin` of Neural Tangents."""

import math
from dataclasses import dataclass

import torch
from typing_extensions import override

from ..scales import check_finite
from .activation import Activation, Values, square_of_difference


@dataclass(frozen=True)
class Sin(Activation):
    """a sin(b t + c).

    With x and z the two Gaussians, 2 sin(b x + c) sin(b z + c) = cos(b (x - z)) - cos(b (x + z) + 2 c), and the mean of
    cos(t) is exp(-variance / 2). So K = (a^2 / 2) (`near` - cos(2 c) `far`), with
    near, far = exp(-b^2 (qx + qz -+ 2 s) / 2).

    Args:
        a: amplitude.
        b: frequency.
        c: phase.
    """

    a: float = 1.0
    b: float = 1.0
    c: float = 0.0

    def __post_init__(self) -> None:
        check_finite(a=self.a, b=self.b, c=self.c)

    @override
    def phi(self, t: Values) -> Values:
        return self.a * torch.sin(self.b * t + self.c)

    @override
    def dual(self, s: Values, qx: Values, qz: Values) -> tuple[Values, Values]:
        near, far = self._waves(s, qx, qz)
        square, share = self.b**2, math.cos(2 * self.c)
        # near - far to all its digits, where both are nearly one too
        apart = torch.where(
            s >= 0,
            near * -torch.expm1(-2 * square * s.clamp(min=0)),
            far * torch.expm1(2 * square * s.clamp(max=0)),
        )
        return 2 * math.sin(self.c) ** 2 * near + share * apart, square * (near + share * far)

    @override
    def pullback(
        self, s: Values, qx: Values, qz: Values, K_bar: Values, k0_bar: Values | None
    ) -> tuple[Values, Values]:
        # Where both coincide, or are opposite, the adjoints of s and qx cancel each other: left out, as in `Rbf`.
        near, far = (
            torch.where(square_of_difference(sign * s, qx, qz) > 0, wave, 0)
            for sign, wave in zip((1, -1), self._waves(s, qx, qz), strict=True)
        )
        square = self.b**2
        by_near = K_bar if k0_bar is None else K_bar + square * k0_bar
        by_far = -K_bar if k0_bar is None else square * k0_bar - K_bar
        by_near, by_far = by_near * near, math.cos(2 * self.c) * by_far * far
        return square * (by_near - by_far), -0.5 * square * (by_near + by_far)

    def _waves(self, s: Values, qx: Values, qz: Values) -> tuple[Values, Values]:
        """`near` and `far` with the factor that they share in K."""
        size, rate = self.a**2 / 2, self.b**2 / 2
        near, far = (size * torch.exp(-rate * square_of_difference(sign * s, qx, qz)) for sign in (1, -1))
        return near, far

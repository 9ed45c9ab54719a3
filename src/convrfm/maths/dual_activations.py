r"""Dual activations: `E[phi(a) phi(b)]` and `E[phi'(a) phi'(b)]` for Gaussian (a, b), with closed-form derivatives.

(a, b) is centered with covariance `[[qx, s], [s, qz]]`. `dual` gives the value K and the derivative dual `k0`, which
is also `dK/ds` (Price's theorem). `pullback` takes adjoints of K and k0 to adjoints of s and qx; qz follows by
symmetry. `on_diagonal` is `dual` where a = b, `diagonal_slope` the derivative of its first value.

ReLU family: Cho and Saul, "Kernel methods for deep learning" (2009). Erf: Williams, "Computing with infinite networks"
(1997). GELU: by Stein's lemma, and checked by quadrature in the tests.
"""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

Values = Float[Tensor, "..."]


@runtime_checkable
class DualActivation(Protocol):
    """What a kernel's recursion needs of an activation."""

    def dual(self, s: Values, qx: Values, qz: Values) -> tuple[Values, Values]:
        """K and k0 at covariance s and variances qx, qz (broadcast against each other)."""

    def pullback(
        self, s: Values, qx: Values, qz: Values, K_bar: Values, k0_bar: Values | None
    ) -> tuple[Values, Values]:
        """Adjoints of s and qx from those of K and k0 (None: zero)."""

    def on_diagonal(self, q: Values) -> tuple[Values, Values]:
        """K and k0 at s = qx = qz = q, exactly."""

    def diagonal_slope(self, q: Values) -> Values:
        """The derivative of K(q, q, q) with respect to q."""


class PiecewiseLinear:
    """phi(t) = a min(t, 0) + b max(t, 0). A zero patch has no direction: its correlation is taken as 0."""

    a: float
    b: float

    def dual(self, s: Values, qx: Values, qz: Values) -> tuple[Values, Values]:  # noqa: D102
        norm, _, angle, sine = _polar(s, qx, qz)
        k0 = self.mean_square - self.jump * angle
        return (sine * norm).mul_(self.jump).addcmul_(k0, s), k0

    def pullback(  # noqa: D102
        self, s: Values, qx: Values, qz: Values, K_bar: Values, k0_bar: Values | None
    ) -> tuple[Values, Values]:
        norm, r, angle, sine = _polar(s, qx, qz)
        s_bar = K_bar * (self.mean_square - self.jump * angle)
        qx_bar = K_bar * norm * sine
        if k0_bar is not None:
            # The derivative of the angle is singular where two patches coincide: its midpoint there is zero.
            smooth = sine.square() > 8 * torch.finfo(s.dtype).eps
            by_angle = torch.where(smooth, k0_bar / sine, 0)
            s_bar += self.jump * by_angle * _reciprocal(norm)
            qx_bar -= by_angle * r
        return s_bar, qx_bar * (0.5 * self.jump * _reciprocal(qx))

    def on_diagonal(self, q: Values) -> tuple[Values, Values]:  # noqa: D102
        return self.mean_square * q, torch.full_like(q, self.mean_square)

    def diagonal_slope(self, q: Values) -> Values:  # noqa: D102
        return torch.full_like(q, self.mean_square)

    @property
    def mean_square(self) -> float:
        """(a^2 + b^2) / 2: k0 where the angle is 0."""
        return (self.a**2 + self.b**2) / 2

    @property
    def jump(self) -> float:
        """(a - b)^2 / (2 pi): how fast k0 falls with the angle."""
        return (self.a - self.b) ** 2 / (2 * math.pi)


@dataclass(frozen=True)
class ABReLU(PiecewiseLinear):
    """a min(t, 0) + b max(t, 0)."""

    a: float
    b: float


@dataclass(frozen=True)
class ReLU(PiecewiseLinear):
    """sqrt(2) max(t, 0): the factor keeps the variance."""

    a = 0.0
    b = math.sqrt(2)


@dataclass(frozen=True)
class LeakyReLU(PiecewiseLinear):
    """max(t, slope t), not rescaled."""

    slope: float = 0.01
    b = 1.0

    @property
    def a(self) -> float:  # type: ignore[override]
        """The slope on the left."""
        return self.slope


@dataclass(frozen=True)
class Erf:
    """The error function."""

    def dual(self, s: Values, qx: Values, qz: Values) -> tuple[Values, Values]:  # noqa: D102
        A, B = 1 + 2 * qx, 1 + 2 * qz
        return (2 / math.pi) * torch.asin(2 * s / torch.sqrt(A * B)), (4 / math.pi) * torch.rsqrt(A * B - 4 * s * s)

    def pullback(  # noqa: D102
        self, s: Values, qx: Values, qz: Values, K_bar: Values, k0_bar: Values | None
    ) -> tuple[Values, Values]:
        A, B = 1 + 2 * qx, 1 + 2 * qz
        root = torch.rsqrt(A * B - 4 * s * s)
        s_bar = K_bar * ((4 / math.pi) * root)
        qx_bar = s_bar * (-s / A)
        if k0_bar is not None:
            steep = k0_bar * ((4 / math.pi) * root**3)
            s_bar += steep * (4 * s)
            qx_bar -= steep * B
        return s_bar, qx_bar

    def on_diagonal(self, q: Values) -> tuple[Values, Values]:  # noqa: D102
        return (2 / math.pi) * torch.asin(2 * q / (1 + 2 * q)), (4 / math.pi) * torch.rsqrt(1 + 4 * q)

    def diagonal_slope(self, q: Values) -> Values:  # noqa: D102
        return (4 / math.pi) * torch.rsqrt(1 + 4 * q) / (1 + 2 * q)


@dataclass(frozen=True)
class GELU:
    """t Phi(t) with the exact Gaussian distribution function."""

    def dual(self, s: Values, qx: Values, qz: Values) -> tuple[Values, Values]:  # noqa: D102
        A, B = 1 + qx, 1 + qz
        D = A * B - s * s
        P, E = self._orthant(s, A, B, D)
        g = 1 / A + 1 / B - 1
        N = qx * qz + s * s * g
        return s * P + E * N, P + E * s * (1 + 2 * g + N / D)

    def pullback(  # noqa: D102
        self, s: Values, qx: Values, qz: Values, K_bar: Values, k0_bar: Values | None
    ) -> tuple[Values, Values]:
        A, B = 1 + qx, 1 + qz
        D = A * B - s * s
        P, E = self._orthant(s, A, B, D)
        g = 1 / A + 1 / B - 1
        N = qx * qz + s * s * g
        N_q = qz - (s / A) ** 2
        R = 1 + 2 * g + N / D
        s_bar = K_bar * (P + E * s * R)
        qx_bar = K_bar * (E * (N_q - s * s / (2 * A) - B * N / (2 * D)))
        if k0_bar is not None:
            R_s = 2 * s * (g + N / D) / D
            R_q = (N_q - N * B / D) / D - 2 / A**2
            s_bar += k0_bar * (E * (1 + R + s * (s * R / D + R_s)))
            qx_bar += k0_bar * (E * s * (R_q - 1 / (2 * A) - B * R / (2 * D)))
        return s_bar, qx_bar

    def on_diagonal(self, q: Values) -> tuple[Values, Values]:  # noqa: D102
        return self.dual(q, q, q)

    def diagonal_slope(self, q: Values) -> Values:  # noqa: D102
        one = torch.ones_like(q)
        s_bar, q_bar = self.pullback(q, q, q, one, None)
        return s_bar + 2 * q_bar

    @staticmethod
    def _orthant(s: Values, A: Values, B: Values, D: Values) -> tuple[Values, Values]:
        """E[Phi(a) Phi(b)] and E[phi(a) phi(b)] with the Gaussian density phi."""
        P = 0.25 + torch.asin(s * torch.rsqrt(A * B)) / (2 * math.pi)
        return P, torch.rsqrt(D) / (2 * math.pi)


def _polar(s: Values, qx: Values, qz: Values) -> tuple[Values, Values, Values, Values]:
    """The product of the norms, and the cosine, the angle and the sine between the two patches."""
    norm = torch.sqrt(qx) * torch.sqrt(qz)
    r = (s * _reciprocal(norm)).clamp_(-1, 1)
    # Patches that differ by rounding alone coincide: otherwise the angle between a patch and itself would be sqrt(eps).
    r = torch.where(1 - r.abs() < 4 * torch.finfo(r.dtype).eps, r.sign(), r)
    return norm, r, torch.arccos(r), torch.sqrt((1 - r) * (1 + r))


def _reciprocal(q: Values) -> Values:
    return torch.where(q > 0, 1 / q, 0)

"""Activations that are linear on either side of zero: Cho and Saul, "Kernel methods for deep learning" (2009)."""

import math
from abc import abstractmethod
from typing import Any

import torch
from typing_extensions import override

from ...maths.singular import angle_and_sine, reciprocal, root
from ..lanes.polynomials import angle_and_sine as angle_and_sine_of_lanes
from ..lanes.vectors import inlined, where_less, zero
from .activation import Values
from .lane_activation import LaneActivation, LaneFormulas, Variances


@inlined
def dual_of_lanes(met: Any) -> Any:
    """K and k0."""
    angle, sine = angle_and_sine_of_lanes(met.s * (met.z_inverse * met.x_inverse))
    mean_square, jump = met.first, met.second
    k0 = mean_square - jump * angle
    return jump * sine * (met.z_norm * met.x_norm) + k0 * met.s, k0


@inlined
def pullback_of_lanes(met: Any, K_bar: Any, k0_bar: Any, tiny: Any) -> Any:
    """k0, and the adjoints of s and qx; a singular angle counts as its midpoint, zero."""
    mean_square, jump, vx = met.first, met.second, met.x_inverse
    n, v = met.x_norm * met.z_norm, vx * met.z_inverse
    r = met.s * v
    angle, sine = angle_and_sine_of_lanes(r)
    k0 = mean_square - jump * angle
    by_angle = where_less(zero(r) + tiny, sine * sine, k0_bar / sine, zero(r))
    return k0, K_bar * k0 + jump * v * by_angle, (K_bar * n * sine - by_angle * r) * (vx * vx * (0.5 * jump))


class PiecewiseLinear(LaneActivation):
    """phi(t) = a min(t, 0) + b max(t, 0). A zero patch has no direction: its correlation is taken as 0."""

    formulas = LaneFormulas(dual_of_lanes, pullback_of_lanes)

    @property
    @abstractmethod
    def slopes(self) -> tuple[float, float]:
        """a and b."""

    @property
    def mean_square(self) -> float:
        """(a^2 + b^2) / 2: k0 where the angle is 0."""
        a, b = self.slopes
        return (a**2 + b**2) / 2

    @property
    def jump(self) -> float:
        """(a - b)^2 / (2 pi): how fast k0 falls with the angle."""
        a, b = self.slopes
        return (a - b) ** 2 / (2 * math.pi)

    @override
    def phi(self, t: Values) -> Values:
        a, b = self.slopes
        above = t.clamp_min(0).mul_(b)
        return above.add_(t.clamp_max(0), alpha=a) if a else above

    @override
    def derivative(self, t: Values) -> Values:
        a, b = self.slopes
        return torch.where(t > 0, t.new_tensor(b), t.new_tensor(a)).where(t != 0, (a + b) / 2)

    @override
    def second_derivative(self, t: Values, resolution: Values) -> Values:
        a, b = self.slopes
        inverse = reciprocal(resolution)
        return torch.exp(-0.5 * (t * inverse).square()) * inverse * ((b - a) / math.sqrt(2 * math.pi))

    @override
    def dual(self, s: Values, qx: Values, qz: Values) -> tuple[Values, Values]:
        norm, _, angle, sine = _polar(s, qx, qz)
        k0 = self.mean_square - self.jump * angle
        return (sine * norm).mul_(self.jump).addcmul_(k0, s), k0

    @override
    def pullback(
        self, s: Values, qx: Values, qz: Values, K_bar: Values, k0_bar: Values | None
    ) -> tuple[Values, Values]:
        norm, r, angle, sine = _polar(s, qx, qz)
        s_bar = K_bar * (self.mean_square - self.jump * angle)
        qx_bar = K_bar * norm * sine
        if k0_bar is not None:
            # The derivative of the angle is singular where two patches coincide: its midpoint there is zero.
            smooth = sine.square() > 8 * torch.finfo(s.dtype).eps
            by_angle = torch.where(smooth, k0_bar / sine, 0)
            s_bar += self.jump * by_angle * reciprocal(norm)
            qx_bar -= by_angle * r
        return s_bar, qx_bar * (0.5 * self.jump * reciprocal(qx))

    @override
    def on_diagonal(self, q: Values) -> tuple[Values, Values]:
        return self.mean_square * q, torch.full_like(q, self.mean_square)

    @override
    def diagonal_slope(self, q: Values) -> Values:
        return torch.full_like(q, self.mean_square)

    @property
    @override
    def constants(self) -> tuple[float, float]:
        return self.mean_square, self.jump

    @override
    def norm_and_inverse_root(self, q: Variances) -> tuple[Variances, Variances]:
        norm = q.sqrt()
        return norm, torch.where(norm > 0, 1 / norm, 0)


def _polar(s: Values, qx: Values, qz: Values) -> tuple[Values, Values, Values, Values]:
    """The product of the norms, and the cosine, the angle and the sine between the two patches."""
    norm = root(qx) * root(qz)
    r = (s * reciprocal(norm)).clamp_(-1, 1)
    # Patches that differ by rounding alone coincide: otherwise the angle between a patch and itself would be sqrt(eps).
    r = torch.where(1 - r.abs() < 4 * torch.finfo(r.dtype).eps, r.sign(), r)
    return norm, r, *angle_and_sine(r)

"""The error function: Williams, "Computing with infinite networks" (1997)."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from typing_extensions import override

from ..lanes.polynomials import PI, angle_and_sine
from ..lanes.vectors import inlined
from .activation import Values
from .lane_activation import LaneActivation, LaneFormulas, Variances


@inlined
def dual_of_lanes(met: Any) -> Any:
    """K and k0."""
    v = met.z_inverse * met.x_inverse
    angle, cosine = angle_and_sine(2.0 * met.s * v)
    return (2.0 / PI) * (0.5 * PI - angle), (4.0 / PI) * v / cosine


@inlined
def pullback_of_lanes(met: Any, K_bar: Any, k0_bar: Any, tiny: Any) -> Any:
    """k0, and the adjoints of s and qx."""
    s, vx = met.s, met.x_inverse
    v = vx * met.z_inverse
    _, cosine = angle_and_sine(2.0 * s * v)
    root = v / cosine
    k0 = (4.0 / PI) * root
    smooth = K_bar * k0
    steep = k0_bar * k0 * root * root
    return k0, smooth + 4.0 * steep * s, 0.0 - smooth * s * vx * vx - steep * met.z_norm


@dataclass(frozen=True)
class Erf(LaneActivation):
    """The error function."""

    formulas = LaneFormulas(dual_of_lanes, pullback_of_lanes)
    cancels = True

    @override
    def phi(self, t: Values) -> Values:
        return torch.erf(t)

    @override
    def dual(self, s: Values, qx: Values, qz: Values) -> tuple[Values, Values]:
        A, B = 1 + 2 * qx, 1 + 2 * qz
        return (2 / math.pi) * torch.asin(2 * s / torch.sqrt(A * B)), (4 / math.pi) * torch.rsqrt(A * B - 4 * s * s)

    @override
    def pullback(
        self, s: Values, qx: Values, qz: Values, K_bar: Values, k0_bar: Values | None
    ) -> tuple[Values, Values]:
        A, B = 1 + 2 * qx, 1 + 2 * qz
        root = torch.rsqrt(A * B - 4 * s * s)
        k0 = (4 / math.pi) * root
        s_bar, qx_bar = K_bar * k0, K_bar * (k0 * (-s / A))
        if k0_bar is None:
            return s_bar, qx_bar
        steep = k0_bar * (k0 * root**2)
        return s_bar + steep * (4 * s), qx_bar - steep * B

    @override
    def on_diagonal(self, q: Values) -> tuple[Values, Values]:
        return (2 / math.pi) * torch.asin(2 * q / (1 + 2 * q)), (4 / math.pi) * torch.rsqrt(1 + 4 * q)

    @override
    def diagonal_slope(self, q: Values) -> Values:
        return (4 / math.pi) * torch.rsqrt(1 + 4 * q) / (1 + 2 * q)

    @override
    def norm_and_inverse_root(self, q: Variances) -> tuple[Variances, Variances]:
        return 1 + 2 * q, torch.rsqrt(1 + 2 * q)

"""The Gaussian error linear unit, by Stein's lemma."""

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
    """K and k0, with g = 1 / (1 + qx) + 1 / (1 + qz) - 1."""
    s, vx, vz = met.s, met.x_inverse, met.z_inverse
    v, g = vz * vx, vz * vz + vx * vx - 1.0
    angle, cosine = angle_and_sine(s * v)
    P = 0.25 + (0.5 * PI - angle) * (0.5 / PI)
    root = v / cosine
    E = root * (0.5 / PI)
    N = met.x_norm * met.z_norm + s * s * g
    return s * P + E * N, P + E * s * (1.0 + 2.0 * g + N * root * root)


@inlined
def pullback_of_lanes(met: Any, K_bar: Any, k0_bar: Any, tiny: Any) -> Any:
    """k0, and the adjoints of s and qx."""
    s, qx, qz, vx, vz = met.s, met.x_norm, met.z_norm, met.x_inverse, met.z_inverse
    v, g = vx * vz, vx * vx + vz * vz - 1.0
    angle, cosine = angle_and_sine(s * v)
    P = 0.25 + (0.5 * PI - angle) * (0.5 / PI)
    root = v / cosine
    E, D_inverse = root * (0.5 / PI), root * root
    A_inverse = vx * vx
    B = 1.0 + qz
    N = qx * qz + s * s * g
    R = 1.0 + 2.0 * g + N * D_inverse
    k0 = P + E * s * R
    N_q = qz - s * s * A_inverse * A_inverse
    R_s = 2.0 * s * (g + N * D_inverse) * D_inverse
    R_q = (N_q - N * B * D_inverse) * D_inverse - 2.0 * A_inverse * A_inverse
    s_bar = K_bar * k0 + k0_bar * (E * (1.0 + R + s * (s * R * D_inverse + R_s)))
    by_value = N_q - 0.5 * s * s * A_inverse - 0.5 * B * N * D_inverse
    by_slope = s * (R_q - 0.5 * A_inverse - 0.5 * B * R * D_inverse)
    return k0, s_bar, E * (K_bar * by_value + k0_bar * by_slope)


@dataclass(frozen=True)
class GELU(LaneActivation):
    """t Phi(t) with the exact Gaussian distribution function."""

    formulas = LaneFormulas(dual_of_lanes, pullback_of_lanes)
    cancels = True

    @override
    def phi(self, t: Values) -> Values:
        return t * torch.special.ndtr(t)

    @override
    def dual(self, s: Values, qx: Values, qz: Values) -> tuple[Values, Values]:
        A, B = 1 + qx, 1 + qz
        D = A * B - s * s
        P, E = _orthant(s, A, B, D)
        g = 1 / A + 1 / B - 1
        N = qx * qz + s * s * g
        return s * P + E * N, P + E * s * (1 + 2 * g + N / D)

    @override
    def pullback(
        self, s: Values, qx: Values, qz: Values, K_bar: Values, k0_bar: Values | None
    ) -> tuple[Values, Values]:
        A, B = 1 + qx, 1 + qz
        D = A * B - s * s
        P, E = _orthant(s, A, B, D)
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

    @override
    def norm_and_inverse_root(self, q: Variances) -> tuple[Variances, Variances]:
        return q, torch.rsqrt(1 + q)


def _orthant(s: Values, A: Values, B: Values, D: Values) -> tuple[Values, Values]:
    """E[Phi(a) Phi(b)] and E[phi(a) phi(b)] with the Gaussian density phi."""
    P = 0.25 + torch.asin(s * torch.rsqrt(A * B)) / (2 * math.pi)
    return P, torch.rsqrt(D) / (2 * math.pi)

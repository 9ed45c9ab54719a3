"""Dual activations on `Lanes`: the formulas of `maths.dual_activations`, with each image's share made beforehand.

What an activation needs of one image's variance q is two numbers per position, its *norm* and its *inverse root*, so
that no pair divides by anything on the way forward:

    family              norm        inverse root
    PIECEWISE_LINEAR    sqrt(q)     1 / sqrt(q), 0 for a zero patch
    ERF                 1 + 2 q     1 / sqrt(1 + 2 q)
    GELU                q           1 / sqrt(1 + q)

`n` below is the product of the norms for the piecewise-linear family; `v` the product of the inverse roots for all.
"""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ....maths.dual_activations import GELU, ABReLU, Erf, LeakyReLU, ReLU
from ...lanes.polynomials import PI, angle_and_sine
from ...lanes.vectors import inlined, where_less, zero

Activation = ReLU | ABReLU | LeakyReLU | Erf | GELU

START, NONE, PIECEWISE_LINEAR, ERF, GAUSSIAN_ERROR = range(5)  # START: a covariance that no layer has met


def family(activation: Activation | None) -> tuple[int, float, float]:
    """Which formulas serve an activation, and their constants: (a^2 + b^2) / 2 and (a - b)^2 / (2 pi)."""
    if activation is None:
        return NONE, 0.0, 0.0
    if isinstance(activation, Erf):
        return ERF, 0.0, 0.0
    if isinstance(activation, GELU):
        return GAUSSIAN_ERROR, 0.0, 0.0
    a, b = activation.a, activation.b
    return PIECEWISE_LINEAR, (a * a + b * b) / 2, (a - b) ** 2 / (2 * math.pi)


def norm_and_inverse_root(
    activation: Activation, q: Float[Tensor, "n rows cols"]
) -> tuple[Float[Tensor, "n rows cols"], Float[Tensor, "n rows cols"]]:
    """One image's share of the formulas, at every position."""
    if isinstance(activation, Erf):
        return 1 + 2 * q, torch.rsqrt(1 + 2 * q)
    if isinstance(activation, GELU):
        return q, torch.rsqrt(1 + q)
    norm = q.sqrt()
    return norm, torch.where(norm > 0, 1 / norm, 0)


@inlined
def piecewise_linear(s: Any, n: Any, v: Any, mean_square: Any, jump: Any) -> Any:
    """K and k0."""
    angle, sine = angle_and_sine(s * v)
    k0 = mean_square - jump * angle
    return jump * sine * n + k0 * s, k0


@inlined
def piecewise_linear_pullback(
    s: Any, n: Any, v: Any, vx: Any, mean_square: Any, jump: Any, K_bar: Any, k0_bar: Any, tiny: Any
) -> Any:
    """k0, and the adjoints of s and qx; a singular angle counts as its midpoint, zero."""
    r = s * v
    angle, sine = angle_and_sine(r)
    k0 = mean_square - jump * angle
    by_angle = where_less(zero(r) + tiny, sine * sine, k0_bar / sine, zero(r))
    return k0, K_bar * k0 + jump * v * by_angle, (K_bar * n * sine - by_angle * r) * (vx * vx * (0.5 * jump))


@inlined
def erf(s: Any, v: Any) -> Any:
    """K and k0."""
    r = 2.0 * s * v
    angle, cosine = angle_and_sine(r)
    return (2.0 / PI) * (0.5 * PI - angle), (4.0 / PI) * v / cosine


@inlined
def erf_pullback(s: Any, nz: Any, v: Any, vx: Any, K_bar: Any, k0_bar: Any) -> Any:
    """k0, and the adjoints of s and qx."""
    _, cosine = angle_and_sine(2.0 * s * v)
    root = v / cosine
    k0 = (4.0 / PI) * root
    smooth = K_bar * k0
    steep = k0_bar * k0 * root * root
    return k0, smooth + 4.0 * steep * s, 0.0 - smooth * s * vx * vx - steep * nz


@inlined
def gelu(s: Any, qx: Any, qz: Any, v: Any, g: Any) -> Any:
    """K and k0, with g = 1 / (1 + qx) + 1 / (1 + qz) - 1."""
    angle, cosine = angle_and_sine(s * v)
    P = 0.25 + (0.5 * PI - angle) * (0.5 / PI)
    root = v / cosine
    E = root * (0.5 / PI)
    N = qx * qz + s * s * g
    return s * P + E * N, P + E * s * (1.0 + 2.0 * g + N * root * root)


@inlined
def gelu_pullback(s: Any, qx: Any, qz: Any, v: Any, vx: Any, g: Any, K_bar: Any, k0_bar: Any) -> Any:
    """k0, and the adjoints of s and qx."""
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

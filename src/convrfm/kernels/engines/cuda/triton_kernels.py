"""One layer of the recursion, and of its adjoint, for all pairs of a tile: Triton programs.

Fields are position-major, `(positions, n_x n_z)`: a program holds one position of a block of pairs, so that the
positions that its window meets are scalars and every load is contiguous. Roots and reciprocal roots of the variances
are `(positions, n)`. The arc cosine and the sine come from one square root and two polynomials (largest relative error
3e-9), which also run under Triton's interpreter.
"""

from typing import Any, no_type_check

import triton
import triton.language as tl

BLOCK = 256


@triton.jit
@no_type_check  # Triton compiles the source: nothing may be wrapped around it
def _angle_and_sine(r: Any) -> Any:
    a = tl.abs(r)
    w = tl.sqrt(tl.where(1.0 - a < 4.76e-7, 0.0, 1.0 - a))  # patches that differ by rounding alone coincide
    p = 0.00070917150028 * a - 0.0040737465340
    p = p * a + 0.011190693060
    p = p * a - 0.020866181464
    p = p * a + 0.032636771964
    p = p * a - 0.050610487657
    p = p * a + 0.089032286451
    p = p * a - 0.21460126547
    p = (p * a + 1.5707963235) * w
    s = -0.00080427807346 * a + 0.0045943574316
    s = s * a - 0.012604597456
    s = s * a + 0.023690146834
    s = s * a - 0.037995727828
    s = s * a + 0.062318427664
    s = s * a - 0.12498424432
    s = s * a + 0.49999947112
    s = (s * a + 1.0000000029) * w
    return tl.where(r < 0, 3.141592653589793 - p, p), s


@triton.jit
@no_type_check
def _polar(
    S: Any, root_x: Any, root_z: Any, over_x: Any, over_z: Any, u: Any, p: Any, n_x: Any, n_z: Any, inside: Any
) -> Any:
    """Covariance, product of norms, its reciprocal, cosine, angle and sine at position u of the pairs p."""
    i = p // n_z
    j = p % n_z
    s = tl.load(S + u * n_x * n_z + p, mask=inside, other=0.0)
    norm = tl.load(root_x + u * n_x + i, mask=inside, other=0.0) * tl.load(root_z + u * n_z + j, mask=inside, other=0.0)
    over = tl.load(over_x + u * n_x + i, mask=inside, other=0.0) * tl.load(over_z + u * n_z + j, mask=inside, other=0.0)
    r = tl.minimum(tl.maximum(s * over, -1.0), 1.0)
    angle, sine = _angle_and_sine(r)
    return s, norm, over, r, angle, sine


@triton.jit
@no_type_check
def dual_then_window(
    S: Any, T: Any, root_x: Any, root_z: Any, over_x: Any, over_z: Any, taps: Any, S_out: Any, T_out: Any,
    n_x: Any, n_z: Any, mean_square: Any, jump: Any, scale: Any, bias: Any,
    TAPS: tl.constexpr, TANGENT: tl.constexpr, BLOCK: tl.constexpr,
) -> None:  # fmt: skip
    """An activation, then a convolution: `S_out = scale sum_window K + bias`, `T_out = S_out + scale sum T k0`."""
    place = tl.program_id(0)
    p = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    pairs = n_x * n_z
    inside = p < pairs
    K_sum = tl.zeros((BLOCK,), tl.float32)
    T_sum = tl.zeros((BLOCK,), tl.float32)
    for tap in range(TAPS):
        u = tl.load(taps + place * TAPS + tap)
        if u >= 0:
            s, norm, _, _, angle, sine = _polar(S, root_x, root_z, over_x, over_z, u, p, n_x, n_z, inside)
            k0 = mean_square - jump * angle
            K_sum += jump * norm * sine + k0 * s
            if TANGENT:
                T_sum += k0 * tl.load(T + u * pairs + p, mask=inside, other=0.0)
    s_out = scale * K_sum + bias
    tl.store(S_out + place * pairs + p, s_out, mask=inside)
    if TANGENT:
        tl.store(T_out + place * pairs + p, s_out + scale * T_sum, mask=inside)


@triton.jit
@no_type_check
def dual_then_mean(
    S: Any, T: Any, root_x: Any, root_z: Any, over_x: Any, over_z: Any, out: Any,
    n_x: Any, n_z: Any, mean_square: Any, jump: Any, scale: Any, bias: Any, positions: Any,
    TANGENT: tl.constexpr, BLOCK: tl.constexpr,
) -> None:  # fmt: skip
    """The last activation and the readout: `scale sum_u (K + T k0) + bias`."""
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = p < n_x * n_z
    total = tl.zeros((BLOCK,), tl.float32)
    for u in range(positions):
        s, norm, _, _, angle, sine = _polar(S, root_x, root_z, over_x, over_z, u, p, n_x, n_z, inside)
        k0 = mean_square - jump * angle
        total += jump * norm * sine + k0 * s
        if TANGENT:
            total += k0 * tl.load(T + u * n_x * n_z + p, mask=inside, other=0.0)
    tl.store(out + p, scale * total + bias, mask=inside)


@triton.jit
@no_type_check
def pull_back_dual(
    S: Any, T: Any, root_x: Any, root_z: Any, over_x: Any, over_z: Any, taps: Any, next_total: Any, next_T: Any,
    total: Any, T_bar_out: Any, q_bar: Any, n_x: Any, n_z: Any, mean_square: Any, jump: Any, scale: Any,
    coincident: Any,
    TAPS: tl.constexpr, LAST: tl.constexpr, TANGENT: tl.constexpr, BLOCK: tl.constexpr,
) -> None:  # fmt: skip
    """The adjoint of an activation and of what follows: a convolution, which `taps` transposes, or (LAST) the readout.

    `total` is the adjoint of the covariance S plus that of T, which is what the convolution before needs; `q_bar` that
    of x's variance. Where patches coincide (sine^2 below `coincident`) the singular term is zero, the midpoint.
    """
    u = tl.program_id(0)
    p = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    pairs = n_x * n_z
    inside = p < pairs
    K_bar = tl.zeros((BLOCK,), tl.float32)
    T_bar = tl.zeros((BLOCK,), tl.float32)
    if LAST:
        K_bar += scale
        T_bar += scale
    else:
        for tap in range(TAPS):
            place = tl.load(taps + u * TAPS + tap)
            if place >= 0:
                K_bar += scale * tl.load(next_total + place * pairs + p, mask=inside, other=0.0)
                if TANGENT:
                    T_bar += scale * tl.load(next_T + place * pairs + p, mask=inside, other=0.0)
    _, norm, over, r, angle, sine = _polar(S, root_x, root_z, over_x, over_z, u, p, n_x, n_z, inside)
    k0 = mean_square - jump * angle
    s_bar = K_bar * k0
    variance = K_bar * norm * sine
    if TANGENT:
        apart = sine * sine > coincident
        t = tl.load(T + u * pairs + p, mask=inside, other=0.0)
        by_angle = tl.where(apart, T_bar * t / tl.where(apart, sine, 1.0), 0.0)
        s_bar += jump * by_angle * over + T_bar * k0
        variance -= by_angle * r
        tl.store(T_bar_out + u * pairs + p, T_bar * k0, mask=inside)
    over_x_here = tl.load(over_x + u * n_x + p // n_z, mask=inside, other=0.0)
    tl.store(total + u * pairs + p, s_bar, mask=inside)
    tl.store(q_bar + u * pairs + p, 0.5 * jump * over_x_here * over_x_here * variance, mask=inside)

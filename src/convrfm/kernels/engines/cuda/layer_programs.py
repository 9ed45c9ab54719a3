"""One layer, or its adjoint, for all pairs of a tile: Triton programs for networks of any shape.

Fields are `(places, n_x n_z)`. A place is a position u, met by itself, or (PAIRED) a pair of positions (u, v) of the two
images, at `u positions + v`. Reciprocal norms are `(positions, images)`, `of_x` and `of_z` apart from one position to the next.
"""

from typing import no_type_check

import triton
import triton.language as tl

from .polar import by_angle, norm_of, polar

BLOCK = 256


@triton.jit
@no_type_check
def _reciprocal_norms(over_x, over_z, of_x, of_z, place, pair, n_z, positions, PAIRED: tl.constexpr):
    """Of x, and of both sides."""
    u = place
    v = place
    if PAIRED:
        u = place // positions
        v = place % positions
    over = tl.load(over_x + u * of_x + pair // n_z)
    return over, over * tl.load(over_z + v * of_z + pair % n_z)


@triton.jit(do_not_specialize=("S", "T", "K", "kT", "over_x", "over_z", "of_x", "of_z", "n_x", "n_z", "positions"))
@no_type_check
def activate(
    S, T, K, kT, over_x, over_z, of_x, of_z, n_x, n_z, positions, flat, jump,
    PAIRED: tl.constexpr, TANGENT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """K and T k0 of an activation of ReLU's kind."""
    place = tl.program_id(0)
    pair = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = pair < n_x * n_z
    pair = tl.minimum(pair, n_x * n_z - 1)
    at = place * (n_x * n_z) + pair
    _, over = _reciprocal_norms(over_x, over_z, of_x, of_z, place, pair, n_z, positions, PAIRED)
    cosine, rest, sine = polar(tl.load(S + at), over)
    k0 = flat + jump * rest
    if TANGENT:
        tl.store(kT + at, tl.load(T + at) * k0, mask=inside)
    tl.store(K + at, norm_of(over) * (jump * sine + k0 * cosine), mask=inside)


@triton.jit(
    do_not_specialize=(
        "S",
        "T",
        "K_bar",
        "T_bar",
        "q_bar",
        "over_x",
        "over_z",
        "of_x",
        "of_z",
        "n_x",
        "n_z",
        "positions",
    )
)
@no_type_check
def pull_back_activation(
    S, T, K_bar, T_bar, q_bar, over_x, over_z, of_x, of_z, n_x, n_z, positions, flat, jump,
    PAIRED: tl.constexpr, TANGENT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """In place, the adjoints of K and T k0 become those of S and T; and that of x's variance.

    Where patches coincide the singular term is zero, the midpoint.
    """
    place = tl.program_id(0)
    pair = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = pair < n_x * n_z
    pair = tl.minimum(pair, n_x * n_z - 1)
    at = place * (n_x * n_z) + pair
    over_here, over = _reciprocal_norms(over_x, over_z, of_x, of_z, place, pair, n_z, positions, PAIRED)
    cosine, rest, sine = polar(tl.load(S + at), over)
    k0 = flat + jump * rest
    K_here = tl.load(K_bar + at)
    s_bar = K_here * k0
    variance = K_here * norm_of(over) * sine
    if TANGENT:
        T_here = tl.load(T_bar + at)
        of_angle = by_angle(T_here * tl.load(T + at), sine)
        s_bar += jump * of_angle * over
        variance -= of_angle * cosine
        tl.store(T_bar + at, T_here * k0, mask=inside)
    tl.store(K_bar + at, s_bar, mask=inside)
    tl.store(q_bar + at, 0.5 * jump * over_here * over_here * variance, mask=inside)


@triton.jit(do_not_specialize=("S", "T", "S_out", "T_out", "taps", "pairs", "positions", "positions_out"))
@no_type_check
def add_up_windows(
    S, T, S_out, T_out, taps, pairs, positions, positions_out, scale, bias,
    TAPS: tl.constexpr, PAIRED: tl.constexpr, APART: tl.constexpr, TANGENT: tl.constexpr,
    SUMS_IN: tl.constexpr, SUMS_OUT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """`S_out = scale sum_window S + bias` and the same of T without the bias.

    The positions of a pair move together with a convolution's window, and each in a window of its own (APART) where they
    are pooled. SUMS_OUT: T_out gets S_out besides, as behind a convolution. SUMS_IN: S gets T first, as in its adjoint.
    """
    place = tl.program_id(0)
    pair = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = pair < pairs
    pair = tl.minimum(pair, pairs - 1)
    u_out = place
    v_out = place
    if PAIRED:
        u_out = place // positions_out
        v_out = place % positions_out
    S_sum = tl.zeros((BLOCK,), tl.float32)
    T_sum = tl.zeros((BLOCK,), tl.float32)
    for tap in range(TAPS * TAPS if APART else TAPS):
        at = tl.load(taps + u_out * TAPS + (tap // TAPS if APART else tap))
        other = at
        if PAIRED:
            other = tl.load(taps + v_out * TAPS + (tap % TAPS if APART else tap))
            at = tl.where((at >= 0) & (other >= 0), at * positions + other, -1)
        if at >= 0:
            s = tl.load(S + at * pairs + pair)
            if TANGENT:
                t = tl.load(T + at * pairs + pair)
                T_sum += t
                if SUMS_IN:
                    s += t
            S_sum += s
    s_out = scale * S_sum + bias
    tl.store(S_out + place * pairs + pair, s_out, mask=inside)
    if TANGENT:
        t_out = scale * T_sum
        if SUMS_OUT:
            t_out += s_out
        tl.store(T_out + place * pairs + pair, t_out, mask=inside)

"""The adjoint of an activation and of the convolution behind it, or of the readout, strip by strip."""

from typing import no_type_check

import triton
import triton.language as tl

from .polar import by_angle, norm_of, polar
from .walking import position, window_sums, zeros


@triton.jit
@no_type_check
def _next_column(field, pairs, top, col, rows, cols, COUNT: tl.constexpr):
    """A field at some rows of a column, zero outside its grid."""
    values = ()
    for r in tl.static_range(COUNT):
        there = (top + r >= 0) & (top + r < rows) & (col >= 0) & (col < cols)
        value = tl.load(field + position(top + r, col, rows, cols, True) * pairs)
        values = values + (tl.where(there, value, 0.0),)
    return values


@triton.jit(
    do_not_specialize=(
        "S",
        "T",
        "over_x",
        "over_z",
        "next_total",
        "next_T",
        "total",
        "T_bar_out",
        "q_bar",
        "n_x",
        "n_z",
        "of_x",
        "of_z",
        "rows",
        "cols",
        "next_rows",
        "next_cols",
        "before",
    )
)  # one compilation serves all sizes
@no_type_check
def backward_strips(
    S, T, over_x, over_z, next_total, next_T, total, T_bar_out, q_bar, n_x, n_z, of_x, of_z, rows, cols, next_rows, next_cols,
    before, scale, flat, jump,
    SIZE: tl.constexpr, FIRST: tl.constexpr, TANGENT: tl.constexpr, ROWS: tl.constexpr, 
    LANES: tl.constexpr,
):  # fmt: skip
    """Adjoints in front of an activation from those behind the convolution of side SIZE after it (0: the readout).

    `total` is the adjoint of the covariance S plus that of T, which is what the convolution before needs; `q_bar` that of
    the variance of either image, less a factor of this image alone. Where patches coincide the singular term is zero, the
    midpoint.
    """
    i = tl.program_id(0)
    j = tl.program_id(1) * LANES + tl.arange(0, LANES)
    inside = j < n_z
    j = tl.minimum(j, n_z - 1)
    pair = i * n_z + j
    pairs = n_x * n_z
    top = tl.minimum(tl.program_id(2) * ROWS, rows - ROWS)  # the last strip overlaps the one before
    nothing = tl.zeros((LANES,), tl.float32)
    waiting_K = ()
    waiting_T = ()
    if SIZE > 1:
        waiting_K = zeros(nothing, ROWS * (SIZE - 1))
        waiting_T = waiting_K
    lag = 0
    if SIZE > 1:
        lag = SIZE - 1
    for step in range(cols + lag):
        col = step - lag
        if SIZE > 0:
            column = _next_column(
                next_total + pair, pairs, top + before - lag, step + before - lag, next_rows, next_cols, ROWS + SIZE - 1
            )
            sums_K, waiting_K = window_sums(column, waiting_K, SIZE, ROWS)
            if TANGENT:
                column = _next_column(
                    next_T + pair, pairs, top + before - lag, step + before - lag, next_rows, next_cols, ROWS + SIZE - 1
                )
                sums_T, waiting_T = window_sums(column, waiting_T, SIZE, ROWS)
            else:
                sums_T = sums_K
        if col >= 0:
            for r in tl.static_range(ROWS):
                u = (top + r) * cols + col
                at = u * pairs + pair
                over = tl.load(over_x + i + u * of_x) * tl.load(over_z + j + u * of_z)
                cosine, rest, sine = polar(tl.load(S + at), over)
                k0 = flat + jump * rest
                if SIZE > 0:
                    K_bar = scale * sums_K[r]
                    T_bar = scale * sums_T[r]
                else:
                    K_bar = scale
                    T_bar = scale
                s_bar = K_bar * k0
                variance = K_bar * norm_of(over) * sine
                if TANGENT:
                    of_angle = by_angle(T_bar * tl.load(T + at), sine)
                    s_bar += jump * of_angle * over + T_bar * k0
                    variance -= of_angle * cosine
                    if not FIRST:
                        tl.store(T_bar_out + at, T_bar * k0, mask=inside)
                tl.store(total + at, s_bar, mask=inside)
                tl.store(q_bar + at, variance, mask=inside)

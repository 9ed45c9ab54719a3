"""Several layers at once for blocks of pairs of images, strip by strip: the forward program.

Fields are position-major, `(positions, n_x n_z)`, so that every lane is one pair of images and loads are contiguous. A
program takes a block of pairs and a strip of rows of the last grid, and walks along the columns of the first: at every
column it computes each layer's activation once for as many rows as the strip still needs there, adds up windows down the
column, and keeps along the rows only what later columns still wait for. All of it stays in registers.
"""

from typing import no_type_check

import triton
import triton.language as tl

from .polar import norm_of, polar
from .walking import position, window_sums, zeros


@triton.jit
@no_type_check
def _activations(
    S, T, over_x, over_z, of_x, of_z, top, col, rows, cols,
    flat, jump, COUNT: tl.constexpr, TANGENT: tl.constexpr, ZEROS: tl.constexpr,
):  # fmt: skip
    """K and T k0 at some rows of a column; outside the grid zero (ZEROS), otherwise of no meaning."""
    K_out = ()
    T_out = ()
    for r in tl.static_range(COUNT):
        u = position(top + r, col, rows, cols, ZEROS)
        over = tl.load(over_x + u * of_x) * tl.load(over_z + u * of_z)
        cosine, rest, sine = polar(S[r], over)
        k0 = flat + jump * rest
        K = norm_of(over) * (jump * sine + k0 * cosine)
        kT = T[r] * k0 if TANGENT else K
        if ZEROS:
            there = (top + r >= 0) & (top + r < rows) & (col >= 0) & (col < cols)
            K = tl.where(there, K, 0.0)
            kT = tl.where(there, kT, 0.0)
        K_out = K_out + (K,)
        T_out = T_out + (kT,)
    return K_out, T_out


@triton.jit
@no_type_check
def _affine(sums_K, sums_T, scale, bias, COUNT: tl.constexpr, TANGENT: tl.constexpr):
    """S and T behind a convolution."""
    S = ()
    T = ()
    for r in tl.static_range(COUNT):
        s = scale * sums_K[r] + bias
        S = S + (s,)
        if TANGENT:
            T = T + (s + scale * sums_T[r],)
        else:
            T = T + (s,)
    return S, T


@triton.jit
@no_type_check
def _column(field, pairs, top, col, rows, cols, COUNT: tl.constexpr, CLAMPED: tl.constexpr):
    """A field at some rows of a column."""
    values = ()
    for r in tl.static_range(COUNT):
        values = values + (tl.load(field + position(top + r, col, rows, cols, CLAMPED) * pairs),)
    return values


@triton.jit(
    do_not_specialize=(
        "S",
        "T",
        "over_x",
        "over_z",
        "S_out",
        "T_out",
        "n_x",
        "n_z",
        "of_x",
        "of_z",
        "rows",
        "cols",
        "rows_out",
        "strips",
        "steps",
        "diagonal",
    )
)  # one compilation serves all sizes
@no_type_check
def forward_strips(
    S, T, over_x, over_z, S_out, T_out, n_x, n_z, of_x, of_z, rows, cols,
    rows_out, strips, steps, diagonal, scale_out, bias_out, constants,
    PLAN: tl.constexpr, DEPTH: tl.constexpr, FIRST: tl.constexpr, MEAN: tl.constexpr, TANGENT: tl.constexpr,
    ROWS: tl.constexpr,  LANES: tl.constexpr,
):  # fmt: skip
    """Activations and the windows between them; then the window after the last, or (MEAN) the readout.

    PLAN has six numbers for every activation, see `Run.plan`; `constants` four: k0 at a quarter turn, its slope, and the
    factor and the bias of the convolution that follows. Reciprocal norms are `(positions of all levels, images)`, with
    `of_x` and `of_z` from one position to the next. Pairs (i, j) with j + diagonal < i need not be right.
    """
    i = tl.program_id(0)
    j = tl.program_id(1) * LANES + tl.arange(0, LANES)
    if tl.program_id(1) * LANES + LANES - 1 + diagonal < i:
        return
    inside = j < n_z
    j = tl.minimum(j, n_z - 1)
    pair = i * n_z + j
    pairs = n_x * n_z
    nothing = tl.zeros((LANES,), tl.float32)
    total = nothing
    first_strip = 0
    if not MEAN:
        first_strip = tl.program_id(2)
    for strip in range(first_strip, first_strip + strips):
        top = tl.minimum(strip * ROWS, rows_out - ROWS)  # the last strip overlaps the one before
        waiting_K = ()
        waiting_T = ()
        for level in tl.static_range(DEPTH):
            if PLAN[6 * level + 3] > 1:
                none_yet = zeros(nothing, (PLAN[6 * level] - PLAN[6 * level + 3] + 1) * (PLAN[6 * level + 3] - 1))
                waiting_K = waiting_K + (none_yet,)
                waiting_T = waiting_T + (none_yet,)
            else:
                waiting_K = waiting_K + ((),)
                waiting_T = waiting_T + ((),)
        for c in range(steps):
            field_S = _column(S + pair, pairs, top - PLAN[1], c, rows, cols, PLAN[0], PLAN[5])
            if TANGENT and not FIRST:
                field_T = _column(T + pair, pairs, top - PLAN[1], c, rows, cols, PLAN[0], PLAN[5])
            else:
                field_T = field_S
            later_K = ()
            later_T = ()
            start = 0
            grid_rows = rows
            grid_cols = cols
            for level in tl.static_range(DEPTH):
                field_K, field_T = _activations(
                    field_S, field_T, over_x + i + start * of_x, over_z + j + start * of_z, of_x, of_z,
                    top - PLAN[6 * level + 1], c - PLAN[6 * level + 2], grid_rows, grid_cols,
                    constants[4 * level], constants[4 * level + 1],
                    COUNT=PLAN[6 * level], TANGENT=TANGENT, ZEROS=PLAN[6 * level + 5],
                )  # fmt: skip
                if PLAN[6 * level + 3] > 0:
                    sums_K, later = window_sums(
                        field_K, waiting_K[level], PLAN[6 * level + 3], PLAN[6 * level] - PLAN[6 * level + 3] + 1
                    )
                    later_K = later_K + (later,)
                    if TANGENT:
                        sums_T, later = window_sums(
                            field_T, waiting_T[level], PLAN[6 * level + 3], PLAN[6 * level] - PLAN[6 * level + 3] + 1
                        )
                    else:
                        sums_T = sums_K
                    later_T = later_T + (later,)
                    field_S, field_T = _affine(
                        sums_K, sums_T, constants[4 * level + 2], constants[4 * level + 3],
                        PLAN[6 * level] - PLAN[6 * level + 3] + 1, TANGENT,
                    )  # fmt: skip
                    start += grid_rows * grid_cols
                    grid_rows -= PLAN[6 * level + 4]
                    grid_cols -= PLAN[6 * level + 4]
                else:
                    field_S = field_K
                    later_K = later_K + ((),)
                    later_T = later_T + ((),)
            waiting_K = later_K
            waiting_T = later_T
            col = c - (steps - grid_cols)
            if MEAN:
                for r in tl.static_range(ROWS):
                    there = (top + r >= strip * ROWS) & (col >= 0)
                    total += tl.where(there, field_S[r] + field_T[r] if TANGENT else field_S[r], 0.0)
            elif col >= 0:
                for r in tl.static_range(ROWS):
                    at = ((top + r) * grid_cols + col) * pairs + pair
                    tl.store(S_out + at, field_S[r], mask=inside)
                    if TANGENT:
                        tl.store(T_out + at, field_T[r], mask=inside)
    if MEAN:
        tl.store(S_out + pair, scale_out * total + bias_out, mask=inside)

"""Walking along the columns of a grid with some rows of it in registers: what the strip programs share."""

from typing import no_type_check

import triton
import triton.language as tl


@triton.jit
@no_type_check
def zeros(like, COUNT: tl.constexpr):
    """So many times the same."""
    out = ()
    for _ in tl.static_range(COUNT):
        out = out + (like,)
    return out


@triton.jit
@no_type_check
def position(row, col, rows, cols, CLAMPED: tl.constexpr):
    """The number of a position; outside the grid that of one inside: left of it, or (CLAMPED) anywhere."""
    if CLAMPED:
        row = tl.minimum(tl.maximum(row, 0), rows - 1)
        col = tl.minimum(col, cols - 1)
    return row * cols + tl.maximum(col, 0)


@triton.jit
@no_type_check
def window_sums(column, waiting, SIZE: tl.constexpr, COUNT: tl.constexpr):
    """Sums over the windows that end in this column, and the sums that wait for the columns to come."""
    sums = ()
    later = ()
    for r in tl.static_range(COUNT):
        down = column[r]
        for t in tl.static_range(1, SIZE):
            down = down + column[r + t]
        if SIZE == 1:
            sums = sums + (down,)
        else:
            sums = sums + (waiting[r * (SIZE - 1)] + down,)
            for t in tl.static_range(1, SIZE - 1):
                later = later + (waiting[r * (SIZE - 1) + t] + down,)
            later = later + (down,)
    return sums, later

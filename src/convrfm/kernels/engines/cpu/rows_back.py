"""The same row on its way back: from the adjoints after a window to those in front of the activation before it.

fields after --spread_row--> adjoints of K and T k0 --pull_back--> adjoints of S, T and x's variance
"""

from typing import Any

from ...lanes.vectors import LANES, inlined, load, store
from .duals import NONE, pullback_of_kind
from .rows import meeting, sum_along_row, sum_of_rows
from .structures import Columns, fields_abreast, sides_abreast


@inlined
def pull_back_columns(
    columns: Any, dual: Any, met: Any, sides: Any, adjoints: Any, out: Any, q_bar: Any, tiny: Any
) -> None:
    """The adjoints of some columns of a row."""
    for c in range(columns.first, columns.last, columns.step):
        p = c * LANES
        by_value, by_tangent = load(adjoints.S, p), load(adjoints.T, p)
        s, k0_bar = load(met.S, p), by_tangent * load(met.T, p)
        k0, s_bar, qx_bar = pullback_of_kind(dual.kind, meeting(dual, s, sides, c), by_value, k0_bar, tiny)
        store(out.S, p, s_bar)
        store(out.T, p, by_tangent * k0)
        store(q_bar, p, qx_bar)


@inlined
def pull_back(dual: Any, count: Any, met: Any, sides: Any, adjoints: Any, out: Any, q_bar: Any, tiny: Any) -> None:
    """The adjoints of S, T and x's variance at `count` columns from `adjoints`, those of K and T k0; `met`: S and T."""
    if dual.kind <= NONE:
        for p in range(0, count * LANES, LANES):
            store(out.S, p, load(adjoints.S, p))
            store(out.T, p, load(adjoints.T, p))
        return
    even = count - count % 2
    pull_back_columns(
        Columns(0, even, 2), dual, fields_abreast(met), sides_abreast(sides), fields_abreast(adjoints), out, q_bar, tiny
    )
    pull_back_columns(Columns(even, count, 1), dual, met, sides, adjoints, out, q_bar, tiny)


@inlined
def spread_row(
    window: Any, tables: Any, place: Any, stride: Any, adjoints: Any, gather: Any, sums: Any, out: Any
) -> None:
    """The adjoints of a row in front of a window, from the fields `adjoints` after it, `stride` numbers a row.

    `place` is the row's in the window's transposed table, `gather` that of its columns; `sums` is room for two rows.
    """
    for p in range(0, stride, LANES):
        by_tangent = sum_of_rows(adjoints.T, p, tables, place, stride)
        by_value = sum_of_rows(adjoints.S, p, tables, place, stride)
        store(sums.S, p, (by_value + by_tangent * window.gain) * window.weight)
        store(sums.T, p, by_tangent * window.weight)
    sum_along_row(gather, tables, sums.S, out.S)
    sum_along_row(gather, tables, sums.T, out.T)

"""A row of sixteen pairs at once through an activation and a window.

    Incoming --activate--> Fields (K, T k0) --sum_along_row--> sums along columns --incoming_from_sums--> Incoming

The sums over three rows of a window, the inside of most, are put off until they are met.
"""

from typing import Any

from ...activations.lane_activation import Meeting
from ...lanes.vectors import LANES, inlined, item, load, load_broadcast, store, zero
from .duals import NONE, dual_of_kind
from .structures import Columns, Incoming, fields_abreast, fields_from, sides_abreast
from .tables import BOUND


@inlined
def meeting(dual: Any, s: Any, sides: Any, c: Any) -> Any:
    """What a covariance meets at column c."""
    p = c * LANES
    x_inverse, z_inverse = load_broadcast(sides.x_inverse, c), load(sides.z_inverse, p)
    x_norm, z_norm = load_broadcast(sides.x_norm, c), load(sides.z_norm, p)
    return Meeting(s, x_norm, x_inverse, z_norm, z_inverse, dual.first, dual.second)


@inlined
def met_at(incoming: Any, p: Any) -> Any:
    """S and T at place `p` of a row."""
    S, T = incoming.fields
    if not incoming.is_summed:
        return load(S, p), load(T, p)
    a, b, c, window = incoming.a, incoming.b, incoming.c, incoming.window
    s = (load(S, p + a) + load(S, p + b) + load(S, p + c)) * window.weight + window.bias
    if window.starts or not window.tangent:
        return s, s
    return s, (load(T, p + a) + load(T, p + b) + load(T, p + c)) * window.weight + s * window.gain


@inlined
def activate_columns(columns: Any, dual: Any, incoming: Any, sides: Any, out: Any, saves: Any, met: Any) -> None:
    """K and T k0 of some columns of a row."""
    for c in range(columns.first, columns.last, columns.step):
        p = c * LANES
        s, t = met_at(incoming, p)
        if saves:
            store(met.S, p, s)
            store(met.T, p, t)
        value, k0 = dual_of_kind(dual.kind, meeting(dual, s, sides, c))
        store(out.S, p, value)
        if incoming.window.tangent:
            store(out.T, p, t * k0)


@inlined
def activate(dual: Any, count: Any, incoming: Any, sides: Any, out: Any, saves: Any, met: Any) -> None:
    """K and T k0 of `count` columns into `out`; `saves`: whether to keep what they meet, in `met`."""
    if dual.kind <= NONE:
        for p in range(0, count * LANES, LANES):
            s, t = met_at(incoming, p)
            store(out.S, p, s)
            if incoming.window.tangent and dual.kind == NONE:
                store(out.T, p, t)
        return
    even = count - count % 2
    fields, is_summed, a, b, c, window = incoming
    two = Incoming(fields_abreast(fields), is_summed, a, b, c, window)
    activate_columns(Columns(0, even, 2), dual, two, sides_abreast(sides), out, saves, met)
    activate_columns(Columns(even, count, 1), dual, incoming, sides, out, saves, met)


@inlined
def sum_along_row(gather: Any, tables: Any, row: Any, out: Any) -> None:
    """At each column that the table makes, the sum of the places of `row` that it names."""
    table, count, threes, after_threes = gather
    for side in range(2):
        for c in range(0 if side == 0 else after_threes, threes if side == 0 else count):
            total = zero(row)
            for k in range(item(tables.bounds, (table + c) * BOUND), item(tables.bounds, (table + c) * BOUND + 1)):
                total = total + load(row, item(tables.sources, k) * LANES)
            store(out, c * LANES, total)
    if threes < after_threes:
        place = item(tables.sources, item(tables.bounds, (table + threes) * BOUND)) * LANES
        a, b = load(row, place), load(row, place + LANES)
        for c in range(threes, after_threes):
            after = load(row, place + (c - threes + 2) * LANES)
            store(out, c * LANES, a + b + after)
            a, b = b, after


@inlined
def sum_of_rows(rows: Any, at: Any, tables: Any, place: Any, stride: Any) -> Any:
    """The sum, `at` numbers into each, of the rows that a table names at a place, `stride` numbers apart."""
    total = zero(rows)
    for k in range(item(tables.bounds, place * BOUND), item(tables.bounds, place * BOUND + 1)):
        total = total + load(rows, at + item(tables.sources, k) * stride)
    return total


@inlined
def window_row(window: Any, tables: Any, place: Any, stride: Any, sums: Any, out: Any) -> None:
    """A row after a window, from rows of sums along columns, `stride` numbers each; `place` is its own in the table."""
    for p in range(0, stride, LANES):
        s = sum_of_rows(sums.S, p, tables, place, stride) * window.weight + window.bias
        store(out.S, p, s)
        if window.starts:
            store(out.T, p, s)
        elif window.tangent:
            store(out.T, p, sum_of_rows(sums.T, p, tables, place, stride) * window.weight + s * window.gain)


@inlined
def incoming_row(fields: Any, window: Any) -> Any:
    """A row as it is."""
    return Incoming(fields, False, 0, 0, 0, window)


@inlined
def incoming_from(incoming: Any, place: Any) -> Any:
    """The same from a place on."""
    fields, is_summed, a, b, c, window = incoming
    return Incoming(fields_from(fields, place), is_summed, a, b, c, window)


@inlined
def incoming_from_sums(window: Any, tables: Any, place: Any, stride: Any, sums: Any, row: Any) -> Any:
    """The row of `window_row`: of three rows it is put off, of others it is made now, in `row`."""
    first = item(tables.bounds, place * BOUND)
    if item(tables.bounds, place * BOUND + 1) - first == 3:
        a, b = item(tables.sources, first) * stride, item(tables.sources, first + 1) * stride
        return Incoming(sums, True, a, b, item(tables.sources, first + 2) * stride, window)
    window_row(window, tables, place, stride, sums, row)
    return Incoming(row, False, 0, 0, 0, window)

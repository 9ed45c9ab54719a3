"""The recursion of sixteen pairs of images at once, from their first covariances to the kernel (design 4.2).

A field is a flat array of positions, row by row, of sixteen lanes each: one image x against sixteen images z. Rows run
through all layers depth first: a layer's row is made as soon as the rows below its window are there, and only those are
kept, so that everything but the first covariance and the norms of z stays in the first-level cache.
"""

from typing import Any

from ....lanes.vectors import (
    LANES,
    abreast,
    address,
    ahead,
    compiled,
    entry,
    inlined,
    item,
    load,
    load_broadcast,
    put,
    store,
    zero,
)
from ..duals import ERF, NONE, PIECEWISE_LINEAR, START, erf, gelu, piecewise_linear
from ..lane_embedding import TOGETHER
from .program import (
    BIAS,
    BY_COL,
    BY_ROW,
    FAMILY,
    GAIN,
    IN_COLS,
    IN_ROWS,
    JUMP,
    KEPT,
    MEAN_SQUARE,
    NUMBER,
    OUT_COLS,
    POSITION,
    STEP,
    THREES,
    WEIGHT,
)

TAPS_AT_ONCE = 72  # places of z under a row of positions and so many taps stay in the first-level cache


@inlined
def add_to(S: Any, p: Any, products: Any, begin: Any, scale: Any, bias: Any) -> None:
    """Some taps' share of scale * x[u]^T z[u] + bias; that of the first taps begins it."""
    store(S, p, products * scale + bias if begin == 0 else load(S, p) + products * scale)


@inlined
def products(
    x: Any, image: Any, last: Any, z: Any, block: Any, places: Any, count: Any, taps: Any, depth: Any, scale: Any,
    bias: Any, S: Any,
) -> None:  # fmt: skip
    """scale * x[u]^T z[u] + bias at every position, of four images x with two blocks of sixteen images z.

    `x` holds coefficients, `(images, positions, taps)`, of the images from `image` on; the `last` one serves for those
    that are not there. `z` holds places of lanes, the second block `block` numbers after the first; `S` takes the four
    fields with the first block, then the four with the second.
    """
    field, size = count * LANES, count * depth
    first, second = ahead(x, image * size), ahead(x, min(image + 1, last) * size)
    third, fourth = ahead(x, min(image + 2, last) * size), ahead(x, min(image + 3, last) * size)
    for begin in range(0, depth, TAPS_AT_ONCE):
        end = min(begin + TAPS_AT_ONCE, depth)
        for u in range(count):
            here, at, p = item(places, u) * LANES, u * depth, u * LANES
            a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = zero(S)
            for k in range(begin, end):
                tap = here + item(taps, k) * LANES
                a, b = load(z, tap), load(z, block + tap)
                x0, x1 = load_broadcast(first, at + k), load_broadcast(second, at + k)
                x2, x3 = load_broadcast(third, at + k), load_broadcast(fourth, at + k)
                a0, a1, a2, a3 = a0 + a * x0, a1 + a * x1, a2 + a * x2, a3 + a * x3
                b0, b1, b2, b3 = b0 + b * x0, b1 + b * x1, b2 + b * x2, b3 + b * x3
            add_to(S, p, a0, begin, scale, bias)
            add_to(S, p + field, a1, begin, scale, bias)
            add_to(S, p + 2 * field, a2, begin, scale, bias)
            add_to(S, p + 3 * field, a3, begin, scale, bias)
            add_to(S, p + 4 * field, b0, begin, scale, bias)
            add_to(S, p + 5 * field, b1, begin, scale, bias)
            add_to(S, p + 6 * field, b2, begin, scale, bias)
            add_to(S, p + 7 * field, b3, begin, scale, bias)


@inlined
def met_by(window: Any, p: Any, tangent: Any) -> Any:
    """What an activation meets at place `p` of a row: S and T, or their sums over three rows of a window."""
    three, S, T, a, b, c, weight, bias, gain, starts = window
    if not three:
        return load(S, p), load(T, p)
    s = (load(S, p + a) + load(S, p + b) + load(S, p + c)) * weight + bias
    if starts or not tangent:
        return s, s
    return s, (load(T, p + a) + load(T, p + b) + load(T, p + c)) * weight + s * gain


@inlined
def activate_columns(
    first: Any, last: Any, step: Any, kind: Any, mean_square: Any, jump: Any, tangent: Any, window: Any, saves: Any,
    S_met: Any, T_met: Any, xn: Any, xv: Any, zn: Any, zv: Any, K: Any, kT: Any,
) -> None:  # fmt: skip
    """K and T k0 of the columns first..last, `step` of them at once, as many as the addresses load."""
    for c in range(first, last, step):
        p = c * LANES
        s, t = met_by(window, p, tangent)
        if saves:
            store(S_met, p, s)
            store(T_met, p, t)
        vx, vz = load_broadcast(xv, c), load(zv, p)
        nx, nz = load_broadcast(xn, c), load(zn, p)
        if kind == PIECEWISE_LINEAR:
            value, k0 = piecewise_linear(s, nz * nx, vz * vx, mean_square, jump)
        elif kind == ERF:
            value, k0 = erf(s, vz * vx)
        else:
            value, k0 = gelu(s, nx, nz, vz * vx, vz * vz + vx * vx - 1.0)
        store(K, p, value)
        if tangent:
            store(kT, p, t * k0)


@inlined
def activate(
    step: Any, number: Any, tangent: Any, count: Any, window: Any, saves: Any, S_met: Any, T_met: Any,
    xn: Any, xv: Any, zn: Any, zv: Any, K: Any, kT: Any,
) -> None:  # fmt: skip
    """K and T k0 of `count` positions; `saves`: whether to keep what they meet."""
    kind, mean_square, jump = item(step, FAMILY), item(number, MEAN_SQUARE), item(number, JUMP)
    if kind <= NONE:
        for p in range(0, count * LANES, LANES):
            s, t = met_by(window, p, tangent)
            store(K, p, s)
            if tangent and kind == NONE:
                store(kT, p, t)
        return
    even = count - count % 2
    three, S, T, a, b, c, weight, bias, gain, starts = window
    two = three, abreast(S), abreast(T), a, b, c, weight, bias, gain, starts
    activate_columns(
        0, even, 2, kind, mean_square, jump, tangent, two, saves, S_met, T_met,
        abreast(xn), abreast(xv), abreast(zn), abreast(zv), K, kT,
    )  # fmt: skip
    activate_columns(
        even, count, 1, kind, mean_square, jump, tangent, window, saves, S_met, T_met, xn, xv, zn, zv, K, kT
    )


@inlined
def sum_along_row(
    table: Any, count: Any, threes: Any, after_threes: Any, row: Any, bounds: Any, sources: Any, out: Any
) -> None:
    """At each of `count` columns, the sum of the places of `row` that the table names."""
    for side in range(2):
        for c in range(0 if side == 0 else after_threes, threes if side == 0 else count):
            total = zero(row)
            for k in range(item(bounds, (table + c) * 3), item(bounds, (table + c) * 3 + 1)):
                total = total + load(row, item(sources, k) * LANES)
            store(out, c * LANES, total)
    if threes < after_threes:
        place = item(sources, item(bounds, (table + threes) * 3)) * LANES
        a, b = load(row, place), load(row, place + LANES)
        for c in range(threes, after_threes):
            ahead = load(row, place + (c - threes + 2) * LANES)
            store(out, c * LANES, a + b + ahead)
            a, b = b, ahead


@inlined
def sum_of_slots(field: Any, at: Any, sources: Any, first: Any, stop: Any, stride: Any) -> Any:
    """The sum at place `at` of the slots that the table names, `stride` numbers apart."""
    total = zero(field)
    for k in range(first, stop):
        total = total + load(field, at + item(sources, k) * stride)
    return total


@inlined
def no_window(number: Any, S: Any, T: Any) -> Any:
    """A row of S and T as they are."""
    nothing = item(number, BIAS)
    return False, S, T, 0, 0, 0, nothing, nothing, nothing, False


@inlined
def window_row(
    number: Any, starts: Any, tangent: Any, bounds: Any, sources: Any, place: Any, stride: Any, S_sum: Any, T_sum: Any,
    S: Any, T: Any,
) -> None:  # fmt: skip
    """A row of S' and T' after a window, from the rows that have been summed along columns, `stride` numbers each.

    `place` is the row's in the window's table; `starts` says that T is not there before the window.
    """
    first, stop = item(bounds, place * 3), item(bounds, place * 3 + 1)
    weight, bias, gain = item(number, WEIGHT), item(number, BIAS), item(number, GAIN)
    for p in range(0, stride, LANES):
        s = sum_of_slots(S_sum, p, sources, first, stop, stride) * weight + bias
        store(S, p, s)
        if starts:
            store(T, p, s)
        elif tangent:
            store(T, p, sum_of_slots(T_sum, p, sources, first, stop, stride) * weight + s * gain)


@inlined
def window_of(
    number: Any, starts: Any, tangent: Any, bounds: Any, sources: Any, place: Any, stride: Any, S_sum: Any, T_sum: Any,
    S: Any, T: Any,
) -> Any:  # fmt: skip
    """The same row to be met: three rows, as in the inside of most windows, are summed there, others now."""
    first = item(bounds, place * 3)
    if item(bounds, place * 3 + 1) - first == 3:
        a, b, c = item(sources, first) * stride, item(sources, first + 1) * stride, item(sources, first + 2) * stride
        return True, S_sum, T_sum, a, b, c, item(number, WEIGHT), item(number, BIAS), item(number, GAIN), starts
    window_row(number, starts, tangent, bounds, sources, place, stride, S_sum, T_sum, S, T)
    return no_window(number, S, T)


@compiled
def forward(
    steps: Any, numbers: Any, depth: Any, tangent: Any, bounds: Any, sources: Any,
    S1: Any, xn: Any, xv: Any, zn: Any, zv: Any,
    rows: Any, widest: Any, S_sum: Any, T_sum: Any, slots: Any, made: Any, saves: Any, S_met: Any, T_met: Any,
) -> Any:  # fmt: skip
    """The sum over positions of K + T k0 after the last activation.

    Args:
        steps, numbers, depth, tangent, bounds, sources: the program; `depth` counts its steps.
        S1: the first covariance.
        xn, xv, zn, zv: norms and inverse roots of x and of z.
        rows, widest: room for four rows, `widest` numbers each.
        S_sum, T_sum, slots: room for the rows that windows need; `slots` says where each step's begin.
        made: room for a count of rows for every step.
        saves, S_met, T_met: whether, and where, to keep what each activation meets.
    """
    K, kT = ahead(rows, 2 * widest), ahead(rows, 3 * widest)
    last = depth - 1
    total = zero(S1)
    for level in range(depth):
        put(made, level, 0)
    level = last
    while item(made, last) < item(steps, last * STEP + IN_ROWS):
        step, number = ahead(steps, level * STEP), ahead(numbers, level * NUMBER)
        row, cols = item(made, level), item(step, IN_COLS)
        if level > 0:
            below, slot = ahead(step, -STEP), item(slots, level - 1)
            if item(bounds, (item(below, BY_ROW) + row) * 3 + 2) >= item(made, level - 1):
                level -= 1
                continue
            window = window_of(
                ahead(number, -NUMBER), item(below, FAMILY) == START, tangent, bounds, sources,
                item(below, BY_ROW) + row, cols * LANES, ahead(S_sum, slot), ahead(T_sum, slot),
                rows, ahead(rows, widest),
            )  # fmt: skip
        else:
            S = ahead(S1, row * cols * LANES)
            window = no_window(number, S, S)
        place = item(step, POSITION) + row * cols
        activate(
            step, number, tangent, cols, window, saves, ahead(S_met, place * LANES), ahead(T_met, place * LANES),
            ahead(xn, place), ahead(xv, place), ahead(zn, place * LANES), ahead(zv, place * LANES), K, kT,
        )  # fmt: skip
        put(made, level, row + 1)
        if level == last:
            for p in range(0, cols * LANES, LANES):
                total = total + (load(K, p) + load(kT, p) if tangent else load(K, p))
            continue
        slot = item(slots, level) + row % item(step, KEPT) * item(step, OUT_COLS) * LANES
        table, count, threes, after = (
            item(step, BY_COL),
            item(step, OUT_COLS),
            item(step, THREES),
            item(step, THREES + 1),
        )
        sum_along_row(table, count, threes, after, K, bounds, sources, ahead(S_sum, slot))
        if tangent and item(step, FAMILY) != START:
            sum_along_row(table, count, threes, after, kT, bounds, sources, ahead(T_sum, slot))
        level += 1
    return total


@entry
def kernel_blocks(
    program: Any, places: Any, taps: Any, scale: Any, bias: Any,
    x: Any, xn: Any, xv: Any, first: Any, last: Any,
    z: Any, zn: Any, zv: Any, block: Any, stored: Any, positions: Any, symmetric: Any,
    S1: Any, rows: Any, summed: Any, slots: Any, made: Any, out: Any,
) -> None:  # fmt: skip
    """The kernel of the images first..last of x with two blocks of sixteen images z.

    Symmetric: pairs below the diagonal's blocks are left out.
    """
    steps, numbers, bounds, sources, tangent, mean, added = program
    field = len(places) * LANES
    for i in range(first, last, TOGETHER):
        products(
            address(x), i, last - 1, ahead(address(z), block * stored * LANES), stored * LANES,
            address(places), len(places), address(taps), len(taps), scale, bias, address(S1),
        )  # fmt: skip
        for b in range(2):
            column = (block + b) * LANES
            if column >= out.shape[1] or (symmetric and i >= column + LANES):
                continue
            norms_z = column * positions
            for g in range(min(TOGETHER, last - i)):
                norms_x = (i + g) * positions
                total = forward(
                    address(steps), address(numbers), len(steps), tangent, address(bounds), address(sources),
                    ahead(address(S1), (b * TOGETHER + g) * field),
                    ahead(address(xn), norms_x), ahead(address(xv), norms_x),
                    ahead(address(zn), norms_z), ahead(address(zv), norms_z), address(rows), rows.shape[1],
                    address(summed), ahead(address(summed), summed.shape[1]), address(slots), address(made),
                    False, address(S1), address(S1),
                )  # fmt: skip
                store(address(out), (i + g) * out.shape[1] + column, total * mean + added)

"""The adjoint of the recursion, sixteen pairs of images at once, in closed form and once per pair (design 4.3).

It starts from the readout's factor at every position and ends in a[x, i, u] = dK(x, z_i) / dS1[u], and in the adjoints
of x's variances, which are summed over i with the coefficients at once.
"""

from typing import Any

from ....lanes.vectors import (
    LANES,
    abreast,
    address,
    ahead,
    broadcast,
    compiled,
    entry,
    inlined,
    item,
    load,
    load_broadcast,
    store,
    zero,
)
from ..duals import ERF, NONE, PIECEWISE_LINEAR, erf_pullback, gelu_pullback, piecewise_linear_pullback
from ..lane_embedding import TOGETHER
from .forward import forward, products, sum_along_row, sum_of_slots
from .program import (
    FAMILY,
    GAIN,
    IN_COLS,
    IN_ROWS,
    JUMP,
    MEAN_SQUARE,
    NUMBER,
    OUT_COLS,
    POSITION,
    STEP,
    TO_COL,
    TO_ROW,
    TO_THREES,
    WEIGHT,
)


@inlined
def pull_back_columns(
    first: Any, last: Any, step: Any, kind: Any, mean_square: Any, jump: Any, tiny: Any,
    S: Any, T: Any, xn: Any, xv: Any, zn: Any, zv: Any, K_bar: Any, kT_bar: Any, S_bar: Any, T_bar: Any, q_bar: Any,
) -> None:  # fmt: skip
    """The adjoints at the columns first..last, `step` of them at once, as many as the addresses load."""
    for c in range(first, last, step):
        p = c * LANES
        by_value, by_tangent = load(K_bar, p), load(kT_bar, p)
        s, k0_bar = load(S, p), by_tangent * load(T, p)
        vx, nx, nz = load_broadcast(xv, c), load_broadcast(xn, c), load(zn, p)
        vz = load(zv, p)
        if kind == PIECEWISE_LINEAR:
            k0, s_bar, qx_bar = piecewise_linear_pullback(
                s, nx * nz, vx * vz, vx, mean_square, jump, by_value, k0_bar, tiny
            )
        elif kind == ERF:
            k0, s_bar, qx_bar = erf_pullback(s, nz, vx * vz, vx, by_value, k0_bar)
        else:
            g = vx * vx + vz * vz - 1.0
            k0, s_bar, qx_bar = gelu_pullback(s, nx, nz, vx * vz, vx, g, by_value, k0_bar)
        store(S_bar, p, s_bar)
        store(T_bar, p, by_tangent * k0)
        store(q_bar, p, qx_bar)


@inlined
def pull_back(
    step: Any, number: Any, tangent: Any, tiny: Any, count: Any,
    S: Any, T: Any, xn: Any, xv: Any, zn: Any, zv: Any,
    K_bar: Any, kT_bar: Any, S_bar: Any, T_bar: Any, q_bar: Any,
) -> None:  # fmt: skip
    """The adjoints of S, T and qx at `count` positions from those of K and T k0."""
    kind, mean_square, jump = item(step, FAMILY), item(number, MEAN_SQUARE), item(number, JUMP)
    if kind <= NONE:
        for p in range(0, count * LANES, LANES):
            store(S_bar, p, load(K_bar, p))
            store(T_bar, p, load(kT_bar, p))
        return
    even = count - count % 2
    pull_back_columns(
        0, even, 2, kind, mean_square, jump, tiny,
        abreast(S), abreast(T), abreast(xn), abreast(xv), abreast(zn), abreast(zv), abreast(K_bar), abreast(kT_bar),
        S_bar, T_bar, q_bar,
    )  # fmt: skip
    pull_back_columns(
        even, count, 1, kind, mean_square, jump, tiny, S, T, xn, xv, zn, zv, K_bar, kT_bar, S_bar, T_bar, q_bar
    )


@inlined
def spread_row(
    number: Any, bounds: Any, sources: Any, S_bar: Any, T_bar: Any, place: Any, stride: Any,
    table: Any, cols: Any, threes: Any, after: Any, K_sum: Any, kT_sum: Any, K_bar: Any, kT_bar: Any,
) -> None:  # fmt: skip
    """A row of the adjoints of K and T k0 in front of a window, from the fields after it, `stride` numbers a row.

    `place` is the row's in the window's transposed table, `table` that of its `cols` columns.
    """
    first, stop = item(bounds, place * 3), item(bounds, place * 3 + 1)
    weight, gain = item(number, WEIGHT), item(number, GAIN)
    for p in range(0, stride, LANES):
        by_tangent = sum_of_slots(T_bar, p, sources, first, stop, stride)
        store(K_sum, p, (sum_of_slots(S_bar, p, sources, first, stop, stride) + by_tangent * gain) * weight)
        store(kT_sum, p, by_tangent * weight)
    sum_along_row(table, cols, threes, after, K_sum, bounds, sources, K_bar)
    sum_along_row(table, cols, threes, after, kT_sum, bounds, sources, kT_bar)


@inlined
def add_by_output(q_bar: Any, count: Any, dual_coef: Any, outputs: Any, total: Any) -> None:
    """total[u, o] += sum over the sixteen images i of q_bar[u, i] dual_coef[i, o]."""
    for c in range(count):
        for o in range(0, outputs, LANES):
            even, odd = load(total, c * outputs + o), zero(total)
            for i in range(0, LANES, 2):
                even = even + load_broadcast(q_bar, c * LANES + i) * load(dual_coef, i * outputs + o)
                odd = odd + load_broadcast(q_bar, c * LANES + i + 1) * load(dual_coef, (i + 1) * outputs + o)
            store(total, c * outputs + o, even + odd)


@compiled
def backward(
    steps: Any, numbers: Any, depth: Any, tangent: Any, bounds: Any, sources: Any, mean: Any, tiny: Any,
    S_met: Any, T_met: Any, xn: Any, xv: Any, zn: Any, zv: Any,
    rows: Any, widest: Any, fields: Any, largest: Any, dual_coef: Any, outputs: Any, variance_bars: Any,
) -> None:  # fmt: skip
    """The adjoint of S1 as the first of `fields`; adds to the adjoints of x's variances, `(positions, outputs)`.

    Args:
        steps, numbers, depth, tangent, bounds, sources, mean: the program.
        tiny: the square of the sine below which two patches count as coinciding.
        S_met, T_met: what each activation met on the way forward.
        xn, xv, zn, zv: norms and inverse roots of x and of z.
        rows, widest: room for five rows, `widest` numbers each.
        fields, largest: room for four fields, `largest` numbers each.
        dual_coef, outputs: `(LANES, outputs)` of these images z.
        variance_bars: what is added to.
    """
    K_sum, kT_sum = rows, ahead(rows, widest)
    K_bar, kT_bar, q_bar = ahead(rows, 2 * widest), ahead(rows, 3 * widest), ahead(rows, 4 * widest)
    for level in range(depth - 1, -1, -1):
        step, number = ahead(steps, level * STEP), ahead(numbers, level * NUMBER)
        cols = item(step, IN_COLS)
        side = (depth - 1 - level) % 2 * 2 * largest
        S_bar, T_bar = ahead(fields, side), ahead(fields, side + largest)
        S_above, T_above = ahead(fields, 2 * largest - side), ahead(fields, 3 * largest - side)
        for row in range(item(step, IN_ROWS)):
            if level == depth - 1:
                for p in range(0, cols * LANES, LANES):
                    store(K_bar, p, broadcast(mean))
                    store(kT_bar, p, broadcast(mean) if tangent else zero(fields))
            else:
                spread_row(
                    number, bounds, sources, S_above, T_above, item(step, TO_ROW) + row, item(step, OUT_COLS) * LANES,
                    item(step, TO_COL), cols, item(step, TO_THREES), item(step, TO_THREES + 1),
                    K_sum, kT_sum, K_bar, kT_bar,
                )  # fmt: skip
            place = item(step, POSITION) + row * cols
            at = row * cols * LANES
            pull_back(
                step, number, tangent, tiny, cols, ahead(S_met, place * LANES), ahead(T_met, place * LANES),
                ahead(xn, place), ahead(xv, place), ahead(zn, place * LANES), ahead(zv, place * LANES),
                K_bar, kT_bar, ahead(S_bar, at), ahead(T_bar, at), q_bar,
            )  # fmt: skip
            if item(step, FAMILY) > NONE:
                add_by_output(q_bar, cols, dual_coef, outputs, ahead(variance_bars, place * outputs))
    if (depth - 1) % 2:
        for p in range(0, 2 * largest, LANES):
            store(fields, p, load(fields, 2 * largest + p))


@entry
def gradient_blocks(
    program: Any, places: Any, taps: Any, scale: Any, bias: Any, tiny: Any,
    x: Any, xn: Any, xv: Any, start: Any, first: Any, last: Any,
    z: Any, zn: Any, zv: Any, stored: Any, positions: Any, dual_coef: Any,
    S1: Any, rows: Any, summed: Any, slots: Any, made: Any, met: Any, fields: Any,
    S_bars: Any, variance_bars: Any,
) -> None:  # fmt: skip
    """The adjoints of the images first..last of x with all images z.

    `S_bars` `(positions, images x, images z)` counts x from `start`; `variance_bars` `(images x, positions, outputs)`
    counts all of x, and is added to.
    """
    steps, numbers, bounds, sources, tangent, mean, _ = program
    field, depth = len(places) * LANES, len(steps)
    outputs = dual_coef.shape[1]
    _, images_x, images_z = S_bars.shape
    for i in range(first, last, TOGETHER):
        for block in range(0, images_z // LANES, 2):
            products(
                address(x), i, last - 1, ahead(address(z), block * stored * LANES), stored * LANES,
                address(places), len(places), address(taps), len(taps), scale, bias, address(S1),
            )  # fmt: skip
            for pair in range(2 * TOGETHER):
                column = (block + pair // TOGETHER) * LANES
                g = pair % TOGETHER
                if column >= images_z or i + g >= last:
                    continue
                at_x, at_z = (i + g) * positions, column * positions
                nx, vx = ahead(address(xn), at_x), ahead(address(xv), at_x)
                nz, vz = ahead(address(zn), at_z), ahead(address(zv), at_z)
                S_met, T_met = address(met), ahead(address(met), met.shape[1])
                forward(
                    address(steps), address(numbers), depth, tangent, address(bounds), address(sources),
                    ahead(address(S1), pair * field), nx, vx, nz, vz, address(rows), rows.shape[1],
                    address(summed), ahead(address(summed), summed.shape[1]), address(slots), address(made),
                    True, S_met, T_met,
                )  # fmt: skip
                backward(
                    address(steps), address(numbers), depth, tangent, address(bounds), address(sources), mean, tiny,
                    S_met, T_met, nx, vx, nz, vz, address(rows), rows.shape[1], address(fields), fields.shape[1],
                    ahead(address(dual_coef), column * outputs), outputs,
                    ahead(address(variance_bars), at_x * outputs),
                )  # fmt: skip
                target = ahead(address(S_bars), (i + g - start) * images_z + column)
                for u in range(len(places)):
                    a = load(address(fields), u * LANES) + load(address(fields), fields.shape[1] + u * LANES)
                    store(target, u * images_x * images_z, a)

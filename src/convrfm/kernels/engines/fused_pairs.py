"""The recursion of sixteen pairs of images where positions meet positions: forward, offset by offset.

`u` is a position of x and `v = u + offset` one of z. Rows of an offset's picture run through a stage depth first, as in
`fused_forward`; the last activation's rows are pooled into the next stage's covariance, or read out.
"""

from typing import Any

from .duals import START
from .fused_forward import activate, sum_along_row, sum_of_slots
from .lanes import LANES, address, ahead, compiled, entry, inlined, item, load, load_broadcast, put, store, zero
from .program import BIAS, FAMILY, GAIN, NUMBER, POSITION, WEIGHT

WIDTH, STEP = 2, 3
TABLE, AFTER, KEPT = range(3)
THREES = 2
FIRST, ROWS, COLS, ROWS_AFTER, COLS_AFTER, POOL, STORED = range(7)
NO_POOL = 0


@inlined
def product_row(
    x: Any, z: Any, places: Any, taps: Any, depth: Any, u: Any, v: Any, count: Any, scale: Any, bias: Any, S: Any
) -> None:
    """scale * x[u]^T z[v] + bias for `count` neighbouring pairs of positions."""
    for c in range(count):
        here, at = item(places, v + c) * LANES, (u + c) * depth
        even, odd = zero(S), zero(S)
        for k in range(0, depth - 1, 2):
            even = even + load(z, here + item(taps, k) * LANES) * load_broadcast(x, at + k)
            odd = odd + load(z, here + item(taps, k + 1) * LANES) * load_broadcast(x, at + k + 1)
        if depth % 2:
            even = even + load(z, here + item(taps, depth - 1) * LANES) * load_broadcast(x, at + depth - 1)
        store(S, c * LANES, (even + odd) * scale + bias)


@inlined
def pool_row(
    K: Any, kT: Any, tangent: Any, u_row: Any, u_col: Any, v_row: Any, v_col: Any, count: Any,
    size: Any, rows: Any, cols: Any, starts: Any, S: Any, T: Any, stored: Any,
) -> None:  # fmt: skip
    """Add `count` neighbouring pairs to the means over squares of both positions; a remainder is dropped."""
    U_row, V_row = u_row // size, v_row // size
    if U_row >= rows or V_row >= rows:
        return
    down = V_row - U_row
    for c in range(count):
        U_col, V_col = (u_col + c) // size, (v_col + c) // size
        if U_col >= cols or V_col >= cols:
            return
        across = V_col - U_col
        picture = item(starts, (down + rows - 1) * (2 * cols - 1) + across + cols - 1)
        place = picture + (U_row - max(0, -down)) * (cols - abs(across)) + U_col - max(0, -across)
        at = (stored + place) * LANES
        store(S, at, load(S, at) + load(K, c * LANES))
        if tangent:
            store(T, at, load(T, at) + load(kT, c * LANES))


@inlined
def window_rows(
    number: Any, start: Any, tangent: Any, bounds: Any, sources: Any, place: Any, stride: Any, S_sum: Any, T_sum: Any,
    S: Any, T: Any,
) -> None:  # fmt: skip
    """A row of S' and T' from the rows that have been summed along columns; `start`: T is not there yet."""
    first, stop = item(bounds, place * 3), item(bounds, place * 3 + 1)
    weight, bias, gain = item(number, WEIGHT), item(number, BIAS), item(number, GAIN)
    for p in range(0, stride, LANES):
        s = sum_of_slots(S_sum, p, sources, first, stop, stride) * weight + bias
        store(S, p, s)
        if start:
            store(T, p, s)
        elif tangent:
            store(T, p, sum_of_slots(T_sum, p, sources, first, stop, stride) * weight + s * gain)


@compiled
def offset_picture(
    steps: Any, numbers: Any, by_row: Any, by_col: Any, lengths: Any, first: Any, last: Any,
    tangent: Any, bounds: Any, sources: Any,
    down: Any, across: Any, rows: Any, cols: Any,
    x: Any, z: Any, places: Any, taps: Any, depth: Any, scale: Any, bias: Any,
    S_in: Any, T_in: Any, share: Any,
    xn: Any, xv: Any, zn: Any, zv: Any,
    room: Any, widest: Any, S_sum: Any, T_sum: Any, slots: Any, made: Any, heights: Any, widths: Any,
    pool: Any, rows_after: Any, cols_after: Any, starts: Any, S_out: Any, T_out: Any, stored: Any,
) -> Any:  # fmt: skip
    """One offset's picture through a stage, from step `first` to `last`; the sum of K + T k0 where nothing pools."""
    S, T, K, kT = room, ahead(room, widest), ahead(room, 2 * widest), ahead(room, 3 * widest)
    total = zero(room)
    u_row, u_col, v_row, v_col = max(0, -down), max(0, -across), max(0, down), max(0, across)
    height, width = rows - abs(down), cols - abs(across)
    for level in range(first, last + 1):
        put(made, level, 0)
        put(heights, level, height)
        put(widths, level, width)
        height = item(by_row, (level * lengths + height) * 3 + AFTER)
        width = item(by_col, (level * lengths + width) * 4 + AFTER)
    level = last
    while item(made, last) < item(heights, last):
        step, number = ahead(steps, level * STEP), ahead(numbers, level * NUMBER)
        row, count = item(made, level), item(widths, level)
        if level > first:
            below = level - 1
            place = item(by_row, (below * lengths + item(heights, below)) * 3) + row
            if item(bounds, place * 3 + 2) >= item(made, below):
                level = below
                continue
            start = item(steps, below * STEP + FAMILY) == START
            slot = item(slots, below)
            window_rows(
                ahead(number, -NUMBER), start, tangent, bounds, sources, place, count * LANES,
                ahead(S_sum, slot), ahead(T_sum, slot), S, T,
            )  # fmt: skip
        elif depth > 0:
            grid = item(step, WIDTH)
            u, v = (u_row + row) * grid + u_col, (v_row + row) * grid + v_col
            product_row(x, z, places, taps, depth, u, v, count, scale, bias, S)
            for p in range(0, count * LANES, LANES):
                store(T, p, load(S, p))
        else:
            for p in range(0, count * LANES, LANES):
                store(S, p, load(S_in, row * count * LANES + p) * share)
                if tangent:
                    store(T, p, load(T_in, row * count * LANES + p) * share)
        grid = item(step, WIDTH)
        at_x = item(step, POSITION) + (u_row + row) * grid + u_col
        at_z = (item(step, POSITION) + (v_row + row) * grid + v_col) * LANES
        activate(
            step,
            number,
            tangent,
            count,
            S,
            T,
            ahead(xn, at_x),
            ahead(xv, at_x),
            ahead(zn, at_z),
            ahead(zv, at_z),
            K,
            kT,
        )
        put(made, level, row + 1)
        if level == last:
            if pool != NO_POOL:
                pool_row(
                    K, kT, tangent, u_row + row, u_col, v_row + row, v_col, count, pool, rows_after, cols_after,
                    starts, S_out, T_out, stored,
                )  # fmt: skip
            else:
                for p in range(0, count * LANES, LANES):
                    total = total + (load(K, p) + load(kT, p) if tangent else load(K, p))
            continue
        table = ahead(by_col, (level * lengths + count) * 4)
        kept = item(by_row, (level * lengths + item(heights, level)) * 3 + KEPT)
        after, threes = item(table, AFTER), item(table, THREES)
        slot = item(slots, level) + row % kept * after * LANES
        sum_along_row(
            item(table, TABLE), after, threes, item(table, THREES + 1), K, bounds, sources, ahead(S_sum, slot)
        )
        if tangent and item(step, FAMILY) != START:
            sum_along_row(
                item(table, TABLE), after, threes, item(table, THREES + 1), kT, bounds, sources, ahead(T_sum, slot)
            )
        level += 1
    return total


@entry
def pair_kernel_block(
    program: Any, places: Any, taps: Any, scale: Any, bias: Any,
    x: Any, xn: Any, xv: Any, image: Any,
    z: Any, zn: Any, zv: Any, block: Any, stored: Any, positions: Any,
    room: Any, summed: Any, slots: Any, counts: Any, pooled: Any, out: Any,
) -> None:  # fmt: skip
    """The kernel of one image x with the sixteen images z of one block."""
    steps, numbers, by_row, by_col, bounds, sources, stages, offsets, tangent, diagonal, mean, added = program
    total = zero(address(room))
    lengths = by_row.shape[1]
    at_x, at_z = image * positions, block * positions * LANES
    for k in range(pooled.shape[1]):
        pooled[0, k] = 0
        pooled[1, k] = 0
    for stage in range(len(stages) - 1):
        rows, cols, pool = stages[stage, ROWS], stages[stage, COLS], stages[stage, POOL]
        rows_after, cols_after = stages[stage, ROWS_AFTER], stages[stage, COLS_AFTER]
        depth = len(taps) if stage == 0 else 0
        alone = pool == NO_POOL and diagonal
        share = 1.0 if stage == 0 else 1.0 / stages[stage - 1, POOL] ** 4
        for down in range(1 - rows_after, rows_after):
            for across in range(1 - cols_after, cols_after):
                if alone and (down != 0 or across != 0):
                    continue
                picture = stages[stage, STORED] + offsets[stage, (down + rows - 1) * (2 * cols - 1) + across + cols - 1]
                total = total + offset_picture(
                    address(steps), address(numbers), address(by_row), address(by_col), lengths,
                    stages[stage, FIRST], stages[stage + 1, FIRST] - 1, tangent, address(bounds), address(sources),
                    down, across, rows, cols,
                    ahead(address(x), image * len(places) * len(taps)), ahead(address(z), block * stored * LANES),
                    address(places), address(taps), depth, scale, bias,
                    ahead(address(pooled), picture * LANES), ahead(address(pooled), pooled.shape[1] + picture * LANES),
                    share,
                    ahead(address(xn), at_x), ahead(address(xv), at_x), ahead(address(zn), at_z),
                    ahead(address(zv), at_z),
                    address(room), room.shape[1], address(summed), ahead(address(summed), summed.shape[1]),
                    address(slots), address(counts), ahead(address(counts), counts.shape[1]),
                    ahead(address(counts), 2 * counts.shape[1]),
                    pool, stages[stage + 1, ROWS], stages[stage + 1, COLS],
                    ahead(address(offsets), (stage + 1) * offsets.shape[1]),
                    address(pooled), ahead(address(pooled), pooled.shape[1]), stages[stage + 1, STORED],
                )  # fmt: skip
    store(address(out), image * out.shape[1] + block * LANES, total * mean + added)

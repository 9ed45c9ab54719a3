"""The recursion of sixteen pairs of images where positions meet positions: forward, picture by picture.

`u` is a position of x and `v` one of z. A picture (see `pair_program`) runs through a stage depth first, as in
`fused_forward`; the last activation's rows are pooled into the next stage's covariance, or read out.

Compiled functions hand each other addresses in groups:

    plan      steps, numbers, bounds, sources, tangent, row pairs, row lines and the most of them, the same of columns
    norms     of x, its inverse roots, those of z
    channels  x and z, their places and taps, how many taps, the scale and the bias of their products
    room      four rows, their length, the rows that windows of S and of T need, where each step's begin, rows made
    met       room for S and for T in front of every step of a picture, and where each step's begin
"""

from typing import Any

from ....lanes.vectors import (
    LANES,
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
from ..duals import START
from ..flat.forward import activate, no_window, sum_along_row, window_row
from ..flat.program import NUMBER
from .program import (
    ACROSS,
    COL_LINES,
    COL_PAIRS,
    COUNT,
    FIRST,
    KEPT,
    LINE,
    NUMBER_OF_FIRST,
    PAIR,
    POOL,
    POSITION,
    ROW_LINES,
    ROW_PAIRS,
    RUN,
    STAGE,
    STEP,
    STEP_FAMILY,
    STORED,
    TABLE,
    TARGET,
    THREES,
    THREES_END,
    WIDTH,
    U,
    V,
)

NO_POOL = 0


@inlined
def product_row(channels: Any, pairs: Any, u_row: Any, v_row: Any, count: Any, S: Any) -> None:
    """scale * x[u]^T z[v] + bias for the pairs of one row; `u_row` and `v_row` are its first positions."""
    x, z, places, taps, depth, scale, bias = channels
    for c in range(count):
        pair = ahead(pairs, c * PAIR)
        here, at = item(places, v_row + item(pair, V)) * LANES, (u_row + item(pair, U)) * depth
        even, odd = zero(S), zero(S)
        for k in range(0, depth - 1, 2):
            even = even + load(z, here + item(taps, k) * LANES) * load_broadcast(x, at + k)
            odd = odd + load(z, here + item(taps, k + 1) * LANES) * load_broadcast(x, at + k + 1)
        if depth % 2:
            even = even + load(z, here + item(taps, depth - 1) * LANES) * load_broadcast(x, at + depth - 1)
        store(S, c * LANES, (even + odd) * scale + bias)


@inlined
def facing(norms: Any, pair: Any, u_row: Any, v_row: Any) -> Any:
    """Norms and inverse roots from one pair on, of x and of z."""
    xn, xv, zn, zv = norms
    u, v = u_row + item(pair, U), (v_row + item(pair, V)) * LANES
    return ahead(xn, u), ahead(xv, u), ahead(zn, v), ahead(zv, v)


@inlined
def pool_row(K: Any, pairs: Any, count: Any, pooled: Any) -> None:
    """Add the pairs of one row to the row of pairs that they are pooled into."""
    for c in range(count):
        at = item(pairs, c * PAIR + TARGET) * LANES
        store(pooled, at, load(pooled, at) + load(K, c * LANES))


@compiled
def picture(
    plan: Any, from_channels: Any, first: Any, last: Any, i: Any, j: Any, channels: Any,
    S_in: Any, T_in: Any, across: Any, share: Any,
    norms: Any, room: Any, met: Any, saves: Any, pool: Any, S_out: Any, T_out: Any, across_after: Any,
) -> Any:  # fmt: skip
    """One picture through a stage, from step `first` to `last`; the sum of K + T k0 where nothing pools.

    Args:
        plan: the program.
        from_channels: whether the stage begins with products of `channels`, or with the pooled covariance before it.
        first, last, i, j: the stage's steps; the lines of row and of column pairs.
        channels: see above.
        S_in, T_in, across, share: the pooled sums before the stage, `across` pairs to a row, to be multiplied by `share`.
        norms, room, met: see above.
        saves: whether to keep what every step meets, and to go no further than what the last one meets.
        pool, S_out, T_out, across_after: whether, and where, to add up the next stage's covariance.
    """
    steps, numbers, bounds, sources, tangent, row_pairs, row_lines, most_rows, col_pairs, col_lines, most_cols = plan
    rows, widest, S_sum, T_sum, slots, made = room
    S_met, T_met, begins = met
    S, T, K, kT = rows, ahead(rows, widest), ahead(rows, 2 * widest), ahead(rows, 3 * widest)
    total, begin = zero(rows), 0
    for level in range(first, last + 1):
        height = item(row_lines, (level * most_rows + i) * LINE + COUNT)
        put(made, level, 0)
        put(begins, level, begin)
        begin += height * item(col_lines, (level * most_cols + j) * LINE + COUNT) * LANES
    level = last
    while item(made, last) < item(row_lines, (last * most_rows + i) * LINE + COUNT):
        step, number = ahead(steps, level * STEP), ahead(numbers, level * NUMBER)
        row_line = ahead(row_lines, (level * most_rows + i) * LINE)
        col_line = ahead(col_lines, (level * most_cols + j) * LINE)
        row, count = item(made, level), item(col_line, COUNT)
        row_pair = ahead(row_pairs, (item(step, ROW_PAIRS) + item(row_line, NUMBER_OF_FIRST) + row) * PAIR)
        pairs = ahead(col_pairs, (item(step, COL_PAIRS) + item(col_line, NUMBER_OF_FIRST)) * PAIR)
        u_row, v_row = item(row_pair, U) * item(step, WIDTH), item(row_pair, V) * item(step, WIDTH)
        if level > first:
            place = item(row_line, TABLE - most_rows * LINE) + row
            if item(bounds, place * 3 + 2) >= item(made, level - 1):
                level -= 1
                continue
            slot = item(slots, level - 1)
            window_row(
                ahead(number, -NUMBER), item(step, STEP_FAMILY - STEP) == START, tangent, bounds, sources, place,
                count * LANES, ahead(S_sum, slot), ahead(T_sum, slot), S, T,
            )  # fmt: skip
        elif from_channels:
            product_row(channels, pairs, u_row, v_row, count, S)
            for p in range(0, count * LANES, LANES):
                store(T, p, load(S, p))
        else:
            at = ((item(row_line, NUMBER_OF_FIRST) + row) * across + item(col_line, NUMBER_OF_FIRST)) * LANES
            for p in range(0, count * LANES, LANES):
                store(S, p, load(S_in, at + p) * share)
                if tangent:
                    store(T, p, load(T_in, at + p) * share)
        put(made, level, row + 1)
        if saves:
            at = item(begins, level) + row * count * LANES
            for p in range(0, count * LANES, LANES):
                store(S_met, at + p, load(S, p))
                store(T_met, at + p, load(T, p))
            if level == last:
                continue
        c = 0
        while c < count:
            pair, p = ahead(pairs, c * PAIR), c * LANES
            xn, xv, zn, zv = facing(norms, pair, item(step, POSITION) + u_row, item(step, POSITION) + v_row)
            activate(
                step, number, tangent, item(pair, RUN), no_window(number, ahead(S, p), ahead(T, p)), False, S, T,
                xn, xv, zn, zv, ahead(K, p), ahead(kT, p),
            )  # fmt: skip
            c += item(pair, RUN)
        if level < last:
            after, threes = item(col_line, COUNT + most_cols * LINE), item(col_line, THREES)
            slot = item(slots, level) + row % item(row_line, KEPT) * after * LANES
            table, end = item(col_line, TABLE), item(col_line, THREES_END)
            sum_along_row(table, after, threes, end, K, bounds, sources, ahead(S_sum, slot))
            if tangent and item(step, STEP_FAMILY) != START:
                sum_along_row(table, after, threes, end, kT, bounds, sources, ahead(T_sum, slot))
            level += 1
        elif pool != NO_POOL:
            at = item(row_pair, TARGET) * across_after * LANES
            pool_row(K, pairs, count, ahead(S_out, at))
            if tangent:
                pool_row(kT, pairs, count, ahead(T_out, at))
        else:
            for p in range(0, count * LANES, LANES):
                total = total + (load(K, p) + load(kT, p) if tangent else load(K, p))
    return total


@inlined
def plan_of(program: Any) -> Any:
    """The addresses in a program, its stages, and what the readout does."""
    (
        steps, numbers, row_pairs, row_lines, col_pairs, col_lines, bounds, sources, stages, _, _, tangent, mean, added,
    ) = program  # fmt: skip
    plan = (
        address(steps), address(numbers), address(bounds), address(sources), tangent,
        address(row_pairs), address(row_lines), row_lines.shape[1],
        address(col_pairs), address(col_lines), col_lines.shape[1],
    )  # fmt: skip
    return plan, address(stages), len(stages) - 1, mean, added


@inlined
def norms_of(xn: Any, xv: Any, zn: Any, zv: Any, image: Any, block: Any, positions: Any) -> Any:
    """The norms of one image x and one block of images z."""
    x, z = image * positions, block * positions * LANES
    return ahead(address(xn), x), ahead(address(xv), x), ahead(address(zn), z), ahead(address(zv), z)


@inlined
def channels_of(
    x: Any, z: Any, places: Any, taps: Any, scale: Any, bias: Any, image: Any, block: Any, stored: Any
) -> Any:
    """The channels of one image x and one block of images z."""
    left = ahead(address(x), image * len(places) * len(taps))
    return left, ahead(address(z), block * stored * LANES), address(places), address(taps), len(taps), scale, bias


@inlined
def room_of(rows: Any, summed: Any, slots: Any, counts: Any, met: Any) -> Any:
    """A thread's room, and its room for what is met."""
    second = ahead(address(counts), counts.shape[1])
    return (
        address(rows), rows.shape[1], address(summed), ahead(address(summed), summed.shape[1]),
        address(slots), address(counts),
    ), (address(met), ahead(address(met), met.shape[1]), second)  # fmt: skip


@inlined
def share_of(stage: Any) -> Any:
    """What turns the sums of the pooling before a stage into means."""
    size = item(stage, POOL - STAGE)
    return 1.0 / (size * size * size * size)


@compiled
def pass_stage(
    plan: Any, stages: Any, s: Any, channels: Any, S_pooled: Any, T_pooled: Any, norms: Any, room: Any, met: Any
) -> Any:
    """All pictures through stage `s`; the sum of K + T k0 where nothing pools."""
    stage, after = ahead(stages, s * STAGE), ahead(stages, (s + 1) * STAGE)
    below, above = item(stage, STORED) * LANES, item(after, STORED) * LANES
    total = zero(S_pooled)
    for i in range(item(stage, ROW_LINES)):
        for j in range(item(stage, COL_LINES)):
            total = total + picture(
                plan, s == 0, item(stage, FIRST), item(after, FIRST) - 1, i, j, channels,
                ahead(S_pooled, below), ahead(T_pooled, below), item(stage, ACROSS), 1.0 if s == 0 else share_of(stage),
                norms, room, met, False, item(stage, POOL),
                ahead(S_pooled, above), ahead(T_pooled, above), item(after, ACROSS),
            )  # fmt: skip
    return total


@entry
def pair_kernel_block(
    program: Any, places: Any, taps: Any, scale: Any, bias: Any,
    x: Any, xn: Any, xv: Any, image: Any,
    z: Any, zn: Any, zv: Any, block: Any, stored: Any, positions: Any,
    slots: Any, counts: Any, rows: Any, summed: Any, met: Any, pooled: Any, out: Any,
) -> None:  # fmt: skip
    """The kernel of one image x with the sixteen images z of one block."""
    plan, stages, depth, mean, added = plan_of(program)
    norms = norms_of(xn, xv, zn, zv, image, block, positions)
    channels = channels_of(x, z, places, taps, scale, bias, image, block, stored)
    room, kept = room_of(rows, summed, slots, counts, met)
    pooled[:] = 0
    total = zero(address(rows))
    for s in range(depth):
        total = total + pass_stage(
            plan, stages, s, channels, address(pooled), ahead(address(pooled), pooled.shape[1]), norms, room, kept
        )
    store(address(out), image * out.shape[1] + block * LANES, total * mean + added)

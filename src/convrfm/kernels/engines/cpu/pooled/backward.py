"""The adjoint of the recursion where positions meet positions, sixteen pairs of images at once, picture by picture.

On the way forward only the pooled covariances are kept. On the way back each picture is made once more, with what its
activations meet, and pulled back at once; the adjoint of a pooled covariance takes its place in memory, because no
other picture reads it. The first covariance's adjoint a[u, v] meets the patches of z one line of row pairs at a time.
"""

from typing import Any

from ....lanes.vectors import LANES, address, ahead, broadcast, compiled, entry, inlined, item, load, store, zero
from ..duals import NONE
from ..flat.backward import pull_back, spread_row
from ..flat.program import NUMBER
from .forward import (
    NO_POOL,
    channels_of,
    facing,
    norms_of,
    pass_stage,
    picture,
    plan_of,
    room_of,
    share_of,
)
from .program import (
    ACROSS,
    COL_LINES,
    COL_PAIRS,
    COUNT,
    FIRST,
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
    TARGET,
    TO_TABLE,
    TO_THREES,
    TO_THREES_END,
    WIDTH,
    U,
    V,
)

TAPS_AT_ONCE = 4  # of a patch of z, each in a register of its own


@inlined
def unpool_row(pooled_bar: Any, pairs: Any, count: Any, K_bar: Any) -> None:
    """The adjoints of the pairs of one row, from that of the row of pairs that they are pooled into."""
    for c in range(count):
        store(K_bar, c * LANES, load(pooled_bar, item(pairs, c * PAIR + TARGET) * LANES))


@compiled
def pull_back_picture(
    plan: Any, first: Any, last: Any, i: Any, j: Any, norms: Any, room: Any, met: Any, mean: Any, tiny: Any,
    pool: Any, S_after: Any, T_after: Any, across_after: Any, fields: Any, largest: Any, q_bars: Any,
) -> Any:  # fmt: skip
    """The adjoints of S and T in front of step `first`, fields of this picture; adds to those of x's variances.

    Args:
        plan, first, last, i, j, norms, room: as for `picture`.
        met: what `picture` has saved.
        mean, tiny: the readout's factor; the square of the sine below which two patches count as coinciding.
        pool, S_after, T_after, across_after: whether, and where, the adjoints after the stage's pooling are.
        fields, largest: room for four fields, `largest` numbers each.
        q_bars: the adjoints of x's variances, `(positions, LANES)`.
    """
    steps, numbers, bounds, sources, tangent, row_pairs, row_lines, most_rows, col_pairs, col_lines, most_cols = plan
    rows, widest = room[0], room[1]
    S_met, T_met, begins = met
    K_sum, kT_sum = rows, ahead(rows, widest)
    K_bar, kT_bar, q_bar = ahead(rows, 2 * widest), ahead(rows, 3 * widest), ahead(rows, 4 * widest)
    S_bar, T_bar, S_above, T_above = (
        fields,
        ahead(fields, largest),
        ahead(fields, 2 * largest),
        ahead(fields, 3 * largest),
    )
    for level in range(last, first - 1, -1):
        step, number = ahead(steps, level * STEP), ahead(numbers, level * NUMBER)
        row_line = ahead(row_lines, (level * most_rows + i) * LINE)
        col_line = ahead(col_lines, (level * most_cols + j) * LINE)
        count, grid = item(col_line, COUNT), item(step, WIDTH)
        pairs = ahead(col_pairs, (item(step, COL_PAIRS) + item(col_line, NUMBER_OF_FIRST)) * PAIR)
        for row in range(item(row_line, COUNT)):
            row_pair = ahead(row_pairs, (item(step, ROW_PAIRS) + item(row_line, NUMBER_OF_FIRST) + row) * PAIR)
            if level < last:
                spread_row(
                    number, bounds, sources, S_above, T_above, item(row_line, TO_TABLE) + row,
                    item(col_line, COUNT + most_cols * LINE) * LANES, item(col_line, TO_TABLE), count,
                    item(col_line, TO_THREES), item(col_line, TO_THREES_END), K_sum, kT_sum, K_bar, kT_bar,
                )  # fmt: skip
            elif pool != NO_POOL:
                at = item(row_pair, TARGET) * across_after * LANES
                unpool_row(ahead(S_after, at), pairs, count, K_bar)
                unpool_row(ahead(T_after, at), pairs, count, kT_bar)
            else:
                for p in range(0, count * LANES, LANES):
                    store(K_bar, p, broadcast(mean))
                    store(kT_bar, p, broadcast(mean) if tangent else zero(fields))
            u_row, v_row = (
                item(step, POSITION) + item(row_pair, U) * grid,
                item(step, POSITION) + item(row_pair, V) * grid,
            )
            at = row * count * LANES
            c = 0
            while c < count:
                pair, p = ahead(pairs, c * PAIR), c * LANES
                xn, xv, zn, zv = facing(norms, pair, u_row, v_row)
                pull_back(
                    step, number, tangent, tiny, item(pair, RUN),
                    ahead(S_met, item(begins, level) + at + p), ahead(T_met, item(begins, level) + at + p),
                    xn, xv, zn, zv, ahead(K_bar, p), ahead(kT_bar, p),
                    ahead(S_bar, at + p), ahead(T_bar, at + p), ahead(q_bar, p),
                )  # fmt: skip
                c += item(pair, RUN)
            if item(step, STEP_FAMILY) > NONE:
                for c in range(count):
                    u = (u_row + item(pairs, c * PAIR + U)) * LANES
                    store(q_bars, u, load(q_bars, u) + load(q_bar, c * LANES))
        S_bar, T_bar, S_above, T_above = S_above, T_above, S_bar, T_bar
    return S_above, T_above


@inlined
def meet_patches(
    weights: Any, across: Any, line: Any, row_pairs: Any, cols: Any, partner_bounds: Any, partners: Any,
    patches: Any, entries: Any, patch_bars: Any,
) -> None:  # fmt: skip
    """patch_bars[u] += sum over v of weights[u, v] z[v], for the pairs of one line of row pairs.

    Args:
        weights, across: for each row pair of the line, its `across` column pairs.
        line, row_pairs: the line, and the pairs of the step.
        cols, partner_bounds, partners: the grid's columns, and for each of them its partners.
        patches, entries: `(positions, entries, LANES)` of the images z; `entries` is a multiple of `TAPS_AT_ONCE`.
        patch_bars: `(positions, entries, LANES)`, added to.
    """
    for row in range(item(line, COUNT)):
        row_pair = ahead(row_pairs, (item(line, NUMBER_OF_FIRST) + row) * PAIR)
        u_row, v_row = item(row_pair, U) * cols, item(row_pair, V) * cols
        for u in range(cols):
            first, stop = item(partner_bounds, u), item(partner_bounds, u + 1)
            for tap in range(0, entries, TAPS_AT_ONCE):
                bars = ahead(patch_bars, ((u_row + u) * entries + tap) * LANES)
                b0, b1, b2, b3 = load(bars, 0), load(bars, LANES), load(bars, 2 * LANES), load(bars, 3 * LANES)
                for k in range(first, stop):
                    a = load(weights, (row * across + item(partners, 2 * k)) * LANES)
                    z = ahead(patches, ((v_row + item(partners, 2 * k + 1)) * entries + tap) * LANES)
                    b0, b1 = b0 + a * load(z, 0), b1 + a * load(z, LANES)
                    b2, b3 = b2 + a * load(z, 2 * LANES), b3 + a * load(z, 3 * LANES)
                store(bars, 0, b0)
                store(bars, LANES, b1)
                store(bars, 2 * LANES, b2)
                store(bars, 3 * LANES, b3)


@inlined
def sum_onto(a: Any, b: Any, height: Any, count: Any, across: Any, target: Any) -> None:
    """Write the sum of two fields of a picture into rows of `across` pairs."""
    for row in range(height):
        for c in range(count):
            at = (row * count + c) * LANES
            store(target, (row * across + c) * LANES, load(a, at) + load(b, at))


@inlined
def scale_onto(field: Any, share: Any, height: Any, count: Any, across: Any, target: Any) -> None:
    """Write a field of a picture, times `share`, into rows of `across` pairs."""
    for row in range(height):
        for c in range(count):
            store(target, (row * across + c) * LANES, load(field, (row * count + c) * LANES) * share)


@compiled
def pull_back_stage(
    plan: Any, stages: Any, s: Any, channels: Any, S_pooled: Any, T_pooled: Any, norms: Any, room: Any, met: Any,
    mean: Any, tiny: Any, fields: Any, largest: Any, q_bars: Any,
    start: Any, weights: Any, partner_bounds: Any, partners: Any, patches: Any, entries: Any, patch_bars: Any,
) -> None:  # fmt: skip
    """Stage `s` once more and back: to its pooled covariance, or, in front of step `start`, to the patches."""
    steps, _, _, _, _, row_pairs, row_lines, most_rows, _, col_lines, most_cols = plan
    stage, after = ahead(stages, s * STAGE), ahead(stages, (s + 1) * STAGE)
    first, last, pool, across_after = item(stage, FIRST), item(after, FIRST) - 1, item(stage, POOL), item(after, ACROSS)
    below, above = item(stage, STORED) * LANES, item(after, STORED) * LANES
    S_in, T_in = ahead(S_pooled, below), ahead(T_pooled, below)
    S_after, T_after = ahead(S_pooled, above), ahead(T_pooled, above)
    bottom = start if s == 0 else first
    step, share = ahead(steps, bottom * STEP), 1.0 if s == 0 else share_of(stage)
    across = item(partner_bounds, item(step, WIDTH)) if s == 0 else item(stage, ACROSS)
    for i in range(item(stage, ROW_LINES)):
        row_line = ahead(row_lines, (bottom * most_rows + i) * LINE)
        for j in range(item(stage, COL_LINES)):
            picture(
                plan, s == 0, first, last, i, j, channels, S_in, T_in, across, share, norms, room, met, True,
                pool, S_after, T_after, across_after,
            )  # fmt: skip
            S_bar, T_bar = pull_back_picture(
                plan, bottom, last, i, j, norms, room, met, mean, tiny,
                pool, S_after, T_after, across_after, fields, largest, q_bars,
            )  # fmt: skip
            col_line = ahead(col_lines, (bottom * most_cols + j) * LINE)
            height, count, column = item(row_line, COUNT), item(col_line, COUNT), item(col_line, NUMBER_OF_FIRST)
            if s == 0:
                sum_onto(S_bar, T_bar, height, count, across, ahead(weights, column * LANES))
            else:
                at = (item(row_line, NUMBER_OF_FIRST) * across + column) * LANES
                scale_onto(S_bar, share, height, count, across, ahead(S_in, at))
                scale_onto(T_bar, share, height, count, across, ahead(T_in, at))
        if s == 0:
            meet_patches(
                weights, across, row_line, ahead(row_pairs, item(step, ROW_PAIRS) * PAIR), item(step, WIDTH),
                partner_bounds, partners, patches, entries, patch_bars,
            )  # fmt: skip


@entry
def pair_gradient_block(
    program: Any, places: Any, taps: Any, scale: Any, bias: Any, tiny: Any,
    x: Any, xn: Any, xv: Any, image: Any,
    z: Any, zn: Any, zv: Any, block: Any, stored: Any, positions: Any, patches: Any, start: Any,
    slots: Any, counts: Any, rows: Any, summed: Any, met: Any, pooled: Any, fields: Any, weights: Any,
    patch_bars: Any, q_bars: Any,
) -> None:  # fmt: skip
    """The adjoints of one image x with the sixteen images z of one block.

    `patches` is `(blocks, positions, entries, LANES)` of all images z, and `start` the step in front of which they meet;
    `patch_bars` `(positions, entries, LANES)` and `q_bars` `(positions of variances, LANES)` take the result.
    """
    plan, stages, depth, mean, _ = plan_of(program)
    norms = norms_of(xn, xv, zn, zv, image, block, positions)
    channels = channels_of(x, z, places, taps, scale, bias, image, block, stored)
    room, kept = room_of(rows, summed, slots, counts, met)
    S_pooled, T_pooled = address(pooled), ahead(address(pooled), pooled.shape[1])
    pooled[:] = 0
    patch_bars[:] = 0
    q_bars[:] = 0
    for s in range(depth - 1):
        pass_stage(plan, stages, s, channels, S_pooled, T_pooled, norms, room, kept)
    for s in range(depth - 1, -1, -1):
        pull_back_stage(
            plan, stages, s, channels, S_pooled, T_pooled, norms, room, kept,
            mean, tiny, address(fields), fields.shape[1], address(q_bars),
            start, address(weights), address(program.partner_bounds), address(program.partners),
            ahead(address(patches), block * patch_bars.size), patch_bars.shape[1], address(patch_bars),
        )  # fmt: skip

"""The recursion of sixteen pairs of images where positions meet positions: forward, section by section.

`u` is a position of x and `v` one of z. A section (see `program`) runs through a stage depth first, as rows do in
`flat.forward`; the last activation's rows are pooled into the next stage's covariance, or read out.

    Before (channels or pooled sums) --section: row by row, step by step--> After (pooled sums, or the readout)
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
from ..rows import activate, incoming_from, incoming_from_sums, incoming_row, met_at, sum_along_row
from ..structures import Gather, Sides, dual_of, fields_from, reading_of, sides_from, window_after
from ..tables import BOUND, FAMILY, NUMBER
from .program import (
    COL_LINES,
    COUNT,
    FIRST,
    KEPT,
    LINE,
    PAIR,
    ROW_LINES,
    RUN,
    STAGE,
    STEP,
    TABLE,
    TARGET,
    THREES,
    THREES_END,
    U,
    V,
)
from .structures import (
    Channels,
    Section,
    after_stage,
    before_stage,
    col_line_of,
    facing,
    plan_of,
    room_of,
    row_line_of,
    section_row,
)

NO_POOL = 0


@inlined
def product_row(channels: Any, row: Any, S: Any) -> None:
    """scale * x[u]^T z[v] + bias for the pairs of one row."""
    x, z, reading = channels
    places, taps, depth = reading.places, reading.taps, reading.depth
    for c in range(row.count):
        pair = ahead(row.pairs, c * PAIR)
        here, at = item(places, row.v + item(pair, V)) * LANES, (row.u + item(pair, U)) * depth
        even, odd = zero(S), zero(S)
        for k in range(0, depth - 1, 2):
            even = even + load(z, here + item(taps, k) * LANES) * load_broadcast(x, at + k)
            odd = odd + load(z, here + item(taps, k + 1) * LANES) * load_broadcast(x, at + k + 1)
        if depth % 2:
            even = even + load(z, here + item(taps, depth - 1) * LANES) * load_broadcast(x, at + depth - 1)
        store(S, c * LANES, (even + odd) * reading.scale + reading.bias)


@inlined
def first_row(channels: Any, before: Any, row: Any, tangent: Any, out: Any) -> None:
    """A row of what the stage begins with."""
    if before.is_channels:
        product_row(channels, row, out.S)
        if tangent:
            for p in range(0, row.count * LANES, LANES):
                store(out.T, p, load(out.S, p))
        return
    at = (row.number * before.across + row.column) * LANES
    for p in range(0, row.count * LANES, LANES):
        store(out.S, p, load(before.pooled.S, at + p) * before.share)
        if tangent:
            store(out.T, p, load(before.pooled.T, at + p) * before.share)


@inlined
def pool_row(K: Any, row: Any, after: Any, pooled: Any) -> None:
    """Add the pairs of one row to those that they are pooled into."""
    target = ahead(pooled, item(row.row_pair, TARGET) * after.across * LANES)
    for c in range(row.count):
        at = item(row.pairs, c * PAIR + TARGET) * LANES
        store(target, at, load(target, at) + load(K, c * LANES))


@inlined
def clear(plan: Any, section: Any, room: Any) -> None:
    """No row of the section is made; where what it meets in each step begins."""
    begin = 0
    for level in range(section.first, section.last + 1):
        put(room.made, level, 0)
        put(room.begins, level, begin)
        height = item(row_line_of(plan, section, level), COUNT)
        begin += height * item(col_line_of(plan, section, level), COUNT) * LANES


@compiled
def pass_section(
    plan: Any, section: Any, channels: Any, before: Any, after: Any, sides: Any, room: Any, saves: Any
) -> Any:
    """One section through its stage; the sum of K + T k0 where nothing pools.

    Args:
        plan: the program.
        section: which, and from which step to which.
        channels: the images.
        before, after: what the stage begins with and ends in.
        sides: norms and inverse roots of x and of z.
        room: a thread's.
        saves: whether to keep what every step meets, and to go no further than what the last one meets.
    """
    tables, tangent, first, last = plan.tables, plan.tangent, section.first, section.last
    fields, out = room.incoming, room.activated
    total = zero(fields.S)
    clear(plan, section, room)
    level = last
    while item(room.made, last) < item(row_line_of(plan, section, last), COUNT):
        step, number = ahead(plan.steps, level * STEP), ahead(plan.numbers, level * NUMBER)
        row_line, col_line = row_line_of(plan, section, level), col_line_of(plan, section, level)
        made = item(room.made, level)
        row = section_row(plan, section, level, made)
        bare = item(step, FAMILY) == START and not saves  # products of pixels, which no activation meets
        if level > first:
            place = item(row_line, TABLE - plan.most_rows * LINE) + made
            if item(tables.bounds, place * BOUND + 2) >= item(room.made, level - 1):
                level -= 1
                continue
            window = window_after(ahead(number, -NUMBER), item(step, FAMILY - STEP) == START, tangent)
            sums = fields_from(room.sums, item(room.slots, level - 1))
            met = incoming_from_sums(window, tables, place, row.count * LANES, sums, fields)
        else:
            first_row(channels, before, row, tangent and not bare, out if bare else fields)
            met = incoming_row(fields, window_after(number, False, tangent))
        put(room.made, level, made + 1)
        if saves:
            at = item(room.begins, level) + made * row.count * LANES
            for p in range(0, row.count * LANES, LANES):
                s, t = met_at(met, p)
                store(room.met.S, at + p, s)
                store(room.met.T, at + p, t)
            if level == last:
                continue
        c = row.count if bare else 0
        while c < row.count:
            incoming = incoming_from(met, c * LANES)
            run, facing_sides = item(row.pairs, c * PAIR + RUN), facing(sides, step, row, c)
            activate(dual_of(step, number), run, incoming, facing_sides, fields_from(out, c * LANES), False, fields)
            c += run
        if level < last:
            after_window = item(col_line, COUNT + plan.most_cols * LINE)
            gather = Gather(item(col_line, TABLE), after_window, item(col_line, THREES), item(col_line, THREES_END))
            sums = fields_from(room.sums, item(room.slots, level) + made % item(row_line, KEPT) * after_window * LANES)
            sum_along_row(gather, tables, out.S, sums.S)
            if tangent and item(step, FAMILY) != START:
                sum_along_row(gather, tables, out.T, sums.T)
            level += 1
        elif after.size != NO_POOL:
            pool_row(out.S, row, after, after.pooled.S)
            if tangent:
                pool_row(out.T, row, after, after.pooled.T)
        else:
            for p in range(0, row.count * LANES, LANES):
                total = total + (load(out.S, p) + load(out.T, p) if tangent else load(out.S, p))
    return total


@compiled
def pass_stage(plan: Any, s: Any, channels: Any, sides: Any, room: Any) -> Any:
    """All sections through stage `s`; the sum of K + T k0 where nothing pools."""
    stage = ahead(plan.stages, s * STAGE)
    before, after = before_stage(plan, s, room.pooled), after_stage(plan, s, room.pooled)
    first, last = item(stage, FIRST), item(stage, STAGE + FIRST) - 1
    total = zero(room.incoming.S)
    for i in range(item(stage, ROW_LINES)):
        for j in range(item(stage, COL_LINES)):
            section = Section(first, last, i, j)
            total = total + pass_section(plan, section, channels, before, after, sides, room, False)
    return total


@inlined
def sides_of(program: Any, left: Any, right: Any, image: Any, block: Any) -> Any:
    """The norms of one image x and one block of images z."""
    sides = Sides(address(left.norms), address(left.inverses), address(right.norms), address(right.inverses))
    return sides_from(sides, image * program.norms, block * program.norms)


@inlined
def channels_of(taps: Any, left: Any, right: Any, image: Any, block: Any) -> Any:
    """The channels of one image x and one block of images z."""
    x = ahead(address(left.channels), image * len(taps.places) * len(taps.offsets))
    return Channels(x, ahead(address(right.channels), block * taps.stored * LANES), reading_of(taps))


@entry
def pair_kernel_block(
    program: Any, taps: Any, left: Any, right: Any, image: Any, block: Any, memory: Any, out: Any
) -> None:
    """The kernel of one image x with the sixteen images z of one block.

    Args:
        program: the network's `PairProgram`.
        taps: how its images are read, `Taps`.
        left, right: all images x and z, `Side`.
        image, block: which of them.
        memory: a thread's, `PairMemory`.
        out: `(images x, images z)`.
    """
    plan, room = plan_of(program), room_of(memory)
    sides, channels = sides_of(program, left, right, image, block), channels_of(taps, left, right, image, block)
    memory.pooled[:] = 0
    total = zero(room.incoming.S)
    for s in range(plan.depth):
        total = total + pass_stage(plan, s, channels, sides, room)
    store(address(out), image * out.shape[1] + block * LANES, total * program.mean + program.bias)

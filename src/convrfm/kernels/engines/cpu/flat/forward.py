"""The recursion of sixteen pairs of images at once, from their first covariances to the kernel (design 4.2).

A field is a flat array of positions, row by row, of sixteen lanes each: one image x against sixteen images z. Rows run
through all layers depth first: a layer's row is made as soon as the rows below its window are there, and only those are
kept, so that everything but the first covariance and the norms of z stays in the first-level cache.

    x, z --products--> S1 --row by row, step by step: see `rows`--> sum over positions of K + T k0 --readout--> kernel
"""

from typing import Any

from ....lanes.vectors import LANES, address, ahead, compiled, entry, item, load, put, store, zero
from ..duals import START
from ..lane_embedding import TOGETHER
from ..rows import activate, incoming_from_sums, incoming_row, sum_along_row
from ..structures import Fields, Gather, Sides, dual_of, fields_from, reading_of, sides_from, window_after
from ..tables import BOUND, FAMILY, NUMBER
from .products import products
from .program import BY_COL, BY_ROW, IN_COLS, IN_ROWS, KEPT, OUT_COLS, POSITION, STEP, THREES
from .structures import plan_of, room_of


@compiled
def forward(plan: Any, S1: Any, sides: Any, room: Any, saves: Any) -> Any:
    """The sum over positions of K + T k0 after the last activation.

    Args:
        plan: the program.
        S1: the first covariance.
        sides: norms and inverse roots of x and of z.
        room: a thread's.
        saves: whether to keep what each activation meets.
    """
    tables, tangent, out, last = plan.tables, plan.tangent, room.activated, plan.depth - 1
    total = zero(S1)
    for level in range(plan.depth):
        put(room.made, level, 0)
    level = last
    while item(room.made, last) < item(plan.steps, last * STEP + IN_ROWS):
        step, number = ahead(plan.steps, level * STEP), ahead(plan.numbers, level * NUMBER)
        row, cols = item(room.made, level), item(step, IN_COLS)
        if level > 0:
            below, place = ahead(step, -STEP), item(step, BY_ROW - STEP) + row
            if item(tables.bounds, place * BOUND + 2) >= item(room.made, level - 1):
                level -= 1
                continue
            incoming = incoming_from_sums(
                window_after(ahead(number, -NUMBER), item(below, FAMILY) == START, tangent),
                tables,
                place,
                cols * LANES,
                fields_from(room.sums, item(room.slots, level - 1)),
                room.incoming,
            )
        else:
            S = ahead(S1, row * cols * LANES)
            incoming = incoming_row(Fields(S, S), window_after(number, False, tangent))
        place = item(step, POSITION) + row * cols
        met = fields_from(room.met, place * LANES)
        activate(dual_of(step, number), cols, incoming, sides_from(sides, place, place), out, saves, met)
        put(room.made, level, row + 1)
        if level == last:
            for p in range(0, cols * LANES, LANES):
                total = total + (load(out.S, p) + load(out.T, p) if tangent else load(out.S, p))
            continue
        slot = item(room.slots, level) + row % item(step, KEPT) * item(step, OUT_COLS) * LANES
        gather = Gather(item(step, BY_COL), item(step, OUT_COLS), item(step, THREES), item(step, THREES + 1))
        sums = fields_from(room.sums, slot)
        sum_along_row(gather, tables, out.S, sums.S)
        if tangent and item(step, FAMILY) != START:
            sum_along_row(gather, tables, out.T, sums.T)
        level += 1
    return total


@entry
def kernel_blocks(program: Any, taps: Any, left: Any, right: Any, part: Any, memory: Any, out: Any) -> None:
    """The kernel of some images x with two blocks of sixteen images z.

    Args:
        program: the network's `Program`.
        taps: how its images are read, `Taps`.
        left, right: all images x and z, `Side`.
        part: which of them, `Part`.
        memory: a thread's, `Memory`.
        out: `(images x, images z)`.
    """
    plan, room, reading = plan_of(program), room_of(memory), reading_of(taps)
    S1, apart = address(memory.S1), taps.stored * LANES
    z = ahead(address(right.channels), part.block * apart)
    all_sides = Sides(address(left.norms), address(left.inverses), address(right.norms), address(right.inverses))
    for i in range(part.first, part.last, TOGETHER):
        products(reading, address(left.channels), i, part.last - 1, z, apart, S1)
        for b in range(2):
            column = (part.block + b) * LANES
            if column >= out.shape[1] or (part.symmetric and i >= column + LANES):
                continue
            for g in range(min(TOGETHER, part.last - i)):
                sides = sides_from(all_sides, (i + g) * program.norms, column // LANES * program.norms)
                first = ahead(S1, (b * TOGETHER + g) * reading.count * LANES)
                total = forward(plan, first, sides, room, False)
                store(address(out), (i + g) * out.shape[1] + column, total * program.mean + program.bias)

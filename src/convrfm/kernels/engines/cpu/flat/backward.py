"""The adjoint of the recursion, sixteen pairs of images at once, in closed form and once per pair (design 4.3).

It starts from the readout's factor at every position and ends in a[x, i, u] = dK(x, z_i) / dS1[u], and in the adjoints
of x's variances, which are summed over i with the coefficients at once. Layer by layer, rows of a field after a window
become rows of a field before its activation (see `rows_back`); the two fields change places with every layer.
"""

from typing import Any, NamedTuple

from ....lanes.vectors import (
    LANES,
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
from ..duals import NONE
from ..lane_embedding import TOGETHER
from ..rows_back import pull_back, spread_row
from ..structures import Gather, Sides, dual_of, fields_from, reading_of, sides_from, window_after
from ..tables import FAMILY, NUMBER
from .forward import forward
from .products import products
from .program import IN_COLS, IN_ROWS, OUT_COLS, POSITION, STEP, TO_COL, TO_ROW, TO_THREES
from .structures import plan_of, room_of


class Outputs(NamedTuple):
    """Coefficients of sixteen images z, `(LANES, count)`, and the adjoints of x's variances, `(positions, count)`."""

    dual_coef: Any
    count: Any
    variance_adjoints: Any


@inlined
def add_by_output(q_bar: Any, cols: Any, place: Any, outputs: Any) -> None:
    """Add to the adjoints of variances from `place` on the sums over the sixteen i of q_bar[u, i] dual_coef[i, o]."""
    dual_coef, count, _ = outputs
    total = ahead(outputs.variance_adjoints, place * count)
    for c in range(cols):
        for o in range(0, count, LANES):
            even, odd = load(total, c * count + o), zero(total)
            for i in range(0, LANES, 2):
                even = even + load_broadcast(q_bar, c * LANES + i) * load(dual_coef, i * count + o)
                odd = odd + load_broadcast(q_bar, c * LANES + i + 1) * load(dual_coef, (i + 1) * count + o)
            store(total, c * count + o, even + odd)


@compiled
def backward(plan: Any, sides: Any, room: Any, outputs: Any) -> Any:
    """The adjoints of S1, in two parts as `Fields` of S and of T; adds to those of x's variances in `outputs`.

    Args:
        plan, sides, room: as for `forward`, which has kept what each activation met.
        outputs: see there.
    """
    adjoints, out, above = room.activated, room.upper, room.lower
    for level in range(plan.depth - 1, -1, -1):
        step, number = ahead(plan.steps, level * STEP), ahead(plan.numbers, level * NUMBER)
        window = window_after(number, False, plan.tangent)
        cols, after = item(step, IN_COLS), item(step, OUT_COLS) * LANES
        gather = Gather(item(step, TO_COL), cols, item(step, TO_THREES), item(step, TO_THREES + 1))
        for row in range(item(step, IN_ROWS)):
            if level == plan.depth - 1:
                for p in range(0, cols * LANES, LANES):
                    store(adjoints.S, p, broadcast(plan.mean))
                    store(adjoints.T, p, broadcast(plan.mean) if plan.tangent else zero(adjoints.T))
            else:
                spread_row(window, plan.tables, item(step, TO_ROW) + row, after, above, gather, room.incoming, adjoints)
            place = item(step, POSITION) + row * cols
            pull_back(
                dual_of(step, number),
                cols,
                fields_from(room.met, place * LANES),
                sides_from(sides, place, place),
                adjoints,
                fields_from(out, row * cols * LANES),
                room.spare,
                plan.tiny,
            )
            if item(step, FAMILY) > NONE:
                add_by_output(room.spare, cols, place, outputs)
        out, above = above, out
    return above


@entry
def gradient_blocks(
    program: Any, taps: Any, left: Any, right: Any, part: Any, memory: Any,
    dual_coef: Any, S_bars: Any, variance_adjoints: Any,
) -> None:  # fmt: skip
    """The adjoints of some images x with all images z.

    Args:
        program, taps, left, right, part, memory: as for `kernel_blocks`; the part is of all z.
        dual_coef: `(images z, outputs)`, filled up to whole lanes.
        S_bars: takes the adjoints of the first covariance, `(positions, images x from the part's start on, images z)`.
        variance_adjoints: `(images x, positions, outputs)`, added to.
    """
    plan, room, reading = plan_of(program), room_of(memory), reading_of(taps)
    S1, apart, outputs = address(memory.S1), taps.stored * LANES, dual_coef.shape[1]
    all_sides = Sides(address(left.norms), address(left.inverses), address(right.norms), address(right.inverses))
    _, images_x, images_z = S_bars.shape
    for i in range(part.first, part.last, TOGETHER):
        for block in range(0, images_z // LANES, 2):
            z = ahead(address(right.channels), block * apart)
            products(reading, address(left.channels), i, part.last - 1, z, apart, S1)
            for pair in range(2 * TOGETHER):
                column, image = (block + pair // TOGETHER) * LANES, i + pair % TOGETHER
                if column >= images_z or image >= part.last:
                    continue
                sides = sides_from(all_sides, image * program.norms, column // LANES * program.norms)
                forward(plan, ahead(S1, pair * reading.count * LANES), sides, room, True)
                of_block = ahead(address(dual_coef), column * outputs)
                of_image = ahead(address(variance_adjoints), image * program.norms * outputs)
                adjoints = backward(plan, sides, room, Outputs(of_block, outputs, of_image))
                target = ahead(address(S_bars), (image - part.start) * images_z + column)
                for u in range(reading.count):
                    store(target, u * images_x * images_z, load(adjoints.S, u * LANES) + load(adjoints.T, u * LANES))

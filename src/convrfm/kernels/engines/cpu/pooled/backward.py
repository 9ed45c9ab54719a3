"""The adjoint of the recursion where positions meet positions, sixteen pairs of images at once, section by section.

On the way forward only the pooled covariances are kept. On the way back each section is made once more, with what its
activations meet, and pulled back at once; the adjoint of a pooled covariance takes its place in memory, because no
other section reads it. The first covariance's adjoint a[u, v] meets the patches of z one line of row pairs at a time.

    adjoints After a stage --pull_back_section--> Before it   ...   a[u, v] --meet_patches--> sum over v of a[u, v] z[v]
"""

from typing import Any, NamedTuple

from ....lanes.vectors import LANES, address, ahead, broadcast, compiled, entry, inlined, item, load, store, zero
from ..duals import NONE, START
from ..rows_back import pull_back, spread_row
from ..structures import Gather, dual_of, fields_from, window_after
from ..tables import FAMILY, NUMBER
from .forward import NO_POOL, channels_of, pass_section, pass_stage, sides_of
from .program import (
    COL_LINES,
    COUNT,
    FIRST,
    LINE,
    NUMBER_OF_FIRST,
    PAIR,
    POSITION,
    ROW_LINES,
    ROW_PAIRS,
    RUN,
    STAGE,
    STEP,
    TARGET,
    TO_TABLE,
    TO_THREES,
    TO_THREES_END,
    WIDTH,
    U,
    V,
)
from .structures import (
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

TAPS_AT_ONCE = 4  # of a patch of z, each in a register of its own


class Partners(NamedTuple):
    """The patches that the first covariance's adjoints meet, and what takes the sums.

    Attributes:
        bounds, numbers: for each column u, where its partners begin; each partner's number among the pairs, and v.
        patches: `(positions, entries, LANES)` of the images z; `entries` is a multiple of `TAPS_AT_ONCE`.
        entries: see there.
        patch_adjoints: `(positions, entries, LANES)`, added to.
    """

    bounds: Any
    numbers: Any
    patches: Any
    entries: Any
    patch_adjoints: Any


@inlined
def unpool_row(row: Any, after: Any, pooled_adjoints: Any, K_bar: Any) -> None:
    """The adjoints of the pairs of one row, from those of the pairs that they are pooled into."""
    source = ahead(pooled_adjoints, item(row.row_pair, TARGET) * after.across * LANES)
    for c in range(row.count):
        store(K_bar, c * LANES, load(source, item(row.pairs, c * PAIR + TARGET) * LANES))


@inlined
def last_row(plan: Any, row: Any, after: Any, adjoints: Any) -> None:
    """The adjoints of a row of K and T k0 behind the stage's last activation."""
    if after.size != NO_POOL:
        unpool_row(row, after, after.pooled.S, adjoints.S)
        unpool_row(row, after, after.pooled.T, adjoints.T)
        return
    for p in range(0, row.count * LANES, LANES):
        store(adjoints.S, p, broadcast(plan.mean))
        store(adjoints.T, p, broadcast(plan.mean) if plan.tangent else zero(adjoints.T))


@inlined
def add_variance_adjoints(step: Any, row: Any, q_bar: Any, q_adjoints: Any) -> None:
    """Add a row's adjoints of variances to their positions of x."""
    first = item(step, POSITION) + row.u
    for c in range(row.count):
        u = (first + item(row.pairs, c * PAIR + U)) * LANES
        store(q_adjoints, u, load(q_adjoints, u) + load(q_bar, c * LANES))


@compiled
def pull_back_section(plan: Any, section: Any, after: Any, sides: Any, room: Any, q_adjoints: Any) -> Any:
    """The adjoints in front of step `section.first`, `Fields` of this section; adds to those of x's variances.

    Args:
        plan, section, after, sides: as for `pass_section`; `after` holds adjoints now.
        room: with what `pass_section` has saved.
        q_adjoints: the adjoints of x's variances, `(positions, LANES)`.
    """
    adjoints, out, above = room.activated, room.upper, room.lower
    for level in range(section.last, section.first - 1, -1):
        step, number = ahead(plan.steps, level * STEP), ahead(plan.numbers, level * NUMBER)
        row_line, col_line = row_line_of(plan, section, level), col_line_of(plan, section, level)
        window, count = window_after(number, False, plan.tangent), item(col_line, COUNT)
        stride = item(col_line, COUNT + plan.most_cols * LINE) * LANES
        gather = Gather(item(col_line, TO_TABLE), count, item(col_line, TO_THREES), item(col_line, TO_THREES_END))
        for number_of_row in range(item(row_line, COUNT)):
            row = section_row(plan, section, level, number_of_row)
            if level < section.last:
                place = item(row_line, TO_TABLE) + number_of_row
                spread_row(window, plan.tables, place, stride, above, gather, room.incoming, adjoints)
            else:
                last_row(plan, row, after, adjoints)
            at = number_of_row * count * LANES
            met, out_row = fields_from(room.met, item(room.begins, level) + at), fields_from(out, at)
            c = 0
            while c < count:
                p, run = c * LANES, item(row.pairs, c * PAIR + RUN)
                pull_back(
                    dual_of(step, number),
                    run,
                    fields_from(met, p),
                    facing(sides, step, row, c),
                    fields_from(adjoints, p),
                    fields_from(out_row, p),
                    ahead(room.spare, p),
                    plan.tiny,
                )
                c += run
            if item(step, FAMILY) > NONE:
                add_variance_adjoints(step, row, room.spare, q_adjoints)
        out, above = above, out
    return above


@inlined
def meet_patches(plan: Any, step: Any, line: Any, across: Any, weights: Any, partners: Any) -> None:
    """patch_adjoints[u] += sum over v of weights[u, v] z[v], for one line of row pairs in front of a step.

    `weights` has `across` column pairs for each row pair of the line.
    """
    cols, entries, row_pairs = item(step, WIDTH), partners.entries, ahead(plan.row_pairs, item(step, ROW_PAIRS) * PAIR)
    for row in range(item(line, COUNT)):
        row_pair = ahead(row_pairs, (item(line, NUMBER_OF_FIRST) + row) * PAIR)
        u_row, v_row = item(row_pair, U) * cols, item(row_pair, V) * cols
        for u in range(cols):
            first, stop = item(partners.bounds, u), item(partners.bounds, u + 1)
            for tap in range(0, entries, TAPS_AT_ONCE):
                adjoints = ahead(partners.patch_adjoints, ((u_row + u) * entries + tap) * LANES)
                b0, b1, b2, b3 = (
                    load(adjoints, 0),
                    load(adjoints, LANES),
                    load(adjoints, 2 * LANES),
                    load(adjoints, 3 * LANES),
                )
                for k in range(first, stop):
                    number, v = item(partners.numbers, 2 * k), item(partners.numbers, 2 * k + 1)
                    a = load(weights, (row * across + number) * LANES)
                    z = ahead(partners.patches, ((v_row + v) * entries + tap) * LANES)
                    b0, b1 = b0 + a * load(z, 0), b1 + a * load(z, LANES)
                    b2, b3 = b2 + a * load(z, 2 * LANES), b3 + a * load(z, 3 * LANES)
                store(adjoints, 0, b0)
                store(adjoints, LANES, b1)
                store(adjoints, 2 * LANES, b2)
                store(adjoints, 3 * LANES, b3)


@inlined
def sum_onto(adjoints: Any, height: Any, count: Any, across: Any, target: Any) -> None:
    """Write the sum of the two fields of a section into rows of `across` pairs."""
    for row in range(height):
        for c in range(count):
            at = (row * count + c) * LANES
            store(target, (row * across + c) * LANES, load(adjoints.S, at) + load(adjoints.T, at))


@inlined
def scale_onto(adjoints: Any, share: Any, height: Any, count: Any, across: Any, target: Any) -> None:
    """Write the fields of a section, times `share`, into rows of `across` pairs."""
    for row in range(height):
        for c in range(count):
            at, to = (row * count + c) * LANES, (row * across + c) * LANES
            store(target.S, to, load(adjoints.S, at) * share)
            store(target.T, to, load(adjoints.T, at) * share)


@compiled
def pull_back_stage(plan: Any, s: Any, channels: Any, sides: Any, room: Any, partners: Any, q_adjoints: Any) -> None:
    """Stage `s` once more and back: to its pooled covariance, or the first one to the patches."""
    stage = ahead(plan.stages, s * STAGE)
    first, last = item(stage, FIRST), item(stage, STAGE + FIRST) - 1
    before, after = before_stage(plan, s, room.pooled), after_stage(plan, s, room.pooled)
    # A first window on products of pixels is not pulled back: the patches behind it are met.
    bottom = first + 1 if s == 0 and item(plan.steps, FAMILY) == START else first
    step = ahead(plan.steps, bottom * STEP)
    across = item(partners.bounds, item(step, WIDTH)) if s == 0 else before.across
    for i in range(item(stage, ROW_LINES)):
        row_line = row_line_of(plan, Section(bottom, last, i, 0), bottom)
        height = item(row_line, COUNT)
        for j in range(item(stage, COL_LINES)):
            pass_section(plan, Section(first, last, i, j), channels, before, after, sides, room, True)
            section = Section(bottom, last, i, j)
            adjoints = pull_back_section(plan, section, after, sides, room, q_adjoints)
            col_line = col_line_of(plan, section, bottom)
            count, column = item(col_line, COUNT), item(col_line, NUMBER_OF_FIRST)
            if s == 0:
                sum_onto(adjoints, height, count, across, ahead(room.weights, column * LANES))
            else:
                at = (item(row_line, NUMBER_OF_FIRST) * across + column) * LANES
                scale_onto(adjoints, before.share, height, count, across, fields_from(before.pooled, at))
        if s == 0:
            meet_patches(plan, step, row_line, across, room.weights, partners)


@entry
def pair_gradient_block(
    program: Any, taps: Any, left: Any, right: Any, image: Any, block: Any, memory: Any,
    patches: Any, patch_adjoints: Any, q_adjoints: Any,
) -> None:  # fmt: skip
    """The adjoints of one image x with the sixteen images z of one block.

    Args:
        program, taps, left, right, image, block, memory: as for `pair_kernel_block`.
        patches: `(blocks, positions, entries, LANES)` of all images z.
        patch_adjoints, q_adjoints: `(positions, entries, LANES)` and `(positions of variances, LANES)`, take the result.
    """
    plan, room = plan_of(program), room_of(memory)
    sides, channels = sides_of(program, left, right, image, block), channels_of(taps, left, right, image, block)
    of_block = ahead(address(patches), block * patch_adjoints.size)
    bounds, numbers = address(program.partner_bounds), address(program.partners)
    partners = Partners(bounds, numbers, of_block, patch_adjoints.shape[1], address(patch_adjoints))
    memory.pooled[:] = 0
    patch_adjoints[:] = 0
    q_adjoints[:] = 0
    for s in range(plan.depth - 1):
        pass_stage(plan, s, channels, sides, room)
    for s in range(plan.depth - 1, -1, -1):
        pull_back_stage(plan, s, channels, sides, room, partners, address(q_adjoints))

"""What a section's way through a stage is told and given (see `program` for sections, pairs and lines).

    PairProgram (arrays) --plan_of--> Plan (addresses)      PairMemory (arrays) --room_of--> Room (addresses)

A section reads a stage's `Before`, the images or the pooled covariance, and is added to its `After`. Row by row, `SectionRow`
says which pairs of positions stand there.
"""

from typing import Any, NamedTuple

from ....lanes.vectors import LANES, address, ahead, inlined, item
from ..structures import Fields, Reading, Tables, fields_from, sides_from, two_of
from .program import (
    ACROSS,
    COL_PAIRS,
    COUNT,
    LINE,
    NUMBER_OF_FIRST,
    PAIR,
    POOL,
    POSITION,
    ROW_PAIRS,
    STAGE,
    STEP,
    STORED,
    WIDTH,
    U,
    V,
)


class Plan(NamedTuple):
    """A program's addresses; `most_rows` and `most_cols` count the lines of the step that has most, `depth` the stages."""

    steps: Any
    numbers: Any
    tables: Tables
    tangent: Any
    row_pairs: Any
    row_lines: Any
    most_rows: Any
    col_pairs: Any
    col_lines: Any
    most_cols: Any
    stages: Any
    depth: Any
    mean: Any
    tiny: Any


class PairMemory(NamedTuple):
    """One thread's arrays.

    Attributes:
        rows: five rows.
        summed: rows of sums along columns, of S and of T, for the windows of all steps.
        slots: where each step's begin.
        counts: how many rows of each step are there, and where each step's part of `met` begins.
        met: what a section meets in every step, S and T.
        pooled: the pooled covariances of all stages, S and T.
        fields: four fields of a section.
        weights: the adjoints of the first covariance on one line of row pairs.
    """

    rows: Any
    summed: Any
    slots: Any
    counts: Any
    met: Any
    pooled: Any
    fields: Any
    weights: Any


class Room(NamedTuple):
    """The addresses of `PairMemory`, two by two; `spare` is the fifth row."""

    incoming: Fields
    activated: Fields
    spare: Any
    sums: Fields
    slots: Any
    made: Any
    met: Fields
    begins: Any
    pooled: Fields
    upper: Fields
    lower: Fields
    weights: Any


class Channels(NamedTuple):
    """One image x and sixteen images z, and how they are read."""

    x: Any
    z: Any
    reading: Reading


class Section(NamedTuple):
    """A section on its way: from step `first` to step `last` of a stage, on row line i and column line j."""

    first: Any
    last: Any
    i: Any
    j: Any


class Before(NamedTuple):
    """What a stage begins with: products of channels, or sums over pools.

    Attributes:
        is_channels: which of the two.
        pooled: the sums, `across` pairs to a row.
        across: see there.
        share: the factor that makes them means.
    """

    is_channels: Any
    pooled: Fields
    across: Any
    share: Any


class After(NamedTuple):
    """What a stage ends in: the readout, or sums over pools of `size` (0 for the readout), `across` pairs to a row."""

    size: Any
    pooled: Fields
    across: Any


class SectionRow(NamedTuple):
    """One row of a section in front of a step.

    Attributes:
        number: the row pair's among those of the step.
        row_pair: its address.
        pairs, column, count: the address of the first column pair, its number, and how many there are.
        u, v: the first positions of the row in both images.
    """

    number: Any
    row_pair: Any
    pairs: Any
    column: Any
    count: Any
    u: Any
    v: Any


@inlined
def plan_of(program: Any) -> Any:
    """The addresses of a program."""
    row_lines, col_lines = program.row_lines, program.col_lines
    return Plan(
        address(program.steps),
        address(program.numbers),
        Tables(address(program.bounds), address(program.sources)),
        program.tangent,
        address(program.row_pairs),
        address(row_lines),
        row_lines.shape[1],
        address(program.col_pairs),
        address(col_lines),
        col_lines.shape[1],
        address(program.stages),
        len(program.stages) - 1,
        program.mean,
        program.tiny,
    )


@inlined
def room_of(memory: Any) -> Any:
    """The addresses of a thread's arrays."""
    rows, counts = memory.rows, memory.counts
    return Room(
        two_of(rows, 0),
        two_of(rows, 2),
        ahead(address(rows), 4 * rows.shape[1]),
        two_of(memory.summed, 0),
        address(memory.slots),
        address(counts),
        two_of(memory.met, 0),
        ahead(address(counts), counts.shape[1]),
        two_of(memory.pooled, 0),
        two_of(memory.fields, 0),
        two_of(memory.fields, 2),
        address(memory.weights),
    )


@inlined
def row_line_of(plan: Any, section: Any, level: Any) -> Any:
    """The section's line of row pairs in front of a step."""
    return ahead(plan.row_lines, (level * plan.most_rows + section.i) * LINE)


@inlined
def col_line_of(plan: Any, section: Any, level: Any) -> Any:
    """The section's line of column pairs in front of a step."""
    return ahead(plan.col_lines, (level * plan.most_cols + section.j) * LINE)


@inlined
def section_row(plan: Any, section: Any, level: Any, row: Any) -> Any:
    """One row of a section in front of a step."""
    step, col_line = ahead(plan.steps, level * STEP), col_line_of(plan, section, level)
    number = item(row_line_of(plan, section, level), NUMBER_OF_FIRST) + row
    row_pair = ahead(plan.row_pairs, (item(step, ROW_PAIRS) + number) * PAIR)
    column, width = item(col_line, NUMBER_OF_FIRST), item(step, WIDTH)
    pairs = ahead(plan.col_pairs, (item(step, COL_PAIRS) + column) * PAIR)
    u, v = item(row_pair, U) * width, item(row_pair, V) * width
    return SectionRow(number, row_pair, pairs, column, item(col_line, COUNT), u, v)


@inlined
def facing(sides: Any, step: Any, row: Any, c: Any) -> Any:
    """The sides from pair c of a row on, in front of a step."""
    pair, position = ahead(row.pairs, c * PAIR), item(step, POSITION)
    return sides_from(sides, position + row.u + item(pair, U), position + row.v + item(pair, V))


@inlined
def before_stage(plan: Any, s: Any, pooled: Any) -> Any:
    """What stage s begins with; `pooled` holds the sums of all stages."""
    stage = ahead(plan.stages, s * STAGE)
    size = item(stage, POOL - STAGE) if s > 0 else 1
    share = 1.0 / (size * size * size * size)
    return Before(s == 0, fields_from(pooled, item(stage, STORED) * LANES), item(stage, ACROSS), share)


@inlined
def after_stage(plan: Any, s: Any, pooled: Any) -> Any:
    """What stage s ends in."""
    stage, after = ahead(plan.stages, s * STAGE), ahead(plan.stages, (s + 1) * STAGE)
    return After(item(stage, POOL), fields_from(pooled, item(after, STORED) * LANES), item(after, ACROSS))

"""What a pair's way through equal positions is told and given: the plan, the room, and which images of a tile.

Program (arrays) --plan_of--> Plan (addresses)      Memory (arrays) --room_of--> Room (addresses)
"""

from typing import Any, NamedTuple

from ....lanes.vectors import address, ahead, inlined
from ..structures import Fields, Tables, two_of


class Plan(NamedTuple):
    """A program's addresses; `depth` counts its steps."""

    steps: Any
    numbers: Any
    depth: Any
    tables: Tables
    tangent: Any
    mean: Any
    tiny: Any


class Memory(NamedTuple):
    """One thread's arrays.

    Attributes:
        S1: eight first covariances.
        rows: five rows.
        summed: rows of sums along columns, of S and of T, for the windows of all steps.
        slots: where each step's begin.
        made: how many rows of each step are there.
        met: S and T in front of every activation.
        fields: four fields.
    """

    S1: Any
    rows: Any
    summed: Any
    slots: Any
    made: Any
    met: Any
    fields: Any


class Room(NamedTuple):
    """The addresses of `Memory`, two by two; `spare` is the fifth row."""

    incoming: Fields
    activated: Fields
    spare: Any
    sums: Fields
    slots: Any
    made: Any
    met: Fields
    upper: Fields
    lower: Fields


class Part(NamedTuple):
    """The images first..last of x, which are counted from `start` on, and the first of two blocks of sixteen images z.

    Symmetric: pairs below the diagonal's blocks are left out.
    """

    start: int
    first: int
    last: int
    block: int
    symmetric: bool


@inlined
def plan_of(program: Any) -> Any:
    """The addresses of a program."""
    steps, numbers, bounds, sources, tangent, _, mean, _, tiny = program
    tables = Tables(address(bounds), address(sources))
    return Plan(address(steps), address(numbers), len(steps), tables, tangent, mean, tiny)


@inlined
def room_of(memory: Any) -> Any:
    """The addresses of a thread's arrays."""
    return Room(
        two_of(memory.rows, 0),
        two_of(memory.rows, 2),
        ahead(address(memory.rows), 4 * memory.rows.shape[1]),
        two_of(memory.summed, 0),
        address(memory.slots),
        address(memory.made),
        two_of(memory.met, 0),
        two_of(memory.fields, 0),
        two_of(memory.fields, 2),
    )

"""A pooled architecture as flat arrays: stages between poolings, each a chain of steps on every line of pairs.

Along each axis, the pairs of places that a step meets are numbered line by line (see `axis_pairs`). A *section* is the
part of a stage's covariance on one line of row pairs and one line of column pairs. Convolutions and activations act on
every section on its own, as on equal positions; only pooling mixes them. So a stage never holds its covariance: it makes
one section at a time, from the images or from the pooled covariance before it, and adds it to the pooled covariance
after it.
"""

import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ....activations.activation import Activation
from ....layers import AvgPool, Conv, Flatten
from ....recursion.recursion import Recursion
from ..duals import START, family
from ..tables import FAMILY, Grid, TableWriter, numbers_of, run_of_threes, transposed_places
from .axis_pairs import (
    Moved,
    Pair,
    all_pairs,
    equal_pairs,
    lengths_before,
    met_pairs,
    needed_pairs,
    split_into_lines,
)

Integers = npt.NDArray[np.int64]

# Columns of steps; of pairs; of lines; of stages.
POSITION, WIDTH, ROW_PAIRS, COL_PAIRS, STEP = range(FAMILY + 1, 6)
U, V, RUN, TARGET, PAIR = range(5)
COUNT, NUMBER_OF_FIRST, TABLE, THREES, THREES_END, KEPT, TO_TABLE, TO_THREES, TO_THREES_END, LINE = range(10)
FIRST, ROW_LINES, COL_LINES, ACROSS, POOL, STORED, STAGE = range(7)


class PairProgram(NamedTuple):
    """What compiled code is told of a pooled architecture.

    Attributes:
        steps: for each step, its family, where its norms begin, the columns of its grid, and where its pairs begin.
        numbers: for each step, those of `numbers_of`, in the kernel's precision.
        row_pairs, col_pairs: for each pair of each step, its places, how many pairs lie side by side from here on, and
            the number of the pair that it is pooled into.
        row_lines, col_lines: for each step and line, how many pairs it has and the number of the first, the table of
            the window after the step and its run of threes, how many rows the window needs at once, and the transposed
            table and its run.
        bounds, sources: the tables (see `TableWriter`), their places counted from the first pair of the line.
        stages: for each stage, its first step, its lines of row and of column pairs, how many column pairs it starts
            with, the size of the pooling after it, and where its covariance begins in the memory of pooled covariances.
        partners: for each pair of columns of the first covariance, by u, its number and v.
        partner_bounds: for each column u, where its partners begin, and where the last one's end.
        tangent: whether the NTK is meant.
        norms: how many variances an image has, over all activations.
        mean: the readout's factor on the sum over positions.
        bias: what the readout adds.
        tiny: the square of the sine below which two patches count as coinciding.
    """

    steps: Integers
    numbers: npt.NDArray[np.floating]
    row_pairs: Integers
    row_lines: Integers
    col_pairs: Integers
    col_lines: Integers
    bounds: Integers
    sources: Integers
    stages: Integers
    partners: Integers
    partner_bounds: Integers
    tangent: bool
    norms: int
    mean: np.floating
    bias: np.floating
    tiny: np.floating

    @property
    def first_covariance(self) -> int:
        """The step in front of which the first covariance stands: behind the window on products of pixels."""
        return int(self.steps[0, FAMILY] == START)


Step = tuple[Activation | None, Conv | None]
Stage = tuple[list[Step], AvgPool | None]


@lru_cache
def compiled_pair_program(recursion: Recursion, grid: Grid, dtype: np.dtype[Any], *, from_pixels: bool) -> PairProgram:
    """The program of a pooled architecture on images of this many rows and columns; arguments as `compiled_program`."""
    architecture, readout = recursion.architecture, recursion.architecture.readout
    at = grid if from_pixels else architecture.grids(*grid)[0]
    stages = _stages(recursion, from_pixels=from_pixels)
    layers = _moves(stages)
    last = lengths_before(layers, at[0])[-1], lengths_before(layers, at[1])[-1]
    met = equal_pairs if isinstance(readout, Flatten) else all_pairs
    tables = TableWriter()
    rows = _Axis(layers, at[0], met(last[0]), tables, in_turn=True)
    cols = _Axis(layers, at[1], met(last[1]), tables, in_turn=False)

    steps: list[tuple[int, ...]] = []
    numbers: list[tuple[float, ...]] = []
    described, position, stored = [], 0, 0
    for chain, pool in stages:
        first = len(steps)
        across = cols.counts[first]
        size = 0 if pool is None else pool.size
        described.append((first, len(rows.levels[first]), len(cols.levels[first]), across, size, stored))
        stored += rows.counts[first] * across if first else 0
        for activation, conv in chain:
            step = len(steps)
            kind = START if from_pixels and not steps else family(activation)[0]
            steps.append((kind, position, cols.lengths[step], rows.starts[step], cols.starts[step]))
            numbers.append(numbers_of(activation, conv))
            position += 0 if activation is None else rows.lengths[step] * cols.lengths[step]
    described.append((len(steps), 0, 0, 0, 0, stored))

    first_pairs = list(itertools.chain(*cols.levels[int(from_pixels)]))
    by_u = sorted(range(len(first_pairs)), key=first_pairs.__getitem__)
    count = last[0] * last[1]
    return PairProgram(
        np.array(steps, dtype=np.int64),
        np.array(numbers, dtype=dtype),
        *rows.arrays(),
        *cols.arrays(),
        np.array(tables.bounds, dtype=np.int64),
        np.array(tables.sources, dtype=np.int64),
        np.array(described, dtype=np.int64),
        np.array([(number, first_pairs[number][1]) for number in by_u], dtype=np.int64),
        np.searchsorted([first_pairs[number][0] for number in by_u], range(cols.lengths[int(from_pixels)] + 1)),
        recursion.tangent,
        position,
        dtype.type(readout.weight_std**2 / (count if isinstance(readout, Flatten) else count**2)),
        dtype.type(readout.bias_std**2),
        dtype.type(8 * np.finfo(dtype).eps),
    )


class _Axis:
    """The pairs of one axis, their lines, and the tables of the windows between them.

    Attributes:
        lengths: for each step, the places along the axis.
        levels: for each step, the pairs of every line.
        counts: for each step, how many pairs it has.
        starts: for each step, where its pairs begin among those of all steps.
    """

    def __init__(
        self, layers: list[Moved], length: int, last: set[Pair], tables: TableWriter, *, in_turn: bool
    ) -> None:
        self.lengths = lengths_before(layers, length)
        self.levels: list[list[list[Pair]]] = []
        self._layers, self._tables, self._in_turn = layers, tables, in_turn
        needed = needed_pairs(layers, length, last, equal=False)
        pools = [i for i, layer in enumerate(layers) if isinstance(layer, AvgPool)]
        for first, end in itertools.pairwise([0, *(i + 1 for i in pools), len(needed)]):
            self.levels += split_into_lines(needed[first:end], layers[first : end - 1], self.lengths[first:end])
        self.counts = [sum(map(len, lines)) for lines in self.levels]
        self.starts = [0, *itertools.accumulate(self.counts[:-1])]

    def arrays(self) -> tuple[Integers, Integers]:
        """Pairs and lines, as in `PairProgram`."""
        pairs = [entry for step in range(len(self.levels)) for entry in self._pairs(step)]
        most = max(map(len, self.levels))
        lines = [[*self._lines(step), *[[0] * LINE] * (most - len(at))] for step, at in enumerate(self.levels)]
        return np.array(pairs, dtype=np.int64), np.array(lines, dtype=np.int64)

    def _pairs(self, step: int) -> list[list[int]]:
        targets: dict[Pair, int] = {}
        if step < len(self._layers) and isinstance(layer := self._layers[step], AvgPool):
            for number, pair in enumerate(itertools.chain(*self.levels[step + 1])):
                targets.update(dict.fromkeys(met_pairs(layer, pair, self.lengths[step]), number))
        entries: list[list[int]] = []
        for line in self.levels[step]:
            runs = [1] * len(line)
            for i in reversed(range(len(line) - 1)):
                if line[i + 1] == (line[i][0] + 1, line[i][1] + 1):
                    runs[i] += runs[i + 1]
            entries += [[*pair, run, targets.get(pair, -1)] for pair, run in zip(line, runs, strict=True)]
        return entries

    def _lines(self, step: int) -> list[list[int]]:
        lines, number = [], 0
        for i, line in enumerate(self.levels[step]):
            lines.append([len(line), number, *self._windows(step, i)])
            number += len(line)
        return lines

    def _windows(self, step: int, i: int) -> list[int]:
        layer = self._layers[step] if step < len(self._layers) else None
        if step + 1 == len(self.levels) or isinstance(layer, AvgPool):
            return [0] * (LINE - TABLE)
        before, after = self.levels[step][i], self.levels[step + 1][i]
        places = {pair: place for place, pair in enumerate(before)}
        gathered = [[places[met] for met in met_pairs(layer, pair, self.lengths[step])] for pair in after]
        spread = transposed_places(gathered, len(before))
        kept = _kept_at_once(gathered)
        table = self._tables.add(gathered, kept if self._in_turn else None)
        return [table, *run_of_threes(gathered), kept, self._tables.add(spread), *run_of_threes(spread)]


def _kept_at_once(gathered: Sequence[Sequence[int]]) -> int:
    """How many rows must be kept for windows that come one after the other, when rows are made in order."""
    made = list(itertools.accumulate(map(max, gathered), max))
    oldest = list(itertools.accumulate(map(min, reversed(gathered)), min))[::-1]
    return max(last - first + 1 for last, first in zip(made, oldest, strict=True))


def _moves(stages: Sequence[Stage]) -> list[Moved]:
    """What moves pairs between one step and the next; the last step of a stage has no window, but a pooling after it."""
    moves: list[Moved] = []
    for chain, pool in stages:
        moves += [conv for _, conv in chain[:-1]]
        moves.append(pool)
    return moves[:-1]


def _stages(recursion: Recursion, *, from_pixels: bool) -> list[Stage]:
    """The layers up to each pooling, and after the last, in steps; the last step of each has no window."""
    first = [recursion.architecture.first] if from_pixels else []
    stages: list[Stage] = []
    steps: list[Step] = []
    waiting: Activation | None = None
    for layer in [*first, *recursion.architecture.hidden]:
        if isinstance(layer, AvgPool):
            stages.append(([*steps, (waiting, None)], layer))
            steps, waiting = [], None
        elif isinstance(layer, Conv):
            steps.append((waiting, layer))
            waiting = None
        else:
            if waiting is not None:
                steps.append((waiting, None))
            waiting = layer
    return [*stages, ([*steps, (waiting, None)], None)]

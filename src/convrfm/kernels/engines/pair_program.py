"""A pooled architecture as flat arrays: stages between poolings, each a chain of steps on every offset of positions.

Convolutions and activations act on the pairs (u, u + o) of each offset o on its own, as on equal positions; only
pooling mixes neighbouring offsets. So a stage never holds its covariance of all pairs: it makes one offset's picture at
a time, from the images or from the pooled covariance before it, and adds it to the pooled covariance after it.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..layers import AvgPool, Conv, Flatten
from ..recursion import Recursion
from .duals import START, family
from .program import IDENTITY, Activation, Grid, Tables, gathered_places, run_of_threes


class PairProgram(NamedTuple):
    """What compiled code is told of a pooled architecture.

    Attributes:
        steps: for each step, its family, where its norms begin, and the columns of its grid.
        numbers: for each step `(mean_square, jump, weight, bias, gain)`, as in `Program`.
        rows: for each step and number of rows, the table of its windows, the rows after it, and how many it keeps.
        cols: for each step and number of columns, the same table, the columns after it, and its run of threes.
        bounds, sources: the tables, as in `Program`.
        stages: for each stage, its first step, the rows and columns before it and after it, the pooling after it, and
            where its covariance begins in the memory of pooled covariances.
        offsets: for each offset of each stage, where its picture begins within that covariance.
        tangent: whether the NTK is meant.
        diagonal: whether the readout compares equal positions only.
        mean: the readout's factor on the sum over positions.
        bias: what the readout adds.
    """

    steps: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.floating]
    rows: npt.NDArray[np.int64]
    cols: npt.NDArray[np.int64]
    bounds: npt.NDArray[np.int64]
    sources: npt.NDArray[np.int64]
    stages: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    tangent: bool
    diagonal: bool
    mean: np.floating
    bias: np.floating


Step = tuple[Activation | None, Conv | None]


@lru_cache
def compiled_pair_program(recursion: Recursion, grid: Grid, dtype: np.dtype[Any], *, from_pixels: bool) -> PairProgram:
    """The program of a pooled architecture on images of this many rows and columns."""
    architecture = recursion.architecture
    at = grid if from_pixels else architecture.grids(*grid)[0]
    tables, largest = Tables(), max(at)
    steps: list[tuple[int, ...]] = []
    numbers: list[tuple[float, ...]] = []
    row_tables, col_tables, stages = [], [], []
    offsets: list[list[int]] = []
    position, stored = 0, 0
    for pool, chain in _stages(recursion, from_pixels=from_pixels):
        before, first = at, len(steps)
        for activation, conv in chain:
            window = IDENTITY if conv is None else conv.window
            kind, mean_square, jump = family(activation)
            steps.append((START if from_pixels and not steps else kind, position, at[1]))
            weight = (1.0 if conv is None else conv.weight_std**2) / window.size**2
            bias, gain = (0.0, 0.0) if conv is None else (conv.bias_std**2, 1.0)
            numbers.append((mean_square, jump, weight, bias, gain))
            by_row, by_col = [(0, 0, 0)], [(0, 0, 0, 0)]
            for length in range(1, largest + 1):
                fits = window.padding != "valid" or length >= window.size
                gathered = gathered_places(window, length) if fits else []
                kept = min(window.size, length)
                by_row.append((tables.add(gathered, kept), len(gathered), kept))
                by_col.append((tables.add(gathered), len(gathered), *run_of_threes(gathered)))
            row_tables.append(by_row)
            col_tables.append(by_col)
            position += 0 if activation is None else at[0] * at[1]
            at = (window.output_length(at[0]), window.output_length(at[1]))
        size = 0 if pool is None else pool.size
        stages.append((first, *before, *at, size, stored))
        stored += (before[0] * before[1]) ** 2 if len(stages) > 1 else 0
        offsets.append(_starts(*before))
        if pool is not None:
            at = (pool.window.output_length(at[0]), pool.window.output_length(at[1]))
    widest = max(map(len, offsets))
    readout, count = architecture.readout, at[0] * at[1]
    diagonal = isinstance(readout, Flatten)
    stages.append((len(steps), 0, 0, 0, 0, 0, stored))
    return PairProgram(
        np.array(steps, dtype=np.int64),
        np.array(numbers, dtype=dtype),
        np.array(row_tables, dtype=np.int64),
        np.array(col_tables, dtype=np.int64),
        np.array(tables.bounds, dtype=np.int64),
        np.array(tables.sources, dtype=np.int64),
        np.array(stages, dtype=np.int64),
        np.array([starts + [0] * (widest - len(starts)) for starts in offsets], dtype=np.int64),
        recursion.tangent,
        diagonal,
        dtype.type(readout.weight_std**2 / (count if diagonal else count**2)),
        dtype.type(readout.bias_std**2),
    )


def _starts(rows: int, cols: int) -> list[int]:
    """Where the picture of each offset begins: (rows - |down|) times (cols - |across|) positions each."""
    sizes = [
        (rows - abs(down)) * (cols - abs(across)) for down in range(1 - rows, rows) for across in range(1 - cols, cols)
    ]
    return [0, *np.cumsum(sizes[:-1]).tolist()]


def _stages(recursion: Recursion, *, from_pixels: bool) -> list[tuple[AvgPool | None, list[Step]]]:
    """The layers up to each pooling, and after the last, in steps; the last step of each has no window."""
    first = [recursion.architecture.first] if from_pixels else []
    stages: list[tuple[AvgPool | None, list[Step]]] = []
    steps: list[Step] = []
    waiting: Activation | None = None
    for layer in [*first, *recursion.architecture.hidden]:
        if isinstance(layer, AvgPool):
            stages.append((layer, [*steps, (waiting, None)]))
            steps, waiting = [], None
        elif isinstance(layer, Conv):
            steps.append((waiting, layer))
            waiting = None
        else:
            if waiting is not None:
                steps.append((waiting, None))
            waiting = layer
    return [*stages, (None, [*steps, (waiting, None)])]

"""An architecture as flat arrays, which compiled code reads layer by layer and row by row.

Every network between its first covariance and its readout is a chain of steps (see `tables`).
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .....maths.windows import Window
from ....activations.activation import Activation
from ....layers import AvgPool, Conv
from ....recursion.recursion import Recursion
from ..duals import START, family
from ..tables import FAMILY, Grid, TableWriter, gathered_places, numbers_of, run_of_threes, transposed_places

IDENTITY = Window(1)


class Program(NamedTuple):
    """What compiled code is told of an architecture.

    Attributes:
        steps: for each step, the integers named by the columns below.
        numbers: for each step, those of `numbers_of`, in the kernel's precision.
        bounds, sources: the tables (see `TableWriter`); for rows on the way forward, sources are the kept slots.
        tangent: whether the NTK is meant.
        norms: how many variances an image has, over all activations.
        mean: the readout's factor on the sum over positions.
        bias: what the readout adds.
        tiny: the square of the sine below which two patches count as coinciding.
    """

    steps: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.floating]
    bounds: npt.NDArray[np.int64]
    sources: npt.NDArray[np.int64]
    tangent: bool
    norms: int
    mean: np.floating
    bias: np.floating
    tiny: np.floating


# Columns of steps. THREES, TO_THREES: where runs of three neighbors start along columns; where they stop is one further.
# KEPT: how many rows a window needs at once.
POSITION, IN_ROWS, IN_COLS, OUT_ROWS, OUT_COLS, BY_ROW, BY_COL, TO_ROW, TO_COL = range(FAMILY + 1, 10)
THREES, TO_THREES, KEPT, STEP = 10, 12, 14, 15


@lru_cache
def compiled_program(recursion: Recursion, grid: Grid, dtype: np.dtype[Any], *, from_pixels: bool) -> Program:
    """The program of an architecture on images of this many rows and columns.

    Args:
        recursion: the architecture, and which of its kernels.
        grid: the images' rows and columns.
        dtype: the kernel's precision.
        from_pixels: whether the program starts at products of pixels and takes the first window mean itself, or at
            products of patches.
    """
    architecture = recursion.architecture
    grids = architecture.grids(*grid)
    tables = TableWriter()
    steps: list[tuple[int, ...]] = []
    numbers: list[tuple[float, ...]] = []
    position = 0
    at = grid if from_pixels else grids[0]
    pairs = _steps(recursion, from_pixels=from_pixels)
    for activation, layer in pairs:
        window = IDENTITY if layer is None else layer.window
        after = (window.output_length(at[0]), window.output_length(at[1]))
        gathers = [gathered_places(window, length) for length in at]
        spreads = [transposed_places(gathered, length) for gathered, length in zip(gathers, at, strict=True)]
        kind = START if from_pixels and not steps else family(activation)[0]
        runs = [*run_of_threes(gathers[1]), *run_of_threes(spreads[1])]
        kept = at[0] if window.padding == "circular" else min(window.size, at[0])
        found = [tables.add(gathers[0], kept), *map(tables.add, [gathers[1], *spreads])]
        steps.append((kind, position, *at, *after, *found, *runs, kept))
        numbers.append(numbers_of(activation, layer))
        position += 0 if activation is None else at[0] * at[1]
        at = after
    readout = architecture.readout
    return Program(
        np.array(steps, dtype=np.int64),
        np.array(numbers, dtype=dtype),
        np.array(tables.bounds, dtype=np.int64),
        np.array(tables.sources, dtype=np.int64),
        recursion.tangent,
        position,
        dtype.type(readout.weight_std**2 / (at[0] * at[1])),
        dtype.type(readout.bias_std**2),
        dtype.type(8 * np.finfo(dtype).eps),
    )


def _steps(recursion: Recursion, *, from_pixels: bool) -> list[tuple[Activation | None, Conv | AvgPool | None]]:
    """The layers in pairs; the last pair has no window, and meets the readout."""
    first = [recursion.architecture.first] if from_pixels else []
    pairs: list[tuple[Activation | None, Conv | AvgPool | None]] = []
    waiting: Activation | None = None
    for layer in [*first, *recursion.architecture.hidden]:
        if isinstance(layer, Conv | AvgPool):
            pairs.append((waiting, layer))
            waiting = None
        else:
            if waiting is not None:
                pairs.append((waiting, None))
            waiting = layer
    return [*pairs, (waiting, None)]

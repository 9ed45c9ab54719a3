"""An architecture as flat arrays, which compiled code reads layer by layer and row by row.

A *step* is an activation (or none) and the window mean after it (or none): every network between its first covariance
and its readout is a chain of steps. A window is read from tables: for each place along an axis, the places that it
gathers. The same tables serve every padding and stride, and their transposes serve the adjoint.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .....maths.windows import Window
from ....layers import AvgPool, Conv
from ....recursion.recursion import Recursion
from ..duals import START, Activation, family

Grid = tuple[int, int]
IDENTITY = Window(1)


class Program(NamedTuple):
    """What compiled code is told of an architecture.

    Attributes:
        steps: for each step, the integers named by the columns below.
        numbers: for each step `(mean_square, jump, weight, bias, gain)`, in the kernel's precision: the dual
            activation's constants; S' = weight * sum(K) + bias and T' = gain * S' + weight * sum(T).
        bounds: for each place of each table, where its sources start and stop in `sources`, and the last of them.
        sources: the places that are gathered; for rows on the way forward, which of the kept slots holds them.
        tangent: whether the NTK is meant.
        mean: the readout's factor on the sum over positions.
        bias: what the readout adds.
    """

    steps: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.floating]
    bounds: npt.NDArray[np.int64]
    sources: npt.NDArray[np.int64]
    tangent: bool
    mean: np.floating
    bias: np.floating


FAMILY, POSITION, IN_ROWS, IN_COLS, OUT_ROWS, OUT_COLS, BY_ROW, BY_COL, TO_ROW, TO_COL = range(10)
THREES, TO_THREES = 10, 12  # where runs of three neighbors start along columns; where they stop is one further
KEPT = 14  # how many rows a window needs at once
STEP = 15
MEAN_SQUARE, JUMP, WEIGHT, BIAS, GAIN = range(5)
NUMBER = 5


@dataclass
class Tables:
    """Tables of places to gather, one after the other."""

    bounds: list[tuple[int, int, int]] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)

    def add(self, gathered: list[list[int]], slots: int | None = None) -> int:
        """Append a table, and say where it begins; `slots`: how many rows are kept, in turn."""
        start = len(self.bounds)
        for places in gathered:
            self.bounds.append((len(self.sources), len(self.sources) + len(places), max(places, default=-1)))
            self.sources.extend(places if slots is None else [place % slots for place in places])
        return start


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
    tables = Tables()
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
        kind, mean_square, jump = family(activation)
        if from_pixels and not steps:
            kind = START
        runs = [*run_of_threes(gathers[1]), *run_of_threes(spreads[1])]
        kept = at[0] if window.padding == "circular" else min(window.size, at[0])
        found = [tables.add(gathers[0], kept), *map(tables.add, [gathers[1], *spreads])]
        steps.append((kind, position, *at, *after, *found, *runs, kept))
        conv = layer if isinstance(layer, Conv) else None
        weight = (1.0 if conv is None else conv.weight_std**2) / window.size**2
        bias, gain = (0.0, 0.0) if conv is None else (conv.bias_std**2, 1.0)
        numbers.append((mean_square, jump, weight, bias, gain))
        position += 0 if activation is None else at[0] * at[1]
        at = after
    readout = architecture.readout
    return Program(
        np.array(steps, dtype=np.int64),
        np.array(numbers, dtype=dtype),
        np.array(tables.bounds, dtype=np.int64),
        np.array(tables.sources, dtype=np.int64),
        recursion.tangent,
        dtype.type(readout.weight_std**2 / (at[0] * at[1])),
        dtype.type(readout.bias_std**2),
    )


def gathered_places(window: Window, length: int) -> list[list[int]]:
    """For each place after the window, the places along the axis that it sums."""
    before, _ = window.margins(length)
    starts = [o * window.stride - before for o in range(window.output_length(length))]
    if window.padding == "circular":
        return [[p % length for p in range(start, start + window.size)] for start in starts]
    return [list(range(max(start, 0), min(start + window.size, length))) for start in starts]


def transposed_places(gathered: list[list[int]], length: int) -> list[list[int]]:
    """For each place before the window, the places after it that it enters."""
    spread: list[list[int]] = [[] for _ in range(length)]
    for place, sources in enumerate(gathered):
        for source in sources:
            spread[source].append(place)
    return spread


def run_of_threes(gathered: list[list[int]]) -> tuple[int, int]:
    """Where the places start, and stop, that sum three neighbors one further than the place before: the inner loop."""
    starts = [o for o, sources in enumerate(gathered) if len(sources) == 3 and sources[2] == sources[0] + 2]
    start = starts[0] if starts else len(gathered)
    stop = start
    while stop < len(gathered) and gathered[stop] == [gathered[start][0] + stop - start + k for k in range(3)]:
        stop += 1
    return start, stop


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

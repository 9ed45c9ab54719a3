"""Architectures as runs of layers that one program takes at once."""

import math
from dataclasses import dataclass
from itertools import pairwise

from ...activations.piecewise_linear import PiecewiseLinear
from ...architecture import Architecture
from ...layers import Conv

LONGEST = 3  # activations; the state of more does not fit the registers


@dataclass(frozen=True)
class Run:
    """Some activations in a row with the convolution behind each; behind the last one of all is the readout instead.

    Attributes:
        activations: at least one.
        convs: as many, or one less.
        grid: in front of the first activation.
        start: how many positions the activations before have, all together.
    """

    activations: tuple[PiecewiseLinear, ...]
    convs: tuple[Conv, ...]
    grid: tuple[int, int]
    start: int

    @property
    def ends(self) -> bool:
        """Whether the readout follows."""
        return len(self.convs) < len(self.activations)

    @property
    def grid_out(self) -> tuple[int, int]:
        """Behind the last convolution."""
        lost = sum(map(lost_by, self.convs))
        return self.grid[0] - lost, self.grid[1] - lost

    @property
    def steps(self) -> int:
        """How many columns the program walks: those of the last grid, and the ones by which that lags behind the first."""
        return self.grid_out[1] + sum(conv.size - 1 - before(conv) for conv in self.convs)

    def plan(self, rows: int) -> tuple[int, ...]:
        """For strips of so many rows of the last grid, six numbers for every activation.

        How many rows it takes, how many of them lie above the strip's first, how many columns it lags behind the first one,
        the size of the window that follows (0: none), what the grid loses by it, and whether it meets zeros outside.
        """
        plan: list[int] = []
        for level in range(len(self.activations)):
            behind, passed = self.convs[level:], self.convs[:level]
            plan += [rows + sum(conv.size - 1 for conv in behind), sum(map(before, behind))]
            plan += [sum(conv.size - 1 - before(conv) for conv in passed)]
            plan += [behind[0].size, lost_by(behind[0]), int(behind[0].padding == "same")] if behind else [0, 0, 0]
        return tuple(plan)

    @property
    def constants(self) -> tuple[float, ...]:
        """For every activation k0 at a quarter turn and its slope there, factor and bias of the convolution behind."""
        constants: list[float] = []
        for level, activation in enumerate(self.activations):
            constants += dual_constants(activation)
            conv = self.convs[level] if level < len(self.convs) else None
            constants += [0.0, 0.0] if conv is None else [conv.weight_std**2 / conv.size**2, conv.bias_std**2]
        return tuple(constants)


def dual_constants(activation: PiecewiseLinear) -> list[float]:
    """k0 at a quarter turn, and how fast it falls with the angle."""
    return [activation.mean_square - activation.jump * math.pi / 2, activation.jump]


def before(conv: Conv) -> int:
    """How many positions the window reaches back."""
    return (conv.size - 1) // 2 if conv.padding == "same" else 0


def lost_by(conv: Conv) -> int:
    """How many positions there are less behind it, along each axis."""
    return 0 if conv.padding == "same" else conv.size - 1


def runs_of(architecture: Architecture, grids: list[tuple[int, int]], longest: int = LONGEST) -> list[Run]:
    """The network as runs of at most so many activations, as even as can be, the longest last."""
    hidden = architecture.hidden
    activations = [layer for layer in hidden if isinstance(layer, PiecewiseLinear)]
    convs = [layer for layer in hidden if isinstance(layer, Conv)]
    count, runs = -(-len(activations) // longest), []
    cuts = [len(activations) * cut // count for cut in range(count + 1)]
    for first, last in pairwise(cuts):
        start = sum(rows * cols for rows, cols in grids[0 : 2 * first : 2])
        runs.append(Run(tuple(activations[first:last]), tuple(convs[first:last]), grids[2 * first], start))
    return runs


def walkable(architecture: Architecture) -> bool:
    """Whether activations of ReLU's kind and convolutions of stride 1 take turns, and no positions are coupled."""
    turns = [
        isinstance(layer, PiecewiseLinear)
        if i % 2 == 0
        else isinstance(layer, Conv) and layer.stride == 1 and layer.padding != "circular"
        for i, layer in enumerate(architecture.hidden)
    ]
    return len(turns) % 2 == 1 and all(turns) and not architecture.couples_positions

"""What both programs are written with: tables of the places that windows gather, and the numbers of a step.

A *step* is an activation (or none) and the window mean after it (or none). A window is read from tables: for each place
along an axis, the places that it gathers. The same tables serve every padding and stride, and their transposes serve the
adjoint.
"""

from dataclasses import dataclass, field

from ....maths.windows import Window
from ...activations.activation import Activation
from ...layers import AvgPool, Conv
from .duals import family

Grid = tuple[int, int]
FAMILY = 0  # the first column of every step
BOUND = 3  # columns of a table's bounds
FIRST_CONSTANT, SECOND_CONSTANT, WEIGHT, BIAS, GAIN, NUMBER = range(6)  # columns of a step's numbers, and how many


@dataclass
class TableWriter:
    """Tables of places to gather, one after the other.

    Attributes:
        bounds: for each place of each table, where its sources start and stop in `sources`, and the last of them.
        sources: the places that are gathered.
    """

    bounds: list[tuple[int, int, int]] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)

    def add(self, gathered: list[list[int]], slots: int | None = None) -> int:
        """Append a table, and say where it begins; `slots`: how many rows are kept, in turn."""
        start = len(self.bounds)
        for places in gathered:
            self.bounds.append((len(self.sources), len(self.sources) + len(places), max(places, default=-1)))
            self.sources.extend(places if slots is None else [place % slots for place in places])
        return start


def numbers_of(activation: Activation | None, layer: Conv | AvgPool | None) -> tuple[float, ...]:
    """A step's numbers: its activation's constants; S' = weight * sum(K) + bias, T' = gain * S' + weight * sum(T)."""
    _, first, second = family(activation)
    if isinstance(layer, Conv):
        return first, second, layer.weight_std**2 / layer.size**2, layer.bias_std**2, 1.0
    return first, second, 1.0 if layer is None else 1.0 / layer.size**2, 0.0, 0.0


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

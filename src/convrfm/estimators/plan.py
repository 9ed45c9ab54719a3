"""What a fit tries."""

from collections.abc import Sequence
from dataclasses import dataclass

from .layers import Keep
from .solver import LearnableKernel
from .starts import FilterDraw


@dataclass(frozen=True)
class Plan:
    """The candidates of a fit and the rounds of each.

    Attributes:
        candidates: the kernels of every layer, once for each candidate.
        draw: how filters between layers are drawn.
        n_iterations: updates of M in each layer.
        keep: which round of each layer is kept.
    """

    candidates: Sequence[tuple[LearnableKernel, ...]]
    draw: FilterDraw
    n_iterations: int
    keep: Keep

    @property
    def is_shallow(self) -> bool:
        """Whether every candidate has one layer."""
        return all(len(kernels) == 1 for kernels in self.candidates)

    @property
    def n_rounds(self) -> int:
        """How many rounds there are in all layers of all candidates."""
        return sum(map(len, self.candidates)) * (self.n_iterations + 1)

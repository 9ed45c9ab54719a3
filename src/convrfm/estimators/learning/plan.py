"""What a fit tries."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..solving.solver import LearnableKernel
from .layers import Keep
from .starts import FilterDraw

Candidates = Sequence[tuple[LearnableKernel, ...]]
"""The kernels of every layer, once for each candidate."""


@dataclass(frozen=True)
class Plan:
    """The candidates of a fit and the rounds of each.

    Attributes:
        candidates: the kernels of every layer, once for each candidate.
        draw: how filters between layers are drawn.
        n_iterations: updates of M in each layer.
        keep: which round of each layer is kept.
    """

    candidates: Candidates
    draw: FilterDraw
    n_iterations: int
    keep: Keep

    @property
    def n_rounds(self) -> int:
        """How many rounds there are in all layers of all candidates."""
        return sum(map(len, self.candidates)) * (self.n_iterations + 1)

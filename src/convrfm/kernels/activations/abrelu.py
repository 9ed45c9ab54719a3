"""Two slopes."""

from dataclasses import dataclass

from typing_extensions import override

from .piecewise_linear import PiecewiseLinear


@dataclass(frozen=True)
class ABReLU(PiecewiseLinear):
    """a min(t, 0) + b max(t, 0)."""

    a: float
    b: float

    @property
    @override
    def slopes(self) -> tuple[float, float]:
        return self.a, self.b

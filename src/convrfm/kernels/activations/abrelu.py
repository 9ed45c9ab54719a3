"""Two slopes."""

from dataclasses import dataclass

from typing_extensions import override

from ..scales import check_finite
from .piecewise_linear import PiecewiseLinear


@dataclass(frozen=True)
class ABReLU(PiecewiseLinear):
    """a min(t, 0) + b max(t, 0)."""

    a: float
    b: float

    def __post_init__(self) -> None:
        check_finite(a=self.a, b=self.b)

    @property
    @override
    def slopes(self) -> tuple[float, float]:
        return self.a, self.b

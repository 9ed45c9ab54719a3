"""The rectifier with a slope on the left."""

from dataclasses import dataclass

from typing_extensions import override

from ..scales import check_finite
from .piecewise_linear import PiecewiseLinear


@dataclass(frozen=True)
class LeakyReLU(PiecewiseLinear):
    """max(t, slope t), not rescaled."""

    slope: float = 0.01

    def __post_init__(self) -> None:
        check_finite(slope=self.slope)

    @property
    @override
    def slopes(self) -> tuple[float, float]:
        return self.slope, 1.0

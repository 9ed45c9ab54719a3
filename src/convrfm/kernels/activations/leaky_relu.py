"""The rectifier with a slope on the left."""

from dataclasses import dataclass

from typing_extensions import override

from .piecewise_linear import PiecewiseLinear


@dataclass(frozen=True)
class LeakyReLU(PiecewiseLinear):
    """max(t, slope t), not rescaled."""

    slope: float = 0.01

    @property
    @override
    def slopes(self) -> tuple[float, float]:
        return self.slope, 1.0

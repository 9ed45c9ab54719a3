"""The rectifier, scaled."""

import math
from dataclasses import dataclass

from typing_extensions import override

from .piecewise_linear import PiecewiseLinear


@dataclass(frozen=True)
class ReLU(PiecewiseLinear):
    """sqrt(2) max(t, 0): the factor keeps the variance."""

    @property
    @override
    def slopes(self) -> tuple[float, float]:
        return 0.0, math.sqrt(2)

"""The Gaussian kernel of patches."""

from dataclasses import dataclass

from typing_extensions import override

from .kernel import RadialKernel
from .patches import Squares


@dataclass(frozen=True)
class Gaussian(RadialKernel):
    """The mean over positions of exp(-|x[u] - z[u]|_M^2 / (2 bandwidth^2))."""

    @override
    def value(self, squares: Squares) -> Squares:
        return (squares / (-2 * self.bandwidth**2)).exp_()

    @override
    def slope(self, squares: Squares) -> Squares:
        return self.value(squares) / self.bandwidth**2

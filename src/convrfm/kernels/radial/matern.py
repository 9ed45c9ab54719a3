"""The Matern kernel of patches."""

from dataclasses import dataclass

import torch
from typing_extensions import override

from ...errors import InputError
from ...maths.singular import root
from .kernel import RadialKernel
from .patches import Squares


@dataclass(frozen=True)
class Matern(RadialKernel):
    """The mean over positions of the Matern function of |x[u] - z[u]|_M / bandwidth, between Laplace and Gaussian.

    With t = sqrt(2 smoothness) |x[u] - z[u]|_M / bandwidth it is

        exp(-t)                     smoothness 0.5, the Laplace kernel
        (1 + t) exp(-t)             smoothness 1.5
        (1 + t + t^2 / 3) exp(-t)   smoothness 2.5

    Args:
        smoothness: 0.5, 1.5 or 2.5; the others are those of `Laplace`.

    Example:
        >>> images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> Matern(patch_size=7, bandwidth=10.0, smoothness=2.5)(images).shape
        torch.Size([2, 2])
    """

    smoothness: float = 1.5

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.smoothness, bool) or self.smoothness not in (0.5, 1.5, 2.5):
            raise InputError(f"smoothness must be 0.5, 1.5 or 2.5; got {self.smoothness!r}.")

    @override
    def value(self, squares: Squares) -> Squares:
        t = self._rate * root(squares)
        if self.smoothness == 0.5:
            return (-t).exp_()
        if self.smoothness == 1.5:
            return (1 + t) * (-t).exp_()
        return (1 + t + t * t / 3) * (-t).exp_()

    @override
    def slope(self, squares: Squares) -> Squares:
        t = self._rate * squares.sqrt()
        if self.smoothness == 0.5:
            return torch.where(t > 0, self._rate**2 * (-t).exp_() / t, 0)
        if self.smoothness == 1.5:
            return self._rate**2 * (-t).exp_()
        return (1 + t) * (-t).exp_() * (self._rate**2 / 3)

    @property
    def _rate(self) -> float:
        """t for each unit of distance."""
        return (2 * self.smoothness) ** 0.5 / self.bandwidth

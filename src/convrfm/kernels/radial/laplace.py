"""The Laplace kernel of patches, that of "Laplace-ConvRFM" in the paper."""

from dataclasses import dataclass

import torch
from typing_extensions import override

from ...maths.singular import root
from .kernel import RadialKernel
from .patches import Squares


@dataclass(frozen=True)
class Laplace(RadialKernel):
    """The mean over positions of exp(-|x[u] - z[u]|_M / bandwidth).

    Example:
        >>> images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> Laplace(patch_size=7, bandwidth=10.0)(images).shape
        torch.Size([2, 2])
    """

    @override
    def value(self, squares: Squares) -> Squares:
        return (root(squares) / -self.bandwidth).exp_()

    @override
    def slope(self, squares: Squares) -> Squares:
        lengths = squares.sqrt()
        slopes = (lengths / -self.bandwidth).exp_() / (self.bandwidth * lengths)
        return torch.where(lengths > 0, slopes, 0)

"""Radial kernels of patches: functions of the distance between patches under the metric, averaged over positions."""

from .gaussian import Gaussian
from .kernel import RadialKernel
from .laplace import Laplace
from .matern import Matern

__all__ = ["Gaussian", "Laplace", "Matern", "RadialKernel"]

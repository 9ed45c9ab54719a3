"""Convolutional kernels of infinitely wide networks, with a learned metric on patches."""

from .architecture import Architecture, myrtle, vanilla
from .infinite import NNGP, NTK, vanilla_ntk
from .layers import GELU, ABReLU, AvgPool, Conv, Erf, Flatten, GlobalAvgPool, LeakyReLU, ReLU
from .matern import Matern
from .patch_kernel import PatchKernel
from .radial import Gaussian, Laplace, RadialKernel

__all__ = [
    "GELU",
    "NNGP",
    "NTK",
    "ABReLU",
    "Architecture",
    "AvgPool",
    "Conv",
    "Erf",
    "Flatten",
    "Gaussian",
    "GlobalAvgPool",
    "Laplace",
    "LeakyReLU",
    "Matern",
    "PatchKernel",
    "RadialKernel",
    "ReLU",
    "myrtle",
    "vanilla",
    "vanilla_ntk",
]

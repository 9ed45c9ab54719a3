"""Convolutional kernels of infinitely wide networks, with a learned metric on patches."""

from . import activations
from .activations import *  # noqa: F403 (the list of activations is there)
from .architecture import Architecture, myrtle, vanilla
from .infinite import NNGP, NTK, vanilla_ntk
from .layers import AvgPool, Conv, Flatten, GlobalAvgPool
from .patch_kernel import PatchKernel
from .radial import Gaussian, Laplace, Matern, RadialKernel

__all__ = [
    "NNGP",
    "NTK",
    "Architecture",
    "AvgPool",
    "Conv",
    "Flatten",
    "Gaussian",
    "GlobalAvgPool",
    "Laplace",
    "Matern",
    "PatchKernel",
    "RadialKernel",
    "myrtle",
    "vanilla",
    "vanilla_ntk",
    *activations.__all__,
]

"""The kernel that options name."""

from .. import kernels
from ..kernels.patch_kernel import PatchKernel
from .choices import KernelName


def kernel_of(name: KernelName, depth: int, patch_size: int, bandwidth: float) -> PatchKernel:
    """The kernel with these settings, as far as they concern it."""
    if name in (KernelName.NTK, KernelName.NNGP):
        kind = kernels.NTK if name is KernelName.NTK else kernels.NNGP
        return kind(kernels.vanilla(depth, patch_size))
    return (kernels.Laplace if name is KernelName.LAPLACE else kernels.Gaussian)(patch_size, bandwidth)

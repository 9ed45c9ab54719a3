"""The kernel that options name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from .. import kernels
from ..kernels.patch_kernel import PatchKernel
from .choices import KernelName, Network

RADIAL: dict[KernelName, Callable[[int, float], kernels.RadialKernel]] = {
    KernelName.LAPLACE: kernels.Laplace,
    KernelName.MATERN_3: partial(kernels.Matern, smoothness=1.5),
    KernelName.MATERN_5: partial(kernels.Matern, smoothness=2.5),
    KernelName.GAUSSIAN: kernels.Gaussian,
}
INFINITE = {KernelName.NTK: kernels.NTK, KernelName.NNGP: kernels.NNGP}
MYRTLE = {Network.MYRTLE_5: 5, Network.MYRTLE_7: 7, Network.MYRTLE_10: 10}


@dataclass(frozen=True)
class Family:
    """One kernel for each depth, of these settings as far as they concern it."""

    kernel: KernelName
    patch_size: int
    bandwidth: float
    network: Network = Network.VANILLA
    pool_size: int = 2

    def __call__(self, depth: int) -> PatchKernel:
        """The kernel of this depth."""
        if self.kernel.is_radial:
            return RADIAL[self.kernel](self.patch_size, self.bandwidth)
        if self.network in MYRTLE:
            return INFINITE[self.kernel](kernels.myrtle(MYRTLE[self.network]))
        if self.network is Network.GLOBAL:
            return INFINITE[self.kernel](kernels.vanilla(depth, self.patch_size, pooling="global"))
        squares = self.pool_size if self.network is Network.AVERAGE else None
        return INFINITE[self.kernel](kernels.vanilla(depth, self.patch_size, pooling=squares))

    @property
    def has_depth(self) -> bool:
        """Whether its kernels differ by depth."""
        return not self.kernel.is_radial and self.network not in MYRTLE

    @property
    def name(self) -> str:
        """What it is called in tables."""
        if self.kernel.is_radial:
            return f"{self.kernel}, patches of {self.patch_size}"
        if self.network in MYRTLE:
            return f"{self.kernel} of {self.network}"
        squares = f" {self.pool_size}" if self.network is Network.AVERAGE else ""
        return f"{self.kernel} of {self.network}{squares}, patches of {self.patch_size}"

"""Every kind of layer, padding and readout, and what they are tried on."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from convrfm import kernels
from convrfm.kernels.infinite import InfiniteWidthKernel

Architecture, Conv, ReLU, Flatten = kernels.Architecture, kernels.Conv, kernels.ReLU, kernels.Flatten
ARCHITECTURES = {
    "vanilla-1": kernels.vanilla(1),
    "vanilla-3": kernels.vanilla(3),
    "patch-5": kernels.vanilla(2, patch_size=5),
    "same": Architecture(
        Conv(3, 1.3, 0.2, "same"), ReLU(), Conv(5, 1.1, 0.3, "same"), kernels.LeakyReLU(0.1), Flatten(1.2, 0.4)
    ),
    "circular": Architecture(
        Conv(3, 1.3, 0.2, "circular"), ReLU(), Conv(5, padding="circular"), kernels.ABReLU(0.3, -1.0), Flatten()
    ),
    "strided": Architecture(
        Conv(2, 1.1, 0.1, "same", 2), ReLU(), Conv(3, padding="circular", stride=2), ReLU(), Conv(2), ReLU(), Flatten()
    ),
    "erf-gelu": Architecture(Conv(3, 1.5, 0.2), kernels.Erf(), Conv(3, 1.2, 0.1), kernels.GELU(), Flatten()),
    "linear": Architecture(Conv(3), Conv(2, 1.4, 0.5), ReLU(), kernels.LeakyReLU(0.5), Conv(2), Flatten()),
    "pool": Architecture(
        Conv(3, 1.2, 0.1),
        ReLU(),
        kernels.AvgPool(2),
        Conv(3, 1.1, 0.2, "same"),
        ReLU(),
        kernels.GlobalAvgPool(1.1, 0.2),
    ),
    "pool-twice": Architecture(
        Conv(2, padding="same"),
        ReLU(),
        kernels.AvgPool(2),
        kernels.AvgPool(2),
        Conv(2),
        kernels.LeakyReLU(0.1),
        Flatten(),
    ),
    "coupled": Architecture(Conv(3), kernels.Erf(), Conv(3, 1.0, 0.1), kernels.GELU(), kernels.GlobalAvgPool()),
    "pool-circular": Architecture(
        Conv(3, 1.2, 0.1, "circular"),
        ReLU(),
        kernels.AvgPool(2),
        Conv(3, 1.1, 0.2, "circular"),
        kernels.GELU(),
        kernels.GlobalAvgPool(),
    ),
    "pool-strided": Architecture(
        Conv(3, 1.2, 0.1, "same", 2), ReLU(), Conv(3, 1.1, 0.1, "circular", 2), ReLU(), kernels.GlobalAvgPool()
    ),
    "pool-everything": Architecture(
        Conv(3, 1.2, 0.1, "circular"),
        ReLU(),
        Conv(3, 1.0, 0.1, "same", 3),
        kernels.AvgPool(2),
        kernels.LeakyReLU(0.2),
        Conv(1),
        kernels.Erf(),
        Flatten(),
    ),
    "pool-linear": Architecture(Conv(3, 1.2, 0.1, "same"), kernels.AvgPool(2), Conv(3), kernels.GlobalAvgPool()),
    "no-activation": Architecture(Conv(3, 1.2, 0.3), Flatten()),
}
CASES = {
    f"{name}-{kind.__name__}": kind(architecture)
    for name, architecture in ARCHITECTURES.items()
    for kind in (kernels.NTK, kernels.NNGP)
}
every_kernel = pytest.mark.parametrize("kernel", CASES.values(), ids=CASES)
every_dtype = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
with_and_without_metric = pytest.mark.parametrize("has_metric", [False, True], ids=["identity", "metric"])
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-4}


def images(n: int, seed: int, dtype: torch.dtype = torch.float64, shape: tuple[int, int, int] = (2, 11, 10)) -> Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def metric(kernel: InfiniteWidthKernel, rank: int | None = None, channels: int = 2) -> Tensor:
    d = channels * kernel.patch_size**2
    A = torch.randn(d, rank or d, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    return A @ A.T / d


def coefficients(n: int, k: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(n, k, generator=torch.Generator().manual_seed(7), dtype=torch.float64).to(dtype)


def both(kernel: InfiniteWidthKernel) -> tuple[InfiniteWidthKernel, InfiniteWidthKernel]:
    return replace(kernel, engine="cpu"), replace(kernel, engine="reference")


def assert_agree(fast: Tensor, slow: Tensor) -> None:
    assert fast.dtype == slow.dtype
    scale = float(slow.abs().max())
    torch.testing.assert_close(fast, slow, rtol=TOLERANCE[slow.dtype], atol=TOLERANCE[slow.dtype] * scale)

"""Kernels and AGOPs on the CPU are the same to the last bit for any number of threads, on a quiet machine or a busy one."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from convrfm import kernels
from convrfm.kernels.features.feature_map import FeatureMap
from convrfm.kernels.features.random_layers import FeatureDraw
from convrfm.kernels.infinite import InfiniteWidthKernel
from convrfm.kernels.patch_kernel import PatchKernel

Conv, ReLU, AvgPool = kernels.Conv, kernels.ReLU, kernels.AvgPool
KERNELS = {
    "flat": kernels.NTK(kernels.vanilla(2)),
    "erf and gelu": kernels.NTK(
        kernels.Architecture(Conv(3, 1.5, 0.2), kernels.Erf(), Conv(3, 1.2, 0.1), kernels.GELU(), kernels.Flatten())
    ),
    "pooled": kernels.NTK(
        kernels.Architecture(
            Conv(3, 1.2, 0.1), ReLU(), AvgPool(2), Conv(3, padding="same"), ReLU(), AvgPool(2), kernels.Flatten()
        )
    ),
    "everything": kernels.NTK(
        kernels.Architecture(
            Conv(3, 1.2, 0.1, "circular"),
            ReLU(),
            Conv(3, 1.0, 0.1, "same", 3),
            AvgPool(2),
            kernels.LeakyReLU(0.2),
            Conv(1),
            kernels.Erf(),
            kernels.Flatten(),
        )
    ),
    "reference": kernels.NTK(kernels.vanilla(2), engine="reference"),
    "laplace": kernels.Laplace(3),
    "gaussian": kernels.Gaussian(3, 5.0),
}
POOLED = ("pooled", "everything")


@pytest.fixture(scope="module")
def both_cores_are_busy() -> Iterator[None]:
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    yield
    for other in others:
        other.kill()
        other.wait()


def draw(*shape: int, seed: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def results(kernel: PatchKernel, n: int, m: int, outputs: int, dtype: torch.dtype, rank: int | None) -> list[Tensor]:
    x, z = draw(n, 2, 11, 10, seed=1, dtype=dtype), draw(m, 2, 11, 10, seed=2, dtype=dtype)
    A = None if rank is None else draw(18, rank, seed=3, dtype=torch.float64)
    M = None if A is None else sum((a[:, None] * a for a in A.T), torch.zeros(18, 18, dtype=torch.float64)).to(dtype)
    coef = draw(m, outputs, seed=4, dtype=dtype)
    return [
        kernel(x, z, feature_matrix=M),
        kernel(z, feature_matrix=M),
        kernel.diagonal(x[:1], feature_matrix=M),
        kernel.agop(x, z, coef, feature_matrix=M),
        kernel.patch_gradients(x[:3], z, coef, feature_matrix=M),
    ]


@pytest.mark.usefixtures("both_cores_are_busy", "threads_of_torch")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("rank", [None, 18, 3], ids=["identity", "metric", "low rank"])
@pytest.mark.parametrize("name", KERNELS)
def test_bits_do_not_depend_on_the_number_of_threads(name: str, rank: int | None, dtype: torch.dtype) -> None:
    n, m, outputs = (4, 20, 2) if name in POOLED else (70, 40, 12)
    torch.set_num_threads(1)
    expected = results(KERNELS[name], n, m, outputs, dtype, rank)
    for threads in (2, 3, 5):
        torch.set_num_threads(threads)
        for found, alone in zip(results(KERNELS[name], n, m, outputs, dtype, rank), expected, strict=True):
            torch.testing.assert_close(found, alone, rtol=0, atol=0)
        assert torch.get_num_threads() == threads


DRAWN: dict[str, InfiniteWidthKernel] = {
    "one layer": kernels.NNGP(kernels.Architecture(Conv(3), ReLU(), AvgPool(3), kernels.Flatten())),
    "tangent": kernels.NTK(kernels.vanilla(2, pooling="global")),
    "two layers": kernels.NNGP(kernels.vanilla(2)),
}


@pytest.mark.usefixtures("both_cores_are_busy", "threads_of_torch")
@pytest.mark.parametrize(("name", "n_features"), [*((name, 64) for name in DRAWN), ("one layer", 8192)])
def test_bits_of_features_do_not_depend_on_it_either(name: str, n_features: int) -> None:
    x = draw(37 if n_features == 64 else 5, 2, 11, 10, seed=1, dtype=torch.float32)
    features = FeatureMap(DRAWN[name], FeatureDraw(n_features, seed=0), x)
    few, many = (draw(features.n_columns, outputs, seed=2, dtype=torch.float32) for outputs in (1, 40))

    def found() -> list[Tensor]:
        return [features(x), features.agop(x, few), features.agop(x, many, x.new_tensor(range(len(x))))]

    torch.set_num_threads(1)
    expected = found()
    for threads in (2, 3, 5):
        torch.set_num_threads(threads)
        for one, alone in zip(found(), expected, strict=True):
            torch.testing.assert_close(one, alone, rtol=0, atol=0)
        assert torch.get_num_threads() == threads

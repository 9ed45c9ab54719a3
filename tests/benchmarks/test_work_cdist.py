import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from benchmarks.inputs import RADIAL_PATCH_SIZE
from benchmarks.work_cdist import BANDWIDTH, kernel, laplace_agop
from benchmarks.work_convrfm import RADIAL


def images(n: int, seed: int) -> Tensor:
    return torch.randn(n, 2, 9, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("task", RADIAL)
def test_the_baseline_computes_the_same_kernels(task: str) -> None:
    ours = RADIAL[task](RADIAL_PATCH_SIZE, BANDWIDTH)
    x, z = images(5, 0), images(4, 1)
    assert_close(kernel(task, x, z), ours(x, z))
    assert_close(kernel(task, x), ours(x), rtol=1e-6, atol=0)  # its own distances of a patch to itself are rounding


def test_the_baseline_computes_the_same_agop() -> None:
    x, coef = images(6, 0), torch.randn(6, 3, generator=torch.Generator().manual_seed(1)).double()
    at = images(4, 2)
    assert_close(laplace_agop(at, x, coef), RADIAL["laplace"](RADIAL_PATCH_SIZE, BANDWIDTH).agop(at, x, coef))

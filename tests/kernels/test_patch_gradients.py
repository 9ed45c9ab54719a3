"""An AGOP comes from one engine, whatever torch follows."""

import pytest
import torch

from convrfm import kernels

KERNELS = {"flat": kernels.NTK(kernels.vanilla(1)), "radial": kernels.Laplace(3)}


@pytest.mark.parametrize("rank", [None, 18, 3], ids=["identity", "metric", "low rank"])
@pytest.mark.parametrize("followed", ["coefficients", "images"])
@pytest.mark.parametrize("name", KERNELS)
def test_what_torch_follows_does_not_change_an_agop(name: str, followed: str, rank: int | None) -> None:
    generator = torch.Generator().manual_seed(0)
    x, z = (torch.randn(n, 2, 6, 5, generator=generator, dtype=torch.float64) for n in (3, 4))
    coef = torch.randn(4, 2, generator=generator, dtype=torch.float64)
    A = None if rank is None else torch.randn(18, rank, generator=generator, dtype=torch.float64)
    M = None if A is None else A @ A.T
    kernel = KERNELS[name]
    expected, gradients = (
        kernel.agop(x, z, coef, feature_matrix=M),
        kernel.patch_gradients(x, z, coef, feature_matrix=M),
    )
    (coef if followed == "coefficients" else z).requires_grad_()
    torch.testing.assert_close(kernel.agop(x, z, coef, feature_matrix=M).detach(), expected)
    torch.testing.assert_close(kernel.patch_gradients(x, z, coef, feature_matrix=M).detach(), gradients)

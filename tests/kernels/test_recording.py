"""torch differentiates all that a kernel computes, whatever the number of threads and the memory for it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from convrfm import kernels
from convrfm.kernels import threads
from convrfm.kernels.activations.activation import Activation
from convrfm.kernels.engines import reference
from convrfm.kernels.patch_kernel import PatchKernel

from .cases import images

Conv = kernels.Conv
ACTIVATIONS = [kernels.ReLU(), kernels.LeakyReLU(0.1), kernels.Erf(), kernels.GELU(), kernels.Sin(), kernels.Rbf()]


def flat(of: Activation) -> kernels.Architecture:
    return kernels.Architecture(Conv(2, 1.2, 0.1), of, Conv(2), of, kernels.Flatten())


def pooled(of: Activation) -> kernels.Architecture:
    return kernels.Architecture(
        Conv(2, 1.2, 0.1), of, kernels.AvgPool(2), Conv(1, 1.1, 0.2), of, kernels.GlobalAvgPool()
    )


KERNELS: dict[str, Any] = {
    f"{type(activation).__name__}-{kind.__name__}": kind(flat(activation))
    for activation in ACTIVATIONS
    for kind in (kernels.NTK, kernels.NNGP)
} | {
    "pooled-NTK": kernels.NTK(pooled(kernels.ReLU())),
    "pooled-NNGP": kernels.NNGP(pooled(kernels.Erf())),
    "contrast": kernels.NTK(kernels.Architecture(Conv(2, contrast=0.1), kernels.ReLU(), Conv(2), kernels.Flatten())),
    "linear": kernels.NTK(kernels.Architecture(Conv(2, 1.2, 0.3), Conv(2), kernels.Flatten())),
    "Laplace": kernels.Laplace(2, 1.0),
    "Gaussian": kernels.Gaussian(2, 1.0),
    "Matern": kernels.Matern(2, 1.0, 2.5),
}


def arguments(n: int, side: int) -> list[Tensor]:
    """Images, others, coefficients, a metric and weights, all of them to be differentiated by."""
    A = torch.randn(4, 4, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    x, z = (images(m, seed, shape=(1, side, side)) for m, seed in ((n, 1), (n + 1, 2)))
    coef = images(n + 1, 3, shape=(1, 1, 2)).flatten(1)
    made = [x, z, coef, A @ A.T / 4 + 0.3 * torch.eye(4).to(A), torch.linspace(0.5, 1.5, n, dtype=torch.float64)]
    return [t.requires_grad_() for t in made]


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_torch_differentiates_gradients_agop_and_diagonal_by_all_that_they_are_made_of(kernel: PatchKernel) -> None:
    def values(x: Tensor, z: Tensor, coef: Tensor, M: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
        M = (M + M.T) / 2
        return (
            kernel.agop(x, z, coef, feature_matrix=M, weights=weights),
            kernel.patch_gradients(x, z, coef, feature_matrix=M),
            kernel.diagonal(x, feature_matrix=M),
        )

    assert torch.autograd.gradcheck(values, arguments(2, 4), fast_mode=True)


@pytest.fixture
def several_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(reference, "CACHE_BYTES", 1 << 14)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["ReLU-NTK", "Laplace"])
@pytest.mark.usefixtures("several_threads")
def test_gradients_are_those_of_one_thread_in_all_memory(name: str) -> None:
    def gradients(kernel: PatchKernel) -> tuple[Tensor, ...]:
        x, z, coef, M, weights = inputs = arguments(8, 6)
        made = kernel(x, z, feature_matrix=M), kernel.agop(x, z, coef, feature_matrix=M, weights=weights)
        return torch.autograd.grad(sum(each.square().sum() for each in made), inputs)

    got = gradients(replace(KERNELS[name], memory_budget=100_000))
    with threads.no_other_thread():
        expected = gradients(KERNELS[name])
    torch.testing.assert_close(got, expected)


def test_the_agop_by_weights_is_that_of_the_fast_engine() -> None:
    """In single precision and with many outputs, where it is summed up from Gram matrices unless torch records it."""
    kernel = kernels.NTK(kernels.vanilla(1))
    x, z = images(6, 1, torch.float32, (3, 9, 9)), images(5, 2, torch.float32, (3, 9, 9))
    coef, weights = torch.ones(5, 40), torch.linspace(0.5, 1.5, 6)
    expected = kernel.agop(x, z, coef, weights=weights)
    agop = kernel.agop(x, z, coef, weights=weights.requires_grad_())
    torch.testing.assert_close(agop, expected, rtol=1e-4, atol=1e-5)
    assert agop.requires_grad

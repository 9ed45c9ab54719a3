"""In GPyTorch, a convolutional kernel gives the posterior that linear algebra gives."""

import gpytorch
import numpy as np
import pytest
import torch

from convrfm import kernels
from convrfm.errors import InputError
from convrfm.kernels.gaussian_process import PatchKernelGP

SHAPE = (2, 6, 5)


def flat(n: int, seed: int) -> torch.Tensor:
    return torch.randn(n, 60, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Process(gpytorch.models.ExactGP):
    def __init__(self, x: torch.Tensor, y: torch.Tensor, likelihood: gpytorch.likelihoods.GaussianLikelihood) -> None:
        super().__init__(x, y, likelihood)
        self.mean_module = gpytorch.means.ZeroMean()
        self.covar_module = PatchKernelGP(kernels.NNGP(kernels.vanilla(2)), SHAPE)

    def forward(self, x: torch.Tensor) -> gpytorch.distributions.MultivariateNormal:
        return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))


def test_active_dims_are_the_columns_of_the_image_and_must_be_as_many() -> None:
    kernel, x = kernels.NNGP(kernels.vanilla(2)), flat(5, 0)
    beside = torch.cat([flat(5, 3)[:, :7], x], 1)
    chosen = PatchKernelGP(kernel, SHAPE, active_dims=tuple(range(7, 67)))
    plain = PatchKernelGP(kernel, SHAPE)
    torch.testing.assert_close(chosen(beside).to_dense(), plain(x).to_dense())
    torch.testing.assert_close(chosen(beside, beside[:2]).to_dense(), plain(x, x[:2]).to_dense())
    with pytest.raises(InputError, match=r"active_dims must be the 60 columns .* got 7"):
        PatchKernelGP(kernel, SHAPE, active_dims=tuple(range(7)))


def test_the_posterior_is_that_of_the_kernel_matrix() -> None:
    x, z = flat(8, 0), flat(3, 1)
    y = torch.sin(x.sum(1))
    likelihood = gpytorch.likelihoods.GaussianLikelihood().double()
    likelihood.noise = 0.1
    process = Process(x, y, likelihood).double().eval()
    with torch.no_grad():
        posterior = process(z)
    kernel = kernels.NNGP(kernels.vanilla(2))
    a, b = x.reshape(-1, *SHAPE), z.reshape(-1, *SHAPE)
    inverse = torch.linalg.inv(kernel(a) + 0.1 * torch.eye(8, dtype=x.dtype))
    torch.testing.assert_close(posterior.mean, kernel(b, a) @ inverse @ y, rtol=1e-6, atol=1e-8)
    covariance = kernel(b) - kernel(b, a) @ inverse @ kernel(a, b)
    torch.testing.assert_close(posterior.covariance_matrix, covariance, rtol=1e-6, atol=1e-8)


def test_metrics_diagonals_and_batches() -> None:
    A = torch.randn(18, 18, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    M, kernel = A @ A.T, kernels.NTK(kernels.vanilla(1))
    wrapped = PatchKernelGP(kernel, SHAPE, feature_matrix=M)
    x, z = flat(4, 0), flat(4, 1)
    K = kernel(x.reshape(-1, *SHAPE), z.reshape(-1, *SHAPE), feature_matrix=M)
    torch.testing.assert_close(wrapped(x, z).to_dense(), K)
    torch.testing.assert_close(wrapped(x, z, diag=True), K.diagonal())
    torch.testing.assert_close(wrapped(torch.stack([x, z]), torch.stack([z, z])).to_dense()[0], K)


def test_inputs_of_another_shape_are_refused() -> None:
    with pytest.raises(InputError, match=r"must be \(n, 60\)"):
        PatchKernelGP(kernels.NNGP(kernels.vanilla(1)), SHAPE).forward(torch.zeros(3, 59), torch.zeros(3, 59))


def test_a_metric_may_be_an_array_and_batches_broadcast() -> None:
    images = torch.randn(5, 36, generator=torch.Generator().manual_seed(0))
    metric = np.diag(np.arange(1.0, 10.0)).astype(np.float32)
    kernel = PatchKernelGP(kernels.NNGP(kernels.vanilla(1)), (1, 6, 6), metric)
    batch = kernel.forward(images.expand(2, -1, -1), images[:3])
    assert batch.shape == (2, 5, 3)
    torch.testing.assert_close(batch[1], kernel.forward(images, images[:3]))


def test_gradients_at_equal_inputs_are_of_the_argument_that_they_are_taken_by() -> None:
    kernel, x, z = PatchKernelGP(kernels.NNGP(kernels.vanilla(1)), SHAPE), flat(3, 0), flat(3, 0)
    weights = flat(3, 1)[:, :3]
    x.requires_grad_()
    (by_one,) = torch.autograd.grad((weights * kernel(x, z).to_dense()).sum(), x)
    (by_both,) = torch.autograd.grad((weights * kernel(x).to_dense()).sum(), x)
    (of_pairs,) = torch.autograd.grad(kernel(x, z, diag=True).sum(), x)
    (of_diagonal,) = torch.autograd.grad(kernel(x, diag=True).sum(), x)
    images, others = (each.detach().reshape(3, *SHAPE).requires_grad_() for each in (x, z))
    K = kernel.kernel(images, others)
    first, second = (grad.flatten(1) for grad in torch.autograd.grad((weights * K).sum(), (images, others)))
    torch.testing.assert_close(by_one, first)
    torch.testing.assert_close(by_both, first + second)
    torch.testing.assert_close(2 * of_pairs, of_diagonal)

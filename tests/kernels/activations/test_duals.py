"""Dual activations against quadrature and finite differences."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from convrfm import kernels
from convrfm.kernels.activations import ACTIVATIONS
from convrfm.kernels.activations.activation import Activation

CASES: list[Activation] = [
    kernels.ReLU(),
    kernels.LeakyReLU(0.1),
    kernels.ABReLU(-0.4, 1.3),
    kernels.Erf(),
    kernels.GELU(),
    kernels.Sin(),
    kernels.Sin(1.2, 0.7, 0.4),
    kernels.Rbf(),
    kernels.Rbf(0.3),
]
every_activation = pytest.mark.parametrize("activation", CASES, ids=str)
S, QX, QZ = (
    torch.tensor(v, dtype=torch.float64) for v in ([0.3, -0.8, 0.0, 1.1], [1.0, 0.7, 2.0, 1.5], [0.5, 1.9, 1.0, 0.9])
)


def test_every_activation_is_tried() -> None:
    assert {type(activation) for activation in CASES} == set(ACTIVATIONS)


def expectation(f: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """E f(a, b) for every covariance, on a fine polar grid (the radius by Gauss-Laguerre in r^2 / 2)."""
    nodes, weights = (torch.tensor(v) for v in np.polynomial.laguerre.laggauss(60))
    angles = (torch.arange(20000, dtype=torch.float64) + 0.5) * (2 * torch.pi / 20000)
    radius = (2 * nodes)[:, None].sqrt()
    u, v = radius * angles.cos(), radius * angles.sin()
    values = []
    for s, qx, qz in zip(S, QX, QZ, strict=True):
        a = qx.sqrt() * u
        b = s / qx.sqrt() * u + (qz - s * s / qx).sqrt() * v
        values.append((weights[:, None] * f(a, b)).sum() / len(angles))
    return torch.stack(values)


@every_activation
def test_the_dual_is_the_expected_product(activation: Activation) -> None:
    K, _ = activation.dual(S, QX, QZ)
    torch.testing.assert_close(K, expectation(lambda a, b: activation.phi(a) * activation.phi(b)), rtol=1e-6, atol=1e-7)


@every_activation
def test_the_derivative_dual_is_the_expected_product_of_slopes(activation: Activation) -> None:
    def slope(t: Tensor) -> Tensor:
        t = t.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(activation.phi(t).sum(), t)
        return gradient

    _, k0 = activation.dual(S, QX, QZ)
    torch.testing.assert_close(k0, expectation(lambda a, b: slope(a) * slope(b)), rtol=1e-3, atol=1e-4)


@every_activation
def test_the_derivative_has_the_digits_of_its_argument(activation: Activation) -> None:
    t = torch.linspace(-2, 2, 40, dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(activation.phi(t).sum(), t)
    torch.testing.assert_close(activation.derivative(t.detach()), gradient, rtol=1e-14, atol=1e-15)


@every_activation
def test_the_derivative_dual_is_the_derivative_of_the_dual(activation: Activation) -> None:
    s = S.clone().requires_grad_()
    K, k0 = activation.dual(s, QX, QZ)
    (gradient,) = torch.autograd.grad(K.sum(), s)
    torch.testing.assert_close(k0.detach(), gradient)


@every_activation
def test_the_pullback_is_the_transposed_derivative(activation: Activation) -> None:
    s, qx = S.clone().requires_grad_(), QX.clone().requires_grad_()
    K, k0 = activation.dual(s, qx, QZ)
    K_bar, k0_bar = torch.tensor([0.3, -1.0, 2.0, 0.5]).double(), torch.tensor([1.0, 0.4, -0.7, 0.2]).double()
    expected = torch.autograd.grad((K * K_bar + k0 * k0_bar).sum(), (s, qx))
    for actual, gradient in zip(activation.pullback(S, QX, QZ, K_bar, k0_bar), expected, strict=True):
        torch.testing.assert_close(actual, gradient)


@every_activation
def test_on_the_diagonal_it_is_the_limit_and_its_slope(activation: Activation) -> None:
    q = QX.clone().requires_grad_()
    K, k0 = activation.on_diagonal(q)
    near = activation.dual(QX * (1 - 1e-12), QX, QX)
    torch.testing.assert_close(K.detach(), near[0], rtol=1e-6, atol=0)
    torch.testing.assert_close(k0.detach(), near[1], rtol=1e-5, atol=0)
    (slope,) = torch.autograd.grad(K.sum(), q)
    torch.testing.assert_close(activation.diagonal_slope(QX), slope)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_patches_that_differ_by_rounding_alone_coincide(dtype: torch.dtype) -> None:
    q = torch.tensor([0.3, 1.7], dtype=dtype)
    almost = q * (1 - torch.finfo(dtype).eps)
    assert (kernels.ReLU().dual(almost, q, q)[1] == kernels.ReLU().mean_square).all()


@every_activation
@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e-8])
def test_small_variances_keep_their_digits_in_single_precision(activation: Activation, scale: float) -> None:
    single = [(scale * each).float() for each in (S, QX, QZ)]
    for found, expected in zip(activation.dual(*single), activation.dual(*(v.double() for v in single)), strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-7 * float(expected.abs().max()))


@every_activation
def test_the_dual_has_the_slope_of_its_derivative_dual(activation: Activation) -> None:
    """Where s is zero too."""
    s = S.clone().requires_grad_()
    K, k0 = activation.dual(s, QX, QZ)
    (slope,) = torch.autograd.grad(K.sum(), s)
    torch.testing.assert_close(slope, k0.detach())

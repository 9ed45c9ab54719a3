"""Closed forms against solving again and again."""

import pytest
import torch

from convrfm.errors import InputError
from convrfm.solvers.exact import RidgePath


def problem(n: int = 12, k: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(n, 8, generator=generator, dtype=torch.float64)
    K = features @ features.T + 0.1 * torch.eye(n, dtype=torch.float64)
    return K, torch.randn(n, k, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("ridge", [1e-6, 1e-2, 1.0])
def test_coefficients_solve_the_regression_with_the_scaled_kernel(ridge: float) -> None:
    K, y = problem()
    scale = K.max()
    alpha = torch.linalg.solve(K / scale + ridge * torch.eye(len(K), dtype=K.dtype), y)
    path = RidgePath(K, y)
    torch.testing.assert_close(path.dual_coef(ridge), alpha / scale, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(path.fitted(ridge), K / scale @ alpha, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("ridge", [1e-4, 1e-2, 1.0])
def test_leave_one_out_is_the_fit_to_all_others(ridge: float) -> None:
    K, y = problem()
    scaled = K / K.max()
    expected = torch.empty_like(y)
    for i in range(len(K)):
        others = [j for j in range(len(K)) if j != i]
        inner = scaled[others][:, others] + ridge * torch.eye(len(others), dtype=K.dtype)
        expected[i] = scaled[i, others] @ torch.linalg.solve(inner, y[others])
    torch.testing.assert_close(RidgePath(K, y).leave_one_out([ridge, 7.0])[0], expected, rtol=1e-8, atol=1e-10)


def test_a_scale_of_the_kernel_changes_no_prediction() -> None:
    K, y = problem()
    torch.testing.assert_close(K @ RidgePath(K, y).dual_coef(1e-3), 7 * K @ RidgePath(7 * K, y).dual_coef(1e-3))


def test_no_ridge_interpolates() -> None:
    K, y = problem()
    torch.testing.assert_close(K @ RidgePath(K, y).dual_coef(0.0), y)


def test_a_kernel_of_zeros_is_refused() -> None:
    with pytest.raises(InputError, match="positive, finite largest entry"):
        RidgePath(torch.zeros(3, 3), torch.ones(3, 1))

"""Closed forms against solving again and again."""

import pytest
import torch

from convrfm.errors import InputError
from convrfm.solvers.exact import GaussianPosterior, RidgePath


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


@pytest.mark.parametrize("ridge", [1e-4, 1e-1])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_group_left_out_is_predicted_by_the_fit_to_all_other_groups(ridge: float, weighted: bool) -> None:
    K, y = problem()
    scaled = K / K.max()
    groups = torch.tensor([2, 0, 1, 1, 2, 0, 0, 3, 3, 3, 3, 2])
    weights = 0.5 + torch.arange(12).double() % 3 if weighted else None
    noise = torch.diag(ridge / (torch.ones(12).double() if weights is None else weights))
    expected = torch.empty_like(y)
    for group in range(4):
        inside, others = (torch.nonzero(mask)[:, 0] for mask in (groups == group, groups != group))
        inner = (scaled + noise)[others][:, others]
        expected[inside] = scaled[inside][:, others] @ torch.linalg.solve(inner, y[others])
    path = RidgePath(K, y, weights, groups)
    torch.testing.assert_close(path.leave_one_out([ridge])[0], expected, rtol=1e-7, atol=1e-9)
    each, one = RidgePath(K, y, weights, torch.arange(12)), RidgePath(K, y, weights)
    torch.testing.assert_close(each.leave_one_out([ridge])[0], one.leave_one_out([ridge])[0], rtol=1e-8, atol=1e-10)


def test_in_single_precision_too_a_heavy_image_is_one_that_is_repeated() -> None:
    generator = torch.Generator().manual_seed(0)
    places = torch.rand(40, 2, generator=generator, dtype=torch.float64)
    y = torch.sin(5 * places).sum(1, keepdim=True)
    K = torch.exp(-torch.cdist(places, places).square())
    train, counts = torch.arange(30), torch.ones(30, dtype=torch.long)
    counts[0] = 100
    copies = train.repeat_interleave(counts)
    single = K.float()
    weighted = RidgePath(single[train][:, train], y[train], counts.double()).dual_coef(1e-4)
    repeated = RidgePath(single[copies][:, copies], y[copies]).dual_coef(1e-4)
    new = single[30:].double()
    errors = [
        float((new[:, at] @ coef - y[30:]).square().mean().sqrt())
        for at, coef in ((train, weighted), (copies, repeated))
    ]
    assert errors[0] == pytest.approx(errors[1], rel=0.1)


def test_integer_weights_are_repeated_images() -> None:
    K, y = problem()
    counts = torch.tensor([1, 2, 1, 3, 1, 1, 2, 1, 1, 1, 4, 1])
    copies = torch.arange(12).repeat_interleave(counts)
    weighted, repeated = RidgePath(K, y, counts.double()), RidgePath(K[copies][:, copies], y[copies])
    outputs = K[:, copies] @ repeated.dual_coef(1e-2)
    torch.testing.assert_close(K @ weighted.dual_coef(1e-2), outputs, rtol=1e-7, atol=1e-9)
    expected = torch.empty_like(y)
    for i in range(12):  # all copies of an image are left out together
        others = copies != i
        part = RidgePath(K[copies[others]][:, copies[others]] * 1.0, y[copies[others]])
        ridge = 1e-2 * weighted.scale / part.scale
        expected[i] = K[i, copies[others]] @ part.dual_coef(ridge)
    torch.testing.assert_close(weighted.leave_one_out([1e-2])[0], expected, rtol=1e-6, atol=1e-8)


def test_the_amplitude_standardizes_the_leave_one_out_residuals() -> None:
    K, y = problem()
    scaled, ridge = K / K.max(), 1e-2
    standardized = torch.zeros(12, 3, dtype=torch.float64)
    for i in range(12):
        others = [j for j in range(12) if j != i]
        inner = scaled[others][:, others] + ridge * torch.eye(11, dtype=K.dtype)
        mean = scaled[i, others] @ torch.linalg.solve(inner, y[others])
        variance = scaled[i, i] + ridge - scaled[i, others] @ torch.linalg.solve(inner, scaled[others, i])
        standardized[i] = (y[i] - mean) ** 2 / variance
    torch.testing.assert_close(RidgePath(K, y).amplitude(ridge), standardized.mean(0), rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_posterior_variance_is_that_of_the_joint_gaussian(weighted: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(15, 6, generator=generator, dtype=torch.float64)
    joint = features @ features.T
    K, meeting, own = joint[:12, :12], joint[12:, :12], joint.diagonal()[12:]
    weights = 1 + torch.arange(12).double() if weighted else None
    heavy = torch.ones(12).double() if weights is None else weights
    noisy = K / K.max() + torch.diag(1e-2 / heavy)
    explained = (meeting @ torch.linalg.inv(noisy) @ meeting.T).diagonal() / K.max() ** 2
    expected = own / K.max() - explained + 1e-2 * heavy.sum() / heavy.square().sum()
    torch.testing.assert_close(GaussianPosterior(K, 1e-2, weights).variance(meeting, own), expected)


def test_a_matrix_that_rounding_made_indefinite_leaves_a_posterior_between_the_noise_and_the_prior() -> None:
    K = torch.tensor([[1.0, 1.0 + 1e-6], [1.0 + 1e-6, 1.0]])
    assert torch.linalg.eigvalsh(K.double()).min() < 0
    variance = GaussianPosterior(K, 1e-8, None).variance(K, K.diagonal())
    assert bool(((variance >= 1e-8) & (variance < 1e-4)).all())


@pytest.mark.parametrize("factor", [100.0, 1e-4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_and_ridge_times_the_same_number_are_the_same_process(factor: float, dtype: torch.dtype) -> None:
    K, y = problem()
    K, heavy = K.to(dtype), 1 + torch.arange(12).double()
    one, other = RidgePath(K, y, heavy), RidgePath(K, y, factor * heavy)
    torch.testing.assert_close(other.dual_coef(factor * 1e-2), one.dual_coef(1e-2))
    torch.testing.assert_close(other.amplitude(factor * 1e-2), one.amplitude(1e-2))
    variances = [
        GaussianPosterior(K, times * 1e-2, times * heavy).variance(K[:3], K.diagonal()[:3]) for times in (1.0, factor)
    ]
    torch.testing.assert_close(*variances)


def test_with_weights_or_groups_the_left_out_residuals_have_weighted_mean_square_one() -> None:
    K, y = problem()
    scaled, ridge, heavy = K / K.max(), 1e-2, 0.5 + torch.arange(12).double() % 3
    for groups in (torch.arange(12), torch.arange(12) // 3):
        standardized = torch.zeros(12, 3, dtype=torch.float64)
        for group in groups.unique():
            out, others = (groups == group).nonzero()[:, 0], (groups != group).nonzero()[:, 0]
            inner = torch.linalg.inv(scaled[others][:, others] + torch.diag(ridge / heavy[others]))
            meeting = scaled[out][:, others]
            variance = scaled[out, out] + ridge / heavy[out] - (meeting @ inner @ meeting.T).diagonal()
            standardized[out] = (y[out] - meeting @ inner @ y[others]) ** 2 / variance[:, None]
        expected = heavy @ standardized / heavy.sum()
        of_one = len(groups.unique()) == 12
        amplitude = RidgePath(K, y, heavy, None if of_one else groups).amplitude(ridge)
        torch.testing.assert_close(amplitude, expected, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("ridge", [1e-4, 1e-1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("grouped", [False, True])
def test_centered_fits_know_nothing_of_what_is_left_out_not_its_share_of_the_mean(
    ridge: float, weighted: bool, grouped: bool
) -> None:
    K, y = problem()
    y = y + torch.tensor([10.0, 0.0, -1e3], dtype=K.dtype)
    scaled = K / K.max()
    groups = torch.tensor([2, 0, 1, 1, 2, 0, 0, 3, 3, 3, 3, 2]) if grouped else torch.arange(12)
    weights = 0.5 + torch.arange(12).double() % 3 if weighted else torch.ones(12, dtype=K.dtype)
    expected = torch.empty_like(y)
    for group in groups.unique():
        out, others = groups == group, groups != group
        mean = weights[others] @ y[others] / weights[others].sum()
        inner = scaled[others][:, others] + torch.diag(ridge / weights[others])
        expected[out] = mean + scaled[out][:, others] @ torch.linalg.solve(inner, y[others] - mean)
    path = RidgePath(K, y, weights if weighted else None, groups if grouped else None, centered=True)
    left_out = path.leave_one_out([ridge])[0]
    torch.testing.assert_close(left_out, expected, rtol=1e-7, atol=1e-8)
    torch.testing.assert_close(K @ path.dual_coef(ridge) + path.intercept, path.fitted(ridge))

"""The regression by conjugate gradients is the exact one; its leave-one-out is an estimate whose error is known."""

import pytest
import torch
from torch import Tensor

from convrfm.errors import InputError
from convrfm.solvers.conjugate_gradients import State
from convrfm.solvers.exact import RidgePath
from convrfm.solvers.iterative import IterativePath, default_rank
from convrfm.solvers.path import Path
from convrfm.solvers.tiled import InMemory, TiledKernel

N, RIDGES = 150, (1e-4, 1e-2, 1.0)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def problem() -> tuple[Tensor, Tensor, Tensor]:
    """A kernel of images in the plane, two noisy targets far from zero, and weights."""
    generator = torch.Generator().manual_seed(0)
    places = torch.rand(N, 2, generator=generator, dtype=torch.float64)
    K = 3 * torch.exp(-4 * torch.cdist(places, places))
    noise = torch.randn(N, 2, generator=generator, dtype=torch.float64)
    y = 5 + torch.sin(7 * places) + 0.3 * noise
    return (K + K.T) / 2, y, 0.5 + torch.rand(N, generator=generator, dtype=torch.float64)


def paths(*, weighted: bool, centered: bool) -> tuple[RidgePath, IterativePath, Tensor]:
    K, y, weights = problem()
    given = weights if weighted else None
    iterative = IterativePath(
        InMemory(K, side=40), y, torch.Generator().manual_seed(1), given, centered=centered, rank=40
    )
    return RidgePath(K, y, given, centered=centered), iterative, K


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("centered", [False, True])
def test_predictions_are_those_of_the_exact_path(weighted: bool, centered: bool) -> None:
    exact, iterative, K = paths(weighted=weighted, centered=centered)
    assert iterative.scale == exact.scale
    assert isinstance(iterative, Path)
    for ridge in RIDGES:
        outputs = [K[:30] @ path.dual_coef(ridge) for path in (exact, iterative)]
        torch.testing.assert_close(*outputs, rtol=0, atol=1e-4)
        torch.testing.assert_close(exact.fitted(ridge), iterative.fitted(ridge), rtol=0, atol=1e-4)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("centered", [False, True])
def test_leave_one_out_is_near_the_exact_one_for_every_ridge(weighted: bool, centered: bool) -> None:
    exact, iterative, _ = paths(weighted=weighted, centered=centered)
    targets = problem()[1]
    for expected, estimated in zip(exact.leave_one_out(RIDGES), iterative.leave_one_out(RIDGES), strict=True):
        off = (expected - estimated).norm() / (expected - targets).norm()
        assert float(off) < 0.15
    errors = [
        torch.tensor([float((outputs - targets).square().mean()) for outputs in path.leave_one_out(RIDGES)])
        for path in (exact, iterative)
    ]
    torch.testing.assert_close(*errors, rtol=0.08, atol=0)
    amplitudes = [path.amplitude(RIDGES[1]) for path in (exact, iterative)]
    torch.testing.assert_close(*amplitudes, rtol=0.08, atol=0)


def test_the_estimate_of_the_diagonal_has_no_bias_and_its_lower_bound_holds() -> None:
    """Over many draws of signs its mean is the diagonal."""
    K, y, _ = problem()
    for ridge in (1e-3, 100.0):
        inverse = torch.linalg.inv(K / K.max() + ridge * torch.eye(N, dtype=torch.float64)).diagonal()
        estimates = []
        for seed in range(20):
            path = IterativePath(InMemory(K), y[:, :1], torch.Generator().manual_seed(seed), rank=40)
            residuals = y[:, :1] - path.leave_one_out([ridge])[0]
            estimates.append((path.dual_coef(ridge) * path.scale / residuals)[:, 0])
            assert float((estimates[-1] * (K.diagonal() / K.max() + ridge)).min()) > 1 - 1e-9
        assert float((torch.stack(estimates).mean(0) / inverse - 1).abs().mean()) < 0.03


def test_ridges_share_one_solve_and_nothing_is_solved_twice() -> None:
    K, y, _ = problem()
    counted = []
    path = IterativePath(
        InMemory(K), y, torch.Generator().manual_seed(1), rank=40, after=lambda state, excess: counted.append(excess)
    )
    path.leave_one_out(RIDGES)
    assert len(counted) == path.iterations
    assert counted[-1] <= 1 < counted[0]
    for ridge in RIDGES:
        path.dual_coef(ridge)
        path.fitted(ridge)
        path.amplitude(ridge)
    assert len(counted) == path.iterations


def test_from_a_kept_state_it_goes_on_to_the_same_bits() -> None:
    K, y, _ = problem()
    kept: list[State] = []
    whole = IterativePath(
        InMemory(K), y, torch.Generator().manual_seed(1), rank=40, after=lambda state, _: kept.append(state)
    )
    expected = whole.leave_one_out(RIDGES)
    again = IterativePath(InMemory(K), y, torch.Generator().manual_seed(1), rank=40, start=kept[3])
    for one, other in zip(expected, again.leave_one_out(RIDGES), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(whole.dual_coef(RIDGES[0]), again.dual_coef(RIDGES[0]))


def test_an_image_of_a_large_weight_leaves_the_rounding_of_all_others_as_it_is() -> None:
    K, y, weights = problem()
    weights[3] = 1e4
    single = K.float()
    exact, iterative = (
        RidgePath(single, y, weights),
        IterativePath(InMemory(single), y, torch.Generator().manual_seed(1), weights, rank=40),
    )
    ridge = 1e-6
    torch.testing.assert_close(iterative.fitted(ridge), exact.fitted(ridge), rtol=0, atol=2e-3)
    K_at_ridge = K / K.max() + torch.diag((ridge / weights).clamp_min(TiledKernel(InMemory(single)).floor))
    P = torch.linalg.inv(K_at_ridge)
    torch.testing.assert_close(iterative.dual_coef(ridge) * K.max(), P @ y, rtol=0, atol=1e-2)


@pytest.mark.parametrize("decades", [4, 8])
def test_weights_of_any_spread_at_a_tiny_ridge_take_no_more_iterations_than_equal_ones_at_the_rounding(
    decades: int,
) -> None:
    """Where no image weighs so little that the ridge over its weight is above K's rounding."""
    K, y, _ = problem()
    spread = 10 ** torch.linspace(0, decades, N, dtype=torch.float64)[torch.randperm(N, generator=seeded())]
    ridge = 1e-8
    equal, uneven = (
        IterativePath(InMemory(K.float()), y, seeded(), weights, rank=40) for weights in (None, spread * 1e-2)
    )
    equal.dual_coef(ridge)
    exact = RidgePath(K.float(), y, spread * 1e-2)
    torch.testing.assert_close(uneven.fitted(ridge), exact.fitted(ridge), rtol=0, atol=1e-2)
    assert uneven.iterations <= 1.5 * equal.iterations


def test_where_rounding_proves_larger_it_counts_as_that_and_the_solve_says_so_and_goes_on_to_the_same_bits() -> None:
    """K less a little: eigenvalues below 0, further than its precision tells."""
    K, y, _ = problem()
    floor = TiledKernel(InMemory(K.float())).floor
    K = (torch.linalg.matrix_power(K, 3) / 1e3).float()
    K = K - 3 * floor * K.max() * torch.eye(N)
    kept: list[State] = []

    def path(start: State | None = None) -> IterativePath:
        return IterativePath(
            InMemory(K),
            y,
            torch.Generator().manual_seed(1),
            rank=40,
            start=start,
            after=lambda state, _: kept.append(state),
        )

    whole = path()
    with pytest.warns(UserWarning, match="is not positive definite"):
        whole.leave_one_out([0.0, 1e-2])
    expected = RidgePath(K, y).fitted(1e-2)
    torch.testing.assert_close(whole.fitted(1e-2), expected, rtol=0, atol=1e-3)
    assert torch.equal(whole.dual_coef(0.0), whole.dual_coef(4 * floor))
    again = path(kept[-2])
    with pytest.warns(UserWarning, match="is not positive definite"):
        again.leave_one_out([0.0, 1e-2])
    assert torch.equal(again.dual_coef(0.0), whole.dual_coef(0.0))
    negative = IterativePath(InMemory(-K + 2 * K.max() * torch.eye(N)), y, torch.Generator().manual_seed(1), rank=40)
    with pytest.warns(UserWarning), pytest.raises(InputError, match="is not positive definite"):
        negative.dual_coef(0.0)


def test_ridges_below_the_kernels_rounding_count_as_that() -> None:
    K, y, _ = problem()
    single = InMemory(K.float())
    floor = TiledKernel(single).floor
    assert floor == pytest.approx(8 * N**0.5 * 1.19e-7, rel=1e-2)
    path = IterativePath(single, y, torch.Generator().manual_seed(1), rank=40)
    assert torch.equal(path.dual_coef(0.0), path.dual_coef(floor / 2))


def test_the_rank_grows_with_the_root_of_the_images() -> None:
    assert [default_rank(n) for n in (2, 100, 10_000, 40_000)] == [1, 25, 800, 1600]

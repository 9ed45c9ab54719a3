"""Streamed regression against scikit-learn, against solving again and again, and against the kernel of the features."""

from itertools import product

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from convrfm.estimators.ahead.laws import Passes
from convrfm.solvers.exact import RidgePath
from convrfm.solvers.normal_equations import NormalEquations
from convrfm.solvers.streamed import streamed_path

RIDGES = (1e-3, 1e-1, 1.0)
N = 14
GROUPS = torch.tensor([2, 0, 1, 1, 2, 0, 0, 3, 3, 3, 3, 2, 1, 0])
WEIGHTS = 0.5 + torch.arange(N).double() % 3


def data(columns: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    phi = torch.randn(N, columns, generator=generator, dtype=torch.float64)
    return phi, 3 + torch.randn(N, 2, generator=generator, dtype=torch.float64)


both_ways = pytest.mark.parametrize("columns", [5, 30], ids=["primal", "dual"])


@both_ways
@pytest.mark.parametrize(("weighted", "grouped", "centered"), list(product([False, True], repeat=3)))
def test_everything_is_as_the_exact_solver_has_it(columns: int, weighted: bool, grouped: bool, centered: bool) -> None:
    phi, y = data(columns)
    weights, groups = WEIGHTS if weighted else None, GROUPS if grouped else None
    exact = RidgePath(phi @ phi.T, y, weights, groups, centered=centered)
    path = streamed_path(
        lambda rows: phi[rows], columns, y, weights, groups, ridges=RIDGES, centered=centered, at_once=4
    )
    for ridge, coef in zip(RIDGES, path.coefs(RIDGES), strict=True):
        torch.testing.assert_close(coef, phi.T @ exact.dual_coef(ridge), rtol=1e-8, atol=1e-10)
        torch.testing.assert_close(path.fitted(ridge), exact.fitted(ridge), rtol=1e-8, atol=1e-10)
        torch.testing.assert_close(path.amplitude(ridge), exact.amplitude(ridge), rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(path.leave_one_out(RIDGES), exact.leave_one_out(RIDGES), rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(path.intercept, exact.intercept)


@both_ways
def test_leave_one_out_is_scikit_learn_s_fit_to_all_others(columns: int) -> None:
    phi, y = data(columns)
    scale = float(phi.square().sum(1).max())
    path = streamed_path(lambda rows: phi[rows], columns, y, WEIGHTS, None, ridges=RIDGES, centered=False, at_once=5)
    for ridge, left_out, coef in zip(RIDGES, path.leave_one_out(RIDGES), path.coefs(RIDGES), strict=True):
        model = Ridge(alpha=ridge * scale, fit_intercept=False)
        np.testing.assert_allclose(coef.T, model.fit(phi, y, WEIGHTS).coef_, rtol=1e-7)
        for i in range(N):
            others = np.delete(np.arange(N), i)
            prediction = model.fit(phi[others], y[others], WEIGHTS[others]).predict(phi[i : i + 1])[0]
            np.testing.assert_allclose(left_out[i], prediction, rtol=1e-7)


@both_ways
@pytest.mark.parametrize("remembered", [3, 8, 9, N])
def test_features_that_are_remembered_are_made_once_and_change_no_bit(columns: int, remembered: int) -> None:
    phi, y = data(columns)
    made: list[int] = []

    def features(rows: Tensor) -> Tensor:
        made.extend(rows.tolist())
        return phi[rows]

    def results(remembered: int) -> Tensor:
        made.clear()
        path = streamed_path(
            features, columns, y, None, None, ridges=RIDGES, centered=True, at_once=5, remembered=remembered
        )
        return torch.cat([*path.coefs(RIDGES), *path.leave_one_out(RIDGES)])

    torch.testing.assert_close(results(remembered), results(0), rtol=0, atol=0)
    again = len(made) - N
    results(remembered)
    assert all(made.count(i) == 1 for i in range(remembered // 5 * 5))
    law = Passes(0.0, 1.0, 0.0, 0.0, columns, batch=5, remembered=remembered)
    assert len(made) == law.symmetric_seconds(N)
    assert N + again == Passes(0.0, 1.0, 0.0, 0.0, columns, batch=5, remembered=0).symmetric_seconds(N)


def test_of_targets_that_are_equal_nothing_is_left() -> None:
    """However many there are, of whose mean rounding makes another number than each is."""
    phi = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.stack([torch.full((1000,), 0.1, dtype=torch.float64), phi[:, 0]], 1)
    path = streamed_path(lambda rows: phi[rows], 2, y, None, None, ridges=RIDGES, centered=True, at_once=1)
    for coef in path.coefs(RIDGES):
        assert not coef[:, 0].any()
        assert coef[:, 1].any()


def test_groups_of_which_a_fold_has_none_count_for_nothing() -> None:
    phi, y = data(columns := 5)
    some = GROUPS >= 2
    phi, y, groups = phi[some], y[some], GROUPS[some]

    def left_out(groups: Tensor) -> Tensor:
        path = streamed_path(lambda rows: phi[rows], columns, y, None, groups, ridges=(0.1,), centered=True, at_once=2)
        return path.leave_one_out((0.1,))[0]

    torch.testing.assert_close(left_out(groups), left_out(groups - 2))


def test_sums_of_single_precision_features_do_not_lose_small_ones() -> None:
    """A million equal numbers added up one by one in single precision would stop growing."""
    ones = torch.ones(4096, 1)
    equations = NormalEquations.empty(1, ones)
    for _ in range(2**13):
        equations.add(ones, ones.double() / 3, None)
    assert float(equations.products) == 2**25
    assert float(equations.targets) == pytest.approx(2**25 / 3, rel=1e-12)

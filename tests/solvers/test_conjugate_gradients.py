"""Conjugate gradients on tiles against direct solving; the preconditioner saves iterations; a kept state goes on."""

import pytest
import torch
from torch import Tensor

from convrfm import kernels
from convrfm.errors import InputError
from convrfm.kernels.kernel_tiles import KernelTiles
from convrfm.solvers.conjugate_gradients import Solution, State, solve
from convrfm.solvers.preconditioner import Preconditioner, pivoted_factor
from convrfm.solvers.tiled import InMemory, TiledKernel

RIDGES = torch.tensor([1e-5, 1e-3, 1e-1], dtype=torch.float64)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth_kernel(n: int = 60) -> Tensor:
    """Of a Gaussian kernel on the plane: few large eigenvalues, many small ones."""
    places = torch.rand(n, 2, generator=seeded(0), dtype=torch.float64)
    return 3 * torch.exp(-4 * torch.cdist(places, places).square())


def right_hand_sides(n: int = 60, c: int = 3) -> Tensor:
    return torch.randn(n, c, generator=seeded(1), dtype=torch.float64)


def without(vectors: Tensor, shifts: Tensor) -> Tensor:
    return vectors


def solved(kernel: TiledKernel, y: Tensor, root: Tensor, rank: int, **options: object) -> Solution:
    factor = pivoted_factor(kernel, rank, seeded(2)) if rank else torch.zeros(kernel.n, 0, dtype=torch.float64)
    weighted = Preconditioner(factor, root)
    tolerances = torch.full((y.shape[1],), 1e-10, dtype=torch.float64)

    def product(v: Tensor) -> Tensor:
        return root[:, None] * (kernel @ (root[:, None] * v))

    precondition = weighted.solve if rank else without
    return solve(product, y, RIDGES, precondition, tolerances, most_iterations=500, **options)


@pytest.mark.parametrize("side", [7, 60])
def test_products_diagonal_and_columns_of_tiles_are_those_of_the_matrix(side: int) -> None:
    K, v = smooth_kernel(), right_hand_sides()
    tiled = TiledKernel(InMemory(K, side))
    assert tiled.scale == K.max()
    torch.testing.assert_close(tiled @ v, K @ v / K.max(), rtol=1e-12, atol=1e-12)
    assert torch.equal(tiled.diagonal, K.diagonal() / K.max())
    wanted = torch.tensor([0, 6, 7, 33, 59])
    torch.testing.assert_close(tiled.columns(wanted), K[:, wanted] / K.max(), rtol=1e-12, atol=1e-12)


def test_tiles_that_are_computed_when_they_are_needed_are_an_operator_too() -> None:
    x = torch.randn(9, 1, 4, 4, generator=seeded(0))
    kernel = kernels.Gaussian(patch_size=2, bandwidth=2.0)
    v = right_hand_sides(9)
    product = TiledKernel(KernelTiles(kernel, x, None, None, side=4)) @ v
    torch.testing.assert_close(product, kernel(x).double() @ v, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rank", [0, 15])
@pytest.mark.parametrize("side", [13, 60])
def test_every_column_solves_its_own_regression(rank: int, side: int) -> None:
    K, y, root = smooth_kernel(), right_hand_sides(), 0.5 + torch.rand(60, generator=seeded(3), dtype=torch.float64)
    found = solved(TiledKernel(InMemory(K, side)), y, root, rank)
    weighted = root[:, None] * (K / K.max()) * root
    for column, ridge in enumerate(RIDGES):
        A = weighted + ridge * torch.eye(60, dtype=torch.float64)
        expected = torch.cholesky_solve(y[:, column : column + 1], torch.linalg.cholesky(A))[:, 0]
        assert float((A @ found.solution[:, column] - y[:, column]).norm()) < 1e-9 * float(y[:, column].norm())
        torch.testing.assert_close(weighted @ found.solution[:, column], weighted @ expected, rtol=1e-4, atol=1e-7)
    assert float(found.residuals.max()) < 1e-9


def test_the_preconditioner_saves_most_iterations() -> None:
    kernel, y, one = TiledKernel(InMemory(smooth_kernel())), right_hand_sides(), torch.ones(60, dtype=torch.float64)
    iterations = [solved(kernel, y, one, rank).iterations for rank in (0, 15, 30)]
    assert iterations[0] > 3 * iterations[1] > 3 * iterations[2]


def test_the_factor_is_below_the_matrix_and_exact_on_a_matrix_of_its_rank() -> None:
    K = smooth_kernel()
    factor = pivoted_factor(TiledKernel(InMemory(K)), 10, seeded(2))
    remains = torch.linalg.eigvalsh(K / K.max() - factor @ factor.T)
    assert float(remains.min()) > -1e-10
    best = torch.linalg.eigvalsh(K / K.max())[:-10].sum()
    assert float(remains.sum()) < 20 * float(best)
    features = torch.randn(40, 5, generator=seeded(4), dtype=torch.float64)
    low = features @ features.T
    factor = pivoted_factor(TiledKernel(InMemory(low, 8)), 40, seeded(5))
    assert factor.shape[1] < 40
    torch.testing.assert_close(factor @ factor.T, low / low.max(), rtol=1e-6, atol=1e-7)


def test_the_same_generator_draws_the_same_pivots() -> None:
    kernel = TiledKernel(InMemory(smooth_kernel()))
    one, same, other = (pivoted_factor(kernel, 9, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_the_preconditioner_inverts_its_own_matrix() -> None:
    factor, root = torch.randn(20, 4, generator=seeded(0), dtype=torch.float64), torch.arange(1, 21).double()
    low = root[:, None] * factor @ factor.T * root
    preconditioner = Preconditioner(factor, root)
    assert preconditioner.rank == 4
    v = right_hand_sides(20)
    for column, shift in enumerate(RIDGES):
        A = low + shift * torch.eye(20, dtype=torch.float64)
        back = A @ preconditioner.solve(v, RIDGES)[:, column]
        torch.testing.assert_close(back, v[:, column], rtol=1e-6, atol=1e-6)
    shifts = torch.maximum(RIDGES, 4e-3 * root[:, None])  # uneven for two of them, and even for the last
    assert (shifts[0] == shifts[-1]).tolist() == [False, False, True]
    for column, shift in enumerate(shifts.T):
        back = (low + torch.diag(shift)) @ preconditioner.solve(v, shifts)[:, column]
        torch.testing.assert_close(back, v[:, column], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kept_after", [1, 4])
def test_from_a_kept_state_it_goes_on_to_the_same_bits(kept_after: int) -> None:
    kernel, y, one = TiledKernel(InMemory(smooth_kernel(), 17)), right_hand_sides(), torch.ones(60, dtype=torch.float64)
    kept: list[dict[str, Tensor]] = []
    whole = solved(kernel, y, one, 15, after=lambda state, excess: kept.append(state.tensors()))
    assert len(kept) == whole.iterations > kept_after
    again = solved(kernel, y, one, 15, start=State(**kept[kept_after - 1]))
    assert torch.equal(again.solution, whole.solution)
    assert again.iterations == whole.iterations


def test_a_target_of_zeros_has_the_solution_zero() -> None:
    kernel, y, one = TiledKernel(InMemory(smooth_kernel())), right_hand_sides(), torch.ones(60, dtype=torch.float64)
    y[:, 1] = 0
    found = solved(kernel, y, one, 15)
    assert not found.solution[:, 1].any()
    assert not torch.isnan(found.residuals).any()


def test_what_does_not_converge_is_told() -> None:
    K, y, one = smooth_kernel(), right_hand_sides(), torch.ones(3, dtype=torch.float64)
    with pytest.raises(InputError, match="after 2 iterations"):
        solve(lambda v: K @ v, y, RIDGES, without, 1e-6 * one, most_iterations=2)
    with pytest.raises(InputError, match="is not positive definite"):
        solve(lambda v: -K @ v, y, RIDGES, without, 1e-6 * one, most_iterations=99)
    drifting = iter(range(10**6))
    with pytest.raises(InputError, match="and no less"):
        solve(lambda v: (K + next(drifting) * 1e-6) @ v, y, RIDGES, without, 1e-12 * one, most_iterations=10**4)

"""The AGOP from Gram matrices of adjoints is that of the gradients, and is taken where it costs less."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from convrfm import kernels
from convrfm.kernels import infinite
from convrfm.kernels.engines import memory_plan
from convrfm.kernels.gram_agop import GramSum
from convrfm.kernels.growth import timed_as_part_of
from convrfm.kernels.infinite import InfiniteWidthKernel

from .cases import CASES, assert_agree, both, coefficients, images, metric

UNCOUPLED = {name: kernel for name, kernel in CASES.items() if not kernel.architecture.couples_positions}
every_uncoupled_kernel = pytest.mark.parametrize("kernel", UNCOUPLED.values(), ids=UNCOUPLED)
OUTPUTS = 120


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[GramSum]:
    """Every sum that is taken by Gram matrices."""
    taken: list[GramSum] = []

    class Noted(GramSum):
        def __call__(self, *arguments: Any) -> torch.Tensor:
            taken.append(self)
            return super().__call__(*arguments)

    monkeypatch.setattr(infinite, "GramSum", Noted)
    return taken


@pytest.mark.parametrize("rank", [None, 3, -1], ids=["identity", "low rank", "full rank"])
@every_uncoupled_kernel
def test_it_agrees_with_the_gradients_of_the_reference_engine(
    kernel: InfiniteWidthKernel, rank: int | None, taken: list[GramSum]
) -> None:
    x, z, coef = images(5, 1), images(19, 2), coefficients(19, OUTPUTS)
    M = None if rank is None else metric(kernel, rank if rank > 0 else None)
    weights = torch.tensor([1.0, 0.0, 2.0, 0.5, 3.0], dtype=torch.float64)
    fast, slow = both(kernel)
    for w in (None, weights):
        single = [None if t is None else t.float() for t in (x, z, coef, M, w)]
        found = fast.agop(*single[:3], feature_matrix=single[3], weights=single[4])
        assert_agree(found, slow.agop(x, z, coef, feature_matrix=M, weights=w).float())
    assert len(taken) == 2


@pytest.mark.parametrize("has_metric", [False, True], ids=["identity", "metric"])
def test_parts_blocks_and_rows_change_nothing(
    has_metric: bool, taken: list[GramSum], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = UNCOUPLED["same-NTK"]
    monkeypatch.setattr(memory_plan, "LARGEST_BLOCK", 3)
    x, z = (images(n, n, shape=(2, 40, 10)) for n in (30, 9))
    coef = coefficients(9, 30)
    M = metric(kernel) if has_metric else None
    expected = replace(kernel, engine="reference").agop(x, z, coef, feature_matrix=M).float()
    x, z, coef, M = x.float(), z.float(), coef.float(), None if M is None else M.float()
    sizes = set()
    steps: list[tuple[int, int]] = []
    for budget in (1 << 21, 1 << 22, 1 << 29):
        steps.clear()
        small = replace(kernel, engine="cpu", memory_budget=budget)
        assert_agree(small.agop(x, z, coef, feature_matrix=M, progress=lambda *at: steps.append(at)), expected)
        sizes.add((taken[-1].plan.together, taken[-1].plan.grid_rows))
        assert steps[-1] == (30, 30)
        assert steps == sorted(steps)
    assert (len(taken), len(sizes)) == (3, 3)


def test_where_gradients_cost_less_or_memory_or_digits_lack_they_are_made(taken: list[GramSum]) -> None:
    kernel = kernels.NTK(kernels.vanilla(1), engine="cpu")
    x, z, coef = images(4, 1).float(), images(40, 2).float(), coefficients(40, OUTPUTS).float()
    kernel.agop(x, z, coef[:, :1])
    replace(kernel, memory_budget=1 << 16).agop(x, z, coef)
    kernels.NTK(CASES["pool-NTK"].architecture, engine="cpu").agop(x, z, coef)
    replace(kernel, engine="reference").agop(x, z, coef)
    kernel.agop(x.double(), z.double(), coef.double())
    assert not taken
    kernel.agop(x, z, coef)
    assert len(taken) == 1


def test_a_part_that_is_timed_is_computed_as_the_whole_would_be(taken: list[GramSum]) -> None:
    """With so many partners the gradients cost less, and what is known of few is the same."""
    kernel = kernels.NTK(kernels.vanilla(1), engine="cpu")
    x, z, coef = images(4, 1).float(), images(40, 2).float(), coefficients(40, OUTPUTS).float()
    with timed_as_part_of(4, 100_000):
        found = kernel.agop(x, z, coef)
    assert not taken
    assert_agree(found, kernel.agop(x, z, coef))
    with timed_as_part_of(8, 40):
        kernel.agop(x, z, coef)
    assert len(taken) == 2


@pytest.mark.parametrize("apart", [1e-1, 1e-2])
def test_where_patches_are_nearly_parallel_it_is_as_good_as_the_gradients(
    apart: float, taken: list[GramSum], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = kernels.NTK(kernels.vanilla(1), engine="cpu")
    generator = torch.Generator().manual_seed(0)
    x = 1 + apart * torch.rand(30, 2, 8, 8, generator=generator, dtype=torch.float64)
    coef = torch.linalg.solve(kernel(x), torch.randn(30, OUTPUTS, generator=generator, dtype=torch.float64))
    assert float(coef.abs().max()) > 100
    exact = kernel.agop(x, x, coef)
    by_gram = kernel.agop(x.float(), x.float(), coef.float())
    assert taken
    monkeypatch.setattr(GramSum, "pays", False)
    by_gradients = kernel.agop(x.float(), x.float(), coef.float())
    assert len(taken) == 1
    assert float((by_gram - exact).norm()) < 1.5 * float((by_gradients - exact).norm())


def test_more_images_than_partners_and_images_among_their_partners(taken: list[GramSum]) -> None:
    kernel = kernels.NTK(kernels.vanilla(2))
    z = images(6, 2)
    z[1] = 0
    x, coef = torch.cat([images(140, 1), z]), coefficients(6, OUTPUTS)
    fast, slow = both(kernel)
    assert_agree(fast.agop(x.float(), z.float(), coef.float()), slow.agop(x, z, coef).float())
    assert len(taken) == 1


def test_many_outputs_make_blocks_smaller_and_at_last_leave_it_to_the_gradients(taken: list[GramSum]) -> None:
    kernel = kernels.NTK(kernels.vanilla(2), engine="cpu", memory_budget=1 << 23)
    x, sizes = images(30, 1).float(), []
    for k in (50, 500):
        steps: list[tuple[int, int]] = []
        kernel.agop(x, x, coefficients(30, k).float(), progress=lambda *at, steps=steps: steps.append(at))
        sizes.append(steps[0][0])
    assert sizes[1] < sizes[0]
    assert len(taken) == 2
    kernel.agop(x, x, coefficients(30, 5000).float())
    assert len(taken) == 2

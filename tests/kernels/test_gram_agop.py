"""The AGOP from Gram matrices of adjoints is that of the gradients, and is taken where it costs less."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from convrfm import kernels
from convrfm.kernels import embedded_blocks, infinite
from convrfm.kernels.gram_agop import GramSum
from convrfm.kernels.infinite import InfiniteWidthKernel

from .test_engine_cpu import CASES, assert_agree, both, coefficients, every_dtype, images, metric

UNCOUPLED = {name: kernel for name, kernel in CASES.items() if not kernel.architecture.couples_positions}
every_uncoupled_kernel = pytest.mark.parametrize("kernel", UNCOUPLED.values(), ids=UNCOUPLED)
OUTPUTS = 40


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


@every_dtype
@pytest.mark.parametrize("rank", [None, 3, -1], ids=["identity", "low rank", "full rank"])
@every_uncoupled_kernel
def test_it_agrees_with_the_gradients_of_the_reference_engine(
    kernel: InfiniteWidthKernel, rank: int | None, dtype: torch.dtype, taken: list[GramSum]
) -> None:
    x, z, coef = images(5, 1, dtype), images(19, 2, dtype), coefficients(19, OUTPUTS, dtype)
    M = None if rank is None else metric(kernel, rank if rank > 0 else None).to(dtype)
    weights = torch.tensor([1.0, 0.0, 2.0, 0.5, 3.0], dtype=dtype)
    fast, slow = both(kernel)
    for settings in ({}, {"weights": weights}):
        assert_agree(
            fast.agop(x, z, coef, feature_matrix=M, **settings), slow.agop(x, z, coef, feature_matrix=M, **settings)
        )
    assert len(taken) == 2


@pytest.mark.parametrize("rank", [None, 3, -1], ids=["identity", "low rank", "full rank"])
def test_parts_blocks_and_rows_change_nothing(
    rank: int | None, taken: list[GramSum], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = UNCOUPLED["same-NTK"]
    monkeypatch.setattr(embedded_blocks, "LARGEST_BLOCK", 3)
    monkeypatch.setattr("convrfm.kernels.gram_agop.LARGEST_BLOCK", 3)
    x, z, coef = images(70, 1), images(9, 2), coefficients(9, OUTPUTS)
    M = None if rank is None else metric(kernel, rank if rank > 0 else None)
    expected = replace(kernel, engine="reference").agop(x, z, coef, feature_matrix=M)
    shapes = set()
    steps: list[tuple[int, int]] = []
    for budget in (1 << 20, 1 << 21, 1 << 29):
        steps.clear()
        small = replace(kernel, engine="cpu", memory_budget=budget)
        assert_agree(small.agop(x, z, coef, feature_matrix=M, progress=lambda *at: steps.append(at)), expected)
        shapes.add((taken[-1]._together, taken[-1]._grid_rows))
        assert len(taken) == len(shapes)
        assert steps[-1] == (70, 70)
        assert steps == sorted(steps)
    assert len(shapes) == 3


def test_where_gradients_cost_less_or_memory_lacks_they_are_made(taken: list[GramSum]) -> None:
    kernel = kernels.NTK(kernels.vanilla(1), engine="cpu")
    x, z = images(4, 1), images(40, 2)
    kernel.agop(x, z, coefficients(40, 1))
    replace(kernel, memory_budget=1 << 16).agop(x, z, coefficients(40, OUTPUTS))
    kernels.NTK(CASES["pool-NTK"].architecture, engine="cpu").agop(x, z, coefficients(40, OUTPUTS))
    replace(kernel, engine="reference").agop(x, z, coefficients(40, OUTPUTS))
    assert not taken
    kernel.agop(x, z, coefficients(40, OUTPUTS))
    assert len(taken) == 1


def test_where_coefficients_nearly_cancel_single_precision_keeps_some_digits(taken: list[GramSum]) -> None:
    kernel = kernels.NTK(kernels.vanilla(1), engine="cpu")
    generator = torch.Generator().manual_seed(0)
    x = 1 + 0.1 * torch.rand(30, 2, 8, 8, generator=generator, dtype=torch.float64)
    coef = torch.linalg.solve(kernel(x), torch.randn(30, OUTPUTS, generator=generator, dtype=torch.float64))
    assert float(coef.abs().max()) > 100
    exact = replace(kernel, engine="reference").agop(x, x, coef)
    for dtype, tolerance in ((torch.float32, 1e-2), (torch.float64, 1e-9)):
        found = kernel.agop(x.to(dtype), x.to(dtype), coef.to(dtype))
        assert float((found - exact).norm()) < tolerance * float(exact.norm())
        values = torch.linalg.eigvalsh(found.double())
        assert float(values[0]) > -10 * torch.finfo(dtype).eps * float(values[-1])
    assert len(taken) == 2

"""Outer products of a radial kernel's gradients from slopes alone: those of the gradients, taken where they cost less."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from convrfm import kernels
from convrfm.kernels import RadialKernel, threads
from convrfm.kernels.radial import kernel as radial_kernel
from convrfm.kernels.radial import outer_products, portions
from convrfm.kernels.radial.outer_products import OuterProducts
from tests.alive import Alive

CASES = [kernels.Laplace(3, 2.0), kernels.Gaussian(2, 3.0), *(kernels.Matern(2, 1.5, s) for s in (0.5, 1.5, 2.5))]
every_kernel = pytest.mark.parametrize("kernel", CASES, ids=str)
OUTPUTS = 120


def images(n: int, seed: int, shape: tuple[int, int, int] = (2, 6, 7)) -> Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def coefficients(m: int, outputs: int = OUTPUTS) -> Tensor:
    return torch.randn(m, outputs, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


def metric(kernel: RadialKernel, rank: int) -> Tensor:
    A = images(rank, 5, (2, kernel.patch_size, kernel.patch_size)).flatten(1)
    return A.T @ A / rank


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of every sum, whether it is taken without gradients."""
    taken: list[bool] = []

    class Noted(OuterProducts):
        def __call__(self, *arguments: Any) -> Tensor:
            taken.append(self.without_gradients)
            return super().__call__(*arguments)

    monkeypatch.setattr(radial_kernel, "OuterProducts", Noted)
    return taken


@every_kernel
@pytest.mark.parametrize("rank", [None, 3, 30], ids=["identity", "low rank", "full rank"])
def test_they_are_those_of_the_gradients_in_double(kernel: RadialKernel, rank: int | None, taken: list[bool]) -> None:
    x, z, coef = images(5, 1), images(19, 2), coefficients(19)
    z[3] = x[1]
    z[4] = x[2] + 0.1 * z[4]
    M = None if rank is None else metric(kernel, rank)
    weights = torch.tensor([1.0, 0.0, 2.0, 0.5, 3.0], dtype=torch.float64)
    for w in (None, weights):
        gradients = kernel.patch_gradients(x, z, coef, feature_matrix=M)
        if w is not None:
            gradients *= (w / w.mean()).sqrt()[:, None, None, None]
        expected = torch.einsum("nkpd,nkpe->de", gradients, gradients) / len(x)
        single = [None if t is None else t.float() for t in (x, z, coef, M, w)]
        found = kernel.agop(*single[:3], feature_matrix=single[3], weights=single[4]).double()
        assert float((found - expected).norm()) < 1e-5 * float(expected.norm())
        exact = kernel.agop(x, z, coef, feature_matrix=M, weights=w)
        torch.testing.assert_close(exact, expected, rtol=1e-10, atol=1e-12 * float(expected.abs().max()))
    assert taken == [True, False] * 2


def test_the_budget_and_threads_change_nothing_but_the_parts(taken: list[bool]) -> None:
    kernel = CASES[0]
    x, z, coef = images(300, 1).float(), images(30, 2).float(), coefficients(30).float()
    expected = kernel.agop(x.double(), z.double(), coef.double())
    steps: list[tuple[int, int]] = []
    for budget in (1 << 20, 1 << 24, 1 << 29):
        steps.clear()
        small = replace(kernel, memory_budget=budget)
        found = small.agop(x, z, coef, progress=lambda *at: steps.append(at))
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
        assert steps[-1][0] == steps[-1][1]
        assert steps == sorted(steps)
    assert (taken[0], taken[1], taken[-1]) == (False, False, True)  # in double, within little memory, and within much


def test_where_gradients_cost_less_or_digits_or_memory_lack_they_are_made(taken: list[bool]) -> None:
    kernel = kernels.Laplace(3, 2.0)
    x, z, coef = images(4, 1).float(), images(40, 2).float(), coefficients(40).float()
    kernel.agop(x, z, coef[:, :1])
    replace(kernel, memory_budget=1 << 12).agop(x, z, coef)
    kernel.agop(x.double(), z.double(), coef.double())
    assert not any(taken)
    kernel.agop(x, z, coef)
    assert taken[-1]


@every_kernel
def test_where_gradients_nearly_cancel_it_is_as_good_as_they_are(
    kernel: RadialKernel, taken: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = images(30, 1)
    x = x[:1] + 0.03 * x
    coef = torch.linalg.solve(kernel(x), coefficients(30))
    assert float(coef.abs().max()) > 10
    exact = kernel.agop(x, x, coef)
    by_slopes = kernel.agop(x.float(), x.float(), coef.float()).double()
    assert taken[-1]
    monkeypatch.setattr(OuterProducts, "without_gradients", False)
    by_gradients = kernel.agop(x.float(), x.float(), coef.float()).double()
    assert float((by_slopes - exact).norm()) < 1.5 * float((by_gradients - exact).norm())


@pytest.mark.parametrize("shape", [(1, 7, 7), (4, 6, 9)])
def test_what_is_alive_stays_within_the_budget(
    shape: tuple[int, int, int], taken: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (threads, portions, outer_products):
        monkeypatch.setattr(module, "MOST_PARTS", 1)
    x, z, coef = images(40, 1, shape).float(), images(30, 2, shape).float(), coefficients(30).float()
    budget = 1 << 19
    while not any(taken):
        budget *= 2
        with Alive() as alive:
            kernels.Laplace(3, 2.0, memory_budget=budget).agop(x, z, coef)
        assert not taken[-1] or alive.peak <= budget


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("shape", "m", "outputs"), [((1, 4, 90), 256, 100), ((1, 3, 4), 16, 5000)])
def test_many_outputs_stay_within_the_budget_too(
    shape: tuple[int, int, int], m: int, outputs: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (threads, portions, outer_products):
        monkeypatch.setattr(module, "MOST_PARTS", 1)
    x, z, coef = images(40, 1, shape).to(dtype), images(m, 2, shape).to(dtype), coefficients(m, outputs).to(dtype)
    budget = 1 << 23
    with Alive() as alive:
        kernels.Laplace(3, 2.0, memory_budget=budget).agop(x, z, coef)
    assert alive.peak <= budget


@every_kernel
def test_a_gpus_portions_give_the_same_within_the_same_budget(
    kernel: RadialKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, z, coef = images(40, 1).float(), images(70, 2).float(), coefficients(70).float()

    def ways(kernel: RadialKernel) -> list[Tensor]:
        few, many = coef[:, :1], coef
        return [kernel(x), kernel(x, z), kernel.agop(x, z, few), kernel.agop(x, z, many)]

    expected = ways(kernel)
    within = portions.Portions.within

    def on_a_gpu(budget: int, patches: Any) -> portions.Portions:
        return replace(within(budget, patches), on_cpu=False)

    monkeypatch.setattr(portions.Portions, "within", on_a_gpu)
    monkeypatch.setattr(threads, "MOST_PARTS", 1)
    for budget in (1 << 20, 1 << 24, 1 << 29):
        with Alive() as alive:
            found = ways(replace(kernel, memory_budget=budget))
        assert alive.peak <= budget + sum(result.nbytes for result in found)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))

"""What goes through an engine at a time, and what is kept, fits the budget."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from convrfm import kernels
from convrfm.kernels.engines.choice import choose_engine
from convrfm.kernels.engines.memory_plan import MemoryPlan, contracted_entries, plan, variances_of
from convrfm.kernels.engines.protocol import BoundEngine
from convrfm.kernels.gram_plan import GramPlan
from convrfm.kernels.growth import timed_as_part_of

SMALL = MemoryPlan(images=100, embedding=10, side=20, patches=30, temporaries=40, most=50, budget=0)
BUDGETS = [0, 1, 70, 700, 3000, 7000, 10**5]
GRAM = GramPlan(
    images=200,
    partners=100,
    outputs=10,
    entries=27,
    variances=900,
    rows=30,
    cols=30,
    block=128,
    quarter=0,
    quarter_of_adjoints=0,
)  # fmt: skip


def bound(architecture: kernels.Architecture, name: str) -> BoundEngine[Any]:
    if name == "cuda":
        pytest.importorskip("triton")
    recursion = kernels.NTK(architecture).recursion
    return choose_engine(name, recursion, torch.device("cpu"), torch.float32).bind(recursion, 1 << 20)


@pytest.mark.parametrize("budget", BUDGETS)
def test_a_block_and_what_is_kept_each_fit_the_budget(budget: int) -> None:
    found = replace(SMALL, budget=budget)
    assert 1 <= found.block <= found.most
    assert found.block == 1 or found.block * (10 + 20 + 40) <= budget
    kept = found.kept * found.embedding
    if found.keeps_sides:
        kept += found.images * found.side
    if found.keeps_patches:
        kept += found.images * found.patches
    assert kept <= budget


def test_with_more_memory_more_is_kept_and_in_the_end_all() -> None:
    plans = [replace(SMALL, budget=budget) for budget in BUDGETS]
    for taken in ([p.block for p in plans], [p.kept for p in plans], [p.keeps_sides for p in plans]):
        assert taken == sorted(taken)
    assert [p.keeps_all for p in plans] == [p.keeps_sides for p in plans]
    assert plans[-1].keeps_all
    assert plans[-1].keeps_patches
    assert not plans[0].keeps_all


def test_a_part_that_is_timed_keeps_no_more_than_the_whole() -> None:
    engine, x = bound(kernels.vanilla(2), "cpu"), torch.zeros(3, 3, 32, 32)
    few = plan(engine, x, None, 1 << 22)
    with timed_as_part_of(3, 1000):
        of_many = plan(engine, x, None, 1 << 22)
    assert few.keeps_sides
    assert not of_many.keeps_sides
    assert (few.block, of_many) == (of_many.block, replace(few, images=1000))


WEIGHED = [kernels.vanilla(2), kernels.myrtle(5)]


@pytest.mark.parametrize("name", ["cuda", "cpu", "reference"])
@pytest.mark.parametrize("architecture", WEIGHED, ids=["vanilla", "myrtle"])
def test_an_image_is_weighed_by_what_is_asked_for(architecture: kernels.Architecture, name: str) -> None:
    engine, x = bound(architecture, name), torch.zeros(3, 3, 32, 32)
    plain = plan(engine, x, None, 1 << 20)
    with_gradients = plan(engine, x, None, 1 << 20, with_patches=True, outputs=2)
    assert plain.budget == (1 << 20) // 2 // 4
    assert plain.temporaries < with_gradients.temporaries < plan(
        engine, x, None, 1 << 20, with_patches=True, outputs=3
    ).temporaries  # fmt: skip
    embedded = engine.embed(x, None, patches="kept")
    variances = sum(q[0].numel() for q in embedded.variances)
    kept = variances + (embedded.contracted[0].numel() if with_gradients.patches == 0 else 0)
    assert kept <= with_gradients.embedding
    unasked = engine.embed(x, None, patches="unused").patches
    assert variances + (0 if unasked is None else unasked[0].numel()) <= plain.embedding


def test_variances_and_entries_are_counted_as_they_are_embedded() -> None:
    engine, x = bound(kernels.vanilla(2), "cpu"), torch.zeros(2, 3, 9, 8)
    assert variances_of(engine, x) == 7 * 6 + 5 * 4
    assert contracted_entries(engine, x, None) == 27
    assert contracted_entries(engine, x, torch.eye(27)) == 27
    assert contracted_entries(engine, x, torch.eye(27)[:5]) == 5


@pytest.mark.parametrize("budget", [0, 10**4, 10**5, 10**6, 10**8])
def test_what_is_multiplied_out_at_a_time_fits_a_quarter(budget: int) -> None:
    found = replace(GRAM, quarter=budget, quarter_of_adjoints=2 * budget)
    assert found.together * found.rows * found.cols * found.partners <= 2 * budget
    m, r, b = found.partners, found.entries, found.together
    assert found.grid_rows * found.cols * (m * (m + 3 * r) + b * m) <= budget
    assert found.fits == (budget >= 10**6)


def test_many_outputs_are_what_gram_matrices_pay_for() -> None:
    large = replace(GRAM, quarter=10**9, quarter_of_adjoints=10**9)
    assert [replace(large, outputs=k).costs_less for k in (1, 10, 100, 1000)] == [False, False, True, True]

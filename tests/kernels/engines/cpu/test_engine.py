"""The cpu engine agrees with the reference engine, on every architecture that it serves."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from convrfm import kernels
from convrfm.errors import InputError
from convrfm.kernels.engines.choice import choose_engine
from convrfm.kernels.engines.cpu import lane_embedding
from convrfm.kernels.engines.cpu.flat import engine as flat
from convrfm.kernels.infinite import InfiniteWidthKernel

from ...cases import (
    CASES,
    Architecture,
    Conv,
    Flatten,
    ReLU,
    assert_agree,
    both,
    coefficients,
    every_dtype,
    every_kernel,
    images,
    metric,
    with_and_without_metric,
)


@every_dtype
@with_and_without_metric
@every_kernel
def test_kernels_and_diagonals_agree(kernel: InfiniteWidthKernel, has_metric: bool, dtype: torch.dtype) -> None:
    x, z = images(5, 1, dtype), images(19, 2, dtype)
    M = metric(kernel).to(dtype) if has_metric else None
    fast, slow = both(kernel)
    assert_agree(fast(x, z, feature_matrix=M), slow(x, z, feature_matrix=M))
    assert_agree(fast.diagonal(x, feature_matrix=M), slow.diagonal(x, feature_matrix=M))


@every_dtype
@with_and_without_metric
@every_kernel
def test_gradients_agree(kernel: InfiniteWidthKernel, has_metric: bool, dtype: torch.dtype) -> None:
    x, z, coef = images(5, 1, dtype), images(19, 2, dtype), coefficients(19, 3, dtype)
    M = metric(kernel).to(dtype) if has_metric else None
    fast, slow = both(kernel)
    assert_agree(fast.patch_gradients(x, z, coef, feature_matrix=M), slow.patch_gradients(x, z, coef, feature_matrix=M))
    assert_agree(fast.agop(x, z, coef, feature_matrix=M), slow.agop(x, z, coef, feature_matrix=M))


@pytest.mark.parametrize("kernel", [CASES[name] for name in ("vanilla-3-NTK", "same-NTK", "pool-NTK")])
@pytest.mark.parametrize("rank", [None, 3, 18], ids=["identity", "low rank", "full rank"])
def test_the_symmetric_half_equals_the_whole(kernel: InfiniteWidthKernel, rank: int | None) -> None:
    x = images(37, 1)
    M = None if rank is None else metric(kernel, rank)
    K = replace(kernel, engine="cpu")(x, feature_matrix=M)
    torch.testing.assert_close(K, K.T, rtol=0, atol=0)
    whole = replace(kernel, engine="cpu")(x, x.clone(), feature_matrix=M)
    off = ~torch.eye(len(x), dtype=torch.bool)
    torch.testing.assert_close(K[off], whole[off], rtol=1e-13, atol=0)
    own = replace(kernel, engine="reference").diagonal(x, feature_matrix=M)
    assert_agree(K.diagonal(), own)


@every_dtype
@pytest.mark.parametrize("budget", [None, 1 << 15, 1], ids=["whole", "partly kept", "tiny"])
@pytest.mark.parametrize("name", ["vanilla-3-NTK", "same-NTK", "strided-NTK", "erf-gelu-NTK", "pool-NTK"])
def test_a_metric_of_low_rank_needs_no_other_arithmetic(name: str, budget: int | None, dtype: torch.dtype) -> None:
    fast, slow = both(CASES[name])
    fast = replace(fast, memory_budget=budget)
    M, x, z, coef = (
        metric(fast, rank=3).to(dtype),
        images(3, 1, dtype),
        images(17, 2, dtype),
        coefficients(17, 2, dtype),
    )
    assert_agree(fast(x, z, feature_matrix=M), slow(x, z, feature_matrix=M))
    assert_agree(fast(x, feature_matrix=M), slow(x, feature_matrix=M))
    assert_agree(fast.agop(x, z, coef, feature_matrix=M), slow.agop(x, z, coef, feature_matrix=M))


def test_more_outputs_than_lanes() -> None:
    fast, slow = both(CASES["vanilla-3-NTK"])
    x, z, coef = images(4, 1), images(5, 2), coefficients(5, 21)
    assert_agree(fast.agop(x, z, coef), slow.agop(x, z, coef))


@every_dtype
@pytest.mark.parametrize("name", ["vanilla-3-NTK", "pool-NTK", "pool-circular-NTK", "pool-strided-NTK"])
def test_coincident_images_have_the_midpoint_gradient(name: str, dtype: torch.dtype) -> None:
    x, coef = images(6, 1, dtype), coefficients(6, 2, dtype)
    fast, slow = both(CASES[name])
    tolerance = 1e-7 if dtype == torch.float64 else 2e-3
    expected = slow.patch_gradients(x.double(), x.double(), coef.double())
    found = fast.patch_gradients(x, x, coef).double()
    assert float((found - expected).abs().max()) < tolerance * float(expected.abs().max())


@pytest.mark.parametrize("name", ["vanilla-3-NTK", "same-NTK", "erf-gelu-NTK", "pool-NTK", "coupled-NTK"])
def test_zero_patches_have_no_direction(name: str) -> None:
    x, z, coef = images(3, 1), images(4, 2), coefficients(4, 2)
    x[0] = 0
    x[1, :, :6] = 0
    z[2] = 0
    fast, slow = both(CASES[name])
    # Where zero patches meet and carry a bias they coincide, and the angle is as good as the root of a rounding.
    torch.testing.assert_close(fast(x, z), slow(x, z), rtol=1e-8, atol=0)
    torch.testing.assert_close(fast.agop(x, z, coef), slow.agop(x, z, coef), rtol=1e-6, atol=1e-12)
    assert torch.isfinite(fast(x, z)).all()


@pytest.mark.parametrize("readout", [Flatten(), kernels.GlobalAvgPool()], ids=["flatten", "mean"])
@pytest.mark.parametrize("size", [3, 4])
def test_one_position_is_enough(size: int, readout: kernels.Flatten | kernels.GlobalAvgPool) -> None:
    """q = h, and a last grid of one pixel."""
    vanilla = kernels.vanilla(1, size) if size == 4 else kernels.vanilla(2, 2)
    architecture = Architecture(*vanilla.layers[:-1], readout)
    fast, slow = both(kernels.NTK(architecture))
    side = 4 if size == 4 else 3
    x, z, coef = (images(3, 1, shape=(1, side, side)), images(2, 2, shape=(1, side, side)), coefficients(2, 2))
    assert_agree(fast(x, z), slow(x, z))
    assert_agree(fast.agop(x, z, coef), slow.agop(x, z, coef))


def test_float32_stays_near_float64_at_depth_10() -> None:
    kernel = kernels.NTK(kernels.vanilla(10), engine="cpu")
    x, z = images(4, 1, shape=(1, 24, 24)), images(16, 2, shape=(1, 24, 24))
    exact = kernel(x, z)
    assert float(((kernel(x.float(), z.float()) - exact) / exact).abs().max()) < 1e-3


@pytest.mark.parametrize("budget", [1 << 29, 1 << 20])
def test_results_do_not_depend_on_tiles(budget: int) -> None:
    kernel = kernels.NTK(kernels.vanilla(2), engine="cpu")
    x, z, coef = images(140, 1, torch.float32), images(40, 2, torch.float32), coefficients(40, 2, torch.float32)
    bounded = replace(kernel, memory_budget=budget)
    torch.testing.assert_close(bounded(x, z), kernel(x, z), rtol=0, atol=0)
    torch.testing.assert_close(bounded(x), kernel(x), rtol=0, atol=0)
    torch.testing.assert_close(bounded.agop(x, z, coef), kernel.agop(x, z, coef), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("budget", [1 << 18, 1 << 21, 1 << 29])
@with_and_without_metric
def test_many_channels_agree_in_parts_of_any_size(
    stride: int, budget: int, has_metric: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_embedding, "CACHE_BYTES", 1)
    monkeypatch.setattr(flat, "CHUNK_BYTES", 1)
    arch = Architecture(Conv(3, stride=stride, padding="same"), ReLU(), Conv(3), ReLU(), Flatten())
    fast, slow = both(kernels.NTK(arch, memory_budget=budget))
    shape = (20, 7, 6)
    x, z, coef = images(3, 1, shape=shape), images(35, 2, shape=shape), coefficients(35, 2)
    M = metric(fast, channels=20) if has_metric else None
    assert_agree(fast(z, feature_matrix=M), slow(z, feature_matrix=M))
    assert_agree(fast(x, z, feature_matrix=M), slow(x, z, feature_matrix=M))
    assert_agree(fast.agop(x, z, coef, feature_matrix=M), slow.agop(x, z, coef, feature_matrix=M))


@pytest.mark.parametrize("name", ["pool-NTK", "pool-everything-NTK"])
def test_pooled_results_do_not_depend_on_tiles(name: str) -> None:
    kernel = replace(CASES[name], engine="cpu")
    x, z, coef = images(5, 1), images(40, 2), coefficients(40, 2)
    bounded = replace(kernel, memory_budget=1 << 16)
    torch.testing.assert_close(bounded(x, z), kernel(x, z), rtol=1e-12, atol=0)
    torch.testing.assert_close(bounded.agop(x, z, coef), kernel.agop(x, z, coef), rtol=1e-12, atol=1e-12)


def test_myrtle_agrees_at_its_own_size() -> None:
    fast, slow = both(kernels.NTK(kernels.myrtle(5)))
    x, z = (images(n, n, torch.float32, (3, 32, 32)) for n in (1, 2))
    coef = coefficients(2, 2, torch.float32)
    assert_agree(fast.agop(x, z, coef), slow.agop(x, z, coef))


def test_several_threads_may_call_at_once() -> None:
    kernel = kernels.NTK(kernels.vanilla(2), engine="cpu")
    x, z = images(9, 1, torch.float32), images(33, 2, torch.float32)
    K = kernel(x, z)
    with ThreadPoolExecutor(4) as pool:
        for found in [pool.submit(kernel, x, z) for _ in range(12)]:
            torch.testing.assert_close(found.result(), K, rtol=0, atol=0)


def _kernel_of_two(_: int) -> float:
    return float(kernels.NTK(kernels.vanilla(1), engine="cpu")(images(2, 1, torch.float32))[0, 1])


def test_other_processes_find_the_compiled_code() -> None:
    expected = _kernel_of_two(0)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(_kernel_of_two, [0]) == [expected]


def test_autograd_takes_the_reference_engine() -> None:
    x = images(2, 1).requires_grad_()
    assert kernels.NTK(kernels.vanilla(1))(x, images(2, 2)).requires_grad
    with pytest.raises(InputError, match="cannot be differentiated"):
        kernels.NTK(kernels.vanilla(1), engine="cpu")(x)


def test_auto_takes_the_first_engine_that_serves() -> None:
    cpu = torch.device("cpu")
    assert choose_engine("auto", kernels.NTK(kernels.vanilla(1)).recursion, cpu, torch.float32).name == "cpu"
    assert (
        choose_engine("auto", kernels.NTK(kernels.vanilla(1)).recursion, torch.device("meta"), torch.float32).name
        == "reference"
    )
    with pytest.raises(InputError, match="runs on the CPU"):
        choose_engine("cpu", kernels.NTK(kernels.vanilla(1)).recursion, torch.device("meta"), torch.float32)

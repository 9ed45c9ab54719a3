"""Very large and very small numbers: the right value, or an error that names the cause."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from convrfm import kernels
from convrfm.errors import InputError
from convrfm.kernels import NTK, Architecture, AvgPool, Conv, Flatten, GlobalAvgPool, RadialKernel, Rbf, Sin, threads
from convrfm.kernels.radial import outer_products, portions
from tests.alive import Alive

RADIAL = [kernels.Laplace(3, 2.0), kernels.Gaussian(3, 2.0), *(kernels.Matern(3, 2.0, s) for s in (0.5, 1.5, 2.5))]
SMOOTH = [kernels.Erf(), kernels.GELU(), Sin(), Rbf()]
CASES = [*RADIAL, *(NTK(Architecture(Conv(3), activation, Flatten())) for activation in (kernels.ReLU(), *SMOOTH))]
POOLED = NTK(Architecture(Conv(2), kernels.GELU(), AvgPool(2), Conv(1), kernels.GELU(), GlobalAvgPool()))
every_kernel = pytest.mark.parametrize("kernel", CASES, ids=lambda k: repr(k)[:60])
every_radial = pytest.mark.parametrize("kernel", RADIAL, ids=str)


def images(n: int = 5, seed: int = 0) -> Tensor:
    return torch.randn(n, 1, 5, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ways(kernel: kernels.PatchKernel, x: Tensor) -> Iterator[Callable[[], Tensor]]:
    coef = x.new_ones(len(x), 1)
    yield lambda: kernel(x)
    yield lambda: kernel(x, x.flip(0))
    yield lambda: kernel.diagonal(x)
    yield lambda: kernel.agop(x, x, coef)
    yield lambda: kernel.patch_gradients(x, x, coef)


@every_kernel
@pytest.mark.parametrize(
    ("dtype", "size"),
    [(torch.float64, 1e300), (torch.float64, 1e-200), (torch.float32, 1e30), (torch.float32, 1e-30)],
    ids=str,
)
def test_images_whose_squares_are_no_numbers_are_refused(
    kernel: kernels.PatchKernel, dtype: torch.dtype, size: float
) -> None:
    x, usual = (images() * size).to(dtype), images().to(dtype)
    for compute in (*ways(kernel, x), lambda: kernel(usual, x)):
        with pytest.raises(InputError, match=r"values up to .*their squares.*Divide the images"):
            compute()


@pytest.mark.parametrize("kernel", [NTK(kernels.vanilla(2)), POOLED, kernels.Gaussian(3, 2.0)], ids=str)
@pytest.mark.parametrize("trace", [1e-42, 1e-40, 1e36])
def test_metrics_under_which_squares_are_no_numbers_are_refused(kernel: kernels.PatchKernel, trace: float) -> None:
    x, d = images().float(), kernel.window.size**2
    with pytest.raises(InputError, match=r"under a metric of trace .* beyond the range of float32.* scale the metric"):
        kernel(x, feature_matrix=torch.eye(d) * (trace / d))


@every_kernel
@pytest.mark.parametrize(
    ("dtype", "size"),
    [(torch.float32, 1e-25), (torch.float32, 1e25), (torch.float64, 1e-170), (torch.float64, 1e170)],
    ids=str,
)
def test_coefficients_whose_squares_are_no_numbers_are_named(
    kernel: kernels.PatchKernel, dtype: torch.dtype, size: float
) -> None:
    x, coef = images().to(dtype), torch.arange(1.0, 6, dtype=dtype)[:, None]
    with pytest.raises(InputError, match=r"dual_coef has values up to .* Multiply them by a constant"):
        kernel.agop(x, x, size * coef)
    double = coef.double()
    for vanishing in (
        {"dual_coef": 1e-60 * double},
        {"dual_coef": double, "feature_matrix": 1e-60 * torch.eye(9).double()},
    ):
        if dtype == torch.float32:
            with pytest.raises(InputError, match=r"values up to .*, of which x in torch.float32 makes zeros"):
                kernel.patch_gradients(x, x, **vanishing)
    scaled, plain = (kernel.patch_gradients(x, x.flip(0), each) for each in (size * coef, coef))
    torch.testing.assert_close(scaled, size * plain, rtol=1e-5, atol=1e-6 * size)


@every_kernel
@pytest.mark.filterwarnings("ignore:the kernel of every two images is 0")
@pytest.mark.parametrize("size", [1e3, 1e6, 1e12])
def test_large_images_have_right_values_or_are_refused_in_words(kernel: kernels.PatchKernel, size: float) -> None:
    x = (images() * size).float()
    for single, double in zip(ways(kernel, x), ways(kernel, x.double()), strict=True):
        try:
            found, expected = single(), double()
        except InputError as error:
            assert "Divide the images" in str(error)
        else:
            torch.testing.assert_close(
                found.double(), expected, rtol=1e-2, atol=1e-4 * float(expected.abs().max()) + 1e-30
            )


def test_pooled_kernels_do_not_lose_their_digits_silently_either() -> None:
    for engine in ("cpu", "reference"):
        for compute in ways(replace(POOLED, engine=engine), 255 * images().float()):
            with pytest.raises(InputError, match=r"GELU\(\) loses its digits in torch.float32 .*they reach \d"):
                compute()


@pytest.mark.parametrize("activation", [Sin(), Sin(1.2, 0.7, 0.4), Rbf(), Rbf(0.3)], ids=str)
@pytest.mark.parametrize("size", [1.0, 255.0, 65535.0, 1e8])
def test_coinciding_patches_of_any_size_have_no_gradient(activation: Any, size: float) -> None:
    kernel = NTK(Architecture(Conv(3), activation, Flatten()))
    x = images(1).float() * size
    of_itself = kernel.patch_gradients(x, x, torch.ones(1, 1))
    of_double = kernel.patch_gradients(x.double(), x.double(), torch.ones(1, 1, dtype=torch.float64))
    torch.testing.assert_close(of_itself.double(), of_double, rtol=1e-4, atol=1e-5 * size)


@every_radial
@pytest.mark.parametrize("bandwidth", [1e-19, 1e-300, 5e-324, 1e19, 1e300, float("nan")])
def test_bandwidths_whose_squares_are_no_numbers_are_refused(kernel: RadialKernel, bandwidth: float) -> None:
    with pytest.raises(InputError, match=r"bandwidth must be a number from 1e-18 to 1e\+18"):
        replace(kernel, bandwidth=bandwidth)


@every_radial
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_bandwidth_at_either_end_has_right_values(kernel: RadialKernel, dtype: torch.dtype) -> None:
    x = images().to(dtype)
    x[1] = x[0]
    far = replace(kernel, bandwidth=1e18)
    torch.testing.assert_close(far(x), x.new_ones(5, 5))
    near = replace(kernel, bandwidth=1e-18)
    expected = torch.eye(5, dtype=dtype)
    expected[0, 1] = expected[1, 0] = 1
    assert torch.equal(near(x), expected)
    assert not near.agop(x, x, x.new_ones(5, 1)).any()


@every_radial
def test_kernels_that_are_zero_for_every_two_images_say_so(kernel: RadialKernel) -> None:
    near = replace(kernel, bandwidth=1e-12)
    for compute in (lambda: near(images()), lambda: near(images(), images(4, 1))):
        with pytest.warns(UserWarning, match="the kernel of every two images is 0: .* the bandwidth is 1e-12"):
            compute()


@pytest.mark.parametrize("gamma", [0.0, -1.0, float("nan"), float("inf"), 1e300])
def test_frequencies_that_are_no_numbers_are_refused(gamma: float) -> None:
    with pytest.raises(InputError, match="gamma must be positive and at most"):
        Rbf(gamma)


@pytest.mark.parametrize("weight", [1e-300, 1.0, 1e300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_times_a_constant_give_the_same_agop(weight: float, dtype: type) -> None:
    x: np.ndarray = images().numpy().astype(dtype)
    weights = np.arange(1.0, 6)
    found, expected = (CASES[0].agop(x, x, np.ones((5, 1), dtype), weights=w) for w in (weight * weights, weights))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("precision", [np.float32, np.int64])
def test_weights_cost_no_digits_of_images_in_double(precision: type) -> None:
    x, coef, weights = images().double().numpy(), np.ones((5, 1)), np.array([1.0, 3.0, 7.0, 11.0, 1.0])
    found, expected = (CASES[0].agop(x, x, coef, weights=w) for w in (weights.astype(precision), weights))
    np.testing.assert_array_equal(found, expected)


@pytest.fixture
def all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread for all of the work has all of the budget: what each of many takes is in proportion."""
    for module in (threads, portions, outer_products):
        monkeypatch.setattr(module, "MOST_PARTS", 1)


def test_checking_images_takes_no_memory_of_their_size() -> None:
    x = torch.randn(2000, 1, 5, 6)
    with Alive() as alive:
        kernels.Laplace(3).diagonal(x)
    assert alive.peak < x.nbytes / 10


@pytest.mark.parametrize("kernel", [RADIAL[0], RADIAL[-1]], ids=str)
@pytest.mark.usefixtures("all_at_once")
@pytest.mark.parametrize(("shape", "n", "m", "outputs"), [((1, 7, 7), 20, 150, 1), ((4, 6, 6), 12, 20, 9)])
@pytest.mark.parametrize("with_metric", [False, True])
def test_what_is_alive_beyond_the_result_stays_within_the_budget(
    kernel: RadialKernel, shape: tuple[int, int, int], n: int, m: int, outputs: int, *, with_metric: bool
) -> None:
    budget = 1 << 17
    bounded = replace(kernel, memory_budget=budget)
    x, z, coef = torch.randn(n, *shape), torch.randn(m, *shape), torch.ones(m, outputs)
    M = torch.eye(9 * shape[0]) + 0.1 if with_metric else None
    for compute in (
        lambda: bounded(x, z, feature_matrix=M),
        lambda: bounded(x, feature_matrix=M),
        lambda: bounded.agop(x, z, coef, feature_matrix=M),
    ):
        with Alive() as alive:
            result = compute()
        assert alive.peak - result.nbytes <= budget

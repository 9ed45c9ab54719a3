"""Radial patch kernels against loops and autograd."""

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import gamma, kv
from torch import Tensor

from convrfm import ConvRFMClassifier, datasets, kernels
from convrfm.errors import InputError, ModelFileError
from convrfm.kernels import RadialKernel
from convrfm.kernels.description import describe, from_description
from convrfm.kernels.radial.patches import Patches, Strip
from convrfm.maths.patches import unfold_patches
from convrfm.maths.windows import Window

SMOOTHNESSES = (0.5, 1.5, 2.5)
CASES = [
    kernels.Laplace(3, bandwidth=2.0),
    kernels.Gaussian(2, bandwidth=3.0),
    *(kernels.Matern(2, 1.5, smoothness) for smoothness in SMOOTHNESSES),
]
every_kernel = pytest.mark.parametrize("kernel", CASES, ids=str)


def images(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, 2, 5, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def metric(kernel: RadialKernel) -> Tensor:
    d = 2 * kernel.patch_size**2
    A = torch.randn(d, d, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    return A @ A.T / d


def plain(kernel: RadialKernel, x_patches: Tensor, z_patches: Tensor, M: Tensor) -> Tensor:
    """The definition: `(n, d, u)` and `(m, d, u)` patches, every pair and position."""
    differences = x_patches[:, None] - z_patches[None]
    squares = torch.einsum("ijdu,de,ijeu->iju", differences, M, differences)
    if isinstance(kernel, kernels.Laplace):
        return torch.exp(-squares.sqrt() / kernel.bandwidth).mean(2)
    if isinstance(kernel, kernels.Matern):
        t = (2 * kernel.smoothness * squares).sqrt() / kernel.bandwidth
        return (torch.exp(-t) * {0.5: 1, 1.5: 1 + t, 2.5: 1 + t + t**2 / 3}[kernel.smoothness]).mean(2)
    return torch.exp(-squares / (2 * kernel.bandwidth**2)).mean(2)


@every_kernel
def test_the_matrix_is_the_mean_over_positions(kernel: RadialKernel) -> None:
    x, z, M = images(3), images(4, 1), metric(kernel)
    a, b = (unfold_patches(t, kernel.window).flatten(2) for t in (x, z))
    torch.testing.assert_close(kernel(x, z, feature_matrix=M), plain(kernel, a, b, M))
    torch.testing.assert_close(kernel(x, z), plain(kernel, a, b, torch.eye(len(M), dtype=M.dtype)))
    torch.testing.assert_close(kernel(x), kernel(x, x.clone()))
    assert (kernel(x).diagonal() == kernel.diagonal(x)).all()


@every_kernel
def test_patch_gradients_are_those_of_autograd(kernel: RadialKernel) -> None:
    x, z, M = images(3), images(4, 1), metric(kernel)
    coef = torch.randn(4, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    a = unfold_patches(x, kernel.window).flatten(2).requires_grad_()
    outputs = plain(kernel, a, unfold_patches(z, kernel.window).flatten(2), M) @ coef
    gradients = kernel.patch_gradients(x, z, coef, feature_matrix=M)
    for o in range(2):
        (expected,) = torch.autograd.grad(outputs[:, o].sum(), a, retain_graph=True)
        torch.testing.assert_close(gradients[:, o], expected.transpose(1, 2))
    agop = torch.einsum("nkpd,nkpe->de", gradients, gradients) / len(x)
    torch.testing.assert_close(kernel.agop(x, z, coef, feature_matrix=M), agop)


@every_kernel
def test_coincident_patches_have_kernel_one_and_gradient_zero(kernel: RadialKernel) -> None:
    for dtype in (torch.float32, torch.float64):
        x = images(1).to(dtype)
        assert float(kernel(x, x.clone())) == 1
        assert not kernel.patch_gradients(x, x.clone(), torch.ones(1, 1, dtype=dtype)).any()


@every_kernel
def test_results_do_not_depend_on_the_memory_budget(kernel: RadialKernel) -> None:
    x, z, coef = images(5), images(4, 1), torch.ones(4, 1, dtype=torch.float64)
    small = replace(kernel, memory_budget=1)
    torch.testing.assert_close(small(x, z), kernel(x, z))
    torch.testing.assert_close(small(x), kernel(x))
    torch.testing.assert_close(small.agop(x, z, coef), kernel.agop(x, z, coef))


@every_kernel
def test_only_as_many_patches_are_unfolded_at_once_as_the_budget_holds(
    kernel: RadialKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    unfolded = Strip.at

    def recorded(self: Strip, cols: slice) -> Patches:
        patches = unfolded(self, cols)
        held.append(patches.entries.nbytes)
        return patches

    monkeypatch.setattr(Strip, "at", recorded)
    x, z, coef = images(12), images(10, 1), torch.ones(10, 3, dtype=torch.float64)
    whole = unfold_patches(x, kernel.window).nbytes
    budget = whole // 4
    bounded = replace(kernel, memory_budget=budget)
    for compute in (lambda: bounded(x), lambda: bounded(x, z), lambda: bounded.agop(x, z, coef)):
        held.clear()
        compute()
        assert 2 * max(held) <= budget < whole <= sum(held)


@every_kernel
def test_what_all_images_have_in_common_costs_no_digits(kernel: RadialKernel) -> None:
    x, z = (images(4, seed).float() for seed in (0, 1))
    x, z = (torch.round(each * 64) / 64 for each in (x, z))  # so that float32 holds them beside a thousand
    coef = torch.ones(4, 2)
    torch.testing.assert_close(kernel(x + 1000, z + 1000), kernel(x, z), rtol=1e-5, atol=0)
    torch.testing.assert_close(kernel(x + 1000), kernel(x), rtol=1e-5, atol=0)
    torch.testing.assert_close(kernel.agop(x + 1000, z + 1000, coef), kernel.agop(x, z, coef), rtol=1e-4, atol=1e-7)


@every_kernel
@pytest.mark.parametrize("apart", [1e-2, 1e-4, 1e-6])
def test_images_that_are_nearly_alike_are_told_apart_to_all_digits(kernel: RadialKernel, apart: float) -> None:
    """Their distance is the noise; were it |f|^2 + |g|^2 - 2 f . g, its rounding would be the rest."""
    x, window = images(1), Window(kernel.patch_size)
    z = x + apart * images(1, 1)
    scaled = replace(kernel, bandwidth=kernel.bandwidth * apart)
    steps = unfold_patches(z - x, window).flatten(2)[0].T  # positions first
    squares = steps.square().sum(1)[:, None, None]
    torch.testing.assert_close(scaled(x, z)[0, 0], scaled.value(squares).mean(), rtol=1e-9, atol=0)
    gradients = scaled.patch_gradients(x, z, torch.ones(1, 1, dtype=torch.float64))[0, 0]
    torch.testing.assert_close(gradients, scaled.slope(squares)[:, 0] * steps / len(steps), rtol=1e-6, atol=0)


@every_kernel
def test_a_kernel_is_rebuilt_from_its_description(kernel: RadialKernel) -> None:
    assert from_description(describe(kernel)) == kernel


@pytest.mark.parametrize("description", [None, [], {}, {"kernel": []}], ids=str)
def test_what_is_no_description_is_refused_in_words(description: Any, as_a_user: None) -> None:
    with pytest.raises(ModelFileError, match="cannot be read"):
        from_description(description)


@pytest.mark.parametrize("smoothness", SMOOTHNESSES)
def test_the_matern_function_is_that_of_bessel(smoothness: float) -> None:
    x, z = images(3)[..., :1, :1], images(4, 1)[..., :1, :1]  # one patch each
    distance = (x[:, None] - z[None]).flatten(2).norm(dim=2).numpy()
    t = np.sqrt(2 * smoothness) * distance / 0.7
    expected = 2 ** (1 - smoothness) / gamma(smoothness) * t**smoothness * kv(smoothness, t)
    np.testing.assert_allclose(kernels.Matern(1, 0.7, smoothness)(x, z), expected, rtol=1e-12)


def test_a_matern_kernel_of_smoothness_one_half_is_the_laplace_kernel() -> None:
    x, z, coef = images(3), images(4, 1), torch.ones(4, 1, dtype=torch.float64)
    matern, laplace = kernels.Matern(3, 2.0, smoothness=0.5), kernels.Laplace(3, 2.0)
    torch.testing.assert_close(matern(x, z), laplace(x, z), rtol=1e-14, atol=0)
    torch.testing.assert_close(matern.agop(x, z, coef), laplace.agop(x, z, coef), rtol=1e-12, atol=0)


def small(n: int, seed: int) -> Tensor:
    return torch.randn(n, 1, 3, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@every_kernel
def test_torch_differentiates_the_matrix_by_images_and_metric(kernel: RadialKernel) -> None:
    kernel = replace(kernel, patch_size=2)
    M = (2 * torch.eye(4, dtype=torch.float64)).requires_grad_()  # equal eigenvalues
    x, z = small(2, 0).requires_grad_(), small(1, 1).requires_grad_()

    def values(x: Tensor, z: Tensor, M: Tensor) -> tuple[Tensor, Tensor]:
        M = (M + M.T) / 2
        return kernel(x, z, feature_matrix=M), kernel(x, feature_matrix=M)

    assert torch.autograd.gradcheck(values, (x, z, M))


@every_kernel
def test_where_patches_coincide_torchs_gradient_is_the_closed_one(kernel: RadialKernel) -> None:
    x, z = images(2), images(2, 1)
    z[0] = x[1].clone()
    x[0, :, :4] = z[1, :, :4] = 0
    gradients = kernel.patch_gradients(x, z, torch.ones(2, 1, dtype=torch.float64))[:, 0]
    folded = torch.nn.functional.fold(gradients.transpose(1, 2), (5, 6), kernel.patch_size)
    (by_torch,) = torch.autograd.grad(kernel(x.requires_grad_(), z).sum(), x)
    torch.testing.assert_close(by_torch, folded)


@every_kernel
@pytest.mark.parametrize(("n", "m", "rank"), [(7, 5, 1), (3, 1, 1), (16, 5, 4)])
def test_images_that_coincide_do_so_under_a_metric_of_low_rank_too(
    kernel: RadialKernel, n: int, m: int, rank: int
) -> None:
    """However many images their patches are projected with: what rounding leaves of a distance has no direction."""
    for channels, seed in ((4, 1), (64, 2), (64, 3)):
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(n, channels, 4, 3, generator=generator)
        A = torch.randn(rank, channels * kernel.patch_size**2, generator=generator)
        coef = torch.eye(m)
        gradients = kernel.patch_gradients(x, x[:m], coef, feature_matrix=A.T @ A / A.shape[1])
        assert float(gradients[range(m), range(m)].abs().max()) < 1e-5 * float(gradients.abs().max())


@every_kernel
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("outputs", [1, 43])
def test_images_of_which_a_metric_sees_nothing_coincide(kernel: RadialKernel, outputs: int, dtype: torch.dtype) -> None:
    """Images of one value each, under a metric that is blind to brightness: their patches are nothing but rounding."""
    d = 3 * kernel.patch_size**2
    M = torch.eye(d, dtype=torch.float64) - 1 / d
    levels = torch.randn(60, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = levels.to(dtype)[:, None, None, None].expand(60, 3, 9, 8)
    coef = torch.randn(60, outputs, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    for agop in (
        kernel.agop(x, x, coef, feature_matrix=M.to(dtype)),
        kernel.agop(x[:7], x[:33], coef[:33], feature_matrix=M.to(dtype)),
    ):
        assert float(agop.abs().max()) < 1e-8 * outputs  # a gradient of Laplace would be as long as its coefficients
    torch.testing.assert_close(kernel(x, feature_matrix=M.to(dtype)), torch.ones(60, 60, dtype=dtype))


def test_progress_is_told_also_of_what_torch_records() -> None:
    steps: list[tuple[int, int]] = []
    x = images(3).requires_grad_()
    kernels.Laplace(2).agop(x, x, torch.ones(3, 1).double(), progress=lambda *at: steps.append(at))
    assert steps[-1][0] == steps[-1][1]


@dataclass(frozen=True)
class Cauchy(RadialKernel):
    """A kernel that a user defines: 1 / (1 + d^2 / bandwidth^2)."""

    def value(self, squares: Tensor) -> Tensor:
        return 1 / (1 + squares / self.bandwidth**2)

    def slope(self, squares: Tensor) -> Tensor:
        return 2 * self.value(squares).square() / self.bandwidth**2


def test_a_kernel_of_ones_own_is_rebuilt_by_its_name() -> None:
    kernel = Cauchy(3, 2.0, rank_tolerance=1e-3)
    assert from_description(describe(kernel)) == kernel


@dataclass(frozen=True)
class Scaled(Cauchy):
    """Of another value than 1 where patches coincide, and with settings of a kind that JSON does not know."""

    scales: tuple[float, ...] = (0.5, 2.0)

    def value(self, squares: Tensor) -> Tensor:
        return sum(self.scales) * super().value(squares)

    def slope(self, squares: Tensor) -> Tensor:
        return sum(self.scales) * 2 * super().value(squares).square() / self.bandwidth**2


def test_a_kernel_of_ones_own_may_have_any_value_where_patches_coincide() -> None:
    kernel, x, M = Scaled(2, 1.5), images(3), metric(Scaled(2))
    torch.testing.assert_close(kernel(x, feature_matrix=M), 2.5 * Cauchy(2, 1.5)(x, feature_matrix=M))
    torch.testing.assert_close(kernel(x), kernel(x, x.clone()))
    assert (kernel(x).diagonal() == kernel.diagonal(x)).all()


def test_settings_that_are_tuples_are_so_again_after_json() -> None:
    kernel = Scaled(2, 1.5, scales=(0.25, 1.0))
    assert from_description(json.loads(json.dumps(describe(kernel)))) == kernel


def test_kernels_that_files_could_not_tell_apart_are_refused() -> None:
    class Laplace(kernels.Laplace):
        pass

    with pytest.raises(InputError, match="two kernels are called Laplace"):
        describe(Laplace(3))
    assert type(from_description(describe(kernels.Laplace(3)))) is kernels.Laplace


@pytest.mark.parametrize("name", ["Nowhere", "PatchKernel", "RadialKernel", "InfiniteWidthKernel", "Path"])
def test_a_file_makes_no_kernel_that_is_not_defined(name: str) -> None:
    for fields in ({"patch_size": 3}, {"layers": describe(kernels.vanilla_ntk(1))["layers"]}):
        with pytest.raises(ModelFileError):
            from_description({"kernel": name} | fields)


def test_convrfm_learns_with_a_laplace_kernel() -> None:
    x, y = datasets.bars(100, sigma=1.0, generator=np.random.default_rng(0))
    x_test, y_test = datasets.bars(200, sigma=1.0, generator=np.random.default_rng(1))
    model = ConvRFMClassifier(kernels.Laplace(3, bandwidth=1.0), n_iterations=2).fit(x, y)
    fixed, *_, learned = ((stage == y_test).mean() for stage in model.staged_predict(x_test))
    assert learned > fixed


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("patch_size", "bandwidth", "message"),
    [
        (0, 1.0, "patch_size"),
        (3, 0.0, "bandwidth"),
        (3, "wide", "bandwidth"),
        (9, 1.0, "got 5. Pass larger images, or use a smaller patch_size.$"),
    ],
)
def test_bad_settings_are_refused_in_words(patch_size: int, bandwidth: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        kernels.Laplace(patch_size, bandwidth)(torch.zeros(2, 1, 5, 5))


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize("smoothness", [1, 0.0, True, "smooth", None, float("nan")])
def test_a_smoothness_without_a_closed_form_is_refused(smoothness: object) -> None:
    with pytest.raises(InputError, match="smoothness must be"):
        kernels.Matern(3, 1.0, smoothness)

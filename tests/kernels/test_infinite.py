"""Laws of NNGP and NTK, by routes that the golden values do not take."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from convrfm import kernels
from convrfm.errors import InputError
from convrfm.kernels.activations import Activation
from convrfm.kernels.infinite import InfiniteWidthKernel
from convrfm.maths.patches import unfold_patches
from convrfm.maths.windows import Window

Conv, ReLU, Flatten = kernels.Conv, kernels.ReLU, kernels.Flatten
BIASED = kernels.Architecture(
    Conv(3, 1.3, 0.2), kernels.LeakyReLU(0.2), Conv(2, 0.9, 0.1, "same", 2), kernels.GELU(), Flatten(1.1, 0.3)
)
POOLED = kernels.Architecture(
    Conv(3, padding="circular"), ReLU(), kernels.AvgPool(2), Conv(2), kernels.Erf(), kernels.GlobalAvgPool()
)
CASES = {
    "vanilla-ntk": kernels.NTK(kernels.vanilla(3)),
    "vanilla-nngp": kernels.NNGP(kernels.vanilla(2)),
    "biased-ntk": kernels.NTK(BIASED),
    "pooled-ntk": kernels.NTK(POOLED),
    "pooled-nngp": kernels.NNGP(POOLED),
}
every_kernel = pytest.mark.parametrize("kernel", CASES.values(), ids=CASES)


def images(n: int, seed: int = 0, shape: tuple[int, int, int] = (2, 9, 8)) -> Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def metric(d: int, seed: int = 0, rank: int | None = None) -> Tensor:
    A = torch.randn(d, rank or d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return A @ A.T / d


def coefficients(n: int, k: int = 3) -> Tensor:
    return torch.randn(n, k, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def patch_length(kernel: InfiniteWidthKernel) -> int:
    return 2 * kernel.patch_size**2


@every_kernel
def test_the_gradient_with_respect_to_an_image_is_the_sum_over_its_patches(kernel: InfiniteWidthKernel) -> None:
    x, z, coef, M = images(2, 1), images(3, 2), coefficients(3), metric(patch_length(kernel))
    per_patch = kernel.patch_gradients(x, z, coef, feature_matrix=M)
    for o in range(coef.shape[1]):
        free = x.clone().requires_grad_()
        (kernel(free, z, feature_matrix=M) @ coef[:, o]).sum().backward()
        # The transpose of unfolding adds up what every pixel gets from the patches it belongs to.
        patches = unfold_patches(probe := x.clone().requires_grad_(), kernel.window)
        weights = per_patch[:, o].transpose(1, 2).reshape(patches.shape)
        (patches * weights).sum().backward()
        torch.testing.assert_close(probe.grad, free.grad, rtol=1e-9, atol=1e-12)


@every_kernel
def test_agop_is_the_mean_outer_product_of_patch_gradients(kernel: InfiniteWidthKernel) -> None:
    x, z, coef, M = images(3, 1), images(4, 2), coefficients(4), metric(patch_length(kernel))
    g = kernel.patch_gradients(x, z, coef, feature_matrix=M)
    expected = torch.einsum("nkpd,nkpe->de", g, g) / len(x)
    torch.testing.assert_close(kernel.agop(x, z, coef, feature_matrix=M), expected)


@every_kernel
def test_the_identity_is_the_default_metric(kernel: InfiniteWidthKernel) -> None:
    x, z, coef = images(3, 1), images(4, 2), coefficients(4)
    eye = torch.eye(patch_length(kernel), dtype=x.dtype)
    torch.testing.assert_close(kernel(x, z, feature_matrix=eye), kernel(x, z))
    torch.testing.assert_close(kernel.agop(x, z, coef, feature_matrix=eye), kernel.agop(x, z, coef))


@every_kernel
def test_a_rank_tolerance_drops_what_carries_less_of_the_trace(kernel: InfiniteWidthKernel) -> None:
    x, z, coef, d = images(3, 1), images(4, 2), coefficients(4), patch_length(kernel)
    M = metric(d, rank=2) + 1e-5 * metric(d, seed=5)
    values, vectors = torch.linalg.eigh(M)
    truncated = (vectors[:, -2:] * values[-2:]) @ vectors[:, -2:].T
    low = type(kernel)(kernel.architecture, rank_tolerance=1e-3)
    torch.testing.assert_close(low(x, z, feature_matrix=M), kernel(x, z, feature_matrix=truncated))
    expected = kernel.agop(x, z, coef, feature_matrix=truncated)
    torch.testing.assert_close(low.agop(x, z, coef, feature_matrix=M), expected)


@every_kernel
def test_results_do_not_depend_on_the_memory_budget(kernel: InfiniteWidthKernel) -> None:
    x, z, coef, M = images(7, 1), images(5, 2), coefficients(5), metric(patch_length(kernel))
    small = type(kernel)(kernel.architecture, memory_budget=1)
    torch.testing.assert_close(small(x, z, feature_matrix=M), kernel(x, z, feature_matrix=M))
    torch.testing.assert_close(small(x, feature_matrix=M), kernel(x, feature_matrix=M))
    torch.testing.assert_close(small.agop(x, z, coef, feature_matrix=M), kernel.agop(x, z, coef, feature_matrix=M))


@every_kernel
def test_a_kernel_matrix_is_symmetric_positive_and_agrees_with_the_full_one(kernel: InfiniteWidthKernel) -> None:
    x = images(6, 3)
    K = kernel(x)
    torch.testing.assert_close(K, K.T, rtol=0, atol=0)
    torch.testing.assert_close(K, kernel(x, x.clone()), rtol=1e-7, atol=1e-9)
    assert torch.linalg.eigvalsh(K).min() > 0
    torch.testing.assert_close(K.diagonal(), kernel.diagonal(x), rtol=0, atol=0)


@every_kernel
def test_numpy_in_numpy_out(kernel: InfiniteWidthKernel) -> None:
    x, z, coef, M = images(3, 1), images(4, 2), coefficients(4), metric(patch_length(kernel))
    K = kernel(x.numpy(), z.numpy(), feature_matrix=M.numpy())
    A = kernel.agop(x.numpy(), z.numpy(), coef.numpy(), feature_matrix=M.numpy())
    np.testing.assert_array_equal(K, kernel(x, z, feature_matrix=M).numpy())
    np.testing.assert_array_equal(A, kernel.agop(x, z, coef, feature_matrix=M).numpy())


@pytest.mark.parametrize("kernel", [kernels.NTK(kernels.vanilla(2)), kernels.NNGP(kernels.vanilla(3))], ids=str)
@pytest.mark.parametrize("coincident", [False, True], ids=["apart", "coincident"])
def test_kernels_without_bias_are_homogeneous_of_degree_one_in_each_image(
    kernel: InfiniteWidthKernel, coincident: bool
) -> None:
    # Euler: the gradient along the image is the kernel itself; the midpoint of the kink at coincident images obeys it.
    x = images(2, 1)
    x[0, :, :4] = 0
    z = x.clone() if coincident else images(2, 2)
    coef = torch.eye(2, dtype=x.dtype)
    gradients = kernel.patch_gradients(x, z, coef)
    patches = unfold_patches(x, kernel.window).flatten(2).transpose(1, 2)
    along = torch.einsum("nkpd,npd->nk", gradients, patches)
    assert torch.isfinite(gradients).all()
    torch.testing.assert_close(along, kernel(x, z), rtol=1e-6, atol=1e-9)


def test_images_that_are_zero_have_kernel_zero_and_a_finite_gradient() -> None:
    kernel, x, z = kernels.NTK(kernels.vanilla(2)), images(2), torch.zeros(1, 2, 9, 8, dtype=torch.float64)
    assert (kernel(x, z) == 0).all()
    assert (kernel.agop(x, z, coefficients(1)) == 0).all()
    assert torch.isfinite(kernel.agop(z, x, coefficients(2))).all()


def test_float32_stays_close_to_float64_at_depth_ten() -> None:
    kernel = kernels.NTK(kernels.vanilla(10))
    x, z = images(3, 1, (3, 24, 24)), images(3, 2, (3, 24, 24))
    coef = coefficients(3)
    torch.testing.assert_close(kernel(x.float(), z.float()).double(), kernel(x, z), rtol=1e-3, atol=0)
    exact = kernel.agop(x, z, coef)
    single = kernel.agop(x.float(), z.float(), coef.float()).double()
    assert (single - exact).abs().max() < 1e-3 * exact.abs().max()


def test_a_patch_as_large_as_the_image_is_one_position() -> None:
    x, z = images(3, 1, (1, 5, 5)), images(2, 2, (1, 5, 5))
    kernel = kernels.NNGP(kernels.vanilla(1, patch_size=5))
    a, b = x.flatten(1), z.flatten(1)
    norms = a.norm(dim=1)[:, None] * b.norm(dim=1)[None]
    angle = torch.arccos(a @ b.T / norms)
    expected = norms * (angle.sin() + (torch.pi - angle) * angle.cos()) / torch.pi / a.shape[1]
    torch.testing.assert_close(kernel(x, z), expected)


def test_random_sign_outputs_are_exact_for_one_output_and_unbiased_for_more() -> None:
    kernel, x, z = kernels.NTK(kernels.vanilla(1)), images(2, 1, (1, 4, 4)), images(3, 2, (1, 4, 4))
    generator = torch.Generator().manual_seed(0)
    one = coefficients(3, 1)
    torch.testing.assert_close(kernel.agop(x, z, one, probes=5, generator=generator), kernel.agop(x, z, one))
    exact = kernel.agop(x, z, coefficients(3))
    draws = torch.stack([kernel.agop(x, z, coefficients(3), probes=10, generator=generator) for _ in range(30)])
    deviation = (draws.mean(0) - exact) / (draws.std(0) / 30**0.5)
    assert deviation.abs().max() < 5
    assert draws[0].sub(exact).abs().max() > 1e-3 * exact.abs().max()


def finite_network(architecture: kernels.Architecture, width: int, seed: int) -> Callable[[Tensor], Tensor]:
    """Random features of a wide network with the architecture's layers: their inner products estimate the NNGP."""
    generator = torch.Generator().manual_seed(seed)

    def features(x: Tensor) -> Tensor:
        for layer in architecture.layers[:-1]:
            if isinstance(layer, Conv):
                scale = layer.weight_std / (x.shape[1] * layer.size**2) ** 0.5
                w = scale * torch.randn(width, x.shape[1], layer.size, layer.size, generator=generator)
                b = layer.bias_std * torch.randn(width, generator=generator)
                x = torch.nn.functional.conv2d(x, w, b, stride=layer.stride)
            elif isinstance(layer, kernels.AvgPool):
                x = torch.nn.functional.avg_pool2d(x, layer.size)
            elif isinstance(layer, Activation):
                x = layer.phi(x)
        if isinstance(architecture.readout, Flatten):
            return x.flatten(1) / x[0].numel() ** 0.5
        return x.mean((2, 3)) / width**0.5

    return features


@pytest.mark.parametrize(
    "architecture",
    [
        kernels.vanilla(2),
        kernels.Architecture(Conv(3, 1.2, 0.3), kernels.Erf(), Conv(3, stride=2), kernels.GELU(), Flatten()),
        kernels.Architecture(Conv(3), ReLU(), kernels.AvgPool(2), Conv(2), ReLU(), kernels.GlobalAvgPool()),
        kernels.Architecture(Conv(3), kernels.Sin(1.5, 0.8, 0.5), Conv(3, stride=2), kernels.Rbf(0.7), Flatten()),
    ],
    ids=["vanilla", "mixed", "pooled", "waves"],
)
def test_wide_random_networks_approach_the_nngp(architecture: kernels.Architecture) -> None:
    x = images(4).float()
    estimates = torch.stack([(f := finite_network(architecture, 512, seed)(x)) @ f.T for seed in range(8)])
    error = estimates.std(0) / 8**0.5
    assert ((estimates.mean(0) - kernels.NNGP(architecture)(x)).abs() < 5 * error + 0.01).all()


def test_the_ntk_is_the_limit_of_the_inner_product_of_network_gradients() -> None:
    x = images(3, shape=(1, 6, 6)).float()
    width, draws = 256, []
    for seed in range(6):
        generator = torch.Generator().manual_seed(seed)
        parameters = [
            torch.randn(shape, generator=generator).requires_grad_()
            for shape in [(width, 1, 3, 3), (width, width, 3, 3), (1, width * 4)]
        ]
        grams = torch.zeros(3, 3)
        rows = []
        for image in x:
            h = image[None]
            for w in parameters[:2]:
                h = torch.nn.functional.conv2d(h, w / w[0].numel() ** 0.5).clamp_min(0) * 2**0.5
            out = (h.flatten(1) @ parameters[2].T).sum() / h.numel() ** 0.5
            gradients = torch.autograd.grad(out, parameters)
            rows.append(torch.cat([g.flatten() for g in gradients]))
        grams = torch.stack(rows) @ torch.stack(rows).T
        draws.append(grams)
    estimates = torch.stack(draws)
    error = estimates.std(0) / 6**0.5
    expected = kernels.NTK(kernels.vanilla(2))(x)
    assert ((estimates.mean(0) - expected).abs() < 5 * error + 0.02 * expected.max()).all()


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": torch.zeros(3, 8, 8)}, "needs? an axis|must be \\(n, channels"),
        ({"x": torch.zeros(3, 1, 8, 8, dtype=torch.int64)}, "float32 or float64"),
        ({"x": torch.zeros(3, 1, 2, 8)}, "too small"),
        ({"x": torch.zeros(3, 1, 8, 8), "z": torch.zeros(2, 3, 8, 8)}, "channels, height and width"),
        ({"x": torch.zeros(3, 1, 8, 8), "feature_matrix": torch.eye(4)}, r"must be \(9, 9\)"),
        ({"x": torch.zeros(3, 1, 8, 8), "feature_matrix": -torch.eye(9)}, "positive semidefinite"),
        ({"x": torch.zeros(3, 1, 8, 8), "feature_matrix": torch.ones(9, 9).triu()}, "symmetric"),
        ({"x": torch.zeros(3, 1, 8, 8), "feature_matrix": torch.eye(9) * torch.nan}, "finite"),
    ],
)
def test_bad_input_is_refused_in_words(arguments: dict[str, Tensor], message: str) -> None:
    with pytest.raises(InputError, match=message):
        kernels.NTK(kernels.vanilla(1))(**arguments)


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: kernels.Architecture(ReLU(), Flatten()), "starts with a Conv"),
        (lambda: kernels.Architecture(Conv(3), ReLU()), "readout"),
        (lambda: kernels.Architecture(Conv(3), Flatten(), ReLU(), Flatten()), "only readout"),
        (lambda: kernels.Architecture(Conv(3), "relu", Flatten()), "takes layers"),
        (lambda: Conv(0), "positive integer"),
        (lambda: Conv(3, padding="reflect"), "padding must be"),
        (lambda: Conv(3, weight_std=-1.0), "weight_std must be positive"),
        (lambda: kernels.vanilla(0), "depth must be"),
        (lambda: kernels.myrtle(6), "myrtle comes in depths"),
        (lambda: kernels.NTK("vanilla"), "takes an Architecture"),
        (lambda: kernels.NTK(kernels.vanilla(1), memory_budget="1GB"), "memory_budget"),
        (lambda: kernels.NTK(kernels.vanilla(1), rank_tolerance=1.0), "rank_tolerance"),
        (lambda: kernels.NTK(kernels.vanilla(1), engine="warp")(torch.zeros(2, 1, 8, 8)), "engine must be"),
    ],
)
def test_what_cannot_be_built_is_refused_in_words(build: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()


@pytest.mark.parametrize("depth", [5, 7, 10])
def test_myrtle_has_its_number_of_convolutions_and_ends_in_one_position(depth: int) -> None:
    architecture = kernels.myrtle(depth)
    convolutions = sum(isinstance(layer, Conv) for layer in architecture.layers)
    assert convolutions == {5: 4, 7: 6, 10: 9}[depth]
    assert architecture.grids(32, 32)[-1] == (1, 1)
    assert architecture.least_side == 32
    with pytest.raises(InputError, match=r"images of 33 x 31 pixels are too small .* 32 x 32 and more"):
        architecture.grids(33, 31)


def test_windows_pad_as_xla_same() -> None:
    assert Window(3, 2, "same").margins(8) == (0, 1)
    assert Window(3, 2, "same").margins(7) == (1, 1)
    assert Window(2, 1, "same").margins(5) == (0, 1)

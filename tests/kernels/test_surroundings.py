"""What surrounds a call, or follows it: torch's gradients, autocast, inference mode."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
from torch import Tensor

from convrfm import ConvRFMClassifier, ConvRFMFeatures, DeepConvRFMClassifier, kernels
from convrfm.errors import InputError
from convrfm.kernels.features import FeatureDraw, FeatureMap, feature_map

POOLED = kernels.Architecture(
    kernels.Conv(2), kernels.ReLU(), kernels.AvgPool(2), kernels.Conv(1), kernels.ReLU(), kernels.GlobalAvgPool()
)
FLAT = kernels.Architecture(kernels.Conv(2), kernels.ReLU(), kernels.Conv(2), kernels.LeakyReLU(0.1), kernels.Flatten())
INFINITE = [kernels.NTK(FLAT), kernels.NNGP(FLAT), kernels.NTK(POOLED)]
CASES = [
    *INFINITE,
    kernels.Laplace(2, 1.0),
    kernels.Matern(2, 1.0, 2.5),
    kernels.Gaussian(2, 1.0),
]
every_kernel = pytest.mark.parametrize("kernel", CASES, ids=lambda k: f"{type(k).__name__}")


def flat_of(depth: int) -> kernels.NTK:
    return kernels.NTK(kernels.vanilla(depth, 2))


def images(n: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(n, 1, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def partly_black_and_alike() -> tuple[Tensor, Tensor]:
    """Images with black patches, patches that are the other's and patches that are a multiple of the other's."""
    x, z = images(3, 0), images(3, 1)
    x[0, :, :3], z[1, :, 1:] = 0, 0
    z[0, :, 2:], z[2] = x[0, :, 2:], 2 * x[2]
    return x, z


@pytest.mark.parametrize("kernel", INFINITE, ids=lambda k: f"{type(k).__name__}")
def test_torch_differentiates_by_images_and_by_a_metric_of_equal_eigenvalues(kernel: kernels.PatchKernel) -> None:
    """As radial kernels are in their own tests."""

    def values(x: Tensor, z: Tensor, M: Tensor) -> tuple[Tensor, Tensor]:
        M = (M + M.T) / 2
        return kernel(x, z, feature_matrix=M), kernel(x, feature_matrix=M)

    M = 2 * torch.eye(4, dtype=torch.float64)
    assert torch.autograd.gradcheck(values, [t.requires_grad_() for t in (images(2, 0), images(1, 1), M)])


@every_kernel
def test_torchs_gradient_is_the_closed_one_at_black_and_coinciding_patches(kernel: kernels.PatchKernel) -> None:
    x, z = partly_black_and_alike()
    coef = torch.tensor([[1.0], [-2.0], [0.5]], dtype=torch.float64)
    gradients = kernel.patch_gradients(x, z, coef)[:, 0]
    folded = torch.nn.functional.fold(gradients.transpose(1, 2), (4, 4), 2)
    (by_torch,) = torch.autograd.grad((kernel(x.requires_grad_(), z) @ coef).sum(), x)
    torch.testing.assert_close(by_torch, folded)


@every_kernel
def test_the_gradient_of_an_image_against_itself_is_finite(kernel: kernels.PatchKernel) -> None:
    x = partly_black_and_alike()[0].requires_grad_()
    M = torch.eye(4, dtype=torch.float64).requires_grad_()
    for gradient in torch.autograd.grad(kernel(x, feature_matrix=M).sum(), (x, M)):
        assert gradient.isfinite().all()


def test_a_metric_that_drops_directions_is_not_differentiated() -> None:
    x = images(2, 0)
    M = torch.diag(torch.tensor([1.0, 1.0, 1.0, 0.0], dtype=torch.float64)).requires_grad_()
    with pytest.raises(ValueError, match="metric of rank 3 cannot be differentiated"):
        kernels.NTK(FLAT)(x, feature_matrix=M).sum().backward()


@every_kernel
def test_autocast_around_a_call_changes_nothing(kernel: kernels.PatchKernel) -> None:
    x, z = images(3, 0, torch.float32), images(4, 1, torch.float32)
    M, coef = torch.diag(torch.arange(1.0, 5)), torch.ones(4, 2)

    def results() -> list[Tensor]:
        of_pairs = [compute(x, z, coef, feature_matrix=M) for compute in (kernel.agop, kernel.patch_gradients)]
        return [kernel(x, z, feature_matrix=M), kernel(x), kernel.diagonal(x), *of_pairs]

    expected = results()
    with torch.autocast("cpu", torch.bfloat16):
        for got, plain in zip(results(), expected, strict=True):
            assert torch.equal(got, plain)


X, Y = images(12, 2, torch.float32), torch.arange(12) % 3
Surroundings = Callable[[], AbstractContextManager[object]]
all_surroundings = pytest.mark.parametrize(
    "surroundings", [lambda: torch.autocast("cpu", torch.bfloat16), torch.inference_mode], ids=["autocast", "inference"]
)
AVERAGED = kernels.Architecture(kernels.Conv(2), kernels.ReLU(), kernels.AvgPool(3), kernels.Flatten())
OF_ONE_CONTRAST = kernels.Architecture(
    kernels.Conv(2, contrast=0.1), kernels.ReLU(), kernels.AvgPool(3), kernels.Flatten()
)
DRAWN = {
    "tangent": (kernels.NTK(FLAT), FeatureDraw(5, 0)),
    "two layers": (kernels.NNGP(POOLED), FeatureDraw(20, 0)),
    "averages": (kernels.NNGP(AVERAGED), FeatureDraw(24, 0)),
    "patches": (kernels.NNGP(OF_ONE_CONTRAST), FeatureDraw(24, 0, "patches")),
}


@all_surroundings
@pytest.mark.parametrize("in_strips", [False, True], ids=["together", "in strips"])
@pytest.mark.parametrize(("kernel", "draw"), DRAWN.values(), ids=DRAWN)
def test_what_surrounds_random_features_changes_nothing(
    kernel: kernels.NNGP | kernels.NTK,
    draw: FeatureDraw,
    in_strips: bool,
    surroundings: Surroundings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if in_strips:
        monkeypatch.setattr(feature_map, "STRIP", 1)
    M, weights = torch.diag(torch.arange(1.0, 5)), torch.arange(1.0, 13)

    def drawn() -> FeatureMap:
        return FeatureMap(kernel, draw, X, M)

    def results(phi: FeatureMap) -> list[Tensor]:
        generator = torch.Generator().manual_seed(4)
        few, many = (torch.randn(phi.n_columns, outputs, generator=generator) for outputs in (2, 40))
        gradients = [phi.gradients(X, few).whole(), phi.gradients(X, many).sum_of_outer_products(weights)]
        return [phi(X), phi.agop(X, few, weights), phi.agop(X, many), *gradients]

    expected, before = results(drawn()), drawn()
    with surroundings():
        within = drawn()
        found = [results(before), results(within)]
    for each in (*found, results(within)):
        for got, plain in zip(each, expected, strict=True):
            assert torch.equal(got, plain)


@all_surroundings
@pytest.mark.parametrize(
    "model",
    [
        ConvRFMClassifier(kernels.NTK(POOLED), n_iterations=1),
        ConvRFMClassifier(kernels.Laplace(2), n_iterations=1),
        ConvRFMClassifier(kernels.NTK(FLAT), n_iterations=1, solver="cg"),
        ConvRFMClassifier(kernels.NTK(FLAT), n_iterations=1, solver="features", n_features=20),
        ConvRFMClassifier(
            kernels.NNGP(AVERAGED),
            n_iterations=1,
            solver="features",
            n_features=3,
            first_filters="patches",
            patch_normalization="contrast",
            initial_metric="whitening",
            augment=("flip",),
            cv=2,
        ),
        DeepConvRFMClassifier(depth=1, n_filters=3, n_iterations=1),
        DeepConvRFMClassifier(lambda depth: kernels.Laplace(2), depth=2, n_filters=3, n_iterations=1),
        DeepConvRFMClassifier(flat_of, depth=2, n_filters=3, n_iterations=1, solver="cg"),
        DeepConvRFMClassifier(flat_of, depth=2, n_filters=3, n_iterations=1, solver="features", n_features=7),
    ],
    ids=[
        "pooled",
        "radial",
        "conjugate gradients",
        "features in the dual",
        "features in the primal",
        "deep of one layer",
        "deep",
        "deep by conjugate gradients",
        "deep on features",
    ],
)
def test_what_surrounds_fits_and_predictions_changes_nothing(
    model: ConvRFMClassifier, surroundings: Surroundings
) -> None:
    new = images(5, 3, torch.float32)
    expected = model.fit(X, Y).predict_proba(new)
    maps = model.feature_maps(new)
    with surroundings():
        assert torch.equal(model.predict_proba(new), expected)
        assert torch.equal(model.feature_maps(new), maps)
        model.fit(X, Y)
    assert torch.equal(model.predict_proba(new), expected)


def test_autocast_around_features_changes_nothing() -> None:
    features = ConvRFMFeatures(ConvRFMClassifier(kernels.Laplace(2), n_iterations=1), n_filters=3).fit(X, Y)
    expected = features.transform(X)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(features.transform(X), expected)


@every_kernel
def test_another_default_device_changes_nothing(kernel: kernels.PatchKernel) -> None:
    """Torch makes what is made of nothing there; on "meta" it has no values."""
    x, coef = images(5, 0), torch.ones(5, 2, dtype=torch.float64)
    y = [0, 1, 0, 1, 0]

    def everything() -> list[Tensor]:
        model = ConvRFMClassifier(kernel, n_iterations=1, cv=2, device="cpu").fit(x, y)
        iterative = ConvRFMClassifier(kernel, n_iterations=1, ridge=1e-2, solver="cg", device="cpu").fit(x, y)
        return [kernel(x), kernel.agop(x, x, coef), model.predict_proba(x), iterative.predict_proba(x)]

    expected = everything()
    torch.set_default_device("meta")
    try:
        found = everything()
        kernel.forecast(3, 2, (1, 4, 4), outputs=1)
    finally:
        torch.set_default_device(None)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_another_default_device_changes_no_random_features() -> None:
    kernel, draw = DRAWN["patches"]
    expected = FeatureMap(kernel, draw, X)(X)
    torch.set_default_device("meta")
    try:
        found = FeatureMap(kernel, draw, X)(X)
    finally:
        torch.set_default_device(None)
    assert torch.equal(found, expected)


@every_kernel
def test_arrays_beside_a_tensor_that_requires_a_gradient_are_refused(kernel: kernels.PatchKernel) -> None:
    M = torch.eye(4, dtype=torch.float64, requires_grad=True)
    with pytest.raises(InputError, match="x must be a torch tensor where another argument requires a gradient"):
        kernel(images(2, 0).numpy(), feature_matrix=M)


@pytest.mark.usefixtures("threads_of_torch")
def test_features_are_differentiated_whatever_the_number_of_threads() -> None:
    x = torch.randn(600, 2, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    features = FeatureMap(kernels.NNGP(kernels.vanilla(2, pooling="global")), FeatureDraw(64, 0), x.detach())
    found = []
    for threads in (4, 1):
        torch.set_num_threads(threads)
        features(x).square().sum().backward()
        found.append(x.grad)
        x.grad = None
    torch.testing.assert_close(*found)

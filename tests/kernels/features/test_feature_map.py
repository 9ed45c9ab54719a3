"""Random features against the exact kernels, and their closed-form gradients against autograd."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from convrfm import kernels
from convrfm.errors import InputError
from convrfm.kernels.activations.activation import Activation
from convrfm.kernels.features import FeatureDraw, FeatureMap, feature_map, slope_sum
from convrfm.kernels.infinite import InfiniteWidthKernel
from convrfm.maths.patches import unfold_patches

from ..cases import CASES, coefficients, images, metric

WIDTHS = (16, 64, 256)
DRAWS = 12
VARIED = ["vanilla-1", "same", "strided", "erf-gelu", "pool", "pool-twice", "pool-circular", "pool-everything"]
SMOOTH = {
    "flat": kernels.Architecture(
        kernels.Conv(3, 1.3, 0.2),
        kernels.Erf(),
        kernels.Conv(2, 1.1, 0.1, "same"),
        kernels.GELU(),
        kernels.Flatten(1.1, 0.3),
    ),
    "pooled": kernels.Architecture(
        kernels.Conv(3, 1.3, 0.2, "circular", 2),
        kernels.Sin(),
        kernels.AvgPool(2),
        kernels.Conv(2),
        kernels.Rbf(0.3),
        kernels.GlobalAvgPool(),
    ),
}


def features(kernel: InfiniteWidthKernel, n: int, seed: int, x: Tensor, M: Tensor | None) -> FeatureMap:
    return FeatureMap(kernel, FeatureDraw(n, seed), x, M)


def slope_of(errors: list[float]) -> float:
    return float(np.polyfit(np.log(WIDTHS), np.log(errors), 1)[0])


@pytest.mark.parametrize("kind", [kernels.NNGP, kernels.NTK])
@pytest.mark.parametrize("name", VARIED)
def test_entries_converge_to_the_kernel_as_one_over_the_root_of_the_number(name: str, kind: type) -> None:
    kernel = replace(CASES[f"{name}-{kind.__name__}"], engine="reference")
    x, M = images(3, 0), metric(kernel)
    exact = kernel(x, feature_matrix=M)
    errors = []
    for width in WIDTHS:
        drawn = [features(kernel, width, seed, x, M)(x) for seed in range(DRAWS)]
        errors.append(float(torch.stack([(phi @ phi.T - exact).square().mean() for phi in drawn]).mean().sqrt()))
    assert -0.8 < slope_of(errors) < -0.3
    assert errors[-1] < 0.2 * float(exact.abs().max())


@pytest.mark.parametrize("kind", [kernels.NNGP, kernels.NTK])
@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_are_those_of_autograd_through_the_whole_map(name: str, kind: type) -> None:
    """On unfolded patches, which a convolution of side 1 meets."""
    first, *others = SMOOTH[name].layers
    kernel = kind(SMOOTH[name])
    x, M = images(3, 1, shape=(2, 8, 7)), metric(kernel)
    phi = features(kernel, 5, 0, x, M)
    coef = coefficients(phi.n_columns, 3)
    patches = unfold_patches(x, kernel.window).requires_grad_()
    on_patches = kind(kernels.Architecture(kernels.Conv(1, first.weight_std, first.bias_std), *others))
    outputs = features(on_patches, 5, 0, patches.detach(), M)(patches) @ coef
    torch.testing.assert_close(outputs.detach(), phi(x) @ coef)
    expected = torch.stack([torch.autograd.grad(o.sum(), patches, retain_graph=True)[0] for o in outputs.T], 1)
    torch.testing.assert_close(phi.gradients(x, coef).whole(), expected.flatten(-2).mT, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("contrast", [None, 0.1])
@pytest.mark.parametrize("readout", [kernels.Flatten(1.1, 0.3), kernels.GlobalAvgPool()])
def test_filters_in_strips_are_the_same_filters(
    readout: kernels.Flatten | kernels.GlobalAvgPool, contrast: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    conv = kernels.Conv(2, 1.3, 0.2, "same", contrast=contrast)
    kernel = kernels.NNGP(kernels.Architecture(conv, kernels.GELU(), kernels.AvgPool(2), readout))
    x, M = images(5, 1, shape=(2, 6, 5)), metric(kernel)
    together = features(kernel, 20, 0, x, M)
    coef = coefficients(together.n_columns, 3)
    monkeypatch.setattr(feature_map, "STRIP", 1)
    in_strips = features(kernel, 20, 0, x, M)
    assert in_strips.blocks(5) != together.blocks(5)
    torch.testing.assert_close(in_strips(x), together(x))
    torch.testing.assert_close(in_strips.gradients(x, coef).whole(), together.gradients(x, coef).whole())
    torch.testing.assert_close(in_strips.agop(x, coef), together.agop(x, coef))


@pytest.mark.parametrize("n", [20, 4])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("readout", [kernels.Flatten(1.1, 0.3), kernels.GlobalAvgPool()])
@pytest.mark.parametrize(
    "conv", [kernels.Conv(2, 1.3, 0.2, "same", contrast=0.1), kernels.Conv(3, 1.0, 0.4, "circular", 2)]
)
@pytest.mark.parametrize("pools", [(), (2,), (2, 2)])
def test_the_agop_from_slopes_is_that_of_the_gradients(
    n: int,
    weighted: bool,
    readout: kernels.Flatten | kernels.GlobalAvgPool,
    conv: kernels.Conv,
    pools: tuple[int, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With more filters than entries of a patch and with fewer, and of images that do not fill the averages."""
    kernel = kernels.NNGP(kernels.Architecture(conv, kernels.LeakyReLU(0.3), *map(kernels.AvgPool, pools), readout))
    x, M = images(5, 1, shape=(2, 10, 9)), metric(kernel)
    phi = features(kernel, n, 0, x, M)
    coef, weights = coefficients(phi.n_columns, 3), torch.arange(1.0, 6.0, dtype=torch.float64) if weighted else None
    gradients = phi.gradients(x, coef).whole()
    each = torch.einsum("nkud,nkue->nde", gradients, gradients)
    expected = (each if weights is None else each * (weights / weights.mean())[:, None, None]).mean(0)
    for pays in (False, True):
        monkeypatch.setattr(slope_sum.SlopeSum, "pays", lambda *_, pays=pays: pays)
        assert phi.gradients(x, coef).outer_products is not None or not pays
        for cached in (1, 1 << 22):
            monkeypatch.setattr(slope_sum, "CACHED", cached)
            torch.testing.assert_close(phi.agop(x, coef, weights), expected)


@pytest.mark.parametrize("activation", [kernels.ReLU(), kernels.LeakyReLU(0.9), kernels.Erf()])
def test_the_agop_from_slopes_keeps_its_digits_where_filters_cancel(
    activation: Activation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradients a thousandth of the terms that they add up from, squared in single precision, would be rounding."""
    kernel = kernels.NNGP(
        kernels.Architecture(kernels.Conv(3), activation, kernels.AvgPool(3), kernels.GlobalAvgPool())
    )
    x = 0.01 * images(40, 1, shape=(1, 8, 8)).float()
    phi = features(kernel, 200, 0, x, None)
    filters = FeatureDraw(200, 0).network(kernel.architecture, x, None, tangent=False)[0].filters.double()
    coef = coefficients(200, 4)
    coef -= 0.999 * filters @ torch.linalg.lstsq(filters, coef).solution
    coef = coef.float()
    exact = features(kernel, 200, 0, x.double(), None).agop(x.double(), coef.double())
    errors = []
    for pays in (False, True):
        monkeypatch.setattr(slope_sum.SlopeSum, "pays", lambda *_, pays=pays: pays)
        errors.append(float((phi.agop(x, coef).double() - exact).norm() / exact.norm()))
    assert errors[1] < 2 * errors[0] + 1e-6


@pytest.mark.parametrize("activation", [kernels.ReLU(), kernels.Erf()])
@pytest.mark.parametrize("n_features", [8, 16, 40])
@pytest.mark.parametrize("pays", [False, True])
def test_the_agop_keeps_its_digits_where_a_metric_makes_all_filters_parallel(
    n_features: int, activation: Activation, pays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With fewer filters than entries of a patch too, whose gradients a small ridge lets cancel by any factor."""
    kernel = kernels.NNGP(kernels.Architecture(kernels.Conv(3), activation, kernels.GlobalAvgPool()))
    x, direction = images(60, 1, shape=(2, 8, 8)).float(), coefficients(18, 1)
    phi = features(kernel, n_features, 0, x, (direction @ direction.T).float())
    values = phi(x).double()
    ridge = 1e-10 * values.square().mean() * len(values) * torch.eye(n_features, dtype=torch.float64)
    coef = torch.linalg.solve(values.T @ values + ridge, values.T @ coefficients(60, 3))
    coef = (coef / coef.abs().max()).float()
    gradients = phi.gradients(x, coef).whole().double()
    expected = torch.einsum("nkud,nkue->de", gradients, gradients) / len(x)
    monkeypatch.setattr(slope_sum.SlopeSum, "pays", lambda *_: pays)
    agop = phi.agop(x, coef).double()
    assert (agop - expected).norm() < 5e-4 * expected.norm()
    assert torch.linalg.eigvalsh(agop)[0] > -1e-6 * torch.linalg.matrix_norm(agop, 2)


@pytest.mark.parametrize("kind", [kernels.NNGP, kernels.NTK])
def test_the_agop_converges_to_the_kernel_s(kind: type) -> None:
    kernel = kind(kernels.Architecture(kernels.Conv(3), kernels.ReLU(), kernels.AvgPool(4), kernels.Flatten()))
    x, M = images(6, 2), metric(kernel)
    alpha = coefficients(6, 2)
    exact = kernel.agop(x, x, alpha, feature_matrix=M)
    errors = []
    for width in (256, 4096):
        drawn = []
        for seed in range(4):
            phi = features(kernel, width, seed, x, M)
            found = phi.agop(x, phi(x).T @ alpha)
            drawn.append(float((found - exact).norm() / exact.norm()))
        errors.append(sum(drawn) / len(drawn))
    assert errors[1] < 0.5 * errors[0]
    assert errors[1] < 0.1


def test_kernels_of_no_network_are_refused(as_a_user: None) -> None:
    with pytest.raises(InputError, match="Laplace has none"):
        FeatureMap(kernels.Laplace(3), FeatureDraw(4, 0), images(2, 0))


@pytest.mark.parametrize(("n_features", "seed"), [(0, 0), (True, 0), (4, -1), (4, 0.5)])
def test_a_draw_of_no_features_or_no_seed_is_refused(n_features: int, seed: int, as_a_user: None) -> None:
    with pytest.raises(InputError, match=r"n_features must be a positive|seed must be an integer"):
        FeatureDraw(n_features, seed)


@pytest.mark.parametrize("other", [images(2, 0).float(), images(2, 0)[:, :, :-1], images(2, 0)[:, :1]])
def test_images_of_another_size_or_precision_are_refused(other: Tensor) -> None:
    """Also where a global average would take them."""
    phi = features(kernels.NNGP(SMOOTH["pooled"]), 4, 0, images(2, 0), None)
    for use in (phi, lambda x: phi.agop(x, torch.ones(phi.n_columns, 1))):
        with pytest.raises(InputError, match=r"these features are of images .* got"):
            use(other)


def test_features_take_arrays_as_kernels_do() -> None:
    kernel = kernels.NNGP(kernels.vanilla(1))
    x, M = images(4, 0), metric(kernel)
    drawn = features(kernel, 8, 0, x, M)
    of_arrays = FeatureMap(kernel, FeatureDraw(8, 0), x.numpy(), M.numpy())
    found, coef = of_arrays(x.numpy()), torch.ones(drawn.n_columns, 1, dtype=torch.float64)
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, drawn(x))
    np.testing.assert_array_equal(of_arrays.agop(x.numpy(), coef.numpy()), drawn.agop(x, coef))


def test_features_refuse_what_is_no_metric_and_coefficients_of_other_features() -> None:
    kernel = kernels.NNGP(kernels.vanilla(1))
    x, M = images(4, 0), metric(kernel)
    tilted = M.clone()
    tilted[0, 1] += 1
    cases = [(tilted, "symmetric"), (-M, "semidefinite"), (M[1:, 1:], "feature_matrix must be")]
    for wrong, message in (*cases, *((wrong.half(), message) for wrong, message in cases)):
        with pytest.raises(InputError, match=message):
            features(kernel, 8, 0, x, wrong)
    with pytest.raises(InputError, match=r"coef must be .* one row for each feature"):
        features(kernel, 8, 0, x, M).agop(x, torch.ones(3, 1, dtype=torch.float64))


def test_features_refuse_images_that_are_not_finite_and_take_a_metric_of_integers() -> None:
    kernel = kernels.NNGP(kernels.vanilla(1))
    x = images(4, 0)
    d = len(metric(kernel))
    whole = features(kernel, 8, 0, x, torch.eye(d, dtype=torch.int64))
    torch.testing.assert_close(
        whole(x), features(kernel, 8, 0, x, torch.eye(d, dtype=torch.float64))(x), rtol=0, atol=0
    )
    with pytest.raises(InputError, match="x must be finite"):
        whole(x.where(x < 1, torch.nan))

"""Contrast and whitening of patches: exact kernels and features, against patches that are cut out and normalized one by one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.model_selection import KFold
from torch import Tensor

import convrfm
from convrfm import ConvRFMClassifier, DeepConvRFMClassifier, kernels
from convrfm.errors import InputError
from convrfm.estimators.learning.patch_statistics import CONTRAST_SHARE, WHITENING_SHARE, first_metric, of_one_contrast
from convrfm.kernels.features import FeatureDraw, FeatureMap
from convrfm.maths.patches import filter_patches, unfold_patches
from convrfm.maths.windows import Window

from .cases import pictures

CONTRAST = 0.3
LAYERS = (kernels.ReLU(), kernels.Conv(2), kernels.ReLU(), kernels.Flatten())
SEEN = kernels.Architecture(kernels.Conv(3, 1.2, 0.1, "same", 2, CONTRAST), *LAYERS)
CUT_OUT = kernels.Architecture(kernels.Conv(1, 1.2, 0.1), *LAYERS)


def images(n: int, seed: int = 0) -> Tensor:
    return 1 + torch.randn(n, 2, 7, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def patch_pictures(
    x: np.ndarray, contrast: float, size: int = 3, stride: int = 1, margin: tuple[int, int] = (0, 0)
) -> np.ndarray:
    """Every patch, cut out and normalized, as the channels of a picture."""
    wide = np.pad(x, ((0, 0), (0, 0), margin, margin))
    rows, cols = ((length - size) // stride + 1 for length in wide.shape[2:])
    out = np.zeros((len(x), x.shape[1] * size**2, rows, cols))
    for i, r, c in np.ndindex(len(x), rows, cols):
        patch = wide[i, :, r * stride : r * stride + size, c * stride : c * stride + size].ravel()
        out[i, :, r, c] = (patch - patch.mean()) / np.sqrt(patch.var() + contrast)
    return out


@pytest.mark.parametrize(
    "window", [Window(3, 2, "same", CONTRAST), Window(2, 1, "circular", CONTRAST), Window(3, contrast=CONTRAST)]
)
def test_filters_meet_normalized_patches_without_cutting_them_out(window: Window) -> None:
    x, filters = (
        images(3),
        torch.randn(4, 2 * window.size**2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)),
    )
    expected = torch.einsum("kd,ndrc->nkrc", filters, unfold_patches(x, window))
    torch.testing.assert_close(filter_patches(x, filters, window), expected)


@pytest.mark.parametrize("padding", ["same", "circular", "valid"])
@pytest.mark.parametrize("n_filters", [17, 18], ids=["fewer than entries of a patch", "as many"])
def test_in_single_precision_contrast_is_seen_far_from_0_too(padding: Any, n_filters: int) -> None:
    window = Window(3, 1, padding, CONTRAST)
    x, filters = (1000 + images(3)).float(), torch.eye(18)[:n_filters]
    expected = unfold_patches(x.double(), window).float()[:, :n_filters]
    torch.testing.assert_close(filter_patches(x, filters, window), expected, rtol=0, atol=2e-3)


@pytest.mark.parametrize("kind", [kernels.NNGP, kernels.NTK])
def test_kernels_gradients_and_features_are_those_of_patches_normalized_one_by_one(kind: type) -> None:
    x, z, coef = (
        images(3),
        images(4, 1),
        torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2)),
    )
    A = torch.randn(18, 18, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    M = A @ A.T / 18
    seen, cut_out = kind(SEEN), kind(CUT_OUT)
    # "same" with stride 2 on 7 rows pads one on either side, on 6 columns one after.
    wide = [np.pad(v.numpy(), ((0, 0), (0, 0), (1, 1), (0, 1))) for v in (x, z)]
    cut_x, cut_z = (torch.from_numpy(patch_pictures(v, CONTRAST, stride=2)) for v in wide)
    torch.testing.assert_close(seen(x, z, feature_matrix=M), cut_out(cut_x, cut_z, feature_matrix=M))
    torch.testing.assert_close(seen.diagonal(x, feature_matrix=M), cut_out.diagonal(cut_x, feature_matrix=M))
    agops = seen.agop(x, z, coef, feature_matrix=M), cut_out.agop(cut_x, cut_z, coef, feature_matrix=M)
    torch.testing.assert_close(*agops)
    of_seen, of_cut_out = (FeatureMap(k, FeatureDraw(5, 0), v, M) for k, v in ((seen, x), (cut_out, cut_x)))
    torch.testing.assert_close(of_seen(x), of_cut_out(cut_x))
    of_columns = coef[:1].expand(of_seen.n_columns, -1)
    torch.testing.assert_close(of_seen.agop(x, of_columns), of_cut_out.agop(cut_x, of_columns))


@pytest.mark.parametrize("solver", ["exact", "features"])
def test_contrast_and_whitening_are_fitted_to_the_training_patches_reported_and_saved(
    solver: Any, tmp_path: Path
) -> None:
    x, y = pictures(18)
    kernel = kernels.NNGP(kernels.vanilla(1))
    settings: dict[str, Any] = {"patch_normalization": "contrast", "initial_metric": "whitening", "n_iterations": 1}
    model = ConvRFMClassifier(kernel, solver=solver, n_features=8, keep="last", **settings).fit(x, y)
    windows = np.lib.stride_tricks.sliding_window_view(x[:, 0], (3, 3), (1, 2)).reshape(-1, 9)
    contrast = CONTRAST_SHARE * windows.var(1).mean()
    assert model.kernel_.window.contrast == pytest.approx(contrast)
    assert "contrast=" in repr(model.kernel_)
    covariance = np.cov(patch_pictures(x, contrast).transpose(1, 0, 2, 3).reshape(9, -1), bias=True)
    inverse = np.linalg.inv(covariance + WHITENING_SHARE * np.trace(covariance) / 9 * np.eye(9))
    first, second = model.layers_[0].rounds
    np.testing.assert_allclose(first.feature_matrix, inverse * 9 / np.trace(inverse), rtol=1e-7)
    assert not torch.allclose(first.feature_matrix, second.feature_matrix)
    model.save(tmp_path / "model")
    loaded = convrfm.load(tmp_path / "model")
    assert (loaded.kernel_, loaded.initial_metric, loaded.patch_normalization) == (
        model.kernel_,
        "whitening",
        "contrast",
    )
    np.testing.assert_array_equal(loaded.predict_proba(x), model.predict_proba(x))


def test_folds_whiten_their_own_images_and_a_given_metric_is_where_rounds_start() -> None:
    x, y = pictures(18)
    kernel = kernels.NNGP(kernels.vanilla(1))
    metrics: list[Tensor] = []

    def remember(model: ConvRFMClassifier) -> None:
        metrics.extend(fold.metric for fold in model.layers_[0].rounds[0].folds if fold.metric is not None)

    ConvRFMClassifier(kernel, n_iterations=0, initial_metric="whitening", cv=2).fit(x, y, after_round=remember)
    assert len(metrics) == 2
    assert not torch.allclose(metrics[0], metrics[1])
    M = np.diag(np.arange(1.0, 10.0))
    given = ConvRFMClassifier(kernel, n_iterations=0, initial_metric=M).fit(x, y)
    np.testing.assert_allclose(given.feature_matrix_, M / 5)
    of_tensor = torch.from_numpy(M).requires_grad_()
    ConvRFMClassifier(kernel, n_iterations=0, initial_metric=of_tensor).fit(x, y)
    deep = DeepConvRFMClassifier(
        depth=2, n_filters=4, n_iterations=0, patch_normalization="contrast", initial_metric="whitening"
    )
    second = deep.fit(x, y).layers_[1]
    assert second.kernel.window.contrast is None
    assert torch.equal(second.rounds[0].feature_matrix, torch.eye(36, dtype=torch.float64))


@pytest.mark.parametrize("rank", [2, 9])
def test_rounds_start_from_a_metric_that_was_learned_in_single_precision(rank: int) -> None:
    x, y = pictures(18)
    A = torch.randn(9, rank, generator=torch.Generator().manual_seed(0))
    M, kernel = A @ A.T, kernels.NNGP(kernels.vanilla(1))
    M[0, 1] *= 1 + 1e-7
    model = ConvRFMClassifier(kernel, n_iterations=0, initial_metric=M.numpy()).fit(x, y)
    np.testing.assert_allclose(model.feature_matrix_, M * 9 / M.trace(), rtol=0, atol=1e-6)
    outputs = kernel(x, feature_matrix=model.feature_matrix_) @ model.dual_coef_
    np.testing.assert_allclose(outputs, model.decision_function(x))


def test_patches_of_repeated_images_count_as_those_of_heavy_ones() -> None:
    x, y = pictures(12)
    x[:4] *= 9
    counts = 1 + np.arange(12) % 4
    settings: dict[str, Any] = {"patch_normalization": "contrast", "initial_metric": "whitening", "n_iterations": 0}
    weighted = ConvRFMClassifier(kernels.NNGP(kernels.vanilla(1)), **settings).fit(x, y, counts)
    repeated = ConvRFMClassifier(kernels.NNGP(kernels.vanilla(1)), **settings).fit(
        x.repeat(counts, 0), y.repeat(counts)
    )
    assert weighted.kernel_.window.contrast == pytest.approx(repeated.kernel_.window.contrast, rel=1e-12)
    np.testing.assert_allclose(weighted.feature_matrix_, repeated.feature_matrix_, rtol=1e-7)


def test_patch_statistics_have_the_same_bits_for_any_number_of_threads() -> None:
    x = 0.5 + torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    kernel = kernels.NNGP(kernels.vanilla(1))

    def learned(threads: int) -> tuple[Any, Any]:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            contrast = of_one_contrast(kernel, x, None).window.contrast
            return contrast, first_metric("whitening", x, None, kernel.window, None)
        finally:
            torch.set_num_threads(before)

    (contrast, metric), (of_many, metric_of_many) = learned(1), learned(4)
    assert contrast == of_many
    assert torch.equal(metric, metric_of_many)


def test_what_cannot_be_normalized_or_started_from_is_said(as_a_user: None) -> None:
    x, y = pictures(12)
    kernel = kernels.NNGP(kernels.vanilla(1))
    wrong: list[tuple[Any, dict[str, Any], str]] = [
        (kernels.Laplace(3), {"patch_normalization": "contrast"}, "Laplace sees patches as they are"),
        (kernel, {"patch_normalization": "mean"}, "patch_normalization must be one of"),
        (kernel, {"initial_metric": "white"}, 'must be "identity", "whitening"'),
        (kernel, {"initial_metric": np.eye(4)}, r"must be \(9, 9\)"),
        (kernel, {"initial_metric": -np.eye(9)}, "positive semidefinite"),
        (kernel, {"initial_metric": np.zeros((9, 9))}, "a positive trace"),
        (kernel, {"initial_metric": [[1.0], [1.0, 2.0]]}, "array of real numbers"),
        (kernel, {"initial_metric": [["one"] * 9] * 9}, "array of real numbers"),
        (kernel, {"initial_metric": 1j * np.eye(9)}, "array of real numbers"),
        (kernel, {"initial_metric": np.ma.masked_less(np.eye(9), 1)}, "initial_metric must not be masked"),
    ]
    for given, settings, message in wrong:
        with pytest.raises(InputError, match=message):
            ConvRFMClassifier(given, n_iterations=0, **settings).fit(x, y)
    flat = x.copy()
    flat[:8] = 0.3
    with pytest.raises(InputError, match=r"whitening.* needs patches that vary"):
        ConvRFMClassifier(kernel, n_iterations=0, initial_metric="whitening", cv=KFold(3)).fit(flat, y)
    with pytest.raises(InputError, match="only the first Conv"):
        kernels.Architecture(kernels.Conv(3), kernels.Conv(3, contrast=1.0), kernels.Flatten())
    model = ConvRFMClassifier(kernel, n_iterations=0, patch_normalization="contrast").fit(x, y)
    with pytest.raises(InputError, match="for to_torch"):
        model.to_torch()


def test_a_loaded_model_is_fitted_again_as_it_is_asked_to(tmp_path: Path) -> None:
    """Its kernel has the contrast of the first fit's images, which is no parameter."""
    x, y = pictures(12)
    model = ConvRFMClassifier(kernels.NNGP(kernels.vanilla(1)), n_iterations=0, patch_normalization="contrast").fit(
        x, y
    )
    model.save(tmp_path / "model")
    loaded = convrfm.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(x), model.predict_proba(x))
    assert loaded.kernel_ == model.kernel_
    for normalization in (None, "contrast"):
        again = [each.set_params(patch_normalization=normalization).fit(3 * x, y) for each in (model, loaded)]
        assert again[0].kernel_ == again[1].kernel_
        np.testing.assert_array_equal(*(each.predict_proba(x) for each in again))


def test_a_metric_that_does_not_fit_one_of_the_kernels_is_refused_before_any_is_fitted() -> None:
    x, y = pictures(12)
    model = ConvRFMClassifier([kernels.Laplace(3), kernels.Laplace(2)], n_iterations=1, initial_metric=np.eye(9))
    with pytest.raises(InputError, match=r"initial_metric must be \(4, 4\)"):
        model.fit(x, y, after_round=lambda _: pytest.fail("a round was fitted"))

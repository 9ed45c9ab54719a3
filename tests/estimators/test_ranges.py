"""Very large and very small images, targets and weights: the right fit, or an error that names the cause."""

import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convrfm
from convrfm import ConvRFMClassifier, ConvRFMRegressor, DeepConvRFMClassifier, datasets, kernels
from convrfm.errors import InputError

RANDOM = np.random.default_rng(0)
X, X_NEW = RANDOM.standard_normal((12, 1, 6, 6)), RANDOM.standard_normal((4, 1, 6, 6))
Y, T = np.arange(12) % 3, RANDOM.standard_normal(12)
KERNEL = kernels.Laplace(3, 3.0)
pytestmark = pytest.mark.filterwarnings("ignore:the kernel of every two images is 0")


@pytest.mark.parametrize("weight", [1e-300, 1e-12, 1e3, 1e300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_times_a_power_of_a_thousand_give_the_same_fit(weight: float, dtype: type) -> None:
    x: np.ndarray = X.astype(dtype)
    weights = 0.5 + np.arange(12) % 4
    for model, y in ((ConvRFMClassifier(KERNEL, n_iterations=1), Y), (ConvRFMRegressor(KERNEL, n_iterations=1), T)):
        expected = model.fit(x, y, weights).predict(X_NEW), model.ridge_
        found = model.fit(x, y, weight * weights).predict(X_NEW), model.ridge_
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-4, atol=1e-5)
        assert found[1] == pytest.approx(weight * expected[1], rel=1e-9)


@pytest.mark.parametrize("ridge", [1e-3, (1e-5, 1e-2)])
def test_with_ridges_of_ones_own_they_are_multiplied_too(ridge: Any) -> None:
    weights = 0.5 + np.arange(12) % 4
    plain = ConvRFMRegressor(KERNEL, n_iterations=1, ridge=ridge).fit(X, T, weights)
    scaled = ConvRFMRegressor(KERNEL, n_iterations=1, ridge=tuple(1e-250 * np.atleast_1d(ridge))).fit(
        X, T, 1e-250 * weights
    )
    np.testing.assert_allclose(scaled.predict(X_NEW), plain.predict(X_NEW), rtol=1e-9)


@pytest.mark.parametrize("weight", [1e-310, 1e308], ids=str)
def test_weights_that_have_few_digits_or_no_sum_are_refused(weight: float) -> None:
    with pytest.raises(
        InputError, match=r"sample_weight must be .* with a finite sum and not all zero or below 1e-300"
    ):
        ConvRFMClassifier(KERNEL).fit(X, Y, np.full(12, weight))


@pytest.mark.parametrize("weight", [1e-45, 1e45])
def test_random_features_in_single_precision_bear_weights_beyond_it(weight: float) -> None:
    model = ConvRFMRegressor(kernels.NNGP(kernels.vanilla(1)), solver="features", n_features=4, n_iterations=1)
    few = np.concatenate([X, 2 * X, X[::-1] - 1] * 4).astype(np.float32)  # more images than features
    targets, weights = few.mean((1, 2, 3)), 0.5 + np.arange(144) % 4
    expected = model.fit(few, targets, weights).predict(few)
    found = model.fit(few, targets, weight * weights).predict(few)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("model", [ConvRFMClassifier(KERNEL), ConvRFMRegressor(KERNEL, solver="cg")])
def test_an_image_or_a_group_that_outweighs_all_others_is_named(model: Any) -> None:
    for heavy, groups in ((X[:, 0, 0, 0] == X[0, 0, 0, 0], None), (np.arange(12) < 4, np.arange(12) // 4)):
        with pytest.raises(InputError, match=r"left out: one weighs .*e\+17, all others"):
            model.fit(X, Y, np.where(heavy, 1e17, 1.0), groups=groups)
    several = ConvRFMRegressor(KERNEL, n_iterations=0).fit(X, Y, np.where(np.arange(12) < 4, 1e17, 1.0))
    assert np.isfinite(several.history_[0]["loo_error"])


@pytest.mark.parametrize("size", [1e-130, 1e-25, 1e25, 1e130])
def test_targets_of_any_size_are_fitted_alike(size: float) -> None:
    """Standard deviations too; the history has squares, all of them finite."""
    plain = ConvRFMRegressor(KERNEL, n_iterations=1).fit(X, T)
    scaled = ConvRFMRegressor(KERNEL, n_iterations=1).fit(X, size * T)
    for found, expected in zip(
        scaled.predict(X_NEW, return_std=True), plain.predict(X_NEW, return_std=True), strict=True
    ):
        np.testing.assert_allclose(found / size, expected, rtol=1e-9)
    assert scaled.ridge_ == plain.ridge_
    for found, expected in zip(scaled.history_, plain.history_, strict=True):
        assert found["loo_error"] / size / size == pytest.approx(expected["loo_error"])


@pytest.mark.parametrize("size", [1e-25, 1e25, 1e37])
def test_single_precision_holds_what_it_can(size: float) -> None:
    x = X.astype(np.float32)
    plain = ConvRFMRegressor(KERNEL, n_iterations=1).fit(x, T).predict(X_NEW, return_std=True)
    for targets in (size * T, (size * T).astype(np.float32)):
        scaled = ConvRFMRegressor(KERNEL, n_iterations=1).fit(x, targets).predict(X_NEW, return_std=True)
        for found, expected in zip(scaled, plain, strict=True):
            np.testing.assert_allclose(found / np.float32(size), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [1e-45, 1e-38, 1e39])
def test_targets_beyond_the_images_precision_are_named(size: float) -> None:
    with pytest.raises(InputError, match=r"torch.float32, cannot hold: the targets, up to .* too large or too small"):
        ConvRFMRegressor(KERNEL, n_iterations=0).fit(X.astype(np.float32), size * T)


@pytest.mark.parametrize("size", [1e-320, 1e-160, 1e160, 1e300])
def test_targets_whose_squares_are_no_numbers_are_named(size: float) -> None:
    with pytest.raises(InputError, match=r"targets must be 0 or of a size from 1e-140 to 1e\+140"):
        ConvRFMRegressor(KERNEL).fit(X, size * T)


@pytest.mark.parametrize(
    "model", [ConvRFMClassifier(kernels.vanilla_ntk(1)), DeepConvRFMClassifier(depth=2, n_filters=3)]
)
@pytest.mark.parametrize("size", [1e-200, 1e160, 1e300])
def test_images_whose_squares_are_no_numbers_are_named(model: Any, size: float) -> None:
    with pytest.raises(InputError, match=r"values up to .*their squares"):
        model.fit(size * X, Y)


@pytest.mark.parametrize("method", ["predict", "decision_function", "feature_maps"])
@pytest.mark.parametrize("size", [1e30, 1e300])
def test_new_images_beyond_the_training_images_precision_are_named(method: str, size: float) -> None:
    model = ConvRFMClassifier(KERNEL, n_iterations=0).fit(X.astype(np.float32), Y)
    with pytest.raises(InputError, match=r"x has values up to \d"):
        getattr(model, method)(size * X_NEW)


def test_selection_images_beyond_the_training_images_precision_are_named() -> None:
    model = ConvRFMClassifier(KERNEL, n_iterations=0, choose_on="selection")
    with pytest.raises(InputError, match=r"x has values up to \d"):
        model.fit(X.astype(np.float32), Y, selection=(1e300 * X, Y))


def test_image_files_beyond_single_precision_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "huge.npz", x=1e300 * X, y=Y)
    with warnings.catch_warnings(), pytest.raises(InputError, match=r"pictures become float32.*values of \d.*e\+300"):
        warnings.simplefilter("error")
        datasets.load(tmp_path / "huge.npz")


@pytest.mark.parametrize("kernel", [kernels.Laplace(3, 1e-12), kernels.Gaussian(3, 1e-12), kernels.Matern(3, 1e-12)])
@pytest.mark.parametrize("n_iterations", [0, 1])
def test_a_kernel_under_which_no_image_resembles_another_is_not_fitted(kernel: Any, n_iterations: int) -> None:
    with pytest.raises(InputError, match=r"no training image resembles another.*Choose a larger bandwidth"):
        convrfm.ConvRFMClassifier(kernel, n_iterations=n_iterations).fit(X, Y)


@pytest.mark.parametrize(("dtype", "offset", "told"), [("f4", 1e6, True), ("f4", 1e3, False), ("f8", 1e6, False)])
def test_targets_so_far_from_0_that_predictions_lose_what_they_vary_by_are_told(
    dtype: str, offset: float, told: bool
) -> None:
    x = np.random.default_rng(0).standard_normal((12, 1, 5, 5)).astype(dtype)
    y = np.stack([x[:, 0, 2, 2], offset + x[:, 0, 2, 2]], axis=1)
    with pytest.warns(UserWarning, match="rounded to 0.1. Subtract a constant") if told else nullcontext():
        ConvRFMRegressor(kernels.Laplace(3), n_iterations=0).fit(x, y)

"""Standard deviations are those of the Gaussian process, probabilities those of a held-out temperature."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Kernel
from sklearn.model_selection import KFold

import convrfm
from convrfm import ConvRFMClassifier, ConvRFMRegressor, DeepConvRFMClassifier, DeepConvRFMRegressor

from .cases import CHEAP, KERNEL, coefficients, laplace_family, next_metric, one_hot, pictures

X, Y = pictures(16)
X_NEW, _ = pictures(7, 1)
TARGETS = np.stack([Y - 1.0, 3.0 * Y**2 + 1, np.sin(np.arange(16))], 1)


class Precomputed(Kernel):
    """For scikit-learn's Gaussian process: a kernel matrix of all images, met by their numbers."""

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:
        rows, cols = (np.asarray(numbers)[:, 0].astype(int) for numbers in (X, X if Y is None else Y))
        return self.matrix[np.ix_(rows, cols)]

    def diag(self, X: Any) -> Any:
        return np.diag(self(X))

    def is_stationary(self) -> bool:
        return False


@pytest.mark.parametrize("keep", ["best", "last"])
def test_mean_and_standard_deviation_are_those_of_a_gaussian_process(keep: str) -> None:
    model = ConvRFMRegressor(KERNEL, n_iterations=1, ridge=1e-2, keep=keep).fit(X, TARGETS)
    mean, std = model.predict(X_NEW, return_std=True)
    scale = KERNEL(X, feature_matrix=model.feature_matrix_).max()
    every = KERNEL(np.concatenate([X, X_NEW]), feature_matrix=model.feature_matrix_) / scale
    numbers = np.arange(23)[:, None]
    process = GaussianProcessRegressor(Precomputed(every), alpha=1e-2, optimizer=None)
    expected, latent = process.fit(numbers[:16], TARGETS - TARGETS.mean(0)).predict(numbers[16:], return_std=True)
    np.testing.assert_allclose(mean, expected + TARGETS.mean(0), rtol=1e-6, atol=1e-8)
    amplitude = model.layers_[0].kept.amplitude.numpy()
    np.testing.assert_allclose(std, np.sqrt((latent**2 + 1e-2) * amplitude), rtol=1e-6)
    assert std.shape == mean.shape == (7, 3)


def test_standardized_leave_one_out_residuals_have_mean_square_one_for_every_output() -> None:
    model = ConvRFMRegressor(KERNEL, n_iterations=0, ridge=1e-1).fit(X, TARGETS)
    K = KERNEL(X) / KERNEL(X).max()
    squares = np.zeros((16, 3))
    for i in range(16):
        others = np.delete(np.arange(16), i)
        inverse = np.linalg.inv(K[np.ix_(others, others)] + 1e-1 * np.eye(15))
        middle = TARGETS[others].mean(0)
        mean = middle + K[i, others] @ inverse @ (TARGETS[others] - middle)
        variance = K[i, i] + 1e-1 - K[i, others] @ inverse @ K[others, i]
        squares[i] = (TARGETS[i] - mean) ** 2 / (variance * model.layers_[0].kept.amplitude.numpy())
    np.testing.assert_allclose(squares.mean(0), 1, rtol=1e-6)


def test_weights_divide_the_noise_of_their_images() -> None:
    weights = 0.5 + np.arange(16) % 3
    model = ConvRFMRegressor(KERNEL, n_iterations=1, ridge=1e-2, keep="last").fit(X, TARGETS[:, 0], weights)
    y = TARGETS[:, 0] - np.average(TARGETS[:, 0], weights=weights)
    M = next_metric(KERNEL, X, X, coefficients(KERNEL(X), y[:, None], 1e-2, weights), None, weights)
    K, meeting = KERNEL(X, feature_matrix=M), KERNEL(X_NEW, X, feature_matrix=M)
    precision = np.linalg.inv(K / K.max() + np.diag(1e-2 / weights))
    left_out = precision @ y + weights * y / (weights.sum() - weights) * precision.sum(1)
    amplitude = weights @ (left_out**2 / np.diag(precision)) / weights.sum()
    explained = np.einsum("ij,jk,ik->i", meeting, precision, meeting) / K.max() ** 2
    variance = (
        KERNEL.diagonal(X_NEW, feature_matrix=M) / K.max() - explained + 1e-2 * weights.sum() / (weights**2).sum()
    )
    np.testing.assert_allclose(model.predict(X_NEW, return_std=True)[1], np.sqrt(amplitude * variance), rtol=1e-5)


def test_an_image_of_next_to_no_weight_is_next_to_absent() -> None:
    light = np.where(np.arange(16) % 4 == 0, 1e-10, 1.0)
    model = ConvRFMRegressor(KERNEL, n_iterations=0, ridge=1e-2)
    almost = model.fit(X, TARGETS[:, 0], light).predict(X_NEW, return_std=True)
    absent = model.fit(X, TARGETS[:, 0], np.round(light)).predict(X_NEW, return_std=True)
    np.testing.assert_allclose(almost, absent, rtol=1e-5)


@pytest.mark.parametrize("kind", [ConvRFMRegressor, DeepConvRFMRegressor])
def test_the_standard_deviation_grows_away_from_the_training_images(kind: type) -> None:
    model = kind(**CHEAP[kind] | {"ridge": 1e-3}).fit(X, TARGETS[:, 0])
    step = np.random.default_rng(3).standard_normal(X.shape)
    deviations = [model.predict(X + size * step, return_std=True)[1].mean() for size in (0.0, 0.1, 0.4, 1.6)]
    assert deviations == sorted(deviations)
    assert deviations[-1] > 2 * deviations[0]


@pytest.mark.parametrize("kind", [ConvRFMRegressor, DeepConvRFMRegressor])
def test_it_is_the_same_from_a_file_in_tensors_and_after_a_new_fit(kind: type, tmp_path: Path) -> None:
    weights = 0.5 + np.arange(16) % 3
    model = kind(**CHEAP[kind]).fit(X, TARGETS, weights)
    expected = model.predict(X_NEW, return_std=True)
    model.save(tmp_path / "model")
    again: Any = convrfm.load(tmp_path / "model")
    for a, b in zip(again.predict(X_NEW, return_std=True), expected, strict=True):
        np.testing.assert_array_equal(a, b)
    tensors = model.predict(torch.tensor(X_NEW), return_std=True)
    for a, b in zip(tensors, expected, strict=True):
        assert isinstance(a, torch.Tensor)
        np.testing.assert_array_equal(a.numpy(), b)
    model.fit(X[:9], TARGETS[:9])
    fresh = kind(**CHEAP[kind]).fit(X[:9], TARGETS[:9])
    for a, b in zip(model.predict(X_NEW, return_std=True), fresh.predict(X_NEW, return_std=True), strict=True):
        np.testing.assert_array_equal(a, b)


def test_deviations_have_the_shape_of_the_targets_and_the_type_of_the_training_images() -> None:
    one = ConvRFMRegressor(**CHEAP[ConvRFMRegressor]).fit(X.astype(np.float32), TARGETS[:, 0])
    mean, std = one.predict(X_NEW, return_std=True)
    assert mean.shape == std.shape == (7,)
    assert mean.dtype == std.dtype == np.float32


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kind", [ConvRFMClassifier, DeepConvRFMClassifier])
def test_probabilities_sum_to_one_and_their_largest_is_the_prediction(kind: type, classes: int, tmp_path: Path) -> None:
    x, y = pictures(14, classes=classes)
    model = kind(**CHEAP[kind]).fit(x, np.array(["u", "v", "w"])[y])
    probabilities = model.predict_proba(X_NEW)
    assert probabilities.shape == (7, classes)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    np.testing.assert_array_equal(model.classes_[probabilities.argmax(1)], model.predict(X_NEW))
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(convrfm.load(tmp_path / "model").predict_proba(X_NEW), probabilities)
    assert isinstance(model.predict_proba(torch.tensor(X_NEW)), torch.Tensor)
    np.testing.assert_array_equal(model.predict_proba(torch.tensor(X_NEW)).numpy(), probabilities)


def likeliest(outputs: np.ndarray, weights: np.ndarray) -> float:
    """The temperature of a fine grid under which the labels of the pictures are likeliest."""
    grid = np.geomspace(1e-2, 1e2, 4000)
    scores = outputs[None] / grid[:, None, None]
    log_likelihoods = scores[:, np.arange(16), Y] - np.log(np.exp(scores - scores.max(2, keepdims=True)).sum(2))
    return float(grid[((log_likelihoods - scores.max(2)) @ weights).argmax()])


@pytest.mark.parametrize("weights", [None, 0.5 + np.arange(16) % 3], ids=["plain", "weighted"])
def test_the_temperature_makes_the_labels_likeliest_by_fits_without_each_image(weights: np.ndarray | None) -> None:
    model = ConvRFMClassifier(KERNEL, n_iterations=0, ridge=1e-1).fit(X, Y, weights)
    counted = np.ones(16) if weights is None else weights
    K = KERNEL(X) / KERNEL(X).max()
    held_out = np.zeros((16, 3))
    for i in range(16):
        others = np.delete(np.arange(16), i)
        noisy = K[np.ix_(others, others)] + np.diag(1e-1 / counted[others])
        held_out[i] = K[i, others] @ np.linalg.solve(noisy, one_hot(Y)[others])
    assert model.temperature_ == pytest.approx(likeliest(held_out, counted), rel=5e-3)


def test_with_folds_the_temperature_is_that_of_the_images_that_they_hold_out() -> None:
    model = ConvRFMClassifier(laplace_family(1), n_iterations=1, ridge=1e-1, keep="last", cv=KFold(4)).fit(X, Y)
    held_out = np.zeros((16, 3))
    for part, out in KFold(4).split(X):
        fold = ConvRFMClassifier(laplace_family(1), n_iterations=1, ridge=1e-1, keep="last").fit(X[part], Y[part])
        held_out[out] = fold.decision_function(X[out])
    assert model.temperature_ == pytest.approx(likeliest(held_out, np.ones(16)), rel=5e-3)
    plain = ConvRFMClassifier(laplace_family(1), n_iterations=1, ridge=1e-1, keep="last").fit(X, Y)
    assert abs(plain.temperature_ / model.temperature_ - 1) > 0.01


def test_on_a_selection_set_the_temperature_is_that_of_its_images() -> None:
    x_s, y_s = X[:16], Y[:16]
    x, y = pictures(14, 5)
    model = ConvRFMClassifier(KERNEL, n_iterations=0, ridge=1e-1, choose_on="selection")
    model.fit(x, y, 1 + np.arange(14) % 2, selection=(x_s, y_s))
    assert model.temperature_ == pytest.approx(likeliest(model.decision_function(x_s), np.ones(16)), rel=5e-3)

"""Copies of training images are training images that are left out with their original."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

import convrfm
from convrfm import ConvRFMClassifier, ConvRFMRegressor, kernels
from convrfm.errors import InputError
from convrfm.kernels.features import FeatureDraw, FeatureMap

from .cases import CHEAP, KERNEL, pictures

X, Y = pictures(12)
WEIGHTS = 1.0 + np.arange(12) % 2


def copies(x: np.ndarray, augment: tuple[str, ...]) -> np.ndarray:
    """All images, then every kind of copy of all, by slices."""
    if "flip" in augment:
        x = np.concatenate([x, x[..., ::-1]])
    if "shift" in augment:
        wide = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
        shifted = [wide[..., 2:, 1:-1], wide[..., :-2, 1:-1], wide[..., 1:-1, 2:], wide[..., 1:-1, :-2]]
        x = np.concatenate([x, *shifted])
    return x


def halves(times: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Two folds of images that come so many times."""
    first = np.tile(np.arange(12) < 6, times)
    return [(np.flatnonzero(part), np.flatnonzero(~part)) for part in (first, ~first)]


@pytest.mark.parametrize("by", [None, halves], ids=["leave-one-out", "folds"])
@pytest.mark.parametrize(
    ("estimator", "solver", "augment"),
    [
        *((estimator, "exact", ("flip",)) for estimator in CHEAP),
        (convrfm.DeepConvRFMClassifier, "features", ("flip", "shift")),
    ],
    ids=str,
)
def test_a_fit_is_that_of_the_copies_in_groups(estimator: type, solver: str, augment: tuple[str, ...], by: Any) -> None:
    times = len(copies(X, augment)) // 12
    settings = CHEAP[estimator] | {"solver": solver, "n_features": 6, "keep": "last"}
    model = estimator(**settings, augment=augment, agop_samples=[1, 8], cv=by and by(1)).fit(X, Y, WEIGHTS)
    explicit = estimator(
        **settings,
        agop_samples=[first + i for first in range(0, 12 * times, 12) for i in (1, 8)],
        cv=by and by(times),
    ).fit(copies(X, augment), np.tile(Y, times), np.tile(WEIGHTS, times), groups=np.tile(np.arange(12), times))
    np.testing.assert_array_equal(model.coef_, explicit.coef_)
    np.testing.assert_array_equal(model.predict(X), explicit.predict(X))
    for record, expected in zip(model.history_, explicit.history_, strict=True):
        assert record | {"seconds": 0} == expected | {"seconds": 0}


@pytest.mark.parametrize("augment", [("flip",), ("flip", "shift")], ids="-".join)
def test_random_features_are_averaged_over_copies_where_there_is_one_layer(
    augment: tuple[str, ...], tmp_path: Path
) -> None:
    """The regression is scikit-learn's, on averages that are made here; the AGOP is that of a fit to the copies themselves."""
    settings: dict[str, Any] = {
        "kernel": KERNEL,
        "solver": "features",
        "n_features": 3,
        "random_state": 5,
        "ridge": 1e-2,
    }
    model = ConvRFMRegressor(**settings, augment=augment, n_iterations=1, keep="last").fit(X, Y.astype(float), WEIGHTS)
    features = FeatureMap(KERNEL, FeatureDraw(3, seed=5), torch.from_numpy(X), torch.from_numpy(model.feature_matrix_))
    many = copies(X, augment)
    averages = features(torch.from_numpy(many)).reshape(len(many) // 12, 12, -1).mean(0).numpy()
    scale = float(np.square(averages).sum(1).max())
    ridge = Ridge(1e-2 * scale, fit_intercept=False, tol=1e-12, solver="cholesky")
    center = np.average(Y, weights=WEIGHTS)
    ridge.fit(averages, Y - center, WEIGHTS)
    np.testing.assert_allclose(model.predict(X), ridge.predict(averages) + center, atol=1e-8)
    np.testing.assert_allclose(model.coef_[:, 0], ridge.coef_, atol=1e-8)
    left_out = []
    for i in range(12):
        rest = np.arange(12) != i
        center = np.average(Y[rest], weights=WEIGHTS[rest])
        ridge.fit(averages[rest], Y[rest] - center, WEIGHTS[rest])
        left_out.append(float(ridge.predict(averages[i : i + 1])[0] + center - Y[i]) ** 2)
    assert model.history_[1]["loo_error"] == pytest.approx(np.average(left_out, weights=WEIGHTS), rel=1e-6)

    fixed = ConvRFMRegressor(**settings, augment=augment, n_iterations=0).fit(X, Y.astype(float), WEIGHTS)
    start = FeatureMap(KERNEL, FeatureDraw(3, seed=5), torch.from_numpy(X))
    agop = start.agop(
        torch.from_numpy(many), torch.from_numpy(fixed.coef_), torch.from_numpy(np.tile(WEIGHTS, len(many) // 12))
    )
    learned = agop / agop.trace()
    np.testing.assert_allclose(model.feature_matrix_ / np.trace(model.feature_matrix_), learned, atol=1e-10)

    model.save(tmp_path / "model")
    other, _ = pictures(5, seed=1)
    for each in (model, convrfm.load(tmp_path / "model")):
        assert len(each.x_fit_) == 12
        np.testing.assert_allclose(each.predict(other[..., ::-1]), model.predict(other), atol=1e-10)


def test_many_averaged_features_predict_as_an_exact_fit_to_the_copies() -> None:
    """The sum over an image and its copy is twice the average: the ridge is a share of half the largest entry."""
    exact = ConvRFMRegressor(KERNEL, n_iterations=0, augment=("flip",), ridge=1e-2).fit(X, Y - Y.mean())
    doubled, single = (float(kernel.max()) for kernel in _symmetrized(X))
    ridge = 1e-2 * single / doubled
    averaged = ConvRFMRegressor(
        KERNEL, n_iterations=0, augment=("flip",), ridge=ridge, solver="features", n_features=20_000, random_state=0
    ).fit(X, Y - Y.mean())
    other, _ = pictures(20, seed=1)
    spread = exact.predict(other).std()
    assert np.abs(averaged.predict(other) - exact.predict(other)).max() < 0.05 * spread


def _symmetrized(x: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """K(x, z) + K(x, mirrored z), and K."""
    images = torch.from_numpy(x)
    plain = KERNEL(images, images)
    return plain + KERNEL(images, images.flip(-1)), plain


def test_groups_hold_the_copies_of_all_their_images() -> None:
    groups = np.arange(12) // 3
    model = ConvRFMClassifier(KERNEL, n_iterations=1, augment=("flip",)).fit(X, Y, groups=groups)
    explicit = ConvRFMClassifier(KERNEL, n_iterations=1)
    explicit.fit(copies(X, ("flip",)), np.tile(Y, 2), groups=np.tile(groups, 2))
    assert [r["loo_error"] for r in model.history_] == [r["loo_error"] for r in explicit.history_]


def test_with_flips_mirror_images_have_one_prediction_and_the_metric_is_its_own_mirror_image() -> None:
    model = ConvRFMClassifier(KERNEL, n_iterations=2, keep="last", augment=("flip",)).fit(X, Y)
    other, _ = pictures(5, seed=1)
    np.testing.assert_allclose(model.decision_function(other[..., ::-1]), model.decision_function(other), atol=1e-9)
    M = model.feature_matrix_.reshape(3, 3, 3, 3)
    np.testing.assert_allclose(M[:, ::-1, :, ::-1], M, atol=1e-9)


def test_a_fit_goes_on_and_is_loaded_with_its_copies(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"kernel": KERNEL, "augment": ("flip",)}
    ConvRFMClassifier(**settings, n_iterations=0).fit(X, Y).save(tmp_path / "model")
    loaded = convrfm.load(tmp_path / "model").set_params(n_iterations=1, warm_start=True).fit(X, Y)
    np.testing.assert_array_equal(loaded.dual_coef_, ConvRFMClassifier(**settings, n_iterations=1).fit(X, Y).dual_coef_)
    assert len(loaded.x_fit_) == 24


def test_what_makes_no_copies_is_said(as_a_user: None) -> None:
    mirrored = (X + X[..., ::-1]) / 2
    for augment, x, said in [
        (("flip",), mirrored, "every copy of a training image is the image itself"),
        (("flip", "flip"), X, "each at most once"),
        ("flip", X, "Pass a sequence"),
        (("turn",), X, "must be of .* got .turn"),
        (None, X, "Pass a sequence"),
    ]:
        with pytest.raises(InputError, match=said):
            ConvRFMClassifier(KERNEL, augment=augment).fit(x, Y)
    with pytest.raises(InputError, match="cannot leave out images with their copies"):
        ConvRFMClassifier(kernels.Laplace(3), solver="cg", augment=("flip",)).fit(X, Y)

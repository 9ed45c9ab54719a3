"""The estimators keep their contract."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from convrfm import ConvRFMClassifier, ConvRFMRegressor, DeepConvRFMClassifier, DeepConvRFMRegressor, datasets, kernels
from convrfm.errors import InputError
from convrfm.kernels.infinite import InfiniteWidthKernel

KERNEL = kernels.NTK(kernels.vanilla(1, patch_size=3))
Arrays = tuple[np.ndarray, np.ndarray]


def bars(n: int, seed: int = 0, sigma: float = 0.5) -> Arrays:
    return datasets.bars(n, sigma=sigma, generator=np.random.default_rng(seed))


def classifier(**settings: Any) -> ConvRFMClassifier:
    return ConvRFMClassifier(**({"kernel": KERNEL, "n_iterations": 2} | settings))


def stripes(n: int, seed: int = 0) -> Arrays:
    """Images whose target is the contrast of a vertical edge somewhere in them."""
    generator = np.random.default_rng(seed)
    x = 0.1 * generator.standard_normal((n, 1, 10, 10))
    y = generator.standard_normal(n)
    for image, contrast, column in zip(x, y, generator.integers(2, 8, n), strict=True):
        image[0, :, column:] += contrast
    return x, y


def test_the_kernel_times_the_coefficients_is_the_output() -> None:
    (x, y), (x_test, _) = bars(60), bars(20, 1)
    model = classifier(keep="last").fit(x, y)
    outputs = KERNEL(x_test, x, feature_matrix=model.feature_matrix_) @ model.dual_coef_
    np.testing.assert_allclose(outputs[:, 1] - outputs[:, 0], model.decision_function(x_test), rtol=1e-4, atol=1e-5)


def test_round_zero_is_kernel_ridge_regression_with_the_fixed_kernel() -> None:
    (x, y), (x_test, _) = bars(60), bars(20, 1)
    model = classifier(n_iterations=0, ridge=1e-3).fit(x, y)
    K = KERNEL(x)
    oracle = KernelRidge(alpha=1e-3, kernel="precomputed").fit(K / K.max(), np.eye(2)[y])
    expected = oracle.predict(KERNEL(x_test, x) / K.max())
    np.testing.assert_allclose(model.decision_function(x_test), expected[:, 1] - expected[:, 0], atol=1e-4)
    np.testing.assert_array_equal(model.feature_matrix_, np.eye(9, dtype=np.float32))


def test_every_round_follows_algorithm_1_and_the_metric_has_trace_d() -> None:
    x, y = bars(40)
    x = x.astype(np.float64)
    model = classifier(ridge=1e-2, keep="last").fit(x, y)
    M = None
    for _ in range(2):
        K = KERNEL(x, feature_matrix=M)
        alpha = np.linalg.solve(K / K.max() + 1e-2 * np.eye(len(K)), np.eye(2)[y])
        gradients = KERNEL.patch_gradients(x, x, alpha / K.max(), feature_matrix=M)
        agop = np.einsum("nkpd,nkpe->de", gradients, gradients) / len(x)
        M = agop * len(agop) / np.trace(agop)
    np.testing.assert_allclose(model.feature_matrix_, M, rtol=1e-6, atol=1e-9)


def test_history_has_one_record_a_round_and_the_best_by_leave_one_out_is_kept() -> None:
    x, y = bars(80, sigma=2.0)
    model = classifier(n_iterations=3).fit(x, y)
    assert [record["iteration"] for record in model.history_] == [0, 1, 2, 3]
    best = max(model.history_, key=lambda r: (r["loo_accuracy"], -r["loo_error"], -r["iteration"]))
    assert (model.best_iteration_, model.ridge_) == (best["iteration"], best["ridge"])
    assert classifier(n_iterations=3, keep="last").fit(x, y).best_iteration_ == 3


def test_the_reported_leave_one_out_accuracy_is_that_of_fitting_again_without_each_image() -> None:
    x, y = bars(24, sigma=2.0)
    model = classifier(n_iterations=0, ridge=1e-2).fit(x, y)
    hits = []
    K = np.asarray(KERNEL(x), np.float64)
    K /= K.max()
    for i in range(len(x)):
        others = np.arange(len(x)) != i
        alpha = np.linalg.solve(K[others][:, others] + 1e-2 * np.eye(len(x) - 1), np.eye(2)[y[others]])
        hits.append((K[i, others] @ alpha).argmax() == y[i])
    assert model.history_[0]["loo_accuracy"] == pytest.approx(np.mean(hits))


def test_staged_predictions_are_those_of_models_with_fewer_rounds() -> None:
    (x, y), (x_test, _) = bars(60), bars(20, 1)
    stages = list(classifier().fit(x, y).staged_predict(x_test))
    for n, stage in enumerate(stages):
        np.testing.assert_array_equal(stage, classifier(n_iterations=n, keep="last").fit(x, y).predict(x_test))


def test_learning_the_metric_helps_where_the_signal_is_local() -> None:
    (x, y), (x_test, y_test) = bars(300, sigma=1.0), bars(500, 1, sigma=1.0)
    stages = list(classifier(n_iterations=2).fit(x, y).staged_predict(x_test))
    assert (stages[2] == y_test).mean() > (stages[0] == y_test).mean() + 0.02


def test_the_training_error_is_that_of_predicting_the_training_images() -> None:
    x, y = bars(30)
    x, y = np.concatenate([x, x[:6]]), np.concatenate([y, 1 - y[:6]])  # repeated pictures with conflicting labels
    x = x.astype(np.float64)
    model = classifier(ridge=1e-6, n_iterations=1, keep="last").fit(x, y)
    for record, outputs in zip(model.history_, model.staged_outputs(x), strict=True):
        assert record["train_error"] == pytest.approx(((outputs - np.eye(2)[y]) ** 2).mean(), rel=1e-4)
    assert model.history_[1]["train_error"] > 0.05


def test_what_is_learned_does_not_change_with_the_callers_arrays() -> None:
    x, y = bars(30)
    for images in (x.copy(), torch.tensor(x), x[::-1]):
        model = classifier(n_iterations=0).fit(images, y)
        before = np.asarray(model.decision_function(x))
        if isinstance(images, torch.Tensor):
            images.zero_()
        np.testing.assert_array_equal(np.asarray(model.decision_function(x)), before)


def test_a_fit_that_fails_leaves_the_fitted_model_as_it_was() -> None:
    x, y = bars(30)
    model = classifier(n_iterations=0).fit(x, y)
    before = model.predict(x)
    with pytest.raises(InputError):
        model.fit(0 * x, np.array(["a", "b", "c"] * 10))
    np.testing.assert_array_equal(model.predict(x), before)


def test_labels_may_be_strings_numbers_or_booleans_in_any_layout_of_images() -> None:
    x, y = bars(40)
    plain = classifier().fit(x, y).predict(x)
    names = np.array(["dark", "white"])
    np.testing.assert_array_equal(classifier().fit(x[:, 0], names[y]).predict(x[:, 0]), names[plain])
    flat = classifier(image_shape=(1, 16, 32)).fit(x.reshape(40, -1), y.astype(bool))
    np.testing.assert_array_equal(flat.predict(x.reshape(40, -1)), plain.astype(bool))
    assert flat.classes_.dtype == bool


def test_torch_in_torch_out() -> None:
    x, y = bars(40)
    tensors = classifier().fit(torch.tensor(x), torch.tensor(y))
    arrays = classifier().fit(x, y)
    assert isinstance(tensors.feature_matrix_, torch.Tensor)
    np.testing.assert_array_equal(tensors.decision_function(torch.tensor(x)).numpy(), arrays.decision_function(x))
    np.testing.assert_array_equal(tensors.predict(torch.tensor(x)), arrays.predict(x))
    assert tensors.score(torch.tensor(x), torch.tensor(y)) == arrays.score(x, y)


def test_it_is_a_citizen_of_scikit_learn() -> None:
    x, y = bars(60)
    model = classifier(n_iterations=1)
    assert clone(model).get_params() == model.get_params()
    piped = make_pipeline(FunctionTransformer(lambda images: 2 * images), model)
    assert cross_val_score(piped, x, y, cv=3).shape == (3,)
    search = GridSearchCV(model, {"ridge": [1e-3, 1e-1], "kernel": [KERNEL, kernels.NNGP(kernels.vanilla(1))]}, cv=2)
    assert search.fit(x, y).best_estimator_.score(x, y) > 0.5
    assert piped.set_params(convrfmclassifier__ridge=0.25)[-1].ridge == 0.25
    assert model.get_params(deep=True) == model.get_params(deep=False)


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("kind", "whole", "part"),
    [
        *((kind, "kernel", "patch_size") for kind in (ConvRFMClassifier, ConvRFMRegressor)),
        *((kind, "kernel_family", "depth") for kind in (DeepConvRFMClassifier, DeepConvRFMRegressor)),
        (ConvRFMClassifier, "cv", "n_splits"),
    ],
)
def test_parameters_are_set_as_a_whole_also_by_a_search(kind: type, whole: str, part: str) -> None:
    """Kernels and splitters are no estimators, whose parts scikit-learn sets by their names."""
    name, model = f"{whole}__{part}", kind(cv=KFold(2))
    told = rf"{whole} can only be set as a whole; got {name}\. Pass whole values, such as several kernels to a search: "
    with pytest.raises(InputError, match=told):
        model.set_params(**{name: 2})
    with pytest.raises(InputError, match=told):
        GridSearchCV(model, {name: [1, 2]}, cv=2).fit(*bars(12))


def test_agop_samples_choose_the_images_at_which_gradients_are_taken() -> None:
    x, y = bars(30)
    by_slice = classifier(agop_samples=slice(0, 10), keep="last").fit(x, y).feature_matrix_
    by_index = classifier(agop_samples=np.arange(10), keep="last").fit(x, y).feature_matrix_
    np.testing.assert_array_equal(by_slice, by_index)
    drawn = [classifier(agop_samples=10, keep="last", random_state=s).fit(x, y).feature_matrix_ for s in (0, 0, 1)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert np.abs(drawn[0] - drawn[2]).max() > 0


def test_feature_power_one_squares_the_metric() -> None:
    x, y = bars(30)
    x = x.astype(np.float64)
    settings: dict[str, Any] = {"n_iterations": 1, "ridge": 1e-2, "keep": "last"}
    M = classifier(**settings).fit(x, y).feature_matrix_
    squared = classifier(**settings, feature_power=1.0).fit(x, y).feature_matrix_
    np.testing.assert_allclose(squared, M @ M * 9 / np.trace(M @ M), rtol=1e-6, atol=1e-9)


def test_feature_maps_are_the_norms_of_patches_under_the_metric() -> None:
    (x, y), photo = bars(30), np.random.default_rng(1).standard_normal((1, 1, 20, 21))
    model = classifier(keep="last").fit(x, y)
    maps = model.feature_maps(photo)
    M = model.feature_matrix_.astype(np.float64)
    for row, column in [(0, 0), (3, 7), (17, 18)]:
        patch = photo[0, :, row : row + 3, column : column + 3].ravel()
        assert maps[0, row, column] == pytest.approx(np.sqrt(patch @ M @ patch), rel=1e-4)
    assert maps.shape == (1, 18, 19)


@pytest.mark.parametrize("columns", [None, 1, 3])
def test_the_regressor_learns_numbers_and_keeps_the_shape_of_its_targets(columns: int | None) -> None:
    (x, y), (x_test, y_test) = stripes(80), stripes(40, 1)
    if columns is not None:
        y, y_test = (np.stack([t * (i + 1) for i in range(columns)], axis=1) for t in (y, y_test))
    model = ConvRFMRegressor(KERNEL, n_iterations=1).fit(x, y)
    assert model.predict(x_test).shape == y_test.shape
    assert model.score(x_test, y_test) > 0.8
    assert "loo_accuracy" not in model.history_[0]
    assert clone(model).fit(x, y).predict(x_test).shape == y_test.shape


@pytest.mark.parametrize("offset", [10.0, -1e4, 1e6])
@pytest.mark.parametrize("settings", [{}, {"cv": 3}], ids=["leave-one-out", "folds"])
def test_a_number_added_to_the_targets_is_added_to_the_predictions(offset: float, settings: dict[str, Any]) -> None:
    (x, y), (x_test, y_test) = stripes(40), stripes(20, 1)
    plain, moved = (ConvRFMRegressor(KERNEL, n_iterations=1, **settings).fit(x, t) for t in (y, y + offset))
    (mean, std), (moved_mean, moved_std) = (model.predict(x_test, return_std=True) for model in (plain, moved))
    np.testing.assert_allclose(moved_mean, mean + offset, atol=1e-5)
    np.testing.assert_allclose(moved_std, std, rtol=1e-4)
    assert (moved.ridge_, moved.best_iteration_) == (plain.ridge_, plain.best_iteration_)
    assert moved.score(x_test, y_test + offset) == pytest.approx(plain.score(x_test, y_test), abs=1e-5)


@pytest.mark.parametrize("factor", [1e-30, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_number_times_the_targets_is_times_the_predictions(factor: float, dtype: type) -> None:
    (x, y), (x_test, _) = stripes(40), stripes(20, 1)
    x, x_test = x.astype(dtype), x_test.astype(dtype)
    plain, scaled = (ConvRFMRegressor(KERNEL, n_iterations=2, keep="last").fit(x, t) for t in (y, factor * y))
    assert scaled.ridge_ == plain.ridge_
    np.testing.assert_allclose(scaled.feature_matrix_, plain.feature_matrix_, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(scaled.predict(x_test) / factor, plain.predict(x_test), rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e9])
def test_of_equal_targets_a_fixed_kernel_gives_the_same_and_no_metric_is_learned(constant: float) -> None:
    x, y = stripes(11)[0], np.full(11, constant)
    np.testing.assert_allclose(ConvRFMRegressor(KERNEL, n_iterations=0).fit(x, y).predict(x), y, rtol=1e-12)
    with pytest.raises(InputError, match="all targets are equal"):
        ConvRFMRegressor(KERNEL, n_iterations=1).fit(x, y)


def test_the_kernel_times_the_coefficients_and_the_intercept_are_the_prediction() -> None:
    (x, y), (x_test, _) = stripes(40), stripes(20, 1)
    weights = 1.0 + np.arange(40) % 3
    model = ConvRFMRegressor(KERNEL, n_iterations=1, keep="last").fit(x, y + 5, weights)
    outputs = KERNEL(x_test, x, feature_matrix=model.feature_matrix_) @ model.dual_coef_ + model.intercept_
    np.testing.assert_allclose(outputs[:, 0], model.predict(x_test))
    np.testing.assert_allclose(model.intercept_, [np.average(y + 5, weights=weights)])


class Interrupted(InfiniteWidthKernel):
    """A kernel during whose first matrix under a learned metric the user presses Ctrl-C."""

    tangent = True

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        if keywords["feature_matrix"] is not None:
            raise KeyboardInterrupt
        return super().__call__(*args, **keywords)


def test_an_interrupt_keeps_the_finished_rounds() -> None:
    x, y = bars(20)
    with pytest.warns(UserWarning, match="keeps 1 of 4 rounds"):
        model = classifier(kernel=Interrupted(KERNEL.architecture), n_iterations=3).fit(x, y)
    np.testing.assert_array_equal(model.predict(x), classifier(n_iterations=0).fit(x, y).predict(x))


def test_a_model_that_is_not_fitted_says_so() -> None:
    with pytest.raises(NotFittedError, match="call fit"):
        classifier().predict(bars(2)[0])


def test_progress_shows_and_changes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    x, y = bars(20)
    quiet = classifier().fit(x, y)
    assert capfd.readouterr().err == ""
    loud = classifier(verbose=True).fit(x, y)
    assert "estimated" in capfd.readouterr().err
    np.testing.assert_array_equal(loud.feature_matrix_, quiet.feature_matrix_)


def test_reading_and_writing_a_model_changes_no_prediction(tmp_path: Path) -> None:
    (x, y), (x_test, _) = bars(40), bars(20, 1)
    names = np.array(["dark", "white"])
    import convrfm

    for model in (
        classifier(agop_samples=slice(0, 20)).fit(x, names[y]),
        ConvRFMRegressor(KERNEL, n_iterations=1, ridge=[1e-2, 1e-3]).fit(x, y.astype(float)),
    ):
        model.save(tmp_path / "model")
        again = convrfm.load(tmp_path / "model")
        np.testing.assert_array_equal(again.predict(x_test), model.predict(x_test))
        np.testing.assert_array_equal(again.feature_matrix_, model.feature_matrix_)
        assert again.history_ == model.history_
        assert again.kernel == model.kernel
        for stage, original in zip(again.staged_predict(x_test), model.staged_predict(x_test), strict=True):
            np.testing.assert_array_equal(stage, original)
        assert [p.name for p in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("missing", [np.nan, None, "", "N/A", pandas.NA, pandas.NaT], ids=repr)
def test_a_missing_label_that_became_a_text_is_told(missing: Any) -> None:
    x = np.random.default_rng(0).standard_normal((12, 1, 6, 6))
    labels = np.array(["cat", missing, "dog"] * 4, dtype=object).astype(str)
    with pytest.warns(
        UserWarning, match=rf"4 labels are '{missing}', which is taken for a class\. If these are missing"
    ):
        model = ConvRFMClassifier(KERNEL, n_iterations=0).fit(x, labels)
    assert set(model.classes_) == {"cat", "dog", str(missing)}


def test_leave_one_out_tells_the_truth_where_one_image_has_two_labels() -> None:
    (x, y), (x_test, y_test) = bars(60, sigma=1.0), bars(400, 1, sigma=1.0)
    model = classifier(n_iterations=0).fit(np.concatenate([x, x[:1]]), np.append(y, 1 - y[0]))
    assert model.score(x_test, y_test) > model.history_[0]["loo_accuracy"] - 0.1
    assert model.history_[0]["train_error"] < 0.25

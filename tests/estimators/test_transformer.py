"""`ConvRFMFeatures`: the formulas by plain loops, and a citizen of scikit-learn."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from convrfm import ConvRFMClassifier, ConvRFMFeatures, ConvRFMRegressor, DeepConvRFMRegressor, kernels
from convrfm.errors import InputError
from convrfm.estimators import transformer

X = np.random.default_rng(0).standard_normal((14, 2, 6, 5))
Y = X[:, 0, 2, 3]
SETTINGS: dict[str, Any] = {"n_iterations": 1, "ridge": 1e-2, "keep": "last"}
LEARNER = ConvRFMRegressor(kernels.Laplace(patch_size=3), **SETTINGS)
FITTED = LEARNER.fit(X, Y)


def test_maps_are_the_feature_maps_flattened() -> None:
    maps = ConvRFMFeatures(LEARNER, output="maps").fit_transform(X, Y)
    np.testing.assert_allclose(maps, FITTED.feature_maps(X).reshape(14, -1), rtol=1e-9)


def test_pooled_features_are_averages_of_rectified_products_over_a_grid_of_cells() -> None:
    features = ConvRFMFeatures(LEARNER, n_filters=3, pool=2, random_state=4)
    pooled = features.fit_transform(X, Y).reshape(14, 3, 2, 2)
    filters = FITTED.to_torch(3, random_state=4)[0].weight.detach().numpy()
    products = np.zeros((14, 3, 4, 3))
    for row in range(4):
        for col in range(3):
            patches = X[:, :, row : row + 3, col : col + 3]
            products[:, :, row, col] = np.einsum("ncij,kcij->nk", patches, filters).clip(0)
    np.testing.assert_allclose(pooled[:, :, 0, 0], products[:, :, :2, :2].mean((2, 3)))
    np.testing.assert_allclose(pooled[:, :, 1, 1], products[:, :, 2:, 1:].mean((2, 3)))


def test_the_features_of_a_deep_model_are_those_of_its_last_layer() -> None:
    learner = DeepConvRFMRegressor(kernels.vanilla_ntk, depth=2, n_filters=4, **SETTINGS)
    features = ConvRFMFeatures(learner, output="maps").fit(X, Y)
    np.testing.assert_allclose(
        features.transform(X), features.estimator_.feature_maps(X, layer=2).reshape(14, -1), rtol=1e-9
    )
    assert features.transform(X).shape == (14, 2 * 1)


def test_a_frozen_estimator_is_not_fitted_again() -> None:
    frozen = ConvRFMFeatures(FrozenEstimator(FITTED), n_filters=5).fit(X[:3])
    np.testing.assert_allclose(frozen.transform(X), ConvRFMFeatures(LEARNER, n_filters=5).fit(X, Y).transform(X))
    assert not hasattr(LEARNER, "estimator_")


def test_the_estimator_that_is_given_stays_as_it_is() -> None:
    learner = ConvRFMRegressor(kernels.Laplace(patch_size=3), **SETTINGS)
    ConvRFMFeatures(learner).fit(X, Y)
    assert not hasattr(learner, "layers_")


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ConvRFMFeatures(LEARNER, n_filters=5).fit_transform(X, Y)
    monkeypatch.setattr(transformer, "NUMBERS_AT_ONCE", 5 * 12 * 3)
    features = ConvRFMFeatures(LEARNER, n_filters=5).fit(X, Y)
    assert features._images_at_once == 3
    np.testing.assert_allclose(features.transform(X), whole)


@pytest.mark.parametrize("output", ["pooled", "maps"])
def test_single_precision_and_tensors_come_out_as_they_went_in(output: Any) -> None:
    features = ConvRFMFeatures(LEARNER, output=output, n_filters=4).fit(X.astype(np.float32), Y)
    arrays = features.transform(X.astype(np.float32))
    assert arrays.dtype == np.float32
    tensors = features.transform(torch.from_numpy(X).float())
    assert isinstance(tensors, torch.Tensor)
    np.testing.assert_array_equal(tensors.numpy(), arrays)


def test_data_frames_carry_the_names_of_the_features() -> None:
    features = ConvRFMFeatures(LEARNER, n_filters=2, pool=1).set_output(transform="pandas").fit(X, Y)
    frame = features.transform(X)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == list(features.get_feature_names_out()) == ["convrfmfeatures0", "convrfmfeatures1"]


def test_it_serves_a_downstream_model_in_a_pipeline_and_a_grid_search() -> None:
    features = ConvRFMFeatures(LEARNER, n_filters=6)
    search = GridSearchCV(make_pipeline(features, Ridge()), {"convrfmfeatures__estimator__n_iterations": [0, 1]}, cv=2)
    assert search.fit(X, Y).predict(X).shape == (14,)
    assert features.set_params(estimator=clone(LEARNER), estimator__ridge=0.25).estimator.ridge == 0.25
    labels = np.where(Y > 0, "up", "down")
    learner = ConvRFMClassifier(kernels.Laplace(patch_size=3), **SETTINGS)
    piped = make_pipeline(ConvRFMFeatures(learner, n_filters=6), LogisticRegression())
    assert piped.fit(X, labels).score(X, labels) > 0.5


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("estimator", "name", "told"),
    [
        (LEARNER, "estimator__kernel__patch_size", "kernel can only be set as a whole; got kernel__patch_size"),
        (LEARNER, "output__pool", "output can only be set as a whole; got output__pool"),
        (None, "estimator__ridge", "estimator can only be set as a whole; got estimator__ridge"),
    ],
)
def test_parameters_of_what_is_no_estimator_are_set_as_a_whole(estimator: Any, name: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        ConvRFMFeatures(estimator).set_params(**{name: 1})


def test_weights_and_groups_reach_the_estimator() -> None:
    weights, groups = np.arange(14.0), np.arange(14) % 3
    features = ConvRFMFeatures(LEARNER).fit(X, Y, sample_weight=weights, groups=groups)
    alone = ConvRFMRegressor(kernels.Laplace(patch_size=3), **SETTINGS).fit(X, Y, weights, groups=groups)
    np.testing.assert_array_equal(features.estimator_.feature_matrix_, alone.feature_matrix_)
    assert features.estimator_.history_[1]["loo_error"] == alone.history_[1]["loo_error"]


def test_a_selection_set_reaches_the_estimator() -> None:
    features = ConvRFMFeatures(clone(LEARNER).set_params(choose_on="selection")).fit(X, Y, selection=(X[:5], Y[:5]))
    assert features.estimator_.history_[0]["judge"] == "selection"


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"output": "map"}, "output must be one of"),
        ({"n_filters": 0}, "n_filters must be an integer"),
        ({"pool": 1.5}, "pool must be an integer"),
        ({"estimator": Ridge()}, "estimator must be an estimator of convrfm"),
        ({"estimator": ConvRFMRegressor}, "estimator must be an estimator of convrfm"),
        ({"estimator": "ConvRFM"}, "estimator must be an estimator of convrfm"),
        ({"random_state": -1}, "random_state must be"),
    ],
    ids=str,
)
def test_settings_that_make_no_features(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ConvRFMFeatures(**({"estimator": LEARNER} | settings)).fit(X, Y)


def test_features_that_are_not_fitted_say_so() -> None:
    with pytest.raises(NotFittedError, match="call fit"):
        ConvRFMFeatures().transform(X)


def test_what_was_fitted_stays_as_it_was_asked_for() -> None:
    features = ConvRFMFeatures(LEARNER, n_filters=3).fit(X, Y)
    pooled = features.transform(X)
    for name, other in (("output", "maps"), ("pool", 1)):
        np.testing.assert_array_equal(features.set_params(**{name: other}).transform(X), pooled)


def test_what_cannot_be_features_is_refused_before_the_fit_and_leaves_the_one_before() -> None:
    learner = ConvRFMRegressor(kernels.NNGP(kernels.vanilla(1)), **SETTINGS)
    features = ConvRFMFeatures(learner, n_filters=3).fit(X, Y)
    before, network = features.transform(X), features.network_
    features.set_params(estimator__patch_normalization="contrast")
    with pytest.raises(InputError, match="does not normalize patches"):
        features.fit(X, Y)
    assert features.network_ is network
    np.testing.assert_array_equal(features.transform(X), before)

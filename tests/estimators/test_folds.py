"""Folds, weights and groups on their way from scikit-learn to the fit."""

from typing import Any

import numpy as np
import pytest
from sklearn import config_context
from sklearn.model_selection import GroupKFold, PredefinedSplit, cross_val_score

from convrfm import ConvRFMRegressor, kernels
from convrfm.errors import InputError

X = np.random.default_rng(0).standard_normal((16, 1, 5, 5))
Y = X[:, 0, 2, 2]
PARTS = np.arange(16) % 3
LAPLACE = kernels.Laplace(patch_size=3)


def regressor(**settings: Any) -> ConvRFMRegressor:
    return ConvRFMRegressor(LAPLACE, n_iterations=1, **settings)


def test_folds_are_of_the_images_as_given_and_those_of_weight_zero_drop_out_of_them() -> None:
    weights = np.array([0.0, 1.0, 2.0, 1.0] * 4)
    counted = weights > 0
    whole = regressor(cv=PredefinedSplit(PARTS)).fit(X, Y, weights)
    part = regressor(cv=PredefinedSplit(PARTS[counted])).fit(X[counted], Y[counted], weights[counted])
    assert [r["cv_error"] for r in whole.history_] == pytest.approx([r["cv_error"] for r in part.history_])
    np.testing.assert_allclose(whole.predict(X), part.predict(X))


@pytest.mark.parametrize(
    ("cv", "weights"),
    [(PredefinedSplit(PARTS), (PARTS == 1).astype(float)), ([(np.arange(0), np.arange(16))], None)],
    ids=["all weight in one fold", "one fold of all images"],
)
def test_every_fold_must_leave_images_to_learn_from(cv: Any, weights: np.ndarray | None) -> None:
    with pytest.raises(InputError, match="images of positive weight to learn from"):
        regressor(cv=cv).fit(X, Y, weights)


def test_groups_reach_the_fit_by_metadata_routing() -> None:
    groups = np.arange(16) // 2
    seen = []

    class Watched(ConvRFMRegressor):
        def fit(self, x: Any, y: Any, sample_weight: Any = None, *, groups: Any = None, selection: Any = None) -> Any:
            seen.append(groups)
            return super().fit(x, y, sample_weight, groups=groups, selection=selection)

    with config_context(enable_metadata_routing=True):
        model = Watched(LAPLACE, n_iterations=0).set_fit_request(groups=True)
        cross_val_score(model, X, Y, params={"groups": groups}, cv=GroupKFold(4))
    assert [len(np.unique(part)) for part in seen] == [6] * 4


def test_folds_may_be_lists() -> None:
    folds = [([2, 0, 1], list(range(3, 16))), (list(range(3, 16)), [0, 1, 2])]
    arrays = [(np.array(part), np.array(out)) for part, out in folds]
    found = [regressor(cv=cv).fit(X, Y, np.arange(16) + 1.0).predict(X) for cv in (folds, arrays)]
    np.testing.assert_array_equal(*found)


def test_folds_may_come_from_a_generator_and_must_be_numbers_of_images() -> None:
    splits = [(np.arange(8), np.arange(8, 16)), (np.arange(8, 16), np.arange(8))]
    expected = regressor(cv=splits).fit(X, Y).predict(X)
    np.testing.assert_array_equal(regressor(cv=(fold for fold in splits)).fit(X, Y).predict(X), expected)
    for wrong in (np.eye(2, 16, dtype=bool), np.ones((2, 8))):
        with pytest.raises(InputError, match="folds must be integers, the numbers of images from 0 on"):
            regressor(cv=[(wrong[1], wrong[0]), (wrong[0], wrong[1])]).fit(X, Y)

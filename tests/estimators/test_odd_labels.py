"""Classes of one image are learned like others; labels that contradict each other are told of where they matter."""

from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import KFold

from convrfm import ConvRFMClassifier, ConvRFMRegressor, DeepConvRFMClassifier
from convrfm.errors import InputError
from convrfm.estimators.settings import DEFAULT_RIDGES

from .cases import CHEAP, KERNEL, coefficients, one_hot, pictures

CLASSIFIERS = (ConvRFMClassifier, DeepConvRFMClassifier)
X, Y = pictures(5, classes=5, noise=0.1)
X_NEW, Y_NEW = pictures(50, 1, classes=5, noise=0.1)


@pytest.mark.parametrize("cv", [None, KFold(5)], ids=["leave-one-out", "folds"])
@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_one_image_of_each_class_is_enough(kind: type, cv: Any) -> None:
    model = kind(**CHEAP[kind], cv=cv).fit(X, Y)
    assert model.score(X, Y) == 1.0
    assert model.score(X_NEW, Y_NEW) > 0.8
    probabilities = model.predict_proba(X_NEW)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    np.testing.assert_array_equal(probabilities.argmax(1), model.predict(X_NEW))


def test_where_no_left_out_image_can_be_right_the_squared_error_chooses_the_ridge() -> None:
    K, targets = KERNEL(X), one_hot(Y)

    def error(ridge: float) -> float:
        scale = K.max()
        left_out = []
        for i in range(5):
            others = np.delete(np.arange(5), i)
            part = K[np.ix_(others, others)]
            alpha = coefficients(part, targets[others], ridge * scale / part.max())
            left_out.append(K[i, others] @ alpha - targets[i])
        return float(np.square(left_out).mean())

    model = ConvRFMClassifier(KERNEL, n_iterations=0).fit(X, Y)
    assert model.history_[0]["loo_accuracy"] == 0
    assert model.ridge_ == min(DEFAULT_RIDGES, key=error)


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_a_class_of_one_image_among_larger_ones(kind: type) -> None:
    others = Y_NEW > 0
    x, y = np.concatenate([X[:1], X_NEW[others]]), np.concatenate([Y[:1], Y_NEW[others]])
    assert kind(**CHEAP[kind]).fit(x, y).predict(x[:1]) == [0]


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_classes_of_one_image_cannot_be_shared_out_among_folds(kind: type) -> None:
    with pytest.raises(
        InputError, match=r"something to learn from .* the number of training images of the most frequent class is 1"
    ):
        kind(**CHEAP[kind], cv=2).fit(X, Y)


@pytest.mark.parametrize("kind", CHEAP)
def test_without_a_ridge_equal_images_with_different_targets_are_told_of(kind: type) -> None:
    x, y = np.concatenate([X_NEW[:12], X_NEW[:2], X_NEW[:1]]), np.concatenate([Y_NEW[:12], Y_NEW[:2] + 1, Y_NEW[:1]])
    with pytest.warns(UserWarning, match="ridge=0 asks .* 5 of 15 images equal another one with other targets"):
        model = kind(**CHEAP[kind] | {"ridge": 0.0}).fit(x, y)
    for outputs in model.staged_outputs(x[:2]):
        means = one_hot(y)[[0, 12, 14, 1, 13]] if kind in CLASSIFIERS else y[[0, 12, 14, 1, 13], None]
        np.testing.assert_allclose(outputs, [means[:3].mean(0), means[3:].mean(0)], atol=0.2)


@pytest.mark.parametrize("ridge", [1e-6, [0.0, 1e-2], "loo"], ids=str)
def test_with_a_ridge_they_are_nothing_special(ridge: Any) -> None:
    ConvRFMRegressor(KERNEL, n_iterations=0, ridge=ridge).fit(np.concatenate([X, X]), np.arange(10))


def test_equal_images_with_equal_targets_are_nothing_special() -> None:
    ConvRFMRegressor(KERNEL, n_iterations=0, ridge=0.0).fit(np.concatenate([X, X]), np.concatenate([Y, Y]) / 10)

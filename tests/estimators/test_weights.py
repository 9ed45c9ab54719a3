"""An image of weight w counts as w images, one of weight 0 not at all."""

from typing import Any

import numpy as np
import pytest
import torch

from convrfm import ConvRFMClassifier, ConvRFMRegressor
from convrfm.errors import InputError

from .cases import CHEAP, KERNEL, assert_same_history, coefficients, next_metric, one_hot, pictures

X, Y = pictures(14)
X_NEW, _ = pictures(6, 1)
COUNTS = np.array([1, 2, 1, 0, 1, 3, 1, 1, 0, 2, 1, 1, 1, 2])
SETTINGS: dict[str, Any] = {"ridge": 1e-2, "keep": "last", "n_iterations": 2}


def outputs(model: Any, x: np.ndarray = X_NEW) -> np.ndarray:
    return np.array(list(model.staged_outputs(x)))


@pytest.mark.parametrize("kind", CHEAP)
def test_scores_take_the_weights_that_a_fit_takes(kind: type) -> None:
    model = kind(**CHEAP[kind] | SETTINGS | {"n_iterations": 0}).fit(X[:7], Y[:7])
    repeated = model.score(X.repeat(COUNTS, 0), Y.repeat(COUNTS))
    for weights in (COUNTS, COUNTS.tolist(), COUNTS.astype(str), torch.tensor(COUNTS)):
        assert model.score(X, Y, weights) == pytest.approx(repeated)
    assert model.score(X, Y, 2) == pytest.approx(model.score(X, Y))
    for weights in (-COUNTS, COUNTS - 1, np.zeros(14), COUNTS[:5], np.where(COUNTS > 2, np.nan, 1.0)):
        with pytest.raises(InputError, match=r"sample_weight must be \(14,\), not negative"):
            model.score(X, Y, weights)


@pytest.mark.parametrize("kind", CHEAP)
def test_integer_weights_are_repeated_images(kind: type) -> None:
    settings = CHEAP[kind] | SETTINGS
    weighted = kind(**settings).fit(X, Y, COUNTS)
    repeated = kind(**settings).fit(X.repeat(COUNTS, 0), Y.repeat(COUNTS))
    np.testing.assert_allclose(outputs(weighted), outputs(repeated), rtol=1e-5, atol=1e-8)
    for a, b in zip(weighted.layers_, repeated.layers_, strict=True):
        np.testing.assert_allclose(a.kept.feature_matrix, b.kept.feature_matrix, rtol=1e-5, atol=1e-8)
        assert a.kept.train.error == pytest.approx(b.kept.train.error, rel=1e-5)
        assert a.kept.train.accuracy == pytest.approx(b.kept.train.accuracy)


def test_every_round_weighs_the_regression_and_the_agop() -> None:
    weights = 0.25 + np.arange(14) % 4
    model = ConvRFMClassifier(KERNEL, **SETTINGS).fit(X, Y, weights)
    M = None
    for _ in range(2):
        alpha = coefficients(KERNEL(X, feature_matrix=M), one_hot(Y), 1e-2, weights)
        M = next_metric(KERNEL, X, X, alpha, M, weights)
    alpha = coefficients(KERNEL(X, feature_matrix=M), one_hot(Y), 1e-2, weights)
    np.testing.assert_allclose(model.feature_matrix_, M, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(model.decision_function(X_NEW), KERNEL(X_NEW, X, feature_matrix=M) @ alpha, rtol=1e-6)


def test_drawn_images_carry_their_weights_into_the_agop() -> None:
    weights, drawn = 0.25 + np.arange(14) % 4, np.array([1, 4, 6, 11])
    model = ConvRFMClassifier(KERNEL, **SETTINGS | {"n_iterations": 1}, agop_samples=drawn).fit(X, Y, weights)
    alpha = coefficients(KERNEL(X), one_hot(Y), 1e-2, weights)
    M = next_metric(KERNEL, X[drawn], X, alpha, None, weights[drawn])
    np.testing.assert_allclose(model.feature_matrix_, M, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", CHEAP)
@pytest.mark.parametrize("cv", [None, 2])
def test_an_image_of_weight_zero_is_absent(kind: type, cv: int | None) -> None:
    counted = COUNTS > 0
    groups = np.arange(14) // 2
    settings: dict[str, Any] = CHEAP[kind] | {"cv": cv, "agop_samples": 7}
    without = kind(**settings).fit(X[counted], Y[counted], groups=groups[counted])
    ignored = kind(**settings).fit(X, Y, counted.astype(float), groups=groups)
    assert len(ignored.x_fit_) == counted.sum()
    np.testing.assert_allclose(outputs(ignored), outputs(without), rtol=1e-7, atol=1e-9)
    assert_same_history(ignored.history_, without.history_, rel=1e-6)


def test_a_class_whose_images_all_have_weight_zero_does_not_exist() -> None:
    model = ConvRFMClassifier(**CHEAP[ConvRFMClassifier]).fit(X, Y, Y != 2)
    np.testing.assert_array_equal(model.classes_, [0, 1])
    assert model.decision_function(X_NEW).shape == (6,)


@pytest.mark.parametrize("sample_weight", [None, COUNTS], ids=["alone", "with sample_weight"])
def test_class_weights_are_sample_weights(sample_weight: Any) -> None:
    names = np.array(["a", "b", "c"])[Y]
    counted = np.ones(14) if sample_weight is None else sample_weight

    def fit(class_weight: Any, weights: Any) -> np.ndarray:
        return outputs(ConvRFMClassifier(KERNEL, class_weight=class_weight, **SETTINGS).fit(X, names, weights))

    by_class = np.array([1.0, 2.5, 0.5])
    given = fit({"a": 1.0, "b": 2.5, "c": 0.5}, sample_weight)
    np.testing.assert_allclose(given, fit(None, counted * by_class[Y]), rtol=1e-9)
    totals = np.array([counted[k == Y].sum() for k in range(3)])
    balanced = fit("balanced", sample_weight)
    np.testing.assert_allclose(balanced, fit(None, counted * (totals.sum() / 3 / totals)[Y]), rtol=1e-9)
    copies = np.arange(14).repeat(counted.astype(int))
    repeated = ConvRFMClassifier(KERNEL, class_weight="balanced", **SETTINGS).fit(X[copies], names[copies])
    np.testing.assert_allclose(balanced, outputs(repeated), rtol=1e-5, atol=1e-8)


def test_one_weight_for_all_images_and_weights_in_tensors() -> None:
    fits = [
        ConvRFMRegressor(KERNEL, **SETTINGS).fit(X, Y, weights)
        for weights in (2.0, np.full(14, 2), [2] * 14, torch.full((14,), 2.0, requires_grad=True))
    ]
    for model in fits[1:]:
        np.testing.assert_array_equal(outputs(model), outputs(fits[0]))


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize("kind", CHEAP)
@pytest.mark.parametrize(
    "weights",
    [np.ones(13), np.ones((14, 1)), -np.ones(14), np.zeros(14), np.full(14, np.nan), np.full(14, np.inf), ["a"] * 14],
    ids=["length", "shape", "negative", "zero", "NaN", "infinity", "text"],
)
def test_bad_weights_get_a_worded_error(kind: type, weights: Any) -> None:
    with pytest.raises(InputError, match="sample_weight must be"):
        kind(**CHEAP[kind]).fit(X, Y, weights)


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    "class_weight",
    ["balance", 3, {0: 0.0}, {0: -1.0}, {0: np.nan}, {0: "heavy"}, {7: 1.0}, [1, 2, 3]],
    ids=str,
)
def test_bad_class_weights_get_a_worded_error(class_weight: Any) -> None:
    with pytest.raises(InputError, match="class_weight must be"):
        ConvRFMClassifier(**CHEAP[ConvRFMClassifier], class_weight=class_weight).fit(X, Y)


def test_groups_of_which_one_is_left_after_the_weights_are_refused() -> None:
    with pytest.raises(InputError, match="at least two"):
        ConvRFMClassifier(**CHEAP[ConvRFMClassifier]).fit(X, Y, np.arange(14) < 6, groups=np.arange(14) > 6)

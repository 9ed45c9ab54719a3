"""Images in a data frame are told apart by the names of their columns, as scikit-learn's estimators tell them."""

import functools
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import convrfm
from convrfm import ConvRFMClassifier, ConvRFMFeatures
from convrfm.errors import InputError

from .cases import CHEAP, pictures

X, Y = pictures(12)
NAMES = [f"pixel {at}" for at in range(42)]
FRAME = pd.DataFrame(X.reshape(12, -1), columns=NAMES)
OTHERS = {"another order": FRAME[NAMES[::-1]], "another name": FRAME.rename(columns={NAMES[0]: "corner"})}
LEARNING = ("fit", "fit_transform", "forecast")


def unfitted(kind: Any, **settings: Any) -> Any:
    return kind(**CHEAP[kind] | {"image_shape": (1, 6, 7), "n_iterations": 0} | settings)


@functools.cache
def fitted(kind: type) -> Any:
    return unfitted(kind).fit(FRAME, Y)


def uses_of_images(kind: type) -> list[str]:
    """The public methods that take images, but for those that learn from them."""
    public = {name: each for name, each in inspect.getmembers_static(kind, inspect.isfunction) if name[0] != "_"}
    taken = {name: {"x", "X"} & inspect.signature(each).parameters.keys() for name, each in public.items()}
    return [name for name, images in taken.items() if images and name not in LEARNING]


def used(model: Any, method: str, images: pd.DataFrame) -> list[Any]:
    """What a method makes of images, whether at once or one after the other."""
    found = getattr(model, method)(*([images, Y] if method == "score" else [images]))
    return list(found) if isinstance(found, Iterator) else [found]


@pytest.mark.parametrize(("kind", "method"), [(kind, method) for kind in CHEAP for method in uses_of_images(kind)])
@pytest.mark.parametrize("stored", [False, True], ids=["at once", "from a file"])
def test_columns_in_another_order_or_of_other_names_are_refused(
    kind: type, method: str, stored: bool, tmp_path: Path
) -> None:
    model = fitted(kind)
    if stored:
        model.save(tmp_path / "model")
        model = convrfm.load(tmp_path / "model")
    assert list(model.feature_names_in_) == NAMES
    for found, expected in zip(used(model, method, FRAME), used(fitted(kind), method, FRAME), strict=True):
        np.testing.assert_array_equal(found, expected)
    for other in OTHERS.values():
        with pytest.raises(InputError, match="feature names should match"):
            used(model, method, other)


def test_no_use_of_images_is_left_out() -> None:
    of_all = {"feature_maps", "images_as_fitted", "predict", "score", "staged_outputs", "staged_predict"}
    for kind in CHEAP:
        of_classes = {"decision_function", "predict_proba"} if "Classifier" in kind.__name__ else set()
        assert set(uses_of_images(kind)) == of_all | of_classes
    assert uses_of_images(ConvRFMFeatures) == ["transform"]


def test_arrays_have_no_names_and_lose_those_of_the_fit_before() -> None:
    model = unfitted(ConvRFMClassifier).fit(FRAME, Y)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        np.testing.assert_array_equal(model.predict(X.reshape(12, -1)), model.predict(FRAME))
    assert not hasattr(model.fit(X.reshape(12, -1), Y), "feature_names_in_")


def test_numbers_for_names_are_no_names() -> None:
    model = unfitted(ConvRFMClassifier).fit(pd.DataFrame(X.reshape(12, -1)), Y)
    assert not hasattr(model, "feature_names_in_")
    np.testing.assert_array_equal(model.predict(pd.DataFrame(X.reshape(12, -1))), model.predict(X.reshape(12, -1)))


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("method", ["fit", "forecast"])
def test_a_selection_set_has_the_columns_of_the_training_images(method: str, other: str) -> None:
    learn = getattr(unfitted(ConvRFMClassifier, choose_on="selection"), method)
    learn(FRAME, Y, selection=(FRAME, Y))
    with pytest.raises(InputError, match="feature names should match"):
        learn(FRAME, Y, selection=(OTHERS[other], Y))


def test_a_fit_that_fails_leaves_the_names_as_they_were() -> None:
    model = unfitted(ConvRFMClassifier).fit(FRAME, Y)
    with pytest.raises(InputError):
        model.fit(FRAME.rename(columns=str.upper), np.zeros(12))
    assert list(model.feature_names_in_) == NAMES


def test_features_are_of_columns_in_the_order_of_the_fit() -> None:
    features = ConvRFMFeatures(unfitted(ConvRFMClassifier), n_filters=3).fit(FRAME, Y)
    for other in OTHERS.values():
        with pytest.raises(InputError, match="feature names should match"):
            features.transform(other)


@pytest.mark.parametrize("kind", CHEAP)
def test_columns_of_which_some_have_texts_for_names_are_refused_before_the_fit(kind: type) -> None:
    mixed = FRAME.rename(columns={NAMES[0]: 0})
    model = unfitted(kind)
    with pytest.raises(InputError, match="Feature names are only supported"):
        model.fit(mixed, Y, after_round=lambda _: pytest.fail("a round was fitted"))

"""Images in a data frame are told apart by the names of their columns, as scikit-learn's estimators tell them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import convrfm
from convrfm import ConvRFMClassifier, ConvRFMFeatures, ConvRFMRegressor, DeepConvRFMClassifier
from convrfm.errors import InputError

from .cases import CHEAP, pictures

X, Y = pictures(12)
NAMES = [f"pixel {at}" for at in range(42)]
FRAME = pd.DataFrame(X.reshape(12, -1), columns=NAMES)
KINDS = (ConvRFMClassifier, ConvRFMRegressor, DeepConvRFMClassifier)


def unfitted(kind: Any, **settings: Any) -> Any:
    return kind(**CHEAP[kind] | {"image_shape": (1, 6, 7), "n_iterations": 0} | settings)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stored", [False, True], ids=["at once", "from a file"])
def test_columns_in_another_order_or_of_other_names_are_refused(kind: Any, stored: bool, tmp_path: Path) -> None:
    model = unfitted(kind).fit(FRAME, Y)
    expected = model.predict(FRAME)
    if stored:
        model.save(tmp_path / "model")
        model = convrfm.load(tmp_path / "model")
    assert list(model.feature_names_in_) == NAMES
    np.testing.assert_array_equal(model.predict(FRAME), expected)
    for other in (FRAME[NAMES[::-1]], FRAME.rename(columns={NAMES[0]: "corner"})):
        with pytest.raises(InputError, match="feature names should match"):
            model.predict(other)
        with pytest.raises(InputError, match="feature names should match"):
            list(model.staged_predict(other))


def test_arrays_have_no_names_and_lose_those_of_the_fit_before() -> None:
    model = unfitted(ConvRFMClassifier).fit(FRAME, Y)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        np.testing.assert_array_equal(model.predict(X.reshape(12, -1)), model.predict(FRAME))
    assert not hasattr(model.fit(X.reshape(12, -1), Y), "feature_names_in_")


def test_numbers_for_names_are_no_names() -> None:
    model = unfitted(ConvRFMClassifier).fit(pd.DataFrame(X.reshape(12, -1)), Y)
    assert not hasattr(model, "feature_names_in_")
    np.testing.assert_array_equal(model.predict(pd.DataFrame(X.reshape(12, -1))), model.predict(X.reshape(12, -1)))


def test_a_selection_set_has_the_columns_of_the_training_images() -> None:
    model = unfitted(ConvRFMClassifier, choose_on="selection")
    model.fit(FRAME, Y, selection=(FRAME, Y))
    with pytest.raises(InputError, match="feature names should match"):
        model.fit(FRAME, Y, selection=(FRAME[NAMES[::-1]], Y))


def test_a_fit_that_fails_leaves_the_names_as_they_were() -> None:
    model = unfitted(ConvRFMClassifier).fit(FRAME, Y)
    with pytest.raises(InputError):
        model.fit(FRAME.rename(columns=str.upper), np.zeros(12))
    assert list(model.feature_names_in_) == NAMES


def test_features_are_of_columns_in_the_order_of_the_fit() -> None:
    features = ConvRFMFeatures(unfitted(ConvRFMClassifier), n_filters=3).fit(FRAME, Y)
    with pytest.raises(InputError, match="feature names should match"):
        features.transform(FRAME[NAMES[::-1]])

"""scikit-learn's own checks of estimators; its arrays `(n, p)` are images of one row."""

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from convrfm import (
    ConvRFMClassifier,
    ConvRFMFeatures,
    ConvRFMRegressor,
    DeepConvRFMClassifier,
    DeepConvRFMRegressor,
    kernels,
)
from convrfm.estimators.deep_conv_rfm import FittedFamily

LAPLACE = kernels.Laplace(patch_size=1)
ROWS: dict[str, Any] = {"image_shape": (1, 1, -1), "n_iterations": 1}
DEEP: dict[str, Any] = ROWS | {"kernel_family": FittedFamily((LAPLACE, LAPLACE)), "depth": 2, "n_filters": 4}
# Leave-one-out tells an image of weight 2 from two images of weight 1; a given ridge, round and centering do not.
GIVEN: dict[str, Any] = {"ridge": 1e-3, "keep": "last"}

ESTIMATORS = [
    ConvRFMClassifier(LAPLACE, **ROWS),
    ConvRFMRegressor(LAPLACE, **ROWS),
    DeepConvRFMClassifier(**DEEP),
    DeepConvRFMRegressor(**DEEP),
    ConvRFMFeatures(ConvRFMClassifier(LAPLACE, **ROWS, **GIVEN), output="maps"),
    ConvRFMFeatures(DeepConvRFMRegressor(**DEEP, **GIVEN, centering="mean"), n_filters=3),
]


@pytest.mark.usefixtures("as_a_user", "stream_of_numpy")
@parametrize_with_checks(ESTIMATORS)
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)

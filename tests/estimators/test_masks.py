"""Nothing that is masked is learned from."""

from typing import Any

import numpy as np
import pytest

from convrfm import ConvRFMClassifier, ConvRFMRegressor, kernels
from convrfm.errors import InputError

X = np.random.default_rng(0).standard_normal((8, 1, 5, 5))
MASKED = np.ma.masked_greater(np.arange(8.0), 5)


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize("model", [ConvRFMClassifier, ConvRFMRegressor])
@pytest.mark.parametrize("name", ["y", "sample_weight", "groups"])
def test_masked_values_beside_the_images_are_refused(model: Any, name: str) -> None:
    given = {"y": np.arange(8) % 2.0, name: MASKED}
    with pytest.raises(InputError, match=f"{name} must not be masked; 2 values are"):
        model(kernels.Gaussian(3, 2.0), n_iterations=0).fit(X, **given)

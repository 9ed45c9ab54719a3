"""A model that knows nothing of how its images were made still tells of images on another scale."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch

from convrfm import ConvRFMClassifier, kernels
from convrfm.datasets import Preprocessing

X = np.random.default_rng(0).random((12, 1, 5, 4), np.float32)
Y = np.arange(12) % 2


@pytest.fixture(scope="module", params=[None, Preprocessing((5, 4), 1)], ids=["arrays", "as they came"])
def model(request: pytest.FixtureRequest) -> ConvRFMClassifier:
    """One whose images came as arrays, and one whose file says that nothing was done to them."""
    fitted = ConvRFMClassifier(kernels.NTK(kernels.vanilla(1, 2)), n_iterations=0).fit(X, Y)
    fitted.preprocessing_ = request.param
    return fitted


@pytest.mark.parametrize("other", [255 * X, (255 * X).astype(np.uint8), X / 255, -200 * X, torch.from_numpy(255 * X)])
def test_images_on_another_scale_are_told(model: ConvRFMClassifier, other: Any) -> None:
    for use in (model.predict, model.predict_proba):
        with pytest.warns(UserWarning, match="bring them to one scale"):
            use(other)


@pytest.mark.parametrize("other", [X[:1], X / 8, 3 * X, X - 0.5, 0 * X])
def test_images_that_differ_a_little_or_are_black_are_not(model: ConvRFMClassifier, other: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(other)

"""A kernel that sees the same in all images says so."""

import warnings
from typing import Any

import numpy as np
import pytest

from convrfm import ConvRFMRegressor, kernels

BIASED = kernels.NTK(kernels.Architecture(kernels.Conv(3, bias_std=1.0), kernels.ReLU(), kernels.Flatten()))
SMALL = {kernels.Laplace(5): 1e-7, kernels.Gaussian(5): 1e-4, kernels.Matern(5): 1e-5, BIASED: 1e-5}


@pytest.mark.parametrize("solver", ["exact", "cg"])
@pytest.mark.parametrize("kernel", SMALL, ids=lambda kernel: type(kernel).__name__)
def test_images_too_small_for_a_kernel_are_told_where_it_learns_nothing_from_them(kernel: Any, solver: Any) -> None:
    x = np.random.default_rng(0).standard_normal((40, 1, 8, 8)).astype(np.float32)
    y = x[:, 0, 3, 3]
    model = ConvRFMRegressor(kernel, n_iterations=0, solver=solver)
    assert model.fit(x, y).score(x, y) > 0.5
    small = x * np.float32(SMALL[kernel])
    with pytest.warns(UserWarning, match=r"hardly tells these images apart.*Multiply them by a constant"):
        model.fit(small, y)
    assert model.score(small, y) < 0.2


def test_nothing_is_told_of_images_that_are_equal_and_by_kernels_that_have_no_scale() -> None:
    x = np.random.default_rng(0).standard_normal((40, 1, 8, 8)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ConvRFMRegressor(kernels.NTK(kernels.vanilla(1)), n_iterations=0).fit(x * np.float32(1e-12), x[:, 0, 3, 3])
        nearly_all_equal = np.concatenate([np.repeat(x[:1], 39, 0), x[-1:]])
        ConvRFMRegressor(kernels.Laplace(5), n_iterations=0).fit(nearly_all_equal, x[:, 0, 3, 3])

"""Windows of an image against plain loops over numpy's gradient."""

import numpy as np
import pytest
import torch

from convrfm.maths.edges import window_brightness, window_change, window_gradient


@pytest.mark.parametrize("size", [2, 3, 5])
def test_windows_hold_the_mean_brightness_the_mean_gradient_and_its_root_mean_square(size: int) -> None:
    gray = np.random.default_rng(0).random((2, 7, 9))
    down, right = np.gradient(gray, axis=(1, 2))
    brightness, change = (f(torch.from_numpy(gray), size).numpy() for f in (window_brightness, window_change))
    along = window_gradient(torch.from_numpy(gray), size).numpy()
    assert brightness.shape == change.shape == along.shape[1:] == (2, 8 - size, 10 - size)
    for n, row, column in np.ndindex(brightness.shape):
        window = (n, slice(row, row + size), slice(column, column + size))
        assert brightness[n, row, column] == pytest.approx(gray[window].mean())
        assert along[:, n, row, column] == pytest.approx([right[window].mean(), down[window].mean()])
        assert change[n, row, column] == pytest.approx(np.sqrt((right[window] ** 2 + down[window] ** 2).mean()))

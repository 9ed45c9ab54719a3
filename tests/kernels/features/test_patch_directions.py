"""Directions of patches are patches, and as evenly spread as Gaussian vectors."""

import numpy as np
import pytest
import torch

from convrfm import kernels
from convrfm.kernels.features import FeatureDraw, FeatureMap
from convrfm.kernels.features.patch_directions import SHARE, patch_directions
from convrfm.maths.patches import unfold_patches
from convrfm.maths.windows import Padding, Window

IMAGES = torch.rand(30, 2, 7, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64).cumsum(-1)


def all_patches() -> np.ndarray:
    """Every patch of side 3, by slices."""
    cut = np.lib.stride_tricks.sliding_window_view(IMAGES.numpy(), (3, 3), (2, 3)).transpose(0, 2, 3, 1, 4, 5)
    return cut.reshape(-1, 18)


@pytest.mark.parametrize("padding", ["valid", "same", "circular"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("contrast", [None, 0.2])
def test_each_is_a_patch_whitened_and_of_the_length_of_a_gaussian_vector(
    contrast: float | None, stride: int, padding: Padding
) -> None:
    n, window = 200, Window(3, stride, padding, contrast)
    directions = patch_directions(IMAGES, window, n, np.random.default_rng(0)).numpy()
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 18**0.5)
    patches = unfold_patches(IMAGES, window).flatten(2).numpy()
    generator = np.random.default_rng(0)
    images, places = generator.integers(30, size=n), generator.integers(patches.shape[2], size=n)
    chosen = patches[images, :, places]
    centered = chosen - chosen.mean(0)
    covariance = centered.T @ centered / n
    values, vectors = np.linalg.eigh(covariance + SHARE * np.trace(covariance) / 18 * np.eye(18))
    white = centered @ (vectors / np.sqrt(values)) @ vectors.T
    np.testing.assert_allclose(directions, white * 18**0.5 / np.linalg.norm(white, axis=1, keepdims=True), atol=1e-8)


def test_all_directions_come_about_alike() -> None:
    directions = patch_directions(IMAGES, Window(3), 5000, np.random.default_rng(1)).numpy()
    assert np.abs(directions.mean(0)).max() < 0.1
    shares = [np.linalg.eigvalsh(np.cov(each.T)) for each in (directions, all_patches())]
    of_directions, of_patches = (each.max() / each.mean() for each in shares)
    assert of_directions < 2 < 8 < of_patches


def test_filters_are_the_metric_s_root_times_them_and_flat_images_have_none() -> None:
    kernel = kernels.NNGP(kernels.vanilla(1))
    M = torch.diag(torch.arange(1.0, 19.0, dtype=torch.float64))
    phi = FeatureMap(kernel, FeatureDraw(5, 3, "patches"), IMAGES, M)
    directions = patch_directions(IMAGES, Window(3), 5, np.random.default_rng(3))
    met = torch.nn.functional.conv2d(IMAGES, (directions @ M.sqrt()).reshape(5, 2, 3, 3) / 18**0.5).clamp_min(0)
    torch.testing.assert_close(phi(IMAGES), met.flatten(1) * (2 / (5 * 20)) ** 0.5)
    flat = torch.ones(3, 2, 7, 6)
    assert not FeatureMap(kernel, FeatureDraw(5, 3, "patches"), flat)(flat).any()

"""Filters have the metric for their covariance; a layer is a convolution and an activation."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from convrfm.maths import random_filters as module
from convrfm.maths.random_filters import Centering, Nonlinearity, RandomFeatures, random_filters
from convrfm.maths.windows import Padding, Window


def metric(d: int = 9) -> torch.Tensor:
    root = torch.randn(d, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return root @ root.T


def centered_by(layer: RandomFeatures, *arguments: Any) -> RandomFeatures:
    centered = layer.centered(*arguments)
    assert centered is not None
    return centered


@pytest.mark.parametrize(("activation", "gain"), [("relu", 2.0), (None, 1.0)])
def test_the_covariance_of_filters_is_the_metric_with_the_gain_for_its_trace(
    activation: Nonlinearity, gain: float
) -> None:
    M = metric()
    root = random_filters(M, torch.eye(9, dtype=torch.float64), activation)
    torch.testing.assert_close(root.T @ root, gain * M / M.trace())
    torch.testing.assert_close(root, root.T)
    normals = torch.randn(5, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(random_filters(M, normals, activation), normals @ root)


@pytest.mark.parametrize("activation", ["relu", None])
def test_filters_of_the_identity_are_those_of_its_matrix_to_the_last_bit(activation: Nonlinearity) -> None:
    for d in (9, 27, 320):
        normals = torch.randn(5, d, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        assert torch.equal(random_filters(None, normals, activation), random_filters(torch.eye(d), normals, activation))


@pytest.mark.parametrize("activation", ["relu", None])
def test_the_gain_keeps_the_mean_square_of_white_images(activation: Nonlinearity) -> None:
    generator = torch.Generator().manual_seed(0)
    normals = torch.randn(2000, 9, generator=generator, dtype=torch.float64)
    patches = torch.randn(2000, 9, generator=generator, dtype=torch.float64)
    outputs = patches @ random_filters(metric(), normals, activation).T
    if activation == "relu":
        outputs = outputs.clamp_min(0)
    assert float(outputs.square().mean()) == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("activation", ["relu", None])
def test_a_layer_is_the_inner_product_of_every_patch_with_every_filter(
    padding: Padding, activation: Nonlinearity
) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 2, 5, 6, generator=generator, dtype=torch.float64)
    filters = torch.randn(3, 18, generator=generator, dtype=torch.float64)
    features = RandomFeatures(filters, Window(3, padding=padding), activation)(images)
    margin = 1 if padding == "same" else 0
    wide = torch.zeros(2, 2, 5 + 2 * margin, 6 + 2 * margin).double()
    wide[:, :, margin : margin + 5, margin : margin + 6] = images
    assert features.shape == (2, 3, 3 + 2 * margin, 4 + 2 * margin)
    for i, f, u, v in [(0, 0, 0, 0), (1, 2, 2, 3), (0, 1, 1, 2), (1, 0, 0, 3)]:
        expected = float(wide[i, :, u : u + 3, v : v + 3].flatten() @ filters[f])
        assert float(features[i, f, u, v]) == pytest.approx(max(expected, 0) if activation else expected)


@pytest.mark.parametrize("centering", ["mean", "proportional"])
@pytest.mark.parametrize("activation", ["relu", None])
def test_a_centered_layer_has_mean_zero_in_every_channel_over_its_own_images(
    activation: Nonlinearity, centering: Centering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IMAGES_AT_ONCE", 3)
    generator = torch.Generator().manual_seed(0)
    images, others = (torch.rand(7, 2, 5, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    plain = RandomFeatures(torch.randn(3, 18, generator=generator, dtype=torch.float64), Window(3), activation)
    centered = centered_by(plain, centering, images)
    torch.testing.assert_close(centered(images).mean((0, 2, 3)), torch.zeros(3).double())
    mean, shift = plain(images).mean((0, 2, 3))[:, None, None], plain(others) - centered(others)
    if centering == "proportional":
        mean = mean * plain(others).norm(dim=1, keepdim=True) / plain(images).norm(dim=1).mean()
    torch.testing.assert_close(shift, mean.expand_as(shift))
    weights = torch.tensor([0.0, 1, 2, 3, 0, 1, 1], dtype=torch.float64)
    repeated = images.repeat_interleave(weights.long(), 0)
    weighted = centered_by(plain, centering, images, weights)
    torch.testing.assert_close(weighted.mean, centered_by(plain, centering, repeated).mean)
    single = replace(plain, filters=plain.filters.float())
    tiny = centered_by(single, centering, images.float(), weights * 1e-60)  # too small for single precision
    torch.testing.assert_close(tiny.mean, weighted.mean, rtol=1e-5, atol=1e-6, check_dtype=False)
    twice = centered(2 * images)
    homogeneous = torch.allclose(twice, 2 * centered(images))
    assert homogeneous == (centering == "proportional")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_in_proportion_nothing_is_left_of_features_of_one_direction_but_a_little_of_nearly_one(
    dtype: torch.dtype,
) -> None:
    generator = torch.Generator().manual_seed(0)
    bright = torch.rand(50, 1, 1, 1, generator=generator, dtype=dtype) * torch.ones(50, 1, 5, 5, dtype=dtype)
    grain = bright * torch.rand(50, 1, 5, 5, generator=generator, dtype=dtype)
    filters = torch.randn(8, 9, generator=generator, dtype=dtype)
    drawn = RandomFeatures(filters, Window(3), "relu")
    one = RandomFeatures(filters[:1], Window(3), "relu")
    assert drawn.centered("proportional", bright) is None
    assert one.centered("proportional", bright + grain) is None
    assert drawn.centered("mean", bright) is not None
    centered = drawn.centered("proportional", bright + 1e-3 * grain)
    assert centered is not None
    assert 0 < float(centered(bright + 1e-3 * grain).norm()) < 1e-2 * float(drawn(bright).norm())


def test_features_that_are_all_zero_stay_so() -> None:
    blank = RandomFeatures(torch.ones(3, 9, dtype=torch.float64), Window(3), "relu")
    images = torch.zeros(2, 1, 4, 4, dtype=torch.float64)
    assert blank.centered("proportional", images) is None
    for centering in ("mean", None):
        assert not centered_by(blank, centering, images)(images).any()

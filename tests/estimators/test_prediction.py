"""Predictions are made in parts that stay within a bound on memory, and of the images that were given, not of a copy."""

from typing import Any

import numpy as np
import pytest
import torch

from convrfm import ConvRFMClassifier, ConvRFMRegressor, DeepConvRFMClassifier, kernels

from .cases import CHEAP, KERNEL, Recorded, pictures

X, Y = pictures(16)
X_NEW, _ = pictures(11, 1)


@pytest.mark.parametrize("kind", CHEAP)
@pytest.mark.parametrize("bytes_at_once", [1, 5000])
def test_parts_are_of_no_consequence(kind: type, bytes_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = kind(**CHEAP[kind]).fit(X, Y)

    def results() -> list[Any]:
        maps = [model.feature_maps(X_NEW, layer) for layer in range(1, len(model.layers_) + 1)]
        deviations = [model.predict(X_NEW, return_std=True)[1]] if isinstance(model, ConvRFMRegressor) else []
        return [*model.staged_outputs(X_NEW), *maps, *deviations]

    whole = results()
    monkeypatch.setattr("convrfm.estimators.kept.fitted_layers.BYTES_AT_ONCE", bytes_at_once)
    for part, expected in zip(results(), whole, strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("bound", [1, 3000, 1 << 20])
def test_a_part_is_as_large_as_its_images_and_its_kernel_matrix_may_be(
    bound: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = Recorded(KERNEL.architecture)
    model = DeepConvRFMClassifier(lambda depth: family, depth=2, n_filters=5, n_iterations=0).fit(X, Y)
    monkeypatch.setattr("convrfm.estimators.kept.fitted_layers.BYTES_AT_ONCE", bound)
    Recorded.met.clear()
    model.predict(X_NEW)
    bytes_of_an_image = 8 * (2 * 5 * 4 * 5 + 16)
    lengths = [len(part) for _, part, _ in Recorded.met]
    assert sum(lengths) == 11
    assert lengths[:-1] == [max(1, bound // bytes_of_an_image)] * (len(lengths) - 1)


@pytest.mark.parametrize("x", [X_NEW, X_NEW[::-1], X_NEW.astype(np.float32)], ids=["whole", "backwards", "float32"])
def test_images_are_copied_only_where_they_must_be(x: np.ndarray) -> None:
    model = ConvRFMClassifier(Recorded(KERNEL.architecture), n_iterations=0).fit(X, Y)
    Recorded.met.clear()
    model.predict(x)
    [(_, met, _)] = Recorded.met
    np.testing.assert_array_equal(met.numpy(), x)
    assert np.shares_memory(met.numpy(), x) == (x is X_NEW)


def test_tensors_of_a_graph_are_taken_for_their_values() -> None:
    """Images, targets, weights and groups that require gradients, without a warning of torch."""
    targets, ones, groups = np.arange(16.0), np.ones(16), np.arange(16.0) // 2
    plain = ConvRFMRegressor(KERNEL, n_iterations=1).fit(X, targets, ones, groups=groups)
    x, *others = (torch.tensor(each, requires_grad=True) for each in (X, targets, ones, groups))
    model = ConvRFMRegressor(KERNEL, n_iterations=1).fit(x, *others[:2], groups=others[2])
    for images in (x, x[:3]):
        found = model.predict(images)
        assert not found.requires_grad
        np.testing.assert_array_equal(found, plain.predict(images.detach().numpy()))


def test_feature_maps_of_many_bands_that_are_said_to_come_first() -> None:
    x = np.random.default_rng(0).standard_normal((6, 8, 8, 5))
    model = ConvRFMClassifier(kernels.Laplace(3), n_iterations=0, image_shape=(8, 8, 5)).fit(x, [0, 1] * 3)
    for images in (x, x[..., :4]):
        assert model.feature_maps(images).shape == (6, 6, images.shape[3] - 2)

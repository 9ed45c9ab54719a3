"""Presets are the published procedures."""

from typing import Any

import numpy as np
import pytest

from convrfm import ConvRFMClassifier, DeepConvRFMClassifier, datasets, kernels
from convrfm.errors import InputError

from .cases import drawn_filters, layer_images

KERNEL = kernels.NTK(kernels.vanilla(1, patch_size=3))
RIDGES = (1e-8, 1e-5, 1e-3)


def bars(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = datasets.bars(n, sigma=2.0, generator=np.random.default_rng(seed))
    return x.astype(np.float64), y


def published_rounds(power: float, first: slice, agop_uses_last_ridge: bool) -> tuple[int, float, np.ndarray]:
    """Rounds in plain loops, with ridge and round chosen on a selection set; returns round, ridge and metric."""
    (x, y), (x_s, y_s) = bars(60, 0), bars(60, 1)
    targets = np.eye(2)[y]
    M, results = None, []
    for t in range(6):
        K, K_s = KERNEL(x, feature_matrix=M), KERNEL(x_s, x, feature_matrix=M)
        by_ridge = {}
        for ridge in RIDGES:
            alpha = np.linalg.solve(K / K.max() + ridge * np.eye(len(K)), targets) / K.max()
            outputs = K_s @ alpha
            hits = (outputs.argmax(1) == y_s).mean()
            by_ridge[ridge] = (hits, -((outputs - np.eye(2)[y_s]) ** 2).mean(), alpha)
        ridge = max(by_ridge, key=lambda r: (by_ridge[r][:2], r))
        results.append((by_ridge[ridge][:2], -t, t, ridge, np.eye(9) if M is None else M))
        alpha = by_ridge[RIDGES[-1] if agop_uses_last_ridge else ridge][2]
        g = KERNEL.patch_gradients(x[first], x, alpha, feature_matrix=M)
        agop = np.einsum("nkpd,nkpe->de", g, g)
        values, vectors = np.linalg.eigh(agop)
        multiplier = (vectors * values.clip(0) ** power) @ vectors.T
        multiplier /= np.linalg.norm(multiplier)
        M = multiplier @ multiplier
    best = max(results, key=lambda r: r[:2])
    return best[2], best[3], best[4]


@pytest.mark.parametrize(
    ("name", "power", "first", "last_ridge"),
    [("paper", 0.5, slice(None), False), ("code-2023", 1.0, slice(0, 20), True)],
)
def test_presets_that_choose_on_a_selection_set_follow_the_published_loops(
    name: str, power: float, first: slice, last_ridge: bool
) -> None:
    (x, y), selection = bars(60, 0), bars(60, 1)
    model = ConvRFMClassifier.from_preset(name, kernel=KERNEL).fit(x, y, selection=selection)
    iteration, ridge, metric = published_rounds(power, first, last_ridge)
    assert (model.best_iteration_, model.ridge_) == (iteration, ridge)
    np.testing.assert_allclose(model.feature_matrix_, metric, rtol=1e-5, atol=1e-8)
    assert "selection_accuracy" in model.history_[0]


@pytest.mark.parametrize(("name", "activation"), [("paper", "relu"), ("code-2023", None)])
def test_deep_presets_are_the_shallow_ones_on_random_features_that_are_not_centered(
    name: str, activation: str | None
) -> None:
    (x, y), (x_s, y_s) = bars(24, 0), bars(24, 1)
    deep = DeepConvRFMClassifier.from_preset(name, kernel_family=same_kernel, depth=2, n_filters=4, random_state=5)
    deep.fit(x, y, selection=(x_s, y_s))
    for layer in range(2):
        alone = ConvRFMClassifier.from_preset(name, kernel=KERNEL).fit(x, y, selection=(x_s, y_s))
        np.testing.assert_allclose(deep.feature_matrices_[layer], alone.feature_matrix_, rtol=1e-5, atol=1e-8)
        assert deep.best_iterations_[layer] == alone.best_iteration_
        filters = drawn_filters(alone.feature_matrix_, 5, layer, 2, 4, activation)
        x, x_s = (layer_images(images, filters, activation) for images in (x, x_s))
    np.testing.assert_allclose(deep.dual_coef_, alone.dual_coef_, rtol=1e-4, atol=1e-7)


def same_kernel(depth: int) -> kernels.NTK:
    return KERNEL


def test_the_preset_without_a_deep_model_says_so() -> None:
    with pytest.raises(InputError, match="science-2024"):
        DeepConvRFMClassifier.from_preset("science-2024")


@pytest.mark.parametrize("kind", [ConvRFMClassifier, DeepConvRFMClassifier])
@pytest.mark.parametrize("name", ["paper", "code-2023"])
def test_presets_that_choose_on_other_data_refuse_to_run_without(kind: Any, name: str) -> None:
    with pytest.raises(InputError, match="selection=\\(x_s, y_s\\)"):
        kind.from_preset(name).fit(*bars(20, 0))


def test_a_selection_set_is_never_used_silently() -> None:
    with pytest.raises(InputError, match="none may be given"):
        ConvRFMClassifier(KERNEL).fit(*bars(20, 0), selection=bars(20, 1))


def test_keywords_win_over_the_preset_and_unknown_presets_are_named() -> None:
    assert ConvRFMClassifier.from_preset("science-2024", ridge=1e-5).ridge == 1e-5
    assert ConvRFMClassifier.from_preset("science-2024").agop_samples == slice(0, 20)
    with pytest.raises(InputError, match="science-2024"):
        ConvRFMClassifier.from_preset("nature")

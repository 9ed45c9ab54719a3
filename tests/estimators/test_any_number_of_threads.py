"""A fit of few images is the same to the last bit for any number of threads: torch has one while it goes on."""

from typing import Any

import pytest
import torch

from convrfm import ConvRFMClassifier, DeepConvRFMClassifier, kernels
from convrfm.estimators.solving import iterative

FITS: dict[str, dict[str, Any]] = {
    "exact": {},
    "folds": {"cv": 3},
    "features in the dual": {"solver": "features", "n_features": 24},
    "features in the primal": {
        "kernel": kernels.NNGP(kernels.vanilla(1, pooling="global")),
        "solver": "features",
        "n_features": 24,
    },
    "patches of one contrast": {
        "kernel": kernels.NNGP(kernels.vanilla(1, pooling="global")),
        "solver": "features",
        "n_features": 16,
        "first_filters": "patches",
        "patch_normalization": "contrast",
        "initial_metric": "whitening",
    },
    "conjugate gradients": {"solver": "cg"},
    "conjugate gradients in folds": {
        "solver": "cg",
        "cv": 2,
        "class_weight": {0: 1.0, 1: 2.0, 2: 0.5},
        "n_iterations": 1,
    },
}


@pytest.mark.parametrize("settings", FITS.values(), ids=list(FITS))
def test_few_images_give_the_same_bits_for_any_number_of_threads(
    settings: dict[str, Any], threads_of_torch: None
) -> None:
    given = {"kernel": kernels.NTK(kernels.vanilla(2)), "n_iterations": 2} | settings
    fitted = [fit(ConvRFMClassifier(**given), threads) for threads in (1, 2, 3, 5)]
    for other in fitted[1:]:
        assert torch.equal(other.feature_matrix_, fitted[0].feature_matrix_)
        assert torch.equal(other.layers_[0].kept.coef, fitted[0].layers_[0].kept.coef)


def test_so_do_tiles_on_disk(threads_of_torch: None, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("zarr")
    monkeypatch.setattr(iterative.IterativeBasis, "_beyond_memory", True)
    fitted = [fit(ConvRFMClassifier(solver="cg", n_iterations=1), threads) for threads in (1, 2, 3, 5)]
    for other in fitted[1:]:
        assert torch.equal(other.feature_matrix_, fitted[0].feature_matrix_)
        assert torch.equal(other.layers_[0].kept.coef, fitted[0].layers_[0].kept.coef)


@pytest.mark.parametrize("solver", ["exact", "cg"])
def test_so_do_layers_upon_layers(solver: str, threads_of_torch: None) -> None:
    settings: dict[str, Any] = {"depth": 2, "n_filters": 8, "n_iterations": 1, "solver": solver}
    fitted = [fit(DeepConvRFMClassifier(**settings), threads) for threads in (1, 2, 3, 5)]
    for other in fitted[1:]:
        for layer, of_first in zip(other.layers_, fitted[0].layers_, strict=True):
            assert torch.equal(layer.kept.feature_matrix, of_first.kept.feature_matrix)
            assert torch.equal(layer.kept.coef, of_first.kept.coef)


def fit(model: Any, threads: int) -> Any:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(90, 2, 8, 8, generator=generator), torch.randint(3, (90,), generator=generator)
    torch.set_num_threads(threads)
    return model.fit(x, y)

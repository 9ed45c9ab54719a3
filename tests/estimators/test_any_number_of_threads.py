"""A fit of few images is the same to the last bit for any number of threads: torch has one while it goes on."""

from typing import Any

import pytest
import torch

from convrfm import ConvRFMClassifier, kernels

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
}


@pytest.mark.parametrize("settings", FITS.values(), ids=list(FITS))
def test_few_images_give_the_same_bits_for_any_number_of_threads(settings: dict[str, Any]) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(90, 2, 8, 8, generator=generator), torch.randint(3, (90,), generator=generator)
    before = torch.get_num_threads()
    fitted = []
    try:
        for threads in (1, 2, 3, 5):
            torch.set_num_threads(threads)
            model = ConvRFMClassifier(**{"kernel": kernels.NTK(kernels.vanilla(2)), "n_iterations": 2} | settings)
            fitted.append(model.fit(x, y))
    finally:
        torch.set_num_threads(before)
    first, *others = fitted
    for other in others:
        assert torch.equal(other.feature_matrix_, first.feature_matrix_)
        assert (other.predict_proba(x[:20]) == first.predict_proba(x[:20])).all()

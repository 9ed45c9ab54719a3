"""The number beside the eigenvectors is taken from centered images, and the verdict asks for both controls."""

from pathlib import Path

import numpy as np
import pytest
import torch

from convrfm.datasets import load
from convrfm.experiments import fig3, scaled_images
from convrfm.experiments.experiment import Run, Verdict
from convrfm.experiments.scale import Scale
from convrfm.maths.windows import Window

RUN = Run(
    fig3.EdgeSettings(("bars",), n=30, updates=1, seeds=3), Scale.SMOKE, seed=0, device="auto", data=None, files=Path()
)


def test_training_images_have_no_mean_and_test_images_lose_theirs() -> None:
    train, test = scaled_images.images("bars", None, 30, 0)
    drawn = load("bars", n_train=30, n_test=scaled_images.N_TEST, sigma=1.0, seed=0)
    assert abs(train.x.mean()) < 1e-6
    np.testing.assert_allclose(test.x, drawn.x_test - drawn.x_train.mean(), atol=1e-6)


def test_maps_of_photographs_depend_on_how_pixels_are_scaled() -> None:
    """A flat photograph is brightness alone; less each patch's mean nothing is left of it, nor of a flat metric."""
    window, flat = Window(3), torch.full((1, 3, 6, 6), 0.9)
    maps = fig3.scaled_maps(flat, torch.eye(27), window)
    assert float(maps["from 0 to 1"].mean()) == pytest.approx(0.9 * 27**0.5, rel=1e-5)
    assert float(maps["less each patch's mean"].abs().max()) < 1e-5
    photographs, means = torch.rand(2, 3, 6, 6), torch.block_diag(*[torch.ones(9, 9)] * 3)
    maps = fig3.scaled_maps(photographs, means, window)
    assert float(maps["less each patch's mean"].abs().max()) < 1e-4
    patch = photographs[1, :, 2:5, 1:4].flatten()
    assert float(maps["from 0 to 1"][1, 2, 1]) == pytest.approx(float((means @ patch).norm()), rel=1e-5)


@pytest.mark.parametrize(
    ("of_patches", "at_random", "verdict"),
    [(0.2, 0.1, Verdict.HOLDS), (0.9, 0.1, Verdict.IN_PART), (0.9, 0.8, Verdict.FAILS)],
)
def test_the_claim_asks_for_more_than_patches_and_more_than_random_directions(
    of_patches: float, at_random: float, verdict: Verdict
) -> None:
    told = {"of_patches": of_patches, "at_random": at_random, "of_trace": [0.5] * 8}
    lines = [
        {"data_set": "bars", "kernel": kernel, "seed": seed, "share": 0.5 + 0.01 * seed, **told}
        | {"eigenvectors": np.eye(9)[:8].reshape(8, 1, 3, 3).tolist()}
        for kernel in fig3.KERNELS
        for seed in range(3)
    ]
    assert fig3.conclude(RUN, lines).verdict is verdict

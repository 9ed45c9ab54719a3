"""The number beside the eigenvectors is taken from centered images, and the verdict asks for both controls."""

from pathlib import Path

import numpy as np
import pytest

from convrfm.experiments import fig3
from convrfm.experiments.experiment import Run, Verdict
from convrfm.experiments.scale import Scale

RUN = Run(
    fig3.EdgeSettings(("bars",), n=30, updates=1, seeds=2), Scale.SMOKE, seed=0, device="auto", data=None, files=Path()
)


def test_images_have_no_mean() -> None:
    x, y = fig3.images(RUN, "bars", 0)
    np.testing.assert_allclose(x.mean((0, 2, 3)), 0, atol=1e-6)
    assert len(x) == len(y) == 30


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
        for seed in range(2)
    ]
    assert fig3.conclude(RUN, lines).verdict is verdict

"""The verdict of Fig. 5 asks only where a CNN has learned something, and the methods see the same images."""

from pathlib import Path

import numpy as np
import pytest

from convrfm.experiments import fig5
from convrfm.experiments.experiment import Run, Verdict
from convrfm.experiments.scale import Scale

TASK = fig5.Task(fig5.BARS, 24, (0.5, 2.0), 2, depth=2)
RUN = Run(fig5.Fig5Settings((TASK,)), Scale.SMOKE, seed=0, device="auto", data=None, files=Path())


@pytest.mark.parametrize(
    ("low_noise", "high_noise", "verdict"),
    [
        ((0.6, 0.7, 0.8, 0.9), (0.5, 0.6, 0.7, 0.6), Verdict.HOLDS),
        ((0.6, 0.7, 0.8, 0.9), (0.5, 0.4, 0.4, 0.4), Verdict.HOLDS),
        ((0.6, 0.7, 0.8, 0.9), (0.5, 0.6, 0.4, 0.6), Verdict.IN_PART),
        ((0.6, 0.5, 0.8, 0.9), (0.5, 0.4, 0.4, 0.4), Verdict.FAILS),
        ((0.6, 0.7, 0.8, 0.5), (0.5, 0.6, 0.7, 0.4), Verdict.UNTESTED),
    ],
)
def test_the_claim_is_tested_where_the_cnn_is_above_the_ntk(
    low_noise: tuple[float, ...], high_noise: tuple[float, ...], verdict: Verdict
) -> None:
    lines = [
        {"task": TASK.name, "sigma": sigma, "seed": seed, **dict(zip(fig5.METHODS, scores, strict=True))}
        for sigma, scores in zip(TASK.sigmas, (low_noise, high_noise), strict=True)
        for seed in range(2)
    ]
    assert fig5.conclude(RUN, lines).verdict is verdict


def test_every_method_sees_the_same_images_and_no_test_image_trains() -> None:
    (train, test), (again, _) = (fig5.images(RUN, TASK, 0.5, 1) for _ in range(2))
    np.testing.assert_array_equal(train.x, again.x)
    assert not {image.tobytes() for image in train.x} & {image.tobytes() for image in test.x}

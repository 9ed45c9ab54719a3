"""Both accuracies are draws, and the bundled digits come class by class."""

from pathlib import Path

import numpy as np
import pytest

from convrfm.errors import InputError
from convrfm.experiments import noisy_mnist
from convrfm.experiments.experiment import Line, Run, Verdict
from convrfm.experiments.mnist_images import mnist
from convrfm.experiments.scale import Scale
from convrfm.maths.intervals import wilson_interval

RUN = Run(noisy_mnist.NoisyMnistSettings(), Scale.FULL, seed=0, device="auto", data="mnist.npz", files=Path())


def line(number: int, accuracy: float) -> Line:
    """A round of which the tests ask the accuracy alone."""
    interval = wilson_interval(round(4000 * accuracy), 4000)
    others = dict.fromkeys(("ridge", "loo_accuracy", "test_error", "fit_seconds", "test_seconds"), 0.5)
    metric = {"feature_matrix": np.eye(9).tolist(), "notes": []}
    return {**others, **metric, "round": number, "test_accuracy": accuracy, "test_interval": interval}


@pytest.mark.parametrize(
    ("more", "verdict", "alike"),
    [
        ((0.02, 0.02, 0.02, 0.02), Verdict.HOLDS, 4),
        ((0.03, 0.0, 0.0, 0.0), Verdict.IN_PART, 3),
        ((0.07, 0.045, 0.015, 0.0), Verdict.IN_PART, 2),
        ((0.09, 0.06, -0.06, -0.03), Verdict.FAILS, 0),
    ],
)
def test_a_published_accuracy_is_a_draw_too_and_updates_must_raise_ours(
    more: tuple[float, ...], verdict: Verdict, alike: int
) -> None:
    """Two points above what was published are within the chance of two draws, though beyond the interval of one."""
    accuracies = np.add(noisy_mnist.PUBLISHED_ACCURACY, more).tolist()
    found = noisy_mnist.conclude(RUN, [line(number, each) for number, each in enumerate(accuracies)])
    assert f"holds 0 in {alike} of 4 rounds" in found.ours
    assert found.verdict is verdict


def test_bundled_digits_hold_every_class_in_both_parts_whatever_the_seed() -> None:
    for seed in range(3):
        digits = mnist(None, 40, seed=seed)
        for labels in (digits.y_train, digits.y_test):
            assert np.bincount(labels, minlength=10).min() >= 3


def test_more_digits_than_are_bundled_are_refused() -> None:
    with pytest.raises(InputError, match=r"there are 1797 digits .* got n = 900 for each"):
        mnist(None, 900, seed=0)

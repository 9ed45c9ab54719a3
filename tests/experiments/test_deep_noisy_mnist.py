"""Gains of deep models are taken draw by draw, and a draw scores every stage."""

from pathlib import Path

import numpy as np
import pytest

from convrfm.experiments import deep_noisy_mnist
from convrfm.experiments.experiment import Run, Verdict
from convrfm.experiments.scale import Scale
from convrfm.maths.intervals import mean_interval

DRAWS = [[0.1, 0.2, 0.25, 0.5], [0.2, 0.31, 0.35, 0.66], [0.3, 0.42, 0.5, 0.62]]


def run(**settings: object) -> Run[deep_noisy_mnist.DeepSettings]:
    chosen = deep_noisy_mnist.DeepSettings(**settings)
    return Run(chosen, Scale.SMOKE, seed=0, device="auto", data=None, files=Path())


def test_gains_are_taken_draw_by_draw() -> None:
    lines = [{"sigma": 1.0, "seed": seed, "accuracies": draw} for seed, draw in enumerate(DRAWS)]
    finding = deep_noisy_mnist.conclude(run(sigmas=(1.0,)), lines)
    low, high = mean_interval(np.array([0.3, 0.35, 0.2]))
    assert finding.rows[0][:2] == ["1", 3]
    assert finding.rows[0][-1] == f"28.3 ({100 * low:.1f} to {100 * high:.1f})"
    assert finding.verdict is Verdict.HOLDS


def test_three_gains_whose_interval_holds_zero_do_not_confirm_the_claim() -> None:
    lines = [
        {"sigma": 1.0, "seed": seed, "accuracies": [0.4, 0.45 + 0.01 * seed, 0.5, 0.45 + 0.01 * seed + gain]}
        for seed, gain in enumerate((0.054, 0.02, 0.06))
    ]
    finding = deep_noisy_mnist.conclude(run(sigmas=(1.0,)), lines)
    assert finding.verdict is Verdict.IN_PART
    assert "at 1 of 1 noise levels, and Deep ConvRFM above ConvRFM at 0" in finding.ours


def test_a_draw_scores_the_fixed_kernel_and_every_layer() -> None:
    line = deep_noisy_mnist.accuracies(run(n=20, n_filters=2, n_iterations=1), 1.0, 0)
    assert len(line["accuracies"]) == len(deep_noisy_mnist.STAGES)
    assert line["accuracies"] == pytest.approx(np.round(20 * np.array(line["accuracies"])) / 20)
    assert len(line["kept"]) == len(deep_noisy_mnist.STAGES) - 1

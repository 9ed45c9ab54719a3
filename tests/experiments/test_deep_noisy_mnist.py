"""The table of deep models is that of its draws, and the documentation's is that of the record beside it."""

import json
from pathlib import Path

import numpy as np
import pytest

from convrfm.experiments import deep_noisy_mnist
from convrfm.maths.intervals import mean_interval

FOLDER = Path(__file__).parents[2] / "docs" / "deep_noisy_mnist"
DRAWS = [[0.1, 0.2, 0.25, 0.5], [0.2, 0.25, 0.3, 0.6], [0.3, 0.5, 0.55, 0.7]]


def test_gains_are_taken_draw_by_draw() -> None:
    line = deep_noisy_mnist.table({1.0: DRAWS}, 20).splitlines()[-1]
    low, high = mean_interval(np.array([0.3, 0.35, 0.2]))
    assert line.startswith("| 1 | 3 | 20.0 (")
    assert line.endswith(f"| 28.3 ({100 * low:.1f} to {100 * high:.1f}) |")
    assert deep_noisy_mnist.table({2.0: DRAWS[:1]}, 20).endswith(
        "| 2 | 1 | 10.0 | 20.0 | 25.0 | 50.0 | 10.0 | 30.0 |\n"
    )


def test_the_documentation_shows_the_draws_beside_it() -> None:
    record = json.loads((FOLDER / "record.json").read_text())
    found = {float(sigma): draws for sigma, draws in record["accuracies"].items()}
    assert (FOLDER / "table.md").read_text() == deep_noisy_mnist.table(found, record["settings"]["n"])


def test_a_draw_scores_the_fixed_kernel_and_every_layer(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    digits = {f"x_{part}": generator.integers(0, 256, (60, 28, 28), np.uint8) for part in ("train", "test")}
    labels = {f"y_{part}": np.arange(60) % 10 for part in ("train", "test")}
    np.savez(tmp_path / "digits.npz", **digits, **labels)
    step = deep_noisy_mnist.accuracies(str(tmp_path / "digits.npz"), 20, 1.0, 0, n_filters=2, n_iterations=1)
    assert len(step.record["accuracies"]) == len(deep_noisy_mnist.STAGES)
    assert step.record["accuracies"] == pytest.approx(np.round(20 * np.array(step.record["accuracies"])) / 20)
    assert len(step.record["kept"]) == deep_noisy_mnist.DEPTH

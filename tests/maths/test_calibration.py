"""The temperature makes held-out labels likeliest; the calibration error is a mean over bins."""

import numpy as np
import pytest
import torch

from convrfm.maths.calibration import expected_calibration_error, temperature


def scores(n: int = 40, k: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(k, (n,), generator=generator)
    targets = torch.nn.functional.one_hot(labels, k).double()
    return targets + 0.7 * torch.randn(n, k, generator=generator, dtype=torch.float64), targets


def likelihood(outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, t: float) -> float:
    exponentials = (outputs / t).exp()
    chosen = (exponentials * targets).sum(1) / exponentials.sum(1)
    return float((weights * chosen.log()).sum())


@pytest.mark.parametrize("weighted", [False, True])
def test_no_temperature_of_a_fine_grid_is_likelier(weighted: bool) -> None:
    outputs, targets = scores()
    weights = torch.arange(40).double() % 4 if weighted else None
    found = temperature(outputs, targets, weights)
    counted = torch.ones(40).double() if weights is None else weights
    best = likelihood(outputs, targets, counted, found)
    assert all(likelihood(outputs, targets, counted, t) <= best + 1e-7 for t in np.geomspace(0.03, 30, 300))
    assert 0.03 < found < 30


def test_a_scale_of_the_scores_is_a_scale_of_the_temperature() -> None:
    outputs, targets = scores()
    assert temperature(5 * outputs, targets) == pytest.approx(5 * temperature(outputs, targets), rel=1e-4)


def test_scores_without_an_error_are_taken_as_cold_as_allowed_and_senseless_ones_as_hot() -> None:
    targets = torch.eye(3).double()
    assert temperature(targets, targets) < 0.1
    assert temperature(-targets, targets) > 900


def test_an_integer_weight_is_so_many_copies() -> None:
    outputs, targets = scores(12)
    counts = torch.arange(12) % 3
    copies = temperature(outputs.repeat_interleave(counts, 0), targets.repeat_interleave(counts, 0))
    assert temperature(outputs, targets, counts.double()) == pytest.approx(copies, rel=1e-5)


def test_the_calibration_error_is_the_distance_of_confidence_and_accuracy_bin_by_bin() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(4), size=200)
    classes = generator.integers(4, size=200)
    total = 0.0
    for low in np.arange(10) / 10:
        members = [i for i in range(200) if low <= probabilities[i].max() < low + 0.1]
        if members:
            accuracy = np.mean([probabilities[i].argmax() == classes[i] for i in members])
            total += len(members) / 200 * abs(accuracy - np.mean([probabilities[i].max() for i in members]))
    assert expected_calibration_error(probabilities, classes) == pytest.approx(total)
    assert expected_calibration_error(np.eye(3), np.arange(3)) == 0

"""Sampled positions: the mean over all samples is the whole sum, and what is stated of the error covers it."""

from itertools import combinations
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from convrfm import cnfa
from convrfm.cnfa.sampling import at_positions


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.Tanh(), nn.AvgPool2d(8), nn.Flatten(), nn.Linear(4, 3)
    ).double()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(40, 2, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("m", [1, 2, 4])
def test_the_mean_over_all_samples_is_the_sum_over_all_positions(m: int) -> None:
    blocks = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    samples = [at_positions(blocks, torch.tensor(chosen).expand(2, m)) for chosen in combinations(range(5), m)]
    torch.testing.assert_close(torch.stack([d @ d.mT for d in samples]).mean(0), blocks @ blocks.mT)


def test_as_many_positions_as_there_are_change_nothing(images: Tensor) -> None:
    expected = cnfa.patch_agop(network(), images, "0")
    torch.testing.assert_close(cnfa.patch_agop(network(), images, "0", positions=64), expected)


@pytest.mark.parametrize("probes", [None, 3])
def test_few_positions_are_unbiased(images: Tensor, probes: int | None) -> None:
    images = images[:6]
    whole = cnfa.patch_agop(network(), images, "0")
    draws = torch.stack(
        [
            cnfa.patch_agop(
                network(), images, "0", probes=probes, positions=5, generator=torch.Generator().manual_seed(seed)
            )
            for seed in range(40)
        ]
    )
    error = (draws.mean(0) - whole) / (draws.std(0) / 40**0.5)
    assert error.abs().max() < 5


@pytest.mark.parametrize("probes", [None, 4])
def test_intervals_cover_what_sampling_adds(images: Tensor, probes: int | None) -> None:
    whole = cnfa.measure(network(), images, rotations=0)["0"].correlations.trained.pearson
    covered = []
    for seed in range(12):
        report = cnfa.measure(
            network(),
            images,
            probes=probes,
            positions=2,
            rotations=0,
            half_power=False,
            generator=torch.Generator().manual_seed(seed),
        )
        low, high = report["0"].correlations.trained.pearson.interval
        covered.append(low < whole.value < high)
        assert high - low > whole.interval[1] - whole.interval[0]
    assert sum(covered) >= 10


def test_a_report_says_how_many_positions_were_drawn(images: Tensor, tmp_path: Path) -> None:
    report = cnfa.measure(network(), images[:4], positions=7)
    report.save(tmp_path / "report")
    assert cnfa.Report.load(tmp_path / "report").positions == 7
    assert "at most 7 positions" in repr(report)

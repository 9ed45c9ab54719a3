"""On ResNet-20 with published weights and CIFAR-10 images: probes agree with all outputs within their stated errors."""

from pathlib import Path

import pytest
import torch

from convrfm import cnfa
from convrfm.experiments.published_networks import cifar_images
from convrfm.networks import load_weights, resnet20

MEASURES = ("cosine", "pearson", "cosine_half", "pearson_half")


@pytest.fixture(scope="module")
def reports() -> tuple[cnfa.Report, list[cnfa.Report]]:
    import os

    if "CONVRFM_DATA" not in os.environ:
        pytest.skip("CONVRFM_DATA names no folder of real data")
    data = Path(os.environ["CONVRFM_DATA"])
    network = resnet20()
    network.load_state_dict(load_weights(data / "weights" / "cifar10_resnet20.safetensors"))
    images = cifar_images(data, 40)
    generator = torch.Generator().manual_seed(0)
    probed = [cnfa.measure(network, images, probes=8, generator=generator, rotations=0, resamples=0) for _ in range(6)]
    return cnfa.measure(network, images, rotations=0, resamples=0), probed


def test_probed_agop_averages_to_the_exact_one(reports: tuple[cnfa.Report, list[cnfa.Report]]) -> None:
    exact, probed = reports
    for layer in exact.layers:
        mean = torch.stack([report[layer.name].covariance for report in probed]).mean(0)
        assert float((mean - layer.covariance).norm() / layer.covariance.norm()) < 0.2


@pytest.mark.parametrize("measure", MEASURES)
def test_corrected_correlations_agree_within_their_errors(
    reports: tuple[cnfa.Report, list[cnfa.Report]], measure: str
) -> None:
    """Over layers and runs, errors in units of the stated standard error spread as Student's t of 7 degrees."""
    exact, probed = reports
    scores = []
    for layer in exact.layers:
        if layer.final:
            continue
        truth = getattr(layer.correlations.trained, measure).value
        for report in probed:
            found = getattr(report[layer.name].correlations.trained, measure)
            scores.append((found.value - truth) / found.standard_error)
    found = torch.tensor(scores)
    assert found.mean().abs() < 0.5
    assert 0.6 < float(found.square().mean().sqrt()) < 1.7
    assert float((found.abs() < 2.36).double().mean()) > 0.85


def test_uncorrected_correlations_are_too_low(reports: tuple[cnfa.Report, list[cnfa.Report]]) -> None:
    _, probed = reports
    biases = [layer.correlations.trained.cosine.bias for report in probed for layer in report.layers if not layer.final]
    assert sum(bias < 0 for bias in biases) > 0.9 * len(biases)

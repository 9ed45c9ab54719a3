"""The table of published networks says what was measured."""

from pathlib import Path

import pytest
import torch

from convrfm import cnfa
from convrfm.experiments import cnfa_table
from convrfm.networks import resnet20


@pytest.fixture(scope="module")
def report() -> cnfa.Report:
    torch.manual_seed(0)
    images = torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    return cnfa.measure(resnet20(), images, initial=resnet20(), probes=3, layers=["conv1", "layer1.0.conv1", "linear"])


def test_every_layer_that_counts_has_a_line(report: cnfa.Report) -> None:
    lines = cnfa_table.table(report).splitlines()
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]] == ["conv1", "layer1.0.conv1"]
    for line, layer in zip(lines[2:], report.layers, strict=False):
        assert f"{layer.correlations.trained.pearson.value:.3f}" in line
        assert line.count("|") == len(cnfa_table.COLUMNS) + 1


def test_excess_compares_the_same_noisy_gradients(report: cnfa.Report) -> None:
    layer = report["conv1"]
    trained, rotated = layer.correlations.trained.pearson, layer.correlations.rotated.pearson
    plain = trained.value + trained.bias
    assert cnfa_table.excess(layer) == pytest.approx((plain - rotated.value) / rotated.standard_error)


def test_the_page_names_every_network(report: cnfa.Report) -> None:
    text = cnfa_table.page({subject: report for subject in cnfa_table.SUBJECTS}, seed=0)
    for subject in cnfa_table.SUBJECTS:
        assert f"## {subject.title}: 4 images, 3 probes of 10 outputs" in text
    assert cnfa_table.summary(report) in text


def test_images_of_the_four_networks_have_their_form(real_data: Path) -> None:
    assert cnfa_table.cifar_images(real_data, 5).shape == (5, 3, 32, 32)
    caffe = cnfa_table.photos_as_caffe(real_data, 3)
    assert caffe.shape == (3, 3, 224, 224)
    red = cnfa_table.photos_as_imagenet(real_data, 3)[:, 0] * 0.229 + 0.485
    torch.testing.assert_close((caffe[:, 2] + 123) / 255, red, rtol=1e-4, atol=1e-4)

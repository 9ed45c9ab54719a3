"""The table of published networks says what was measured."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from convrfm import cnfa
from convrfm.experiments import cnfa_table, layer_lines, published_networks
from convrfm.experiments.experiment import Run, Verdict
from convrfm.experiments.scale import Scale
from convrfm.networks import resnet20


@pytest.fixture(scope="module")
def report() -> cnfa.Report:
    torch.manual_seed(0)
    images = torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    return cnfa.measure(resnet20(), images, initial=resnet20(), probes=3, layers=["conv1", "layer1.0.conv1", "linear"])


def test_every_layer_that_counts_has_a_line_that_survives_json(report: cnfa.Report) -> None:
    lines = [layer_lines.layer_line(layer) for layer in layer_lines.counted(report)]
    assert [line.layer for line in lines] == ["conv1", "layer1.0.conv1"]
    for line, layer in zip(lines, report.layers, strict=False):
        assert line.pearson == layer.correlations.trained.pearson.value
        again = layer_lines.LayerLine(**json.loads(json.dumps(asdict(line))))
        assert again.cells == line.cells
        assert len(line.cells) == len(cnfa_table.COLUMNS)


def test_excess_compares_the_same_noisy_gradients(report: cnfa.Report) -> None:
    layer = report["conv1"]
    trained, rotated = layer.correlations.trained.pearson, layer.correlations.rotated.pearson
    plain = trained.value + trained.bias
    assert layer_lines.excess(layer) == pytest.approx((plain - rotated.value) / rotated.standard_error)


def test_the_claim_asks_for_more_than_a_fresh_network_and_more_than_the_control(report: cnfa.Report) -> None:
    settings = cnfa_table.TableSettings()
    run = Run(settings, Scale.FULL, seed=0, device="auto", data="data", files=Path())
    plain = asdict(layer_lines.layer_line(report["conv1"])) | {"pearson": 0.9, "rotated": 0.8, "fresh": 0.5}
    told = {"n_images": 4, "probes": 3, "n_outputs": 10}

    def verdict(**changed: float) -> Verdict:
        lines = [{"network": title, **told, "layers": [plain | changed]} for title in settings.networks]
        return cnfa_table.conclude(run, lines).verdict

    assert verdict(excess=3.0) is Verdict.HOLDS
    assert verdict(excess=1.0) is Verdict.IN_PART
    assert verdict(excess=1.0, fresh=0.95) is Verdict.FAILS


def test_images_of_the_four_networks_have_their_form(real_data: Path) -> None:
    assert published_networks.cifar_images(real_data, 5).shape == (5, 3, 32, 32)
    caffe = published_networks.photos_as_caffe(real_data, 3)
    assert caffe.shape == (3, 3, 224, 224)
    red = published_networks.photos_as_imagenet(real_data, 3)[:, 0] * 0.229 + 0.485
    torch.testing.assert_close((caffe[:, 2] + 123) / 255, red, rtol=1e-4, atol=1e-4)

"""The table of published networks says what was measured."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from convrfm import cnfa
from convrfm.errors import InputError
from convrfm.experiments import ansatz_in_networks, cnfa_table, fig1, fig7, layer_lines, published_networks
from convrfm.experiments.experiment import Line, Run, Verdict
from convrfm.experiments.scale import Scale
from convrfm.networks import resnet20
from convrfm.networks.weights import write_weights
from convrfm.report import Page

RUN = Run(cnfa_table.TableSettings(), Scale.FULL, seed=0, device="auto", data="data", files=Path())


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


def test_a_layer_whose_control_has_no_spread_is_kept_shown_and_left_out_of_counts() -> None:
    """Of one filter G is a number, and no rotation turns it: the first layer here. Without a gradient nothing is defined."""
    torch.manual_seed(0)
    network, fresh = (nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten(), nn.Linear(16, 2)) for _ in "ab")
    dead, fresh_dead = (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(32, 2)) for _ in "ab")
    for one in (dead, fresh_dead):
        nn.init.zeros_(one[2].weight)
    images = torch.randn(6, 1, 6, 6)
    found = [
        json.loads(json.dumps(layer_lines.layer_lines(cnfa.measure(one, images, initial=fresh_one)), allow_nan=False))
        for one, fresh_one in ((network, fresh), (dead, fresh_dead))
    ]
    (one_filter,), (no_gradient,) = map(layer_lines.read_layers, found)
    assert one_filter.rotated_deviation == 0
    assert one_filter.clear is no_gradient.clear is None
    assert one_filter.cells[7] == no_gradient.cells[7] == no_gradient.cells[5] == "-"
    assert layer_lines.middle([one_filter, no_gradient], "pearson") == one_filter.pearson
    told: Line = {"n_images": 6, "probes": None, "n_outputs": 2, "initial": "any", "first": {}, "network": "any"}
    lines: list[Line] = [{**told, "layers": [*found[0], *found[1]]}]
    table, bars, before = cnfa_table.conclude(RUN, lines), fig1.conclude(RUN, lines), fig7.conclude(RUN, lines)
    assert table.rows[0][-2:] == [0, 0]
    assert bars.rows[0][7] == 0
    assert Verdict.FAILS not in {table.verdict, bars.verdict, before.verdict}


def test_the_claim_asks_for_more_than_a_fresh_network_and_more_than_the_control(report: cnfa.Report) -> None:
    plain = asdict(layer_lines.layer_line(report["conv1"])) | {"pearson": 0.9, "rotated": 0.8, "fresh": 0.5}
    told = {"n_images": 4, "probes": 3, "n_outputs": 10}

    def verdict(**changed: float) -> Verdict:
        lines = [{"network": title, **told, "layers": [plain | changed]} for title in RUN.settings.networks]
        return cnfa_table.conclude(RUN, lines).verdict

    assert verdict(excess=3.0) is Verdict.HOLDS
    assert verdict(excess=1.0) is Verdict.IN_PART
    assert verdict(excess=1.0, fresh=0.95) is Verdict.FAILS


def test_every_network_has_a_picture_of_its_own(report: cnfa.Report, tmp_path: Path) -> None:
    """VGG-11 with batch norms beside the one without."""
    told = {"n_images": 4, "probes": 3, "n_outputs": 10, "layers": [asdict(layer_lines.layer_line(report["conv1"]))]}
    found = cnfa_table.conclude(RUN, [{"network": title, **told} for title in ansatz_in_networks.PUBLISHED])
    Page("", "", [*found.sections]).write_pictures(tmp_path)
    assert len([*tmp_path.iterdir()]) == len(ansatz_in_networks.PUBLISHED)
    assert (tmp_path / "resnet-20.png").is_file()


def test_photographs_of_any_size_are_taken(tmp_path: Path) -> None:
    folder = tmp_path / "imagenet_photos"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "a.jpg")
    Image.fromarray(np.full((300, 200, 3), (200, 100, 0), np.uint8)).save(folder / "b.jpg")
    Image.fromarray(np.full((100, 150), 77, np.uint8)).save(folder / "c.jpg")
    found = published_networks.photos(tmp_path, 3)
    assert found.shape == (3, 3, 224, 224)
    as_it_is = torch.from_numpy(np.array(Image.open(folder / "a.jpg"))).movedim(-1, 0).float()
    torch.testing.assert_close(found[0], as_it_is, rtol=0, atol=0)
    torch.testing.assert_close(found[1].mean((1, 2)), torch.tensor([200.0, 100, 0]), rtol=0, atol=2)
    torch.testing.assert_close(found[2], torch.full((3, 224, 224), 77.0), rtol=0, atol=1)


@pytest.mark.parametrize("part", [None, "layer1"])
def test_weights_of_another_network_are_refused_in_a_sentence(part: str | None, tmp_path: Path) -> None:
    subject = published_networks.Subject("any", "convrfm.networks:resnet20", "any", published_networks.photos, 1, None)
    subject = replace(subject, part=part)
    (tmp_path / "weights").mkdir()
    file = tmp_path / "weights" / "any.safetensors"
    saved = resnet20()
    write_weights(file, saved.state_dict() if part is None else saved.layer1.state_dict(prefix="layer1."))
    filled = published_networks.published_network(subject, tmp_path)
    own = saved if part is None else saved.layer1
    torch.testing.assert_close(filled.state_dict(), own.state_dict(), rtol=0, atol=0)
    write_weights(file, {f"of_another.{name}": value for name, value in saved.state_dict().items()})
    with pytest.raises(
        InputError, match=rf"any\.safetensors must hold the {len(own.state_dict())} weights of this network"
    ):
        published_networks.published_network(subject, tmp_path)


def test_images_of_the_four_networks_have_their_form(real_data: Path) -> None:
    assert published_networks.cifar_images(real_data, 5).shape == (5, 3, 32, 32)
    caffe = published_networks.photos_as_caffe(real_data, 3)
    assert caffe.shape == (3, 3, 224, 224)
    red = published_networks.photos_as_imagenet(real_data, 3)[:, 0] * 0.229 + 0.485
    torch.testing.assert_close((caffe[:, 2] + 123) / 255, red, rtol=1e-4, atol=1e-4)

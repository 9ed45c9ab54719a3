"""Published networks and own trainings on one page; before and after training on another."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from convrfm.cli import app
from convrfm.errors import InputError, ModelFileError
from convrfm.experiments import ansatz_in_networks, fig1, fig7, published_networks
from convrfm.experiments.experiment import Line, Run, Verdict
from convrfm.experiments.published_networks import IMAGENET
from convrfm.experiments.scale import Scale
from convrfm.networks import load_network
from tests.experiments.layers import layer_with

RUN = Run(
    ansatz_in_networks.NetworksSettings(("ResNet-20, CIFAR-10",)),
    Scale.SMOKE,
    0,
    device="auto",
    data=None,
    files=Path(),
)


def line(pearson: float, fresh: float, fresh_cnfm: float) -> Line:
    layers = [asdict(layer_with(pearson=pearson, fresh=fresh, fresh_cnfm=fresh_cnfm, excess=10 * pearson - 6))]
    told: Line = {"n_images": 5, "probes": None, "n_outputs": 10, "initial": "a fresh network", "first": {}}
    return {"network": "ResNet-20, CIFAR-10", "layers": layers, **told}


@pytest.mark.parametrize(
    ("values", "of_fig1", "of_fig7"),
    [
        ((0.9, 0.3, 0.2), Verdict.HOLDS, Verdict.HOLDS),
        ((0.9, 0.95, 0.2), Verdict.HOLDS, Verdict.FAILS),
        ((0.9, 0.3, 0.95), Verdict.IN_PART, Verdict.HOLDS),
        ((0.5, 0.3, 0.2), Verdict.IN_PART, Verdict.HOLDS),
        ((0.1, 0.3, 0.2), Verdict.FAILS, Verdict.FAILS),
    ],
)
def test_figure_1_compares_with_initial_filters_and_figure_7_with_the_initial_network(
    values: tuple[float, float, float], of_fig1: Verdict, of_fig7: Verdict
) -> None:
    lines = [line(*values)]
    assert fig1.conclude(RUN, lines).verdict is of_fig1
    assert fig7.conclude(RUN, lines).verdict is of_fig7


def test_the_paper_s_networks_have_their_names() -> None:
    titles = [subject.title.removesuffix(", ImageNet") for subject in IMAGENET]
    assert titles[0] == "AlexNet"
    assert {"VGG-11", "VGG-19, bn", "ResNet-18", "ResNet-152"} < set(titles)
    assert len(titles) == 1 + 8 + 5


def test_a_training_of_one_s_own_is_measured_with_its_own_initial_weights(tmp_path: Path) -> None:
    small = ["--width", "4", "--depth", "1", "--epochs", "1", "--n-train", "40", "--n-test", "20", "--n-images", "3"]
    trained = CliRunner().invoke(app, ["train", "vanilla", "bars", *small, "--out", str(tmp_path / "bars"), "--quiet"])
    assert trained.exit_code == 0, trained.output
    words = ["reproduce", "fig1", "--scale", "smoke", "--out", str(tmp_path / "run"), "--set", "networks=[]"]
    words += ["--set", f"runs={json.dumps([str(tmp_path / 'bars')])}", "--set", "n_images=4"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "run" / "steps.jsonl").read_text())
    assert found["initial"] == "its own initial weights"
    assert found["layers"][0]["fresh_cnfm"] > 0.99  # one epoch of Adam moves the weights little
    assert set(found["first"]) == {"initial CNFM", "CNFM", "AGOP"}


def test_weights_are_fetched_only_where_they_take_the_subject_s_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchvision's SqueezeNet has never seen the pixels that Caffe's takes."""
    fetched: list[str] = []

    def loaded(name: str) -> nn.Module:
        fetched.append(name)
        return nn.Identity() if "@" in name else load_network(name)

    monkeypatch.setattr(published_networks, "load_network", loaded)
    for subject in IMAGENET:
        published_networks.published_network(subject, tmp_path, download=True)
    assert fetched == [f"{subject.network}@IMAGENET1K_V1" for subject in IMAGENET]
    squeezenet = ansatz_in_networks.PUBLISHED["SqueezeNet 1.1, ImageNet"]
    with pytest.raises(ModelFileError, match=r"squeezenet1_1\.safetensors"):
        published_networks.published_network(squeezenet, tmp_path, download=True)


def test_runs_of_one_name_are_told_by_all_of_their_folders() -> None:
    lines = [{**line(0.9, 0.3, 0.2), "network": folder} for folder in ("first/run", "second/run", "third/other")]
    names = list(ansatz_in_networks.lines_by_network(lines))
    assert names == ["run first/run", "run second/run", "run other"]


@pytest.mark.parametrize("there", [0, 2])
def test_no_photograph_counts_twice(tmp_path: Path, there: int) -> None:
    (tmp_path / "imagenet_photos").mkdir()
    for number in range(there):
        Image.new("RGB", (224, 224)).save(tmp_path / "imagenet_photos" / f"{number}.jpg")
    with pytest.raises(InputError, match=f"must be 3 photographs .* found {there}"):
        published_networks.photos(tmp_path, 3)


def test_unknown_networks_are_named() -> None:
    run = Run(ansatz_in_networks.NetworksSettings(("VGG-12",)), Scale.SMOKE, 0, device="auto", data=None, files=Path())
    with pytest.raises(InputError, match=r"VGG-11, ImageNet.*got VGG-12"):
        list(ansatz_in_networks.plan(run))

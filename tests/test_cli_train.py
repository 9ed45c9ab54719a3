"""`convrfm train` from a shell, and what other commands take from it."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner, Result

from convrfm import cnfa, datasets, networks
from convrfm.cli import app
from convrfm.errors import ModelFileError
from convrfm.experiments.training_images import as_parts

pytestmark = pytest.mark.usefixtures("pages_without_pictures")

SMALL = ["vanilla", "sklearn:digits", "--width", "4", "--depth", "2", "--n-train", "100", "--n-test", "60"]
TRAINING = [*SMALL, "--epochs", "3", "--learning-rate", "0.003", "--every", "2", "--n-images", "5"]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], terminal_width=200)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "train"
    result = run("train", *TRAINING, "--out", folder, "--seed", 3)
    assert result.exit_code == 0, result.output
    assert re.search(
        r"test accuracy .*% \(.* to .*\) after epoch [123] of 3, the best by held-out images", result.output
    )
    return folder


def test_a_run_holds_all_that_a_reader_needs(trained: Path) -> None:
    told = json.loads((trained / "training.json").read_text())
    assert [epoch["epoch"] for epoch in told["epochs"]] == [1, 2, 3]
    assert told["settings"]["seed"] == 3
    assert [json.loads(line)["step"] for line in (trained / "track.jsonl").read_text().splitlines()] == [0, 2]
    page = (trained / "report.html").read_text()
    assert "90 images to train, 10 to stop on, 60 to test" in page
    assert "://" not in page


def test_the_meter_takes_a_run_with_its_true_initial_weights_and_its_scale(trained: Path, tmp_path: Path) -> None:
    result = run("cnfa", trained, "sklearn:digits", "--out", tmp_path / "cnfa", "--n-images", 6, "--quiet")
    assert result.exit_code == 0, result.output
    report = cnfa.Report.load(tmp_path / "cnfa")
    first = networks.Design("vanilla", width=4, depth=2).build((1, 8, 8), 10, seed=3)
    assert report["0"].initial_filters is not None
    torch.testing.assert_close(report["0"].initial_filters[0], first[0].weight.detach().flatten(1))
    torch.testing.assert_close(
        report["0"].filters[0], load_file(trained / "weights.safetensors")["0.weight"].flatten(1)
    )
    page = (tmp_path / "cnfa" / "report.html").read_text()
    assert "those of the run" in page
    assert "1 x 8 x 8, values from 0 to 1, less 0, over 1<" in page
    assert "Images of" not in result.output


def test_the_meter_warns_where_a_run_sees_values_of_another_scale(trained: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.linspace(0, 255, 4 * 64, dtype=np.float32).reshape(4, 8, 8))
    result = run("cnfa", trained, tmp_path / "x.npz", "--out", tmp_path / "cnfa", "--quiet")
    assert result.exit_code == 0, result.output
    warning = (
        f"Images of {tmp_path / 'x.npz'} have values from 0 to 255. If the network takes images from 0 to 1, store"
    )
    assert warning in " ".join(result.output.split())
    page = (tmp_path / "cnfa" / "report.html").read_text()
    assert warning in page
    assert "1 x 8 x 8, values from 0 to 255, less 0, over 1<" in page
    assert "--scale" not in page.partition("Pearson")[0]


def test_the_same_command_computes_nothing_again_and_another_is_refused(trained: Path) -> None:
    before = (trained / "checkpoint.safetensors").stat().st_mtime_ns
    assert run("train", *TRAINING, "--out", trained, "--seed", 3).exit_code == 0
    assert (trained / "checkpoint.safetensors").stat().st_mtime_ns == before
    other = run("train", *TRAINING, "--out", trained, "--seed", 4)
    assert other.exit_code == 2
    assert "holds a training with --seed 3." in " ".join(other.output.split())
    other = run("train", *TRAINING, "--out", trained, "--seed", 3, "--patch-size", 2)
    assert other.exit_code == 2
    assert "holds a training with no --patch-size." in " ".join(other.output.split())
    other = run("train", "vanilla", "bars", *TRAINING[2:], "--out", trained, "--seed", 3)
    assert "holds a training with DATA sklearn:digits." in " ".join(other.output.split())


def test_an_unfinished_or_damaged_run_is_no_network(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "network.json").write_text((trained / "network.json").read_text())
    with pytest.raises(ModelFileError, match="is not finished"):
        networks.load_trained(tmp_path)
    weights = load_file(trained / "weights.safetensors")
    save_file({name: value * torch.nan for name, value in weights.items()}, tmp_path / "weights.safetensors")
    with pytest.raises(ModelFileError, match="NaN"):
        networks.load_trained(tmp_path)
    (tmp_path / "network.json").write_text("{}")
    with pytest.raises(ModelFileError, match="does not hold a trained network"):
        networks.load_trained(tmp_path)
    card = (trained / "network.json").read_text()
    (tmp_path / "network.json").write_text(card.replace('"depth": 2', '"depth": 3'))
    with pytest.raises(ModelFileError, match="it does not say what was written"):
        networks.load_trained(tmp_path)


@pytest.mark.parametrize("settings", ["[]", '{"settings": 5}', '{"settings": ["seed"]}', '{"settings": null}', "{"])
def test_settings_of_any_form_are_no_reason_to_stop(settings: str, trained: Path, tmp_path: Path) -> None:
    """What decides the training stands in its checkpoint too."""
    run_of = shutil.copytree(trained, tmp_path / "run")
    (run_of / "training.json").write_text(settings)
    assert run("train", *TRAINING, "--out", run_of, "--seed", 3).exit_code == 0
    assert (run_of / "training.json").read_bytes() == (trained / "training.json").read_bytes()
    (run_of / "training.json").write_text(settings)
    other = run("train", *TRAINING, "--out", run_of, "--seed", 4)
    assert other.exit_code == 2
    assert "holds a training that differs in seed" in " ".join(other.output.split())


@pytest.mark.parametrize("line", ["[]", '{"step": 0, "layers": [{"final": false}]}'])
def test_a_damaged_record_of_the_meter_is_told(line: str, trained: Path, tmp_path: Path) -> None:
    run_of = shutil.copytree(trained, tmp_path / "run")
    (run_of / "track.jsonl").write_text(line + "\n")
    result = run("train", *TRAINING, "--out", run_of, "--seed", 3)
    assert result.exit_code == 2
    assert re.search(r"Line 1 of .*track\.jsonl is damaged", result.output)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet", "bars"], "NETWORK must be one of vanilla"),
        (["vanilla", "bars", "--protocol", "lion"], "--protocol must be one of adam, .*; got lion"),
        (["simplenet", "bars", "--depth", "2"], "simplenet has none to choose: leave out --depth 2"),
        (["vanilla", "bars", "--n-train", "8", "--n-test", "8"], "there must be 10 training images"),
        (["vanilla", "nowhere"], "nowhere must be a folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_trained_is_said(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = run("train", *arguments, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert re.search(message, " ".join(result.output.split()))
    assert not (tmp_path / "run" / "network.json").exists()


@pytest.mark.parametrize(
    "arguments", [["vanilla", "nowhere"], ["vanilla", "bars", "--n-train", "8", "--n-test", "8"]], ids=" ".join
)
def test_a_run_stays_that_is_overwritten_by_what_cannot_be_trained(
    arguments: list[str], trained: Path, tmp_path: Path
) -> None:
    run_of = shutil.copytree(trained, tmp_path / "run")
    assert run("train", *arguments, "--out", run_of, "--overwrite").exit_code == 2
    for path in trained.iterdir():
        assert (run_of / path.name).read_bytes() == path.read_bytes()
    networks.load_trained(run_of)


def test_the_layers_of_a_run_are_those_of_the_weights_that_were_kept(trained: Path) -> None:
    """Whichever epoch that was: by the meter, on the weights in the folder."""
    run_of = networks.load_trained(trained)
    images = as_parts(datasets.load("sklearn:digits", n_train=100, n_test=60, seed=3, validation="train"))
    report = cnfa.measure(run_of.network, images.parts.train.x[:5], initial=run_of.initial)
    found = json.loads((trained / "training.json").read_text())["layers"]
    assert [row["name"] for row in found] == [layer.name for layer in report.layers if not layer.final]
    page = (trained / "report.html").read_text()
    for row in found:
        told = report[row["name"]].correlations
        assert told.initial is not None
        assert row["trained_pearson"] == pytest.approx(told.trained.pearson.value, abs=1e-5)
        assert row["initial_pearson"] == pytest.approx(told.initial.pearson.value, abs=1e-5)
        assert f"{row['trained_pearson']:.3f}" in page


def test_the_page_counts_the_images_that_were_measured_on(tmp_path: Path) -> None:
    many = [*SMALL, "--epochs", "1", "--n-images", "1000"]
    assert run("train", *many, "--out", tmp_path / "run").exit_code == 0
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "on 90 training images" in page
    assert "Pearson correlations of the weights that were kept, those after epoch 1" in page
    assert "Curves along 1 epoch." in page


def test_a_training_may_leave_out_a_broken_picture(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(10):
            pixels = generator.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    (tmp_path / "photos" / "a" / "broken.jpg").write_bytes(b"no picture")
    training = ["train", "vanilla", tmp_path / "photos", "--width", 2, "--depth", 1, "--epochs", 1, "--n-images", 2]
    refused = run(*training, "--out", tmp_path / "run")
    assert refused.exit_code == 2
    assert "--unreadable skip leaves it out and says so." in " ".join(refused.output.split())
    result = run(*training, "--out", tmp_path / "run", "--unreadable", "skip")
    assert result.exit_code == 0, result.output
    assert "broken.jpg" in result.output

"""`convrfm cnfa` from a shell."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm
from typer.testing import CliRunner

from convrfm import cnfa
from convrfm.cli import app
from convrfm.commands.cnfa import random_weights_warning
from convrfm.networks import drawn_weights, load_network, resnet20
from convrfm.networks.naming import DrawnWeights


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(4):
        pixels = np.random.default_rng(i).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_one_command_writes_the_whole_report(photos: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, start = resnet20(), resnet20()
    torch.save(network.state_dict(), tmp_path / "trained.pt")
    torch.save({"state_dict": start.state_dict()}, tmp_path / "initial.pth")
    out = tmp_path / "new" / "out"
    code, output = run(
        *("cnfa", "convrfm.networks:resnet20", photos, "--out", out, "--weights", tmp_path / "trained.pt"),
        *("--initial", tmp_path / "initial.pth", "--layers", "conv1", "--layers", "layer3.0.conv1", "--probes", 2),
        *("--n-images", 3, "--image-size", 16),
    )
    assert code == 0, output
    written = {path.name for path in out.iterdir()}
    assert written >= {"layers.csv", "layers.safetensors", "report.html", "report.json"}
    report = cnfa.Report.load(out)
    assert (report.n_images, report.probes, [layer.name for layer in report]) == (3, 2, ["conv1", "layer3.0.conv1"])
    torch.testing.assert_close(report["conv1"].filters[0], network.conv1.weight.detach().flatten(1))
    torch.testing.assert_close(report["conv1"].initial_filters[0], start.conv1.weight.detach().flatten(1))
    assert json.loads((out / "report.json").read_text())["layers"][0]["correlations"]["initial"] is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet18"], "must be torchvision:NAME"),
        (["convrfm.networks:resnet20", "--layers", "conv9"], "Near matches: conv1"),
        (["convrfm.networks:resnet20", "--layers", "conv1", "--layers", "conv9"], "Near matches: conv1"),
        (
            ["convrfm.networks:resnet20", "--layers", "layer[12].0.conv1"],
            "* stands for anything, and no other sign does",
        ),
        (["convrfm.networks:resnet20", "--layers", "layer1"], "layers in it do. Pass 'layer1.*'"),
        (["convrfm.networks:resnet20", "--layers", ""], "got an empty name"),
        (["convrfm.networks:resnet20", "--layers", "conv1,"], "got an empty name"),
        (["convrfm.networks:resnet20", "--scale", "caffe"], "Invalid value for '--scale'"),
        (["convrfm.networks:resnet20", "--weights", "missing.pt"], "cannot be read as weights"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments: list[str], message: str, photos: Path, tmp_path: Path) -> None:
    network, *options = arguments
    code, output = run("cnfa", network, photos, "--out", tmp_path / "out", *options)
    assert code == 2
    assert message in " ".join(output.split())
    assert "Traceback" not in output


def test_weights_of_another_network_are_named(photos: Path, tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "other.pt")
    code, output = run(
        "cnfa", "convrfm.networks:resnet20", photos, "--out", tmp_path / "out", "--weights", tmp_path / "other.pt"
    )
    assert code == 2
    assert "other.pt must hold the 116 weights of this network" in " ".join(output.split())


@pytest.mark.parametrize("network", ["torchvision:resnet18", "timm:resnet18", "convrfm.networks:resnet20"])
def test_random_weights_are_told_before_any_number(
    network: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convrfm.commands.cnfa.load_network", lambda name: resnet20())  # of others as of ours
    printed, plain = list[tuple[str, object]](), Console.print

    def seen(self: Console, *objects: object, **settings: object) -> None:
        printed.append((" ".join(map(str, objects)), settings.get("style")))
        plain(self, *objects, **settings)

    monkeypatch.setattr(Console, "print", seen)
    options = ("--out", tmp_path / "out", "--layers", "conv1", "--probes", 2, "--n-images", 2, "--image-size", 16)
    code, output = run("cnfa", network, photos, *options)
    warning = f"{network} has random weights: nothing here was learned"
    assert code == 0, output
    assert output.index(warning) < output.index("Pearson")
    (style,) = [style for text, style in printed if text.startswith(warning)]
    assert style == "bold red"
    assert "random (see the warning)" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.index(warning) < page.index("Pearson")
    callout = page.rindex("<div", 0, page.index(warning))
    assert page[callout:].startswith('<div class="callout warning" role="note"><strong>Warning</strong>')


def test_what_the_meter_warns_of_stands_on_the_page(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Noisy(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x + torch.rand(()))

    monkeypatch.setattr(
        "convrfm.commands.cnfa.load_network",
        lambda name: Noisy(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )
    code, output = run("cnfa", "mynet:network", photos, "--image-size", 8, "--out", tmp_path / "out")
    assert code == 0, output
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    warning = "The network draws random numbers in evaluation mode"
    assert page.index(warning) < page.index("Pearson")
    callout = page.rindex("<div", 0, page.index(warning))
    assert page[callout:].startswith('<div class="callout warning"')


def test_help_says_that_a_factory_of_ones_own_is_run() -> None:
    shown = CliRunner().invoke(app, ["cnfa", "--help"], env={"COLUMNS": "120"}).output
    words = " ".join(re.sub("\x1b.*?m|[│╭╮╰╯─]", " ", shown).split())
    assert "your own package.module:factory, whose code runs" in words


def test_trained_weights_need_no_warning() -> None:
    assert drawn_weights(resnet20(), "torchvision:resnet18@DEFAULT") == (0, 20, False)
    assert drawn_weights(resnet20(), "timm:resnet18.tag@DEFAULT") == (20, 20, False)
    assert random_weights_warning("torchvision:resnet18@DEFAULT", DrawnWeights(0, 20)) == ""


@pytest.mark.parametrize(
    ("factory", "random"),
    [
        ("nn.Conv2d(3, 4, 3)", (1, 1)),
        ("nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.LazyLinear(2))", (3, 3)),
        ("nn.Sequential(filled(nn.Conv2d(3, 4, 3)), nn.Flatten(), nn.Linear(4, 2)).requires_grad_(False)", (1, 2)),
        ("filled(nn.Conv2d(3, 4, 3))", (0, 1)),
        ("constant(nn.Conv2d(3, 4, 3))", (0, 0)),
        ("once(nn.Conv2d(3, 4, 3))", (0, 1)),
        ("nn.BatchNorm2d(3)", (0, 0)),
        ("seeded(lambda: nn.Conv2d(3, 4, 3))", (0, 1, True)),
        ("seeded(lambda: filled(nn.Conv2d(3, 4, 3)))", (0, 1, True)),
    ],
)
def test_another_draw_tells_that_weights_are_random(
    factory: str, random: tuple[int, int] | tuple[int, int, bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A factory that reads its weights gives them again; one that draws them gives others."""
    code = """
import torch
from torch import nn
calls = []
def filled(layer):
    layer.weight.data = torch.arange(layer.weight.numel()).reshape(layer.weight.shape) / 99  # in place of a file
    return layer
def constant(layer):
    torch.nn.init.constant_(layer.weight, 0.25)
    return layer
def once(layer):
    assert not calls
    calls.append(layer)
    return layer
def seeded(build):
    torch.manual_seed(1)
    return build()
def network():
    return FACTORY
"""
    module = f"of_{tmp_path.name}"
    (tmp_path / f"{module}.py").write_text(code.replace("FACTORY", factory), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    name = f"{module}:network"
    state = torch.get_rng_state()
    assert drawn_weights(load_network(name), name) == (*random, False)[:3]
    if "seeded" not in factory:
        return
    torch.set_rng_state(state)
    said = random_weights_warning(name, drawn_weights(load_network(name), name))
    assert said.startswith(f"{name} seeds torch itself")


def test_a_trained_body_with_a_fresh_head_is_not_called_untrained() -> None:
    said = random_weights_warning("mynet:network", DrawnWeights(1, 21))
    assert said.startswith("1 of 21 weights of mynet:network are random: what these layers show was not learned.")


def test_fewer_images_than_asked_for_are_told_and_so_is_what_was_cropped(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convrfm.commands.cnfa.load_network", lambda name: resnet20())
    options = ("--layers", "conv1", "--probes", 1, "--image-size", 8)
    _, output = run("cnfa", "convrfm.networks:resnet20", photos, "--out", tmp_path / "all", "--n-images", 9, *options)
    page = (tmp_path / "all" / "report.html").read_text(encoding="utf-8")
    for words in (
        "no more than 4 images: all are measured on, in place of 9",
        "Cropped at the center to the proportions",
    ):
        assert words in " ".join(output.split())
        assert words in page
    _, output = run("cnfa", "convrfm.networks:resnet20", photos, "--out", tmp_path / "few", "--n-images", 4, *options)
    assert "no more than" not in output


def test_one_broken_picture_is_no_dead_end(photos: Path, tmp_path: Path) -> None:
    (photos / "broken.jpg").write_bytes(b"no picture")
    measured = ("cnfa", "convrfm.networks:resnet20", photos, "--out", tmp_path / "out", "--layers", "conv1")
    small = ("--probes", 1, "--image-size", 8)
    code, output = run(*measured, *small)
    assert code == 2
    assert "broken.jpg cannot be read" in " ".join(output.split())
    assert "--unreadable skip leaves it out and says so." in " ".join(output.split())
    code, output = run(*measured, *small, "--unreadable", "skip")
    assert code == 0, output
    assert "broken.jpg" in output
    assert cnfa.Report.load(tmp_path / "out").n_images == 4


@pytest.mark.parametrize("scale", [255.0, -2.0])
def test_values_of_another_scale_are_not_scaled_as_those_of_imagenet(scale: float, tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((3, 3, 8, 8)).astype(np.float32)
    for name, values in (("fractions", x), ("others", scale * x), ("bytes", (255 * x).astype(np.uint8))):
        np.savez(tmp_path / f"{name}.npz", x=values)

    def measured(data: str, *options: str) -> tuple[int, str]:
        small = ("--layers", "conv1", "--probes", 1, "--overwrite", "--out", tmp_path / "out")
        return run("cnfa", "convrfm.networks:resnet20", tmp_path / f"{data}.npz", *small, *options)

    code, output = measured("others")
    assert code == 2
    said = " ".join(output.split())
    values = scale * x
    assert f"for --scale imagenet; got values from {values.min():g} to {values.max():g}" in said
    assert "pass --scale none" in said
    for data, options in (("others", ["--scale", "none"]), ("fractions", []), ("bytes", [])):
        code, output = measured(data, *options)
        assert code == 0, output


class OfFunctions(nn.Module):
    """A convolution without a module of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 1, 3, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(x, self.weight).mean((2, 3))


@pytest.mark.parametrize(
    ("first", "channels"),
    [
        (lambda: weight_norm(nn.Conv2d(3, 2, 3)), 3),
        (lambda: nn.Conv2d(3, 3, 3, groups=3), 3),
        (lambda: nn.Conv2d(1, 2, 3), 1),
        (lambda: nn.ConvTranspose2d(3, 2, 3), 3),
        (OfFunctions, 1),
    ],
    ids=["weight norm", "depthwise", "gray", "transposed", "functions"],
)
def test_images_have_the_channels_that_the_first_convolution_takes(
    first: Callable[[], nn.Module], channels: int, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def network(_: str) -> nn.Module:
        layer = first()
        pooled = () if isinstance(layer, OfFunctions) else (nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return nn.Sequential(layer, *pooled)

    monkeypatch.setattr("convrfm.commands.cnfa.load_network", network)
    code, output = run("cnfa", "mynet:network", photos, "--image-size", 8, "--out", tmp_path / "out")
    assert code == 0, output
    assert f", {channels} x 8 x 8, " in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("taken", "given", "note"),
    [
        (1, 3, "Colors became their brightness in 4 images, as the network takes 1 channel."),
        (3, 1, "Gray was repeated for 3 channels in 4 images, as the network takes 3 channels."),
        (3, 3, ""),
    ],
)
def test_images_of_other_channels_than_the_network_takes_are_told(
    taken: int, given: int, note: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = (nn.Conv2d(taken, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    monkeypatch.setattr("convrfm.commands.cnfa.load_network", lambda name: nn.Sequential(*layers))
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(0).integers(0, 256, (4, given, 8, 8)).astype(np.uint8))
    code, output = run("cnfa", "mynet:network", tmp_path / "a.npz", "--out", tmp_path / "out")
    assert code == 0, output
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for told in (" ".join(output.split()), page):
        assert note in told
        assert ("as the network takes" in told) == bool(note)


@pytest.mark.parametrize("kind", [np.float32, np.int64])
def test_gray_values_of_another_scale_are_warned_of_and_the_page_has_the_true_ones(
    kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = (nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    monkeypatch.setattr("convrfm.commands.cnfa.load_network", lambda name: nn.Sequential(*layers))
    x = np.random.default_rng(0).integers(0, 256, (3, 8, 8))
    x[0, 0, :2] = 0, 255
    for name, values in (("others", x.astype(kind)), ("bytes", x.astype(np.uint8))):
        np.savez(tmp_path / f"{name}.npz", x=values)

    def measured(data: str, *options: str) -> tuple[str, str]:
        out = tmp_path / "out"
        code, output = run("cnfa", "mynet:lenet", tmp_path / f"{data}.npz", "--overwrite", "--out", out, *options)
        assert code == 0, output
        return " ".join(output.split()), (out / "report.html").read_text(encoding="utf-8")

    warning = (
        f"Images of {tmp_path / 'others.npz'} have values from 0 to 255. If the network takes images from 0 to 1, store "
        "bytes as uint8, or divide the values by that of white; if it takes these, pass --scale none."
    )
    output, page = measured("others")
    assert warning in output
    assert page.index(warning) < page.index("Pearson")

    assert "1 x 8 x 8, values from 0 to 255<" in page
    output, page = measured("others", "--scale", "none")
    assert "Images of" not in output
    assert "1 x 8 x 8, values from 0 to 255<" in page
    output, page = measured("bytes")
    assert "Images of" not in output
    assert "1 x 8 x 8, values from 0 to 1<" in page


@pytest.mark.parametrize(("output", "got"), [("{'out': y}", "got dict"), ("y[:, 0]", "got (1,)")])
def test_outputs_of_another_form_have_a_remedy_that_can_be_typed(
    output: str, got: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"""
from torch import nn
class Other(nn.Sequential):
    def forward(self, x):
        y = super().forward(x)
        return {output}
def network():
    return Other(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""
    module = f"of_{tmp_path.name}"
    (tmp_path / f"{module}.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    exit_code, told = run("cnfa", f"{module}:network", photos, "--image-size", 8, "--out", tmp_path / "out")
    assert exit_code == 2
    said = " ".join(told.split())
    assert f"{got}. On the command line, name a package.module:factory of a network around this one" in said
    assert "head" not in said

"""An option that changes nothing is refused before any data are read; at its default it is never in the way."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from convrfm.cli import app
from convrfm.networks import Design, NetworkCard, write_card
from convrfm.networks.scaling import paper_scaling


@pytest.mark.parametrize(
    ("command", "idle"),
    [
        (["fit", "nowhere", "--kernel", "laplace"], ["--network", "global"]),
        (["fit", "nowhere", "--kernel", "matern1.5"], ["--network", "global"]),
        (["fit", "nowhere", "--kernel", "gaussian"], ["--depth", "2"]),
        (["fit", "nowhere", "--network", "global"], ["--pool-size", "3"]),
        (["fit", "nowhere", "--network", "myrtle5"], ["--depth", "2"]),
        (["fit", "nowhere", "--network", "myrtle5", "--network", "myrtle7"], ["--patch-size", "5"]),
        (["kernel", "nowhere", "--network", "myrtle10"], ["--depth", "2"]),
        (["kernel", "nowhere", "--network", "myrtle10"], ["--patch-size", "5"]),
        (["fit", "nowhere"], ["--bandwidth", "2"]),
        (["fit", "nowhere"], ["--n-features", "256"]),
        (["fit", "nowhere"], ["--filters", "8"]),
        (["fit", "nowhere", "--iterations", "0"], ["--agop-samples", "5"]),
        (["kernel", "nowhere", "--run", "runs/fit"], ["--kernel", "laplace"]),
        (["kernel", "nowhere", "--run", "runs/fit"], ["--depth", "2"]),
        (["kernel", "nowhere", "--run", "runs/fit"], ["--patch-size", "5"]),
        (["kernel", "nowhere", "--kernel", "laplace"], ["--depth", "2"]),
        (["kernel", "nowhere"], ["--bandwidth", "2"]),
    ],
    ids=" ".join,
)
def test_an_option_without_effect_is_refused_by_name(command: list[str], idle: list[str]) -> None:
    refused = CliRunner().invoke(app, [*command, *idle])
    assert refused.exit_code == 2
    assert f"{idle[0]} changes nothing here" in refused.output
    assert went_on_to_read(command)


def went_on_to_read(command: list[str]) -> bool:
    """Whether it is refused for nothing but its data or run, which are not there."""
    refused = CliRunner().invoke(app, command)
    words = " ".join(refused.output.split())
    return refused.exit_code == 2 and "changes nothing" not in words and ("nowhere" in words or "runs/fit" in words)


@pytest.mark.parametrize(
    "command",
    [
        ["fit", "nowhere", "--kernel", "laplace", "--kernel", "ntk", "--network", "global", "--bandwidth", "2"],
        ["fit", "nowhere", "--kernel", "laplace", "--deep", "--depth", "2", "--filters", "8"],
        ["fit", "nowhere", "--network", "average", "--pool-size", "3", "--solver", "features", "--n-features", "8"],
        ["kernel", "nowhere", "--kernel", "gaussian", "--bandwidth", "2", "--patch-size", "5"],
        ["kernel", "nowhere", "--kernel", "matern2.5", "--bandwidth", "2", "--patch-size", "5"],
        ["fit", "nowhere", "--kernel", "matern1.5", "--bandwidth", "2"],
        ["fit", "nowhere", "--network", "myrtle5", "--network", "vanilla", "--depth", "2", "--patch-size", "5"],
        ["fit", "nowhere", "--network", "myrtle5", "--kernel", "ntk", "--kernel", "laplace", "--patch-size", "5"],
    ],
    ids=" ".join,
)
def test_an_option_with_an_effect_on_one_of_the_models_is_none_of_them(command: list[str]) -> None:
    assert went_on_to_read(command)


@pytest.mark.parametrize("idle", [["--scale", "none"], ["--image-size", "8"]], ids=" ".join)
def test_a_training_brings_the_size_and_the_scale_of_its_images(tmp_path: Path, idle: list[str]) -> None:
    write_card(tmp_path / "run", NetworkCard(Design("vanilla"), (1, 8, 8), 2, paper_scaling(1), "bars"))
    refused = CliRunner().invoke(app, ["cnfa", str(tmp_path / "run"), "nowhere", *idle])
    assert refused.exit_code == 2
    assert f"{idle[0]} changes nothing here: it belongs to networks by name" in refused.output

"""A device that is not there is told by every command, before it reads data or leaves anything on disk."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from convrfm import ConvRFMClassifier, kernels
from convrfm.cli import app

COMMANDS = {
    "fit": ["fit", "nowhere"],
    "kernel": ["kernel", "nowhere"],
    "train": ["train", "vanilla", "nowhere"],
    "cnfa": ["cnfa", "nowhere:network", "nowhere"],
    "predict": ["predict", "MODEL", "nowhere"],
    "reproduce": ["reproduce", "noisy-mnist", "--data", "nowhere"],
    "demo": ["demo"],
    "doctor": ["doctor"],
}
ABSENT = ["abacus", "meta", *([] if torch.cuda.is_available() else ["cuda"])]


def test_no_command_with_a_device_is_left_out() -> None:
    callbacks = [command.callback for command in app.registered_commands if command.callback is not None]
    assert {each.__name__ for each in callbacks if "device" in inspect.signature(each).parameters} == COMMANDS.keys()


@pytest.mark.parametrize("device", ABSENT)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_device_that_is_not_there_is_told_before_data_are_read(command: str, device: str, tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((8, 1, 6, 6)).astype(np.float32)
    ConvRFMClassifier(kernels.Laplace(3), n_iterations=0).fit(x, np.arange(8) % 2).save(tmp_path / "model")
    typed = [word.replace("MODEL", str(tmp_path / "model")) for word in COMMANDS[command]]
    out = tmp_path / "out"
    result = CliRunner().invoke(app, [*typed, "--device", device, "--out", str(out)], terminal_width=200)
    assert result.exit_code == 2, result.output
    said = " ".join(result.output.split())
    assert f"--device must be \"auto\" or a torch device of this machine; got '{device}'" in said
    assert not out.exists()

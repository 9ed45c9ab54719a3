"""The script for a GPU runs from start to end at sizes that Triton's interpreter bears."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import published  # noqa: F401  here, since what it imports changes the environment
from benchmarks.gpu.__main__ import PARTS
from benchmarks.gpu.session import Session

pytest.importorskip("torchvision.models")  # likewise
pytestmark = pytest.mark.filterwarnings("ignore:divide by zero")  # NumPy, in the interpreter


@pytest.mark.parametrize("name", PARTS)
def test_every_part_writes_its_lines(name: str, tmp_path: Path) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    session = Session(device, tiny=True, data=None, lines=tmp_path / "gpu.jsonl")
    session.run(name, seconds=600)
    lines = [json.loads(line) for line in session.lines.read_text().splitlines()]
    assert [line for line in lines if line["name"] in ("failed", "time is up")] == []
    assert len(lines) > 1
    assert all(line.get("worst", 0.0) < 1e-4 for line in lines)


def test_what_fails_or_takes_too_long_is_a_line(tmp_path: Path) -> None:
    session = Session(torch.device("cpu"), tiny=True, data=None, lines=tmp_path / "gpu.jsonl")
    session.run("published", seconds=-1)
    session.run("no_part", seconds=600)
    names = [json.loads(line)["name"] for line in session.lines.read_text().splitlines()]
    assert names == ["noisy-mnist", "time is up", "seconds", "failed", "seconds"]

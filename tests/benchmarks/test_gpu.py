"""The script for a GPU runs from start to end at sizes that Triton's interpreter bears."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import (
    neural_tangents,
    page,
    published,  # noqa: F401  here, since what it imports changes the environment
)
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


def test_neural_tangents_is_timed_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neural_tangents, "MODULE", "tests.benchmarks.stand_in")
    monkeypatch.setattr(neural_tangents, "work_of", lambda *case: lambda: None)
    session = Session(torch.device("cpu"), tiny=True, data=None, lines=tmp_path / "gpu.jsonl")
    (line,) = neural_tangents.neural_tangents(session)
    assert line["name"] == "kernel K(x), n = 4, 1x6x6, depth 1, nt-plain"
    assert line["seconds"] > line["share"] == 0.5
    monkeypatch.setattr(neural_tangents, "MODULE", "tests.benchmarks.no_such_module")
    (line,) = neural_tangents.neural_tangents(session)
    assert "no_such_module" in line["left_out"]


def test_the_page_tells_every_line_with_its_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PAGE", tmp_path / "gpu.md")
    monkeypatch.setattr(page, "RECORD", tmp_path / "gpu.json")
    runs = []
    for card, seconds in (("NVIDIA A", 1.5), ("NVIDIA B", 0.25)):
        lines: list[dict[str, object]] = [
            {"part": "card", "name": card, "torch": "2.11", "cuda": "13.0"},
            {"part": "meter", "name": "a network", "seconds": 99.0},
            {"part": "meter", "name": "a network", "seconds": seconds},
        ]
        runs.append(tmp_path / f"{card}.jsonl")
        runs[-1].write_text("".join(json.dumps(line) + "\n" for line in lines))
    page.write_page(runs)
    told = (tmp_path / "gpu.md").read_text()
    assert "| a network | 1.5 | A |\n| a network | 0.25 | B |" in told
    assert "99" not in told
    assert "this waits for a card" in told
    assert len(json.loads((tmp_path / "gpu.json").read_text())) == 4

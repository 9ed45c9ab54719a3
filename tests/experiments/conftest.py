"""Every experiment at scale smoke, run once for all who ask for it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from convrfm.cli import app


@dataclass(frozen=True)
class SmokeRun:
    """What a run left, and what it said; the folder is not to be changed."""

    folder: Path
    output: str


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], SmokeRun]:
    """By the name of the experiment."""
    root = tmp_path_factory.mktemp("runs")

    @cache
    def finished(name: str) -> SmokeRun:
        words = ["reproduce", name, "--scale", "smoke", "--quiet", "--out", str(root / name)]
        result = CliRunner().invoke(app, words, terminal_width=200)
        assert result.exit_code == 0, result.output
        return SmokeRun(root / name, result.output)

    return finished

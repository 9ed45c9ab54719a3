"""Every experiment at scale smoke, run once for all who ask for it, in whichever process of the suite."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from convrfm.cli import app


@dataclass(frozen=True)
class SmokeRun:
    """What a run left, and what it said; the folder is not to be changed."""

    folder: Path
    output: str


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable[[str], SmokeRun]:
    """By the name of the experiment."""
    root = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        root = root.parent  # of all processes
    (root / "smoke").mkdir(exist_ok=True)

    @cache
    def finished(name: str) -> SmokeRun:
        folder, said = root / "smoke" / name, root / "smoke" / f"{name}.txt"
        with FileLock(root / "smoke" / f"{name}.lock"):
            if not said.exists():
                words = ["reproduce", name, "--scale", "smoke", "--quiet", "--out", str(folder)]
                result = CliRunner().invoke(app, words, terminal_width=200)
                assert result.exit_code == 0, result.output
                said.write_text(result.output, encoding="utf-8")
        return SmokeRun(folder, said.read_text(encoding="utf-8"))

    return finished

"""Results in a file: one line of JSON a trial, so that an interrupted run goes on where it stopped."""

import json
import os
import subprocess
from pathlib import Path

from ..environments import ROOT
from .methods import Measured
from .plan import Trial


def read_results(path: Path) -> dict[Trial, Measured]:
    """All finished trials; the rest of a line that was being written is cut off."""
    if not path.exists():
        return {}
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    found = {}
    for line in whole.splitlines():
        record = json.loads(line)
        record.pop("commit", None)
        found[Trial(*(record.pop(field) for field in Trial._fields))] = record
    return found


def commit() -> str:
    """The commit of the code, "+" where files differ from it, or "" outside a repository."""
    differing = _git("status", "--porcelain", "--", "src", "benchmarks/**/*.py")
    return _git("rev-parse", "--short", "HEAD") + "+" * bool(differing)


def _git(*command: str) -> str:
    return subprocess.run(["git", *command], cwd=ROOT, check=False, capture_output=True, text=True).stdout.strip()


def append_result(path: Path, trial: Trial, measured: Measured, at: str) -> None:
    """Add one line, with the commit that it was computed at, and see it to the disk."""
    with path.open("a") as file:
        file.write(json.dumps(trial._asdict() | measured | {"commit": at}) + "\n")
        file.flush()
        os.fsync(file.fileno())

"""Results in a file: one line of JSON a trial, so that an interrupted run goes on where it stopped."""

import json
import os
from pathlib import Path

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
        found[Trial(*(record.pop(field) for field in Trial._fields))] = record
    return found


def append_result(path: Path, trial: Trial, measured: Measured) -> None:
    """Add one line, and see it to the disk."""
    with path.open("a") as file:
        file.write(json.dumps(trial._asdict() | measured) + "\n")
        file.flush()
        os.fsync(file.fileno())

"""The folder of a long run: a line for every finished step, so that the same command continues an interrupted run."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..report.page import in_words
from ..storage.atomic import write_json
from ..storage.digests import values_with_digest, with_digest
from ..storage.earlier_run import EARLIER, put_back, remove, set_aside
from ..storage.held_folder import is_used
from ..storage.lines import as_line, lines_from
from ..storage.values import values_from
from .experiment import Line, Step

NO_RUN = "{} holds something else than a run of this command. Choose another --out."
IDENTITY, STEPS, FILES = "reproduction.json", "steps.jsonl", "files"
CONTENTS = {
    "page.md": "this page in Markdown",
    "report.html": "the same in one HTML file (not in convrfm's repository)",
    "record.json": "claim, verdict and numbers, with settings and versions",
    "plots": "the figures of this page",
    STEPS: "a line for every finished step, from which the same command continues",
    FILES: "what steps keep for later ones (not in convrfm's repository)",
    IDENTITY: "what decides the results",
}
RUN = (STEPS, *(name for name in CONTENTS if name != STEPS))  # in the order in which it is set aside, the identity last


class RunFolder:
    """A folder with what decides one run and its finished steps.

    Args:
        path: the folder; made if it is missing.
        identity: all that decides the results, as plain values. A folder with the same identity is continued.
        overwrite: whether the run that is there is replaced, finished or not. It is kept until the new one has a step.

    Raises:
        InputError: if the folder holds a run of another identity and `overwrite` is False, or something that is no run.
            What is no run is never removed.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any], *, overwrite: bool) -> None:
        self.path = path
        wanted = json.loads(json.dumps(identity))
        self.settle()
        if is_used(path) and overwrite:
            if not _is_run(path):
                raise InputError(NO_RUN.format(path))
            set_aside(path, RUN)
        elif is_used(path):
            found = read_identity(path)
            if differing := [name for name in wanted | found if wanted.get(name) != found.get(name)]:
                told = ", ".join(
                    f"{name} {in_words(found.get(name))} (now {in_words(wanted.get(name))})" for name in differing
                )
                raise InputError(
                    f"{path} holds a run of other settings: {told}. Repeat its command to continue it, choose another "
                    "--out, or pass --overwrite."
                )
        path.mkdir(parents=True, exist_ok=True)
        write_json(path / IDENTITY, with_digest(wanted))  # first: what has no identity is not known for a run
        self.files.mkdir(exist_ok=True)
        self._lines = read_lines(path)
        _cut_off_half_line(path / STEPS)

    @property
    def files(self) -> Path:
        """The folder for what is too large for a line."""
        return self.path / FILES

    def finished(self, step: Step) -> Line | None:
        """The line of a step, or None."""
        return line_of(step, self._lines)

    def keep(self, line: Line) -> None:
        """Write the line of a step that was computed."""
        _append(self.path / STEPS, line)
        self._lines.append(line)
        remove(self.path / EARLIER)

    def settle(self) -> bool:
        """Remove the run that was replaced where the new one has a step, otherwise put it back.

        Returns:
            Whether it was put back.
        """
        steps = self.path / STEPS
        if not (self.path / EARLIER).is_dir():
            return False
        if steps.exists() and _whole_lines(steps.read_bytes()):
            remove(self.path / EARLIER)
            return False
        put_back(self.path, RUN)
        return True


def line_of(step: Step, lines: Iterable[Line]) -> Line | None:
    """The line of a step, or None."""
    return next((line for line in lines if all(line.get(name) == value for name, value in step.at.items())), None)


def read_identity(path: Path) -> dict[str, Any]:
    """What decides the run in a folder.

    Raises:
        InputError: if there is none, or it is damaged.
    """
    try:
        return values_with_digest((path / IDENTITY).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(NO_RUN.format(path)) from error
    except ValueError as error:
        raise InputError(
            f"{path} holds something else than a run of this command, or its {IDENTITY} is damaged ({error}). Choose another "
            "--out, or copy that file again."
        ) from error


def _is_run(path: Path) -> bool:
    """Whether a folder has what decides a run, damaged or of another version or not."""
    try:
        return "experiment" in values_from((path / IDENTITY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def read_lines(path: Path) -> list[Line]:
    """The lines of finished steps; half a line, which was or is being written, is passed over.

    Raises:
        InputError: if a whole line is damaged.
    """
    file = path / STEPS
    text = file.read_bytes() if file.exists() else b""
    return [*lines_from(_whole_lines(text), file, "Delete it: the same command computes this step again.")]


def _whole_lines(text: bytes) -> bytes:
    return text[: text.rfind(b"\n") + 1]


def _cut_off_half_line(file: Path) -> None:
    """Of a step that was being written when its process was killed; for the process that holds the folder alone."""
    if file.exists():
        os.truncate(file, len(_whole_lines(file.read_bytes())))


def _append(path: Path, line: Line) -> None:
    """Add one line and see it to the disk; raises `InputError` where a number in it is not finite, or there is no room."""
    try:
        text = as_line(line)
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except ValueError as error:
        names = ", ".join(name for name, value in line.items() if not _is_finite(value))
        raise InputError(
            f"a step found numbers that are not finite: {names}. Leave its case out, with --set."
        ) from error
    except OSError as error:
        raise InputError(f"cannot write {path}: {error}. Make room; the same command goes on.") from error


def _is_finite(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True

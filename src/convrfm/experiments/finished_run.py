"""A run whose steps are all there: what it was, and what it found, without computing anything again."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import ConvRFMError, InputError
from .experiment import Experiment, Finding, Line, Run
from .run_folder import FILES, IDENTITY, STEPS, line_of, read_identity, read_lines
from .scale import Scale
from .settings import plain_settings, read_settings


@dataclass(frozen=True)
class FinishedRun:
    """What a folder holds.

    Attributes:
        experiment: what was run.
        identity: all that decides the numbers, as plain values.
        run: the same, as its steps saw it.
        lines: one for each step of the plan.
    """

    experiment: Experiment[Any]
    identity: Mapping[str, Any]
    run: Run[Any]
    lines: Sequence[Line]

    @cached_property
    def finding(self) -> Finding:
        """What the lines say of the claim; raises `InputError` where they are those of another version."""
        with _of_this_version(self.run.files.with_name(STEPS)):
            return self.experiment.conclude(self.run, self.lines)

    @property
    def seconds(self) -> float | None:
        """How long all steps took; None where one of them does not tell."""
        told = [line["seconds"] for line in self.lines if "seconds" in line]
        return sum(told) if len(told) == len(self.lines) else None

    @property
    def command(self) -> str:
        """What repeats it."""
        words = ["convrfm", "reproduce", self.experiment.name, "--scale", self.run.scale, "--seed", str(self.run.seed)]
        words += [] if self.run.data is None else ["--data", self.run.data]
        words += [] if self.run.device == "auto" else ["--device", self.run.device]
        usual = plain_settings(self.experiment.settings[self.run.scale])
        for name, value in plain_settings(self.run.settings).items():
            if value != usual[name]:
                words += ["--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
        return shlex.join(words)


def run_of(
    experiment: Experiment[Any], identity: Mapping[str, Any], files: Path, *, download: bool, verbose: bool
) -> Run[Any]:
    """A run from the plain values that decide it."""
    scale = Scale(identity["scale"])
    return Run(
        settings=read_settings(type(experiment.settings[scale]), identity["settings"]),
        scale=scale,
        seed=identity["seed"],
        device=identity["device"],
        data=identity["data"],
        files=files,
        download=download,
        verbose=verbose,
    )


def read_run(folder: Path, experiments: Mapping[str, Experiment[Any]]) -> FinishedRun:
    """The run in a folder; its data are not needed.

    Args:
        folder: what `reproduce` wrote.
        experiments: those that are known, by name.

    Raises:
        InputError: if the folder holds no run, one of an unknown experiment or of another version, or one that is not
            finished.
    """
    identity = read_identity(folder)
    with _of_this_version(folder / IDENTITY):
        if identity["experiment"] not in experiments:
            raise InputError(f"It is a run of {identity['experiment']}, which this version does not know.")
        experiment = experiments[identity["experiment"]]
        run = run_of(experiment, identity, folder / FILES, download=False, verbose=False)
        steps = list(experiment.plan(run))
    known = read_lines(folder)
    lines = [line for step in steps if (line := line_of(step, known)) is not None]
    if len(lines) < len(steps):
        raise InputError(f"{len(lines)} of {len(steps)} steps are finished. Repeat its command to continue it.")
    return FinishedRun(experiment, identity, run, lines)


@contextmanager
def _of_this_version(file: Path) -> Iterator[None]:
    """What fails within, though the file says what was written, is an `InputError` that names it."""
    try:
        yield
    except (ConvRFMError, MemoryError):
        raise
    except Exception as error:  # what formulas raise of values of another form has no bounds
        raise InputError(
            f"{file} is not what this version of convrfm writes ({error!r}). Repeat its command with --overwrite, or take the "
            "version that wrote it."
        ) from error

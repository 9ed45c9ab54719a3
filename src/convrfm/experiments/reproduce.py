"""The one road of all experiments: from a claim to a folder with finished steps, record, plots and pages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..kernels.devices import chosen_device
from ..report.page import in_words
from ..storage.fingerprints import fingerprint
from ..storage.held_folder import held
from .computing import computed_in_turn
from .experiment import Experiment, Line, Step
from .finished_run import FinishedRun, run_of
from .pages import write_pages
from .run_folder import FILES, IDENTITY, RunFolder
from .scale import Scale
from .settings import changed, plain_settings


@dataclass(frozen=True)
class Request:
    """What a person asks for.

    Attributes:
        scale: how much is computed.
        seed: the first of the seeds of all draws.
        device: "auto" or a torch device.
        data: a path or a name, for experiments that need images.
        changes: values of settings in place of those of the scale, as text by name.
        download: whether torchvision may fetch data.
        verbose: whether steps show progress.
    """

    scale: Scale = Scale.LAPTOP
    seed: int = 0
    device: str = "auto"
    data: str | None = None
    changes: Mapping[str, str] = field(default_factory=dict)
    download: bool = False
    verbose: bool = False


def reproduce(
    experiment: Experiment[Any],
    request: Request,
    out: Path,
    *,
    jobs: int = 1,
    overwrite: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> FinishedRun:
    """Run an experiment, or continue where the same command was interrupted, and write its folder.

    Args:
        experiment: one of the catalogue, or another.
        request: what decides its numbers.
        out: the folder.
        jobs: how many steps are computed at once, each in a process of its own with its share of the threads. The numbers are
            the same but for what that share decides: the last digits of eigenvectors, and the course that networks take in
            training.
        overwrite: whether to replace an earlier run there, as soon as the new one has a step.
        tell: takes a sentence about the settings at the beginning, and one about every step that was computed.

    Raises:
        InputError: if its data are not named, the device is not there, the folder holds something else, or its steps need
            each other and several were to be computed at once.
    """
    if jobs > 1 and experiment.in_order:
        raise InputError(f"every step of {experiment.name} goes on from the one before it: leave --jobs {jobs} out.")
    chosen_device(request.device)
    identity = identity_of(experiment, request, out)
    run = run_of(experiment, identity, out / FILES, download=request.download, verbose=request.verbose)
    with held(out):
        steps = list(experiment.plan(run))  # what it refuses leaves nothing on disk
        _check_each_once(steps)
        folder = RunFolder(out, identity, overwrite=overwrite)
        try:
            tell(f"settings: {listed(identity['settings'])}")
            missing = [step for step in steps if folder.finished(step) is None]
            for done, (step, line) in enumerate(computed_in_turn(missing, jobs), len(steps) - len(missing) + 1):
                folder.keep(line)
                tell(f"step {done} of {len(steps)}: {listed(step.at)}; {line['seconds']:.1f} s")
            lines = [each for step in steps if (each := folder.finished(step)) is not None]
            found = FinishedRun(experiment, identity, run, lines)
            write_pages(found, out)
            return found
        finally:
            if folder.settle():
                tell(f"The earlier run is in {out} again.")


def _check_each_once(steps: Sequence[Step]) -> None:
    """Raise `InputError` where a step is there twice, whose numbers would count as those of two, and where there is none."""
    if not steps:
        raise InputError("these settings leave nothing to compute. Name a case at least, with --set.")
    known = list[Line]()
    for step in steps:
        if step.at in known:
            raise InputError(
                f"the step {listed(step.at)} is there twice, and would count as two. Name each case once with --set, or choose "
                "another --seed."
            )
        known.append(step.at)


def identity_of(experiment: Experiment[Any], request: Request, out: Path) -> dict[str, Any]:
    """All that decides the numbers of a run into a folder, as plain values; runs below the data are no data.

    Raises:
        InputError: if data are needed and not named, or named and not needed, or a setting does not fit.
    """
    if experiment.data and request.data is None and request.scale is not Scale.SMOKE:
        raise InputError(f"{experiment.name} needs --data: {experiment.data}")
    if request.data is not None and not experiment.data:
        raise InputError(f"{experiment.name} generates its own images; got --data {request.data}. Leave it out.")
    settings = changed(experiment.settings[request.scale], request.changes)
    return {
        "experiment": experiment.name,
        "scale": request.scale.value,
        "seed": request.seed,
        "device": request.device,
        "data": request.data,
        "fingerprint of the data": None if request.data is None else _fingerprint(Path(request.data), out),
        "settings": plain_settings(settings),
    }


def _fingerprint(data: Path, out: Path) -> str | None:
    return fingerprint(data, without=[out, *(identity.parent for identity in data.rglob(IDENTITY))])


def listed(values: Mapping[str, Any]) -> str:
    """Names and values in a line."""
    return "; ".join(f"{name} {in_words(value)}" for name, value in values.items())

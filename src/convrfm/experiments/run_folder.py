"""The folder of a long run: every finished step is kept there, so that the same command continues an interrupted run."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..errors import InputError
from ..storage.atomic import write_json, written_whole

SETTINGS, STEPS = "reproduction.json", "steps"
FILES = {
    "report.html": "this page",
    "record.json": "everything that was found, with settings and versions",
    "plots": "the figures of this page",
    STEPS: "every finished step, from which the same command continues",
    SETTINGS: "what decides the results",
}


@dataclass(frozen=True)
class Step:
    """What one step of a run found: plain values, and tensors where later steps need them."""

    record: dict[str, Any]
    tensors: Mapping[str, Float[Tensor, "..."]] = field(default_factory=dict)


class RunFolder:
    """A folder with the settings of one run and its finished steps.

    Args:
        path: the folder; made if it is missing.
        settings: all that decides the results, as plain values. A folder with the same settings is continued.
        overwrite: whether the run that is there is removed first, finished or not.

    Raises:
        InputError: if the folder holds a run of other settings and `overwrite` is False, or something that is no run.
            What is no run is never removed.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], *, overwrite: bool) -> None:
        self.path = path
        wanted = json.loads(json.dumps(settings))
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            found = _settings_in(path)
            differing = [name for name in wanted | found if wanted.get(name) != found.get(name)]
            if differing and not overwrite:
                told = ", ".join(f"{name} {found.get(name)} (now {wanted.get(name)})" for name in differing)
                raise InputError(
                    f"{path} holds a run of other settings: {told}. Repeat its command to continue it, choose another "
                    "--out, or pass --overwrite."
                )
            if overwrite:
                _remove_run(path)
        (path / STEPS).mkdir(parents=True, exist_ok=True)
        write_json(path / SETTINGS, wanted)

    def step(self, name: str, compute: Callable[[], Step]) -> Step:
        """What a step found; it is computed unless it was finished before, and always read from its files."""
        record, tensors = (self.path / STEPS / f"{name}.{kind}" for kind in ("json", "safetensors"))
        if not record.is_file():
            found = compute()
            if found.tensors:
                with written_whole(tensors) as partial:
                    save_file({key: value.detach().cpu().contiguous() for key, value in found.tensors.items()}, partial)
            write_json(record, found.record)  # last: where the record is, the step is complete
        try:
            return Step(json.loads(record.read_text()), load_file(tensors) if tensors.is_file() else {})
        except (ValueError, SafetensorError) as error:
            raise InputError(
                f"{record} is damaged ({error}). Delete it: the same command computes this step again."
            ) from error


def _remove_run(path: Path) -> None:
    """Remove what a run writes, its settings last, and nothing else."""
    for entry in (path / name for name in FILES):
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)


def _settings_in(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads((path / SETTINGS).read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} holds something else than a run of this command. Choose another --out.") from error
    assert isinstance(settings, dict)
    return settings

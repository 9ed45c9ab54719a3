"""The folder of a fit: claimed with the settings of the run, and continued where the same run was interrupted."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..datasets.catalogue import GENERATED
from ..errors import InputError
from ..storage.atomic import write_json
from ..storage.earlier_run import EARLIER, put_back, remove, set_aside
from ..storage.held_folder import held, is_used
from ..storage.models import FILE_NAME
from ..storage.values import values_from
from .outputs import SETTINGS, check_new_folder
from .run_files import FILES, METRICS
from .terminal import remark

DRAW = ("n_train", "n_test", "seed", "sigma")  # settings that decide which images are generated
ARGUMENTS = ("data", "network")  # of `convrfm train`, without a name where they are typed
TILES = "tiles"  # of the kernel matrix of the round that is not finished
BESIDE = ("baselines",)  # settings that decide nothing of the rounds, and may be others when a run goes on
RUN = (FILE_NAME, *(name for name in FILES if name != FILE_NAME), SETTINGS)  # in the order in which it is set aside


def check_folder(folder: Path, *, overwrite: bool, holds_run: bool) -> None:
    """Refuse a folder that holds something, unless that is a run of this command and may be overwritten."""
    if is_used(folder) and not holds_run:
        raise InputError(
            f"{folder} exists already and holds something else than a run of this command. Choose another --out."
        )
    check_new_folder(folder, overwrite=overwrite)


def check_same_run(folder: Path, what: str, there: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse a folder with a run of other settings, in JSON; those that differ are named as they were typed there."""
    differing = [_typed(name, there[name]) for name, value in now.items() if name in there and there[name] != value]
    if differing:
        raise InputError(
            f"{folder} holds {what} with {', '.join(differing)}. Repeat its options to go on with it, choose another --out, or "
            "pass --overwrite."
        )


def _typed(name: str, value: Any) -> str:
    option = name.upper() if name in ARGUMENTS else f"--{name.replace('_', '-')}"
    if value is None or value is False or value == []:
        return f"no {option}"
    values = value if isinstance(value, list) else [value]
    return " ".join(option if each is True else f"{option} {each}" for each in values)


@contextmanager
def claimed(folder: Path, settings: Mapping[str, Any], *, overwrite: bool) -> Iterator[bool]:
    """Hold the folder of a run, and tell whether it holds rounds of the same run, which was interrupted.

    A run that is overwritten comes back where the new one leaves nothing.

    Raises:
        InputError: before anything is computed: if the folder cannot be written, another process holds it, or it holds
            something else than an unfinished run of these settings and may not be overwritten.
    """
    wanted = json.loads(json.dumps(settings, default=str))
    with held(folder):
        _settle(folder)
        there, now = _deciding(read_values(folder / SETTINGS)), _deciding(wanted)
        if overwrite or there != now:
            if not overwrite:
                check_same_run(folder, "an unfinished run", there, now)
            check_folder(folder, overwrite=overwrite, holds_run="data" in settings_of(folder))
            _set_aside(folder)
        for name in FILES:
            if name != FILE_NAME:
                remove(folder / name)
        try:
            write_json(folder / SETTINGS, wanted)
            yield (folder / FILE_NAME).is_file()
        except KeyboardInterrupt:
            if (folder / FILE_NAME).is_file():
                remark("The rounds that are finished are kept: the same command goes on with them.")
            raise
        finally:
            finished = read_values(folder / METRICS).get("finished")
            if finished:
                remove(folder / TILES)
            if finished or not any((folder / name).exists() for name in (FILE_NAME, TILES)):
                (folder / SETTINGS).unlink(missing_ok=True)  # the run is finished, or there is nothing to go on with
            if _settle(folder):
                remark(f"The earlier run is in {folder} again.")
            if (folder / EARLIER).exists():
                remark(f"The earlier run is kept in {folder / EARLIER} until this one has a model.")


def settings_of(run: Path) -> dict[str, Any]:
    """The settings of a run, finished or not, from its folder or the model in it; none of a model by itself."""
    folder = run if run.is_dir() else run.parent
    settings = read_values(folder / METRICS).get("settings")
    return settings if isinstance(settings, dict) else read_values(folder / SETTINGS)


def draw_of(run: Path | None, data: str) -> dict[str, Any]:
    """How a run drew its images: how many, by which seed, at which noise; nothing where it was fitted to other data.

    Nothing also of data that are not generated: their parts are what they are.
    """
    settings = {} if run is None or data not in GENERATED else settings_of(run)
    return {name: settings.get(name) for name in DRAW} if settings.get("data") == data else {}


def read_values(path: Path) -> dict[str, Any]:
    """The values in a JSON file; none where it is missing or damaged."""
    try:
        return values_from(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _deciding(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in BESIDE}


def _set_aside(folder: Path) -> None:
    """Keep a run that has a model until the next one has; tiles would take its room."""
    remove(folder / TILES)
    if (folder / FILE_NAME).is_file():
        set_aside(folder, RUN)


def _settle(folder: Path) -> bool:
    """Remove the earlier run where the new one has a model; put it back where that has no tiles to go on with either.

    Returns:
        Whether it was put back.
    """
    earlier = folder / EARLIER
    if (folder / FILE_NAME).is_file():
        remove(earlier)
    elif earlier.is_dir() and not (folder / TILES).exists():
        if read_values(earlier / METRICS).get("finished"):
            (folder / SETTINGS).unlink(missing_ok=True)  # of a new one that was killed
        put_back(folder, RUN)
        return True
    return False

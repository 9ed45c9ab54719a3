"""What commands refuse to write over: told before anything heavy is imported."""

from pathlib import Path

from ..errors import InputError
from ..storage.atomic import check_writable
from ..storage.held_folder import is_used

SETTINGS = "settings.json"  # of an unfinished fit; those of a finished one are in its metrics


def check_new_file(path: Path, option: str, *, overwrite: bool) -> None:
    """Raise `InputError` where a file is there already that may not be replaced, or none can be written."""
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already. Choose another {option}, or pass --overwrite.")
    check_writable(path)


def check_new_folder(folder: Path, *, overwrite: bool, unfinished: str | None = None) -> None:
    """Raise `InputError` where a folder holds something that may not be replaced.

    Args:
        folder: that of a run.
        overwrite: whether a run there may be replaced; what else is there is found out later.
        unfinished: the file by which a run is known that the same command goes on with; None where there are none.
    """
    if overwrite or not is_used(folder) or (unfinished is not None and (folder / unfinished).is_file()):
        return
    raise InputError(f"{folder} exists already and is not empty. Choose another --out, or pass --overwrite.")

"""A run that is written over: kept beside the new one until that has something of its own."""

import shutil
from collections.abc import Sequence
from pathlib import Path

EARLIER = ".earlier-run"


def set_aside(folder: Path, names: Sequence[str]) -> None:
    """Move what a run wrote out of the way, in this order: first what tells that there is something to keep."""
    (folder / EARLIER).mkdir()
    for name in names:
        if (folder / name).exists():
            (folder / name).replace(folder / EARLIER / name)


def put_back(folder: Path, names: Sequence[str]) -> None:
    """Undo `set_aside`, over what is there now."""
    for name in reversed(names):
        if (folder / EARLIER / name).exists():
            remove(folder / name)
            (folder / EARLIER / name).replace(folder / name)
    (folder / EARLIER).rmdir()


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

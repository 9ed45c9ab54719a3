"""A folder that one process writes to: probed before anything is computed, locked, and cleared of half-written files."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import InputError
from .atomic import UNFINISHED, check_no_address, check_writable

LOCK = ".lock"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make a folder if it is missing, and keep other processes that ask for it out; a killed process lets it go.

    A new folder into which nothing was written is taken away again, with those that were made around it.

    Raises:
        InputError: if it cannot be written, or another process holds it.
    """
    check_no_address(folder)
    try:
        new = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error}. Choose another folder.") from error
    check_writable(folder / "report.html")
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise InputError(f"another convrfm writes to {folder}. Choose another folder, or wait for it.") from error
    try:
        for path in folder.glob(f"{UNFINISHED}*"):  # of a process that was killed while it wrote
            path.unlink()
        yield
    finally:
        (folder / LOCK).unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):  # one that is not empty stays, and those around it
            for each in new:
                each.rmdir()


def is_used(folder: Path) -> bool:
    """Whether there is something in a folder that `held` did not put there, or it is a file."""
    if not folder.is_dir():
        return folder.exists()
    return any(path.name != LOCK and not path.name.startswith(UNFINISHED) for path in folder.iterdir())

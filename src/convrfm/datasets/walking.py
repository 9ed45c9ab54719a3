"""The files below a folder: hidden ones and runs are passed over, links to folders followed, no folder is entered twice."""

import json
import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

NAMES_SHOWN = 10
RUNS: Mapping[str, set[str]] = {
    "metrics.json": {"rounds", "preprocessing", "settings", "versions"},
    "settings.json": {"data", "agop_samples"},  # of a fit that is not finished
    "reproduction.json": {"experiment", "digest"},
}
"""By which file the folder of a run of this library is known, and some of the values in it."""


@dataclass(frozen=True)
class Walk:
    """What lies below a folder, at any depth and in order of the names on the way.

    Attributes:
        files: all files.
        astray: links that lead nowhere.
        again: links to folders that were entered another way.
        closed: folders that may not be read.
        runs: folders of runs of this library, whose pictures are plots.
    """

    files: Sequence[Path]
    astray: Sequence[Path]
    again: Sequence[Path]
    closed: Sequence[Path]
    runs: Sequence[Path]

    def notes(self, folder: Path) -> list[str]:
        """Sentences on the links that gave nothing, and on the folders that were not entered."""
        return [
            *left_out("links that lead nowhere", folder, self.astray),
            *left_out("links to folders that were read already", folder, self.again),
            *left_out("folders that may not be read", folder, self.closed),
            *left_out("runs of convrfm", folder, self.runs),
        ]


def walk(folder: Path) -> Walk:
    """Go through a folder; links to folders come last, so that a folder is known by its own name where it has one here."""
    files: list[Path] = []
    astray: list[Path] = []
    again: list[Path] = []
    closed: list[Path] = []
    runs: list[Path] = []
    folders, links = [folder], list[Path]()
    entered: set[tuple[int, int]] = set()
    while folders or links:
        at = folders.pop() if folders else links.pop(0)
        status = at.stat()
        if (status.st_dev, status.st_ino) in entered:
            again.append(at)
            continue
        entered.add((status.st_dev, status.st_ino))
        try:
            inside = visible(at)
        except PermissionError:
            closed.append(at)
            continue
        if at != folder and _is_run(at):
            runs.append(at)
            continue
        for path in inside:
            if path.is_dir():
                (links if path.is_symlink() else folders).append(path)
            elif path.is_symlink() and not path.is_file():
                astray.append(path)
            else:
                files.append(path)
    return Walk(*(sorted(paths, key=lambda path: path.parts) for paths in (files, astray, again, closed, runs)))


def _is_run(folder: Path) -> bool:
    """Whether this library wrote a run into a folder; files of others may have the same names."""
    return any(_holds(folder / name, values) for name, values in RUNS.items())


def _holds(path: Path, names: set[str]) -> bool:
    """Whether there is a file of JSON with values of these names."""
    try:
        values = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(values, dict) and names <= values.keys()


def visible(folder: Path) -> list[Path]:
    """What lies directly in a folder and is not hidden, by name."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def subfolders(folder: Path) -> list[Path]:
    """The folders, and links to folders, directly in a folder."""
    return [path for path in visible(folder) if path.is_dir()]


def printable(path: Path, folder: Path) -> str:
    """The name of a file below a folder, elsewhere its path, with slashes, in UTF-8 whatever the terminal speaks.

    Other bytes are spelled out.
    """
    named = path.relative_to(folder) if path.is_relative_to(folder) else path
    return os.fsencode(named.as_posix()).decode("utf-8", errors="backslashreplace")


def composed(text: str) -> str:
    """The same with its accents composed (NFC): macOS takes them apart, and both look alike."""
    return unicodedata.normalize("NFC", text)


def left_out(reason: str, folder: Path, files: Sequence[Path]) -> list[str]:
    """A sentence on files that are not read, with the first few names; nothing if there are none."""
    if not files:
        return []
    whole = "" if folder == Path() else f" of {folder}"
    return [f"Left out{whole}, {reason}: {first_few(files, folder)}."]


def not_read(source: Path | str, names: Sequence[str]) -> list[str]:
    """A sentence on columns or arrays of a file that are not read; nothing if there are none."""
    return [f"Not read of {source}: {first_few([Path(name) for name in names], Path())}."] if names else []


def first_few(files: Sequence[Path], folder: Path) -> str:
    """The names of the first few of these files below a folder, and how many more there are."""
    more = f" and {len(files) - NAMES_SHOWN} more" if len(files) > NAMES_SHOWN else ""
    return ", ".join(printable(file, folder) for file in files[:NAMES_SHOWN]) + more

"""The files below a folder: hidden ones are passed over, links to folders are followed, no folder is entered twice."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

NAMES_SHOWN = 10


@dataclass(frozen=True)
class Walk:
    """What lies below a folder, at any depth and in order of the names on the way.

    Attributes:
        files: all files.
        astray: links that lead nowhere.
        again: links to folders that were entered another way.
        closed: folders that may not be read.
    """

    files: Sequence[Path]
    astray: Sequence[Path]
    again: Sequence[Path]
    closed: Sequence[Path]

    def notes(self, folder: Path) -> list[str]:
        """Sentences on the links that gave nothing."""
        return [
            *left_out("links that lead nowhere", folder, self.astray),
            *left_out("links to folders that were read already", folder, self.again),
            *left_out("folders that may not be read", folder, self.closed),
        ]


def walk(folder: Path) -> Walk:
    """Go through a folder; links to folders come last, so that a folder is known by its own name where it has one here."""
    files: list[Path] = []
    astray: list[Path] = []
    again: list[Path] = []
    closed: list[Path] = []
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
        for path in inside:
            if path.is_dir():
                (links if path.is_symlink() else folders).append(path)
            elif path.is_symlink() and not path.is_file():
                astray.append(path)
            else:
                files.append(path)
    return Walk(*(sorted(paths, key=lambda path: path.parts) for paths in (files, astray, again, closed)))


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


def left_out(reason: str, folder: Path, files: Sequence[Path]) -> list[str]:
    """A sentence on files that are not read, with the first few names; nothing if there are none."""
    if not files:
        return []
    more = f" and {len(files) - NAMES_SHOWN} more" if len(files) > NAMES_SHOWN else ""
    names = ", ".join(printable(file, folder) for file in files[:NAMES_SHOWN])
    whole = "" if folder == Path() else f" of {folder}"
    return [f"Left out{whole}, {reason}: {names}{more}."]

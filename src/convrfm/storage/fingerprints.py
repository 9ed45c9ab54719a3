"""Telling whether data under a path are still those of before."""

import hashlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path


def fingerprint(path: Path, without: Collection[Path] = ()) -> str | None:
    """A digest of a file's bytes, or of the names and sizes of all files in a folder; None where there is neither.

    What lies in the folders `without` is left out. Links to folders are followed, in no circle.
    """
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if path.is_dir():
        path, apart = path.resolve(), [folder.resolve() for folder in without]
        files = sorted(p for p in _files(path) if p.is_file() and not any(p.resolve().is_relative_to(f) for f in apart))
        listing = "\n".join(f"{p.relative_to(path).as_posix()} {p.stat().st_size}" for p in files)
        return hashlib.sha256(listing.encode()).hexdigest()
    return None


def _files(path: Path) -> Iterator[Path]:
    """Those below a folder, at any depth."""
    known = set[str]()
    for folder, inner, names in os.walk(path, followlinks=True):
        known.add(os.path.realpath(folder))
        inner[:] = [name for name in sorted(inner) if os.path.realpath(Path(folder, name)) not in known]
        yield from (Path(folder, name) for name in names)

"""Folders of pictures, with one sub-folder per class or without classes, and single pictures.

Hidden files and folders are ignored. Everything else that is left out is named in the notes.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from .pictures import Picture, read_picture, resize
from .sources import Pictures, Reading, Source

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
PARTS = ("train", "test")
NAMES_SHOWN = 10


def read_class_folders(folder: Path, reading: Reading) -> Source:
    """Read a folder that has one sub-folder per class, or such folders named `train` and `test`.

    Pictures may lie at any depth below the folder of their class.

    Raises:
        InputError: If there is no picture in a sub-folder, or one is unreadable and `unreadable` is "error".
    """
    parts = [folder / part for part in PARTS]
    if all(part.is_dir() for part in parts):
        train, test = (_read_classes(part, reading) for part in parts)
        others = [p for p in sorted(folder.iterdir()) if p not in parts and not p.name.startswith(".")]
        return Source(replace(train, notes=(*train.notes, *_note("beside train and test", folder, others))), test)
    return Source(_read_classes(folder, reading))


def read_unlabeled(path: Path, reading: Reading) -> Pictures:
    """Read one picture, or all pictures of a folder at any depth, without labels.

    Raises:
        InputError: If there is no picture, or one is unreadable and `unreadable` is "error".
    """
    if path.is_file():
        picture = _read(path, reading.image_size)
        return Pictures([picture], None, (path.name,), white=255.0)
    files, notes = _picture_files(path)
    return _read_files(path, files, notes, reading)


def holds_loose_pictures(path: Path) -> bool:
    """Whether `path` is a picture, or a folder with pictures directly in it and so without classes."""
    files = path.iterdir() if path.is_dir() else [path]
    return any(_is_picture(file) and not file.name.startswith(".") for file in files)


def _is_picture(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in SUFFIXES


def _read_classes(folder: Path, reading: Reading) -> Pictures:
    files, notes = _picture_files(folder)
    loose = [file for file in files if file.parent == folder]
    if len(loose) == len(files):
        raise InputError(
            f"{folder} must have one sub-folder of pictures per class; got {len(loose)} pictures "
            "outside sub-folders. Move each picture into the folder of its class."
        )
    classes = {file.relative_to(folder).parts[0] for file in files}
    subfolders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    empty = [path for path in subfolders if path.name not in classes]
    notes += _note("in no class folder", folder, loose) + _note("without a picture", folder, empty)
    pictures = _read_files(folder, [file for file in files if file.parent != folder], notes, reading)
    labels = np.array([name.split("/")[0] for name in pictures.names])
    return Pictures(pictures.raw, labels, pictures.names, pictures.white, pictures.notes)


def _picture_files(folder: Path) -> tuple[list[Path], list[str]]:
    visible = [
        path
        for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).parts)
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    files = [path for path in visible if _is_picture(path)]
    others = [path for path in visible if not _is_picture(path)]
    if not files:
        raise InputError(f"{folder} must hold pictures ({', '.join(sorted(SUFFIXES))}); got none. Look at the path.")
    return files, _note("not a picture", folder, others)


def _read_files(folder: Path, files: Sequence[Path], notes: list[str], reading: Reading) -> Pictures:
    pictures: dict[str, Picture] = {}
    skipped = []
    for file in files:
        try:
            pictures[file.relative_to(folder).as_posix()] = _read(file, reading.image_size)
        except InputError:
            if reading.unreadable == "error":
                raise
            skipped.append(file)
    if not pictures:
        raise InputError(f"{folder} must hold readable pictures; got {len(files)} damaged ones. Repair them.")
    notes = notes + _note("unreadable", folder, skipped)
    return Pictures(list(pictures.values()), None, tuple(pictures), white=255.0, notes=tuple(notes))


def _read(file: Path, image_size: tuple[int, int] | None) -> Picture:
    picture = read_picture(file)
    return picture if image_size is None else resize(picture, image_size)


def _note(reason: str, folder: Path, files: Sequence[Path]) -> list[str]:
    if not files:
        return []
    shown = ", ".join(file.relative_to(folder).as_posix() for file in files[:NAMES_SHOWN])
    more = f" and {len(files) - NAMES_SHOWN} more" if len(files) > NAMES_SHOWN else ""
    return [f"Left out of {folder}, {reason}: {shown}{more}."]

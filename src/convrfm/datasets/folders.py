"""Folders of pictures, with one sub-folder per class or without classes, and single pictures.

Hidden files and folders are ignored. Everything else that is left out is named in the notes.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..quantities import counted
from .atlases import holds_atlases
from .class_names import merged_note
from .conversions import how_to_convert
from .memory import Growing
from .pictures import SUFFIXES, Picture, is_smaller, read_first_frame, resize, share_cut_off
from .sources import Pictures, Reading, Source
from .splits import Role, check_classes, classes_of, find_parts, part_notes
from .walking import Walk, composed, first_few, left_out, printable, subfolders, visible, walk

UNSORTED = (
    "Move each picture into the folder of its class, or fit with a table of file names and labels: labels=table.csv."
)
TOLERABLE = 0.02  # of a picture that is cut off: less is not worth a sentence


def read_class_folders(folder: Path, reading: Reading) -> Source:
    """Read a folder that has one sub-folder per class, or such folders for training, validation and testing.

    Pictures may lie at any depth below the folder of their class; links to folders are followed.

    Raises:
        InputError: If there is no picture in a sub-folder, sub-folders are not clearly classes, or a picture is
            unreadable and `unreadable` is "error".
    """
    parts = find_parts(folder)
    if not parts:
        return Source(_read_classes(folder, reading))
    for role in sorted(parts, key=["train", "validation", "test"].index):
        _check_part(role, parts)
    pictures = {role: _read_classes(part, reading) for role, part in parts.items()}
    others = [path for path in visible(folder) if not any(part.is_relative_to(path) for part in parts.values())]
    notes = left_out(f"beside {' and '.join(parts)}", folder, others)
    return Source(pictures["train"], pictures.get("test"), pictures.get("validation"), tuple(notes))


def read_unlabeled(path: Path, reading: Reading) -> Pictures:
    """Read one picture, or all pictures of a folder at any depth, without labels.

    Raises:
        InputError: If there is no picture, or one is unreadable and `unreadable` is "error".
    """
    if path.is_file():
        return read_files(path.parent, [path], [], reading)
    files, notes = picture_files(path)
    if classes := classes_of(path, files):
        beside = first_few([file for file in files if file.parent == path], path)
        notes.append(
            f"The folders of {path} ({first_few([path / name for name in classes], path)}) were not taken for classes, since "
            f"pictures lie beside them ({beside}): all were read without labels."
        )
    return read_files(path, files, notes, reading)


def read_by_path(files: Sequence[Path], reading: Reading) -> Pictures:
    """Read these pictures, wherever they lie, without labels; what is noted is noted of all of them together.

    Raises:
        InputError: If one is unreadable and `unreadable` is "error", or all are.
    """
    return read_files(Path(), files, [], reading)


def holds_loose_pictures(path: Path) -> bool:
    """Whether `path` is a picture, or a folder with pictures directly in it and so without classes.

    Atlases are none, and beside the parts of a data set they are stray.
    """
    if not path.is_dir():
        return is_picture(path)
    return any(map(is_picture, visible(path))) and not holds_atlases(path) and not find_parts(path)


def picture_files(folder: Path) -> tuple[list[Path], list[str]]:
    """The pictures below a folder, and notes on what else is there.

    Raises:
        InputError: If there is none.
    """
    return _pictures_of(folder, walk(folder))


def _pictures_of(folder: Path, found: Walk) -> tuple[list[Path], list[str]]:
    files = [path for path in found.files if is_picture(path)]
    others = [path for path in found.files if not is_picture(path)]
    if not files:
        known = ((path.parent, how_to_convert(path)) for path in sorted(others, key=lambda path: len(path.parts)))
        remedies = [f"In {place}: {remedy}" for place, remedy in known if remedy]
        remedy = max(remedies, key=_keeps_labels, default="Look at the path.")  # the first of these
        raise InputError(f"{folder} must hold pictures ({', '.join(sorted(SUFFIXES))}); got none. {remedy}")
    return files, left_out("not a picture", folder, others) + found.notes(folder)


def _keeps_labels(remedy: str) -> bool:
    return ", y=" in remedy


def read_files(folder: Path, files: Sequence[Path], notes: Sequence[str], reading: Reading) -> Pictures:
    """Read these pictures of a folder, without labels; unreadable ones and further frames are noted.

    Raises:
        InputError: If one is unreadable and `unreadable` is "error", or all are, or they do not fit into memory.
    """
    pictures, names = list[Picture](), list[str]()
    skipped, of_several = list[Path](), list[Path]()
    shapes: list[tuple[int, ...]] = []  # as they come
    growing = Growing(f"the {len(files)} pictures of {folder}")
    for file in files:
        try:
            picture, frames = read_first_frame(file)
        except InputError:
            if reading.unreadable == "error":
                raise
            skipped.append(file)
            continue
        shapes.append(picture.shape)
        if reading.image_size is not None:
            picture = resize(picture, reading.image_size)
        growing.check(picture, len(files) - len(pictures) - len(skipped))
        pictures.append(picture)
        names.append(printable(file, folder))
        if frames > 1:
            of_several.append(file)
    if not pictures:
        raise InputError(f"{folder} must hold readable pictures; got {len(files)} damaged ones. Repair them.")
    notes = [
        *notes,
        *left_out("unreadable", folder, skipped),
        *left_out("all frames or pages but the first", folder, of_several),
        *size_notes(folder, shapes, reading.image_size),
    ]
    return Pictures(pictures, None, tuple(names), white=255.0, notes=tuple(notes))


def size_notes(source: Path | str, shapes: Sequence[tuple[int, ...]], size: tuple[int, int] | None) -> list[str]:
    """What is cropped and what is enlarged of pictures of these shapes, as they come, to this size."""
    if size is None:
        return []
    whole = f"{counted(len(shapes), 'picture')}{'' if source == Path() else f' of {source}'}"
    cropped = [share for shape in shapes if (share := share_cut_off(shape, size)) > TOLERABLE]
    enlarged = sum(is_smaller(shape, size) for shape in shapes)
    notes = []
    if cropped:
        notes.append(
            f"Cropped at the center to the proportions of {size[0]} x {size[1]}: {len(cropped)} of {whole}, with up to "
            f"{max(cropped):.0%} of a picture cut off."
        )
    if enlarged:
        notes.append(f"Enlarged to {size[0]} x {size[1]}: {enlarged} of {whole}.")
    return notes


def is_picture(path: Path) -> bool:
    """Whether a path is that of a file with the name of a picture."""
    return path.is_file() and path.suffix.lower() in SUFFIXES


def _check_part(role: Role, parts: Mapping[Role, Path]) -> None:
    """Raise `InputError` if the pictures of a part lie in no class folders."""
    part = parts[role]
    if not holds_loose_pictures(part) or any(subfolders(part)):
        return
    remedy = UNSORTED
    if role != "train":
        remedy = f"Pass {parts['train']} to fit; label the others afterwards with: convrfm predict RUN {part}."
    raise InputError(f"the pictures of {part} lie in no class folder, so that they have no labels. {remedy}")


def _read_classes(folder: Path, reading: Reading) -> Pictures:
    found = walk(folder)
    files, notes = _pictures_of(folder, found)
    loose = [file for file in files if file.parent == folder]
    if len(loose) == len(files):
        raise InputError(
            f"{folder} must have one sub-folder of pictures per class; got {len(loose)} pictures "
            f"outside sub-folders. {UNSORTED}"
        )
    check_classes(folder, files)
    classes = classes_of(folder, files)
    for name in classes:
        if not _is_utf8(name):
            raise InputError(f"the name of a class folder must be UTF-8; got {name!r} in {folder}. Rename the folder.")
    told = (*found.again, *found.closed, *found.runs)
    others = [path for path in subfolders(folder) if path.name not in classes]
    empty = [path for path in others if not any(each.is_relative_to(path) for each in told)]
    notes += left_out("in no class folder", folder, loose) + left_out("without a picture", folder, empty)
    notes += merged_note(folder, classes) + part_notes(folder, classes)
    pictures = read_files(folder, [file for file in files if file.parent != folder], notes, reading)
    return replace(pictures, labels=np.array([composed(name.split("/")[0]) for name in pictures.names]))


def _is_utf8(name: str) -> bool:
    try:
        os.fsencode(name).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True

"""Which sub-folders of a folder are parts of a data set, for training, validation and testing, and not classes."""

import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from ..errors import InputError
from .walking import subfolders, visible

Role = Literal["train", "validation", "test"]
NAMES: Mapping[str, Role] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
PART = re.compile(
    rf"(?:(?P<stem>.+)[\W_]+)?(?P<name>{'|'.join(NAMES)})[\W_]*(?:set|split|data|dataset|images?|imgs?|pictures|photos)?"
)


def find_parts(folder: Path) -> dict[Role, Path]:
    """The parts among the sub-folders: two or more named alike, such as `seg_train` and `seg_test`, one for training.

    Returns:
        The folder of each part, without doubled folders such as `train/train`; nothing where sub-folders are classes.

    Raises:
        InputError: If two folders claim one part.
    """
    alike: dict[str, dict[Role, Path]] = defaultdict(dict)
    for path in subfolders(folder):
        if part := PART.fullmatch(path.name.casefold()):
            found, role = alike[part["stem"] or ""], NAMES[part["name"]]
            if role in found:
                raise InputError(
                    f"{folder} must have one folder for the {role} part; got {found[role].name} and {path.name}. "
                    "Move one of them away."
                )
            found[role] = path
    for found in alike.values():
        if len(found) > 1 and "train" in found:
            return {role: _innermost(path) for role, path in found.items()}
    return {}


def classes_of(folder: Path, files: Sequence[Path]) -> list[str]:
    """The sub-folders of a folder in which these files lie, at any depth."""
    return sorted({file.relative_to(folder).parts[0] for file in files if file.parent != folder})


def check_classes(folder: Path, files: Sequence[Path]) -> None:
    """Refuse sub-folders that are no classes, with the folder to pass instead.

    Args:
        folder: The folder whose sub-folders are to be classes.
        files: Its pictures, some of them in sub-folders.

    Raises:
        InputError: If there are folders around everything, a sub-folder is a part of a data set, or all sub-folders
            hold the same folders.
    """
    classes = classes_of(folder, files)
    inner = {name: {path.name for path in subfolders(folder / name)} for name in classes}
    around = Path(os.path.commonpath([file.parent for file in files if file.parent != folder]))
    if around != folder and len(within := [path.name for path in subfolders(around)]) > 1:
        raise InputError(
            f"{folder} must have one sub-folder of pictures per class; got only the folder "
            f"{around.relative_to(folder).as_posix()}, around {', '.join(within[:5])}. Pass {around}."
        )
    for name in classes:
        if len(inner[name]) > 1 and PART.fullmatch(name.casefold()):
            raise InputError(
                f"the sub-folders of {folder} must be its classes; {name}, with the folders "
                f"{', '.join(sorted(inner[name])[:5])}, seems to be a part and not a class. Pass {folder / name}, or add "
                "the other parts (train, validation, test)."
            )
    shared = set.intersection(*inner.values()) if inner else set()
    if len(classes) > 1 and len(shared) > 1:
        raise InputError(
            f"the sub-folders of {folder} must be its classes; but each of {', '.join(classes[:5])} holds the folders "
            f"{', '.join(sorted(shared)[:5])}. If these are the classes, pass one of {', '.join(classes[:5])}, or move its "
            "pictures together by class; otherwise move the pictures up into the folder of their class."
        )


def part_notes(folder: Path, classes: Sequence[str]) -> list[str]:
    """Sentences on sub-folders that are taken for classes and called like parts for testing or validation."""
    parts = {name: PART.fullmatch(name.casefold()) for name in classes}
    return [
        f"{folder / name} is taken for a class, as the folders beside it. If it is a part for testing or validation, move it "
        "away, and label its pictures afterwards with: convrfm predict RUN FOLDER."
        for name, part in parts.items()
        if part and NAMES[part["name"]] != "train"
    ]


def _innermost(part: Path) -> Path:
    """Through doubled folders to the one that holds something else."""
    while [path.name.casefold() for path in visible(part)] == [part.name.casefold()] and visible(part)[0].is_dir():
        part = visible(part)[0]
    return part

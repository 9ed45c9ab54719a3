"""Atlases: pictures of many tiles, row by row, with the labels of the tiles in an array beside them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from ..errors import InputError
from .image_arrays import check_labels
from .memory import check_memory
from .pictures import read_picture
from .sources import Pictures, Source, positions
from .walking import left_out, visible

ROWS, COLUMNS = 50, 40  # of tiles


def holds_atlases(folder: Path) -> bool:
    """Whether a folder has atlases of training images."""
    return any(folder.glob("train_*.png")) and (folder / "train_labels.npy").is_file()


def read_atlases(folder: Path) -> Source:
    """Read `train_00.png`, ..., each of 50 rows of 40 square tiles, and `train_labels.npy`; `test_...` likewise.

    Labels that are numbers become the names in `classes.txt`, a line for each, where there is such a file.

    Raises:
        InputError: If an atlas cannot be read or has another shape, or labels or names do not fit.
    """
    files = {part: found for part in ("train", "test") if (found := _atlases(folder, part))}
    parts = {part: _read_part(folder, part, found) for part, found in files.items()}
    atlases = [file for found in files.values() for file in found]
    read = {folder / "classes.txt", *(folder / f"{part}_labels.npy" for part in files), *atlases}
    notes = left_out("beside the atlases", folder, [path for path in visible(folder) if path not in read])
    return Source(parts["train"], parts.get("test"), notes=tuple(notes))


def _atlases(folder: Path, part: str) -> list[Path]:
    """In the order of their numbers, of which later ones may have more digits."""
    return sorted(folder.glob(f"{part}_*.png"), key=lambda file: (len(file.name), file.name))


def _read_part(folder: Path, part: str, files: Sequence[Path]) -> Pictures:
    first = read_picture(files[0])
    check_memory(f"the {len(files)} atlases of {folder}", len(files), first.shape, first.itemsize)
    raw = [tile for file in files for tile in tiles_of(file)]
    file = folder / f"{part}_labels.npy"
    try:
        labels = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{file} must be an array of labels, one for each tile; got: {error}") from error
    empty = len(raw) - len(labels)
    if 0 < empty < ROWS * COLUMNS:
        raw = raw[: len(labels)]
    notes = (f"The last {empty} tiles of {files[-1].name} have no label.",) if empty > 0 else ()
    try:
        named = _named(check_labels(labels, len(raw)), folder / "classes.txt")
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    return Pictures(raw, named, positions(len(raw)), white=255.0, notes=notes)


def tiles_of(file: Path) -> Shaped[np.ndarray, "tiles c side side"]:
    """The tiles of one atlas, row by row.

    Raises:
        InputError: If it cannot be read or has another shape.
    """
    atlas = read_picture(file)
    channels, height, width = atlas.shape
    side = width // COLUMNS
    if side == 0 or (height, width) != (ROWS * side, COLUMNS * side):
        raise InputError(
            f"{file} must have {ROWS} rows of {COLUMNS} square tiles; got {height} x {width} pixels. Write it again."
        )
    return atlas.reshape(channels, ROWS, side, COLUMNS, side).transpose(1, 3, 0, 2, 4).reshape(-1, channels, side, side)


def _named(labels: Shaped[np.ndarray, " n"], classes: Path) -> Shaped[np.ndarray, " n"]:
    if labels.dtype.kind == "U":
        return labels
    numbers = labels.astype(np.int64)
    if not classes.is_file():
        return numbers
    try:
        names = [line.strip() for line in classes.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise InputError(f"{classes} must be text in UTF-8; got: {error}. Save it as such.") from error
    if numbers.min() < 0 or numbers.max() >= len(names):
        raise InputError(
            f"{classes} must name classes 0 to {numbers.max()}, one in each line; it names {len(names)}. Add the others."
        )
    return np.array(names)[numbers]

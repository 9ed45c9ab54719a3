"""Image arrays in `.npz` files."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from ..errors import InputError
from .image_arrays import check_images, check_labels
from .sources import Pictures, Reading, Source, positions

WHITE = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}
DAMAGE = (OSError, ValueError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)


def read_npz(path: Path, reading: Reading) -> Source:
    """Read a `.npz` with `x` and `y`, or with `x_train`, `y_train`, `x_test` and `y_test`.

    Images are `(n, h, w)` or `(n, c, h, w)`; uint8 and uint16 count from 0 to their largest value, other
    types are taken as they are. Labels are integers or strings; without them the pictures are unlabeled.

    Raises:
        InputError: If the file is damaged, holds Python objects or other names, or its arrays are no images
            and labels.
    """
    arrays = _read_arrays(path)
    try:
        if {"x_train", "x_test"} <= arrays.keys():
            return Source(_pictures(arrays, "_train"), _pictures(arrays, "_test"))
        if "x" in arrays:
            return Source(_pictures(arrays, ""))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    raise InputError(
        f"{path} must hold x and y, or x_train, y_train, x_test and y_test; "
        f"got {', '.join(sorted(arrays)) or 'no array'}. Rename its arrays."
    )


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is another kind of file, or cut short")
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except DAMAGE as error:
        raise InputError(
            f"{path} must be an .npz file of plain arrays; got: {str(error).rstrip('.')}. "
            "Write it again with np.savez(path, x=x, y=y), labels as integers or strings."
        ) from error


def _pictures(arrays: dict[str, np.ndarray], part: str) -> Pictures:
    x, y = arrays[f"x{part}"], arrays.get(f"y{part}")
    raw = check_images(x)
    labels = None if y is None else check_labels(y, len(raw))
    if labels is not None and labels.dtype.kind != "U":
        labels = _integers(labels, part)
    return Pictures(raw, labels, positions(len(raw)), white=WHITE.get(x.dtype, 1.0))


def _integers(labels: np.ndarray, part: str) -> np.ndarray:
    whole = labels.astype(np.int64)
    if (whole != labels).any():
        raise InputError(
            f"y{part} must hold labels that fit into 64-bit integers; got {labels.max()}. Number the classes."
        )
    return whole

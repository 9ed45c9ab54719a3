"""Image arrays in `.npz` files."""

import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from .image_arrays import as_batch, channels_seem_last, check_images, check_labels
from .memory import check_memory
from .npz_headers import Header, read_headers
from .sources import Pictures, Reading, Source, positions
from .splits import NAMES, Role
from .walking import not_read

WHITE = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}
IMAGES, LABELS = {"x", "image", "images", "data"}, {"y", "label", "labels", "target", "targets"}
DAMAGE = (OSError, ValueError, EOFError, RuntimeError, MemoryError, NotImplementedError, zipfile.BadZipFile, zlib.error)

Members = Mapping[Role | None, Mapping[str, str]]


def read_npz(path: Path, reading: Reading) -> Source:
    """Read a `.npz` with images and labels, or with such of several parts.

    Images are `x`, `images` or `data`, labels `y`, `labels` or `targets`, each with the usual names of parts before or
    after it: `x_train`, `train_images`, `val_labels`. Other arrays are left alone, and named. Images are `(n, h, w)` or
    `(n, c, h, w)`; colors that come last are moved, and that is noted. uint8 and uint16 count from 0 to their largest value,
    other types are taken as they are. Labels are integers or strings; without them the pictures are unlabeled.

    Raises:
        InputError: If the file is damaged, holds Python objects or other names, its arrays are no images and labels, or do
            not fit into memory.
    """
    try:
        headers = read_headers(path)
        members = _members(path, headers)
        parts = {role: _read_part(path, of_role, headers) for role, of_role in members.items()}
    except DAMAGE as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path} must be an .npz file of plain arrays; got: {str(error).rstrip('.') or type(error).__name__}. "
            "Write it again with np.savez(path, x=x, y=y), labels as integers or strings."
        ) from error
    read = {name for of_part in members.values() for name in of_part.values()}
    notes = not_read(path, [name for name in headers if name not in read])
    return Source(
        parts["train" if "train" in parts else None], parts.get("test"), parts.get("validation"), tuple(notes)
    )


def _members(path: Path, headers: Mapping[str, Header]) -> Members:
    """Which array holds what: by part, None for a file without parts, then by "x" and "y"."""
    found: dict[Role | None, dict[str, str]] = {}
    for name in headers:
        words = [word for word in re.split(r"[\W_]+", name.casefold()) if word]
        roles = [NAMES[word] for word in words if word in NAMES]
        rest = {word for word in words if word not in NAMES}
        kind = "x" if rest and rest <= IMAGES else "y" if rest and rest <= LABELS else None
        if kind is None or len(roles) > 1:
            continue
        of_part = found.setdefault(roles[0] if roles else None, {})
        if kind in of_part:
            raise InputError(
                f"{path} must hold one array for each purpose; got {of_part[kind]} and {name}. Remove one."
            )
        of_part[kind] = name
    with_images = {role: of_part for role, of_part in found.items() if "x" in of_part}
    if not with_images.keys() & {None, "train"}:
        raise InputError(
            f"{path} must hold x and y (or images and labels), or x_train, y_train, x_test and y_test (or train_images, ...); "
            f"got {', '.join(sorted(headers)) or 'no array'}. Rename its arrays."
        )
    if None in with_images and len(with_images) > 1:
        raise InputError(
            f"{path} must hold one data set, in parts or not; got {', '.join(sorted(headers))}. Remove what is not meant."
        )
    return with_images


def _read_part(path: Path, names: Mapping[str, str], headers: Mapping[str, Header]) -> Pictures:
    for name in names.values():
        check_memory(f"{name} of {path}", 1, headers[name].shape, headers[name].dtype.itemsize)
    with np.load(path, allow_pickle=False) as file:
        arrays = {kind: file[name] for kind, name in names.items()}
    judged = names["x"]
    try:
        pictures = _pictures(arrays["x"], judged)
        if "y" not in arrays:
            return pictures
        judged = names["y"]
        return replace(pictures, labels=_labels(arrays["y"], len(pictures)))
    except InputError as error:
        raise InputError(f"{path}: {judged}: {error.sentence}") from error


def _pictures(x: np.ndarray, name: str) -> Pictures:
    """Images without labels."""
    notes = []
    if x.ndim == 4 and channels_seem_last(x.shape):
        x = np.moveaxis(x, -1, 1)
        notes.append(f"The channels of {name} were last: it was read as {x.shape}, channels first.")
    white = WHITE.get(x.dtype.newbyteorder("="))
    raw = check_images(x) if white is None else as_batch(x)
    notes += _whole_numbers_note(raw, name) if white is None else []
    return Pictures(raw, None, positions(len(raw)), white=white or 1.0, notes=tuple(notes))


def _whole_numbers_note(x: np.ndarray, name: str) -> list[str]:
    """A sentence on values that seem to be those of bytes, but are of a type whose white nobody knows."""
    most = x.max()
    narrow = next((dtype for dtype, white in WHITE.items() if 1 < most <= white), None)
    if narrow is None or x.min() < 0 or not (x == np.round(x)).all():
        return []
    return [f"{name} holds whole numbers up to {most:g}, which stay as they are: as {narrow} they would become 0 to 1."]


def _labels(y: np.ndarray, n: int) -> np.ndarray:
    if y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8")
    labels = check_labels(y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y, n)
    if labels.dtype.kind == "U":
        return labels
    whole = labels.astype(np.int64)
    if (whole != labels).any():
        raise InputError(f"y must hold labels that fit into 64-bit integers; got {labels.max()}. Number the classes.")
    return whole

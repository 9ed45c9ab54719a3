"""`load_for_prediction`: images for a model that exists already."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32, Shaped

from ..errors import InputError
from ..quantities import counted
from .catalogue import is_name, read_source
from .folders import holds_loose_pictures, is_picture, read_by_path, read_unlabeled, size_notes
from .pictures import SUFFIXES
from .preprocessing import Preprocessing
from .sources import Pictures, Reading
from .walking import first_few

Batch = Float32[np.ndarray, "n c h w"]
Labels = Shaped[np.ndarray, " n"]


def load_for_prediction(
    data: str | Path | Sequence[str | Path],
    preprocessing: Preprocessing,
    *,
    unreadable: Literal["error", "skip"] = "error",
    n_train: int | None = None,
    n_test: int | None = None,
    seed: int = 0,
    sigma: float | None = None,
    download: bool = False,
    labels: str | Path | None = None,
) -> tuple[Batch, tuple[str, ...], Labels | None, tuple[str, ...]]:
    """Read images and bring them to the form that a model was trained on.

    Args:
        data: A picture; a folder with pictures in it (no labels) or with one sub-folder per class; a `.npz`;
            or a name that `load` knows. Where there is a test part, it alone is taken, otherwise a validation part. Or several
            of these, all with labels or all without; names then tell from which.
        preprocessing: How the training images were made.
        unreadable: What to do with a picture that cannot be read: stop, or skip it and say so in the notes.
        n_train: Of generated data: how many images a model was fitted to; 500 by default. With the `n_train`, `n_test` and
            `seed` of `load` its test images come, none of which is a training image.
        n_test: Of generated data: how many images are taken; 500 by default.
        seed: Decides the draw of generated data.
        sigma: Noise level of `bars` and `noisy-digits`; 1 by default.
        download: Whether torchvision may download data.
        labels: A table (CSV) of file names and labels, for folders of pictures.

    Returns:
        The images `(n, c, h, w)`, their names, their labels `(n,)` or None, and notes on what was done.

    Raises:
        InputError: If the data cannot be read, or their white is not the one that the model was trained with.

    >>> x, names, labels, notes = load_for_prediction("star", Preprocessing((32, 32), 3))
    >>> x.shape, names[:2], labels.shape
    ((500, 3, 32, 32), ('0', '1'), (500,))
    """
    size = preprocessing.image_size
    table = None if labels is None else Path(labels)
    reading = Reading(n_train, n_test, seed, size, unreadable, sigma, download=download, labels=table)
    pictures = _read(data, reading) if isinstance(data, str | Path) else _read_all(data, reading)
    if pictures.white != preprocessing.divide_by:
        saved = " A model that was fitted to pictures is saved with model.save(path, preprocessing=data.preprocessing)."
        raise InputError(
            f"The value of white in {in_short(data)} must be {preprocessing.divide_by:g}, as in training; "
            f"got {pictures.white:g} (255 for pictures and uint8, 1 for floats). "
            f"Give the images in the type and scale of the training images.{saved * (not preprocessing.tells_scale)}"
        )
    changed = [
        *_size_notes(in_short(data), pictures, size),
        *_color_notes(in_short(data), pictures, preprocessing.channels),
    ]
    notes = (*pictures.notes, *changed)
    return preprocessing.made_of(pictures.raw), pictures.names, pictures.labels, notes


def in_short(data: str | Path | Sequence[str | Path]) -> str:
    """What was given, of several the first."""
    several = [data] if isinstance(data, str | Path) else data
    return f"{several[0]}{f' and {len(several) - 1} more' if len(several) > 1 else ''}"


def _size_notes(source: str, pictures: Pictures, size: tuple[int, int] | None) -> list[str]:
    """What is to be said of images that come in another size than pictures in files, which have it already."""
    others = sum(picture.shape[1:] != size for picture in pictures.raw)
    if size is None or not others:
        return []
    resized = f"Resized to {size[0]} x {size[1]}, as in training: {counted(others, 'image')} of {source}."
    return [resized, *size_notes(source, [picture.shape for picture in pictures.raw], size)]


def _color_notes(source: str, pictures: Pictures, channels: int) -> list[str]:
    """What is to be said of colors for a model that was fitted to gray pictures, and of gray ones for one of colors."""
    others = sum(len(picture) != channels for picture in pictures.raw)
    if not others:
        return []
    said = "Only gray, repeated for the model's colors"
    if channels == 1:
        said = "Colors became their brightness, as in training all were gray"
    return [f"{said}: {counted(others, 'image')} of {source}."]


def _read_all(several: Sequence[str | Path], reading: Reading) -> Pictures:
    """All of them as one; every name says where its picture lies. Single pictures are read, and noted, together."""
    if not several:
        raise InputError("data must be a path or a name, or several of them; got none. Pass what is to be predicted.")
    if len(several) == 1:
        return _read(several[0], reading)
    parts = list[Pictures]()
    for single, group in groupby(several, lambda data: reading.labels is None and is_picture(Path(data))):
        if single:
            parts.append(read_by_path([Path(data) for data in group], reading))
        else:
            parts += (_named_below(data, _read(data, reading)) for data in group)
    if len({part.labels is None for part in parts}) > 1 or len({part.white for part in parts}) > 1:
        raise InputError(
            f"{in_short(several)} must have labels all or none, and values of one scale. Predict them one by one."
        )
    raw = [picture for part in parts for picture in part.raw]
    labels = [part.labels for part in parts if part.labels is not None]
    notes = [note for part in parts for note in part.notes]
    names = tuple(name for part in parts for name in part.names)
    notes += _twice_note(names)
    return Pictures(raw, np.concatenate(labels) if labels else None, names, parts[0].white, tuple(notes))


def _twice_note(names: Sequence[str]) -> list[str]:
    """A sentence on pictures that were given more than once, perhaps by several paths."""
    paths = defaultdict[Path, list[str]](list)
    for name in names:
        paths[Path(name).resolve()].append(name)
    twice = [Path(" and ".join(dict.fromkeys(given))) for given in paths.values() if len(given) > 1]
    return [f"Given more than once, with a row each time: {first_few(twice, Path())}."] if twice else []


def _named_below(data: str | Path, pictures: Pictures) -> Pictures:
    return replace(pictures, names=tuple(f"{Path(data).as_posix()}/{name}" for name in pictures.names))


def _read(data: str | Path, reading: Reading) -> Pictures:
    path = Path(data)
    if path.suffix.lower() in SUFFIXES and not path.exists():
        raise InputError(f"there is no picture {path}. Look at the path.")
    if reading.labels is None and not is_name(data) and holds_loose_pictures(path):
        return read_unlabeled(path, reading)
    source = read_source(data, reading)
    train, validation = len(source.train), source.validation
    aside = f"{train} for training"
    if source.test is not None:
        aside += "" if validation is None else f" and {len(validation)} for validation"
        note = f"Of {data} the {counted(len(source.test), 'image')} for testing are taken; {aside} are left out."
    elif validation is not None:
        note = (
            f"{data} has no test part: the {counted(len(validation), 'image')} for validation are taken, on which the fit may "
            f"have chosen or learned; {aside} are left out."
        )
        source = replace(source, test=validation)
    else:
        note = (
            f"{data} has no test part: all {counted(train, 'image')} are taken. If the model was fitted to some of them, these "
            "count too."
        )
    pictures = source.for_testing
    return replace(pictures, notes=(*pictures.notes, note))

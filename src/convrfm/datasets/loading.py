"""`load`: from a path or a name to images that a model can be trained and tested on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int64, Shaped

from ..errors import InputError
from ..quantities import counted
from .catalogue import read_source
from .class_names import class_notes
from .folders import UNSORTED, size_notes
from .image_data import ImageData
from .pictures import PictureBatch
from .preprocessing import Preprocessing, one_size
from .repeats import repeat_notes
from .sampling import hold_out_fifth, stratified_order
from .sources import Pictures, Reading, joined

NOISY = ("bars", "noisy-digits")


def load(
    data: str | Path,
    *,
    n_train: int | None = None,
    n_test: int | None = None,
    seed: int = 0,
    image_size: tuple[int, int] | None = None,
    center: bool = False,
    unreadable: Literal["error", "skip"] = "error",
    sigma: float | None = None,
    root: str | Path | None = None,
    download: bool = False,
    labels: str | Path | None = None,
    validation: Literal["select", "train"] = "select",
) -> ImageData:
    """Read or generate images for training and for testing.

    Data without a test part lose a stratified fifth to it. Held-out, training and test images are drawn by
    `seed` from independent streams: the training images do not depend on `n_test`, nor the test images on
    `n_train`, and smaller draws are part of larger ones (for generated data: independent of each other).

    Args:
        data: A folder with one sub-folder per class, or such folders for training, validation and testing by their
            usual names; a folder of pictures with `labels`; a `.npz` with `x` and `y`, or `x_train`, `y_train`,
            `x_val`, ... (MedMNIST's names too); a `.parquet` of Hugging Face, or a folder of them; `bars`,
            `noisy-digits`, `star`, `sklearn:digits` or `torchvision:NAME`. A name wins over a folder of that name;
            write `./bars` for the folder.
        n_train: Number of training images, drawn by class without replacement; all by default (generated
            data: 500).
        n_test: The same for test images.
        seed: Decides every draw.
        image_size: `(height, width)` that pictures are brought to: needed where their sizes differ.
        center: Whether to subtract from each channel its mean over the training images.
        unreadable: What to do with a picture that cannot be read: stop, or skip it and say so in the notes.
        sigma: Noise level of `bars` and `noisy-digits`; 1 by default.
        root: Where torchvision keeps its files; `~/.cache/convrfm/torchvision` by default.
        download: Whether torchvision may download them.
        labels: A table (CSV) of file names and labels, for a folder of pictures that no class folders sort.
        validation: What becomes of a validation part: `selection`, on which a fit may choose, or training images.

    Raises:
        InputError: If the data cannot be read, or fewer images or classes are there than are needed.
        MissingDependencyError: If torchvision is needed and not installed.

    >>> data = load("sklearn:digits", n_train=100, n_test=50)
    >>> data.x_train.shape, data.y_test.shape, len(data.classes)
    ((100, 1, 8, 8), (50,), 10)
    >>> print(*data.notes, sep="\\n")
    A stratified fifth of the 1797 images was held out for testing.
    100 of the 1438 train images were drawn, stratified by class, with seed 0.
    50 of the 359 test images were drawn, stratified by class, with seed 0.
    """
    if not isinstance(data, str | Path):
        raise InputError(f"data must be a path or a name; got {type(data).__name__}.")
    if sigma is not None and data not in NOISY:
        raise InputError(f"sigma belongs to {' and '.join(NOISY)}; got it for {data}. Leave it out.")
    if validation not in ("select", "train"):
        raise InputError(f'validation must be "select" or "train"; got {validation!r}.')
    table = None if labels is None else Path(labels)
    reading = Reading(n_train, n_test, seed, image_size, unreadable, sigma, root, download, table)
    source = read_source(data, reading)
    hold_out_stream, train_stream, test_stream = np.random.default_rng(seed).spawn(3)
    train, test, notes = source.train, source.test, [*source.train.notes, *source.notes]
    apart = source.validation
    if test is None:
        notes.append(f"A stratified fifth of the {len(train)} images was held out for testing.")
        kept, held_out = hold_out_fifth(_labels(data, train), hold_out_stream)
        train, test = train.take(kept), train.take(held_out)
    else:
        notes += test.notes
    if apart is not None:
        notes += apart.notes
        notes.append(_validation_note(len(apart), validation))
    classes = _classes(data, [part for part in (train, test, apart) if part is not None])
    notes += class_notes(data, classes)
    if apart is not None and validation == "train":
        train, apart = joined(train, apart), None
    for name, part in (("test", source.test), ("validation", apart)):
        if part is not None:
            _check_known(f"the {name} part of {data}", _labels(data, part).tolist(), _labels(data, train).tolist())
    raw = [*train.raw, *test.raw, *(() if apart is None else apart.raw)]
    notes += size_notes(data, [picture.shape for picture in raw], image_size)
    preprocessing = Preprocessing(
        image_size=image_size or one_size(raw), channels=max(map(len, raw)), divide_by=train.white
    )
    notes += _gray_note(data, raw, len(train), preprocessing.channels)
    notes += [*_draw_note("train", len(train), n_train, seed), *_draw_note("test", len(test), n_test, seed)]
    train = train.take(_drawn(_labels(data, train), n_train, train_stream, "train"))
    test = test.take(np.sort(_drawn(_labels(data, test), n_test, test_stream, "test")))
    y_train, y_test = _labels(data, train), _labels(data, test)
    if absent := sorted(set(classes) - set(y_train.tolist())):
        notes.append(f"No training image has class {', '.join(map(str, absent))}.")
    if untested := sorted(set(y_train.tolist()) - set(y_test.tolist())):
        more = f" and {len(untested) - 5} more" if len(untested) > 5 else ""
        notes.append(
            f"No test image has class {', '.join(map(str, untested[:5]))}{more}: no score counts how well it is known."
        )

    if apart is not None and not (known := np.isin(_labels(data, apart), y_train)).all():
        unknown = sorted(set(_labels(data, apart)[~known].tolist()))
        notes.append(
            f"Left out of the validation part: {counted(int((~known).sum()), 'image')} of class "
            f"{', '.join(map(str, unknown))}, of which there is no training image."
        )
        apart = apart.take(np.flatnonzero(known)) if known.any() else None

    x_train = preprocessing.made_of(train.raw)
    notes += preprocessing.dark_note(x_train)
    if center:
        means = x_train.mean(axis=(0, 2, 3), dtype=np.float64)
        preprocessing = replace(preprocessing, center=tuple(means.tolist()))
        x_train -= means.astype(np.float32)[:, None, None]
    x_test = preprocessing.made_of(test.raw)
    selection = None if apart is None else (preprocessing.made_of(apart.raw), _labels(data, apart))
    judging = {"test": x_test} | ({} if selection is None else {"validation": selection[0]})
    notes += repeat_notes(x_train, y_train, train.names, judging)
    return ImageData(
        x_train, y_train, x_test, y_test, classes, train.names, test.names, preprocessing, tuple(notes), selection
    )


def _check_known(what: str, labels: Sequence[int | str], known: Sequence[int | str]) -> None:
    """Raise `InputError` if training knows no label of a part for testing or validation: none could be right."""
    if not set(labels) & set(known):
        came, expected = (", ".join(map(str, sorted(set(some))[:5])) for some in (labels, known))
        raise InputError(
            f"{what} must have labels that training knows, such as {expected}; got {came}. Pass the training part alone, and "
            "label the others afterwards with convrfm predict; or name its classes as in training."
        )


def _drawn(
    labels: Shaped[np.ndarray, " n"], n: int | None, stream: np.random.Generator, part: str
) -> Int64[np.ndarray, " drawn"]:
    if n is not None and n > len(labels):
        raise InputError(
            f"n_{part} must be at most {len(labels)}, the number of {part} images; got {n}. "
            "Ask for fewer, or leave it out for all."
        )
    return stratified_order(labels, stream)[:n]


def _draw_note(part: str, available: int, n: int | None, seed: int) -> list[str]:
    if n in (None, available):
        return []
    return [f"{n} of the {available} {part} images were drawn, stratified by class, with seed {seed}."]


def _gray_note(data: str | Path, raw: PictureBatch, training: int, channels: int) -> list[str]:
    """What is to be said where gray pictures are beside colored ones; those to train are the first."""
    gray = [len(picture) < channels for picture in raw]
    if not any(gray):
        return []
    of = f"{data}, among them all that train" if all(gray[:training]) else data
    return [
        f"Only gray, repeated for {channels} channels, as others have colors: {counted(sum(gray), 'image')} of {of}."
    ]


def _labels(data: str | Path, pictures: Pictures) -> Shaped[np.ndarray, " n"]:
    if pictures.labels is None:
        raise InputError(f"{data} must have labels; got images alone. Add y (or y_train and y_test).")
    return pictures.labels


def _validation_note(n: int, use: Literal["select", "train"]) -> str:
    if use == "train":
        return f"The {n} validation images joined the training images."
    return f"{n} validation images are kept apart."


def _classes(data: str | Path, parts: Sequence[Pictures]) -> tuple[int | str, ...]:
    labels = [_labels(data, part) for part in parts]
    if len({of_part.dtype.kind for of_part in labels}) > 1 or len({part.white for part in parts}) > 1:
        kinds = " and ".join(str(of_part.dtype) for of_part in labels)
        whites = " and ".join(f"{part.white:g}" for part in parts)
        raise InputError(
            f"The training and test parts of {data} must be alike; got labels of {kinds}, white at {whites}. "
            "Store all in one form."
        )
    classes = tuple(np.unique(np.concatenate(labels)).tolist())
    if len(classes) < 2:
        of_folder = parts[0].names[0].startswith(f"{classes[0]}/")
        remedy = f"Add another. If this folder is no class: {UNSORTED}" if of_folder else "Add another."
        raise InputError(f"{data} must have at least two classes; got only {classes[0]!r}. {remedy}")
    return classes

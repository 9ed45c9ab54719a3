"""`load`: from a path or a name to images that a model can be trained and tested on."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32, Int64, Shaped

from ..errors import InputError
from .catalogue import read_source
from .preprocessing import Preprocessing, one_size
from .sampling import hold_out_fifth, stratified_order
from .sources import Pictures, Reading

NOISY = ("bars", "noisy-digits")


@dataclass(frozen=True)
class ImageData:
    """Images and labels, ready to fit and to score, and how they came about.

    Attributes:
        x_train: Training images, in an order of which every leading part holds the classes in proportion.
        y_train: Their labels, integers or strings.
        x_test: Test images, in the order in which they are stored.
        y_test: Their labels.
        classes: All labels, sorted.
        names_train: File names, or positions in the array, of the training images.
        names_test: The same of the test images.
        preprocessing: How raw pictures became `x`.
        notes: Sentences on what was held out, drawn and left out.
    """

    x_train: Float32[np.ndarray, "n c h w"]
    y_train: Shaped[np.ndarray, " n"]
    x_test: Float32[np.ndarray, "m c h w"]
    y_test: Shaped[np.ndarray, " m"]
    classes: tuple[int | str, ...]
    names_train: tuple[str, ...]
    names_test: tuple[str, ...]
    preprocessing: Preprocessing
    notes: tuple[str, ...]


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
) -> ImageData:
    """Read or generate images for training and for testing.

    Data without a test part lose a stratified fifth to it. Held-out, training and test images are drawn by
    `seed` from independent streams: the training images do not depend on `n_test`, nor the test images on
    `n_train`, and smaller draws are part of larger ones (for generated data: independent of each other).

    Args:
        data: A folder with one sub-folder per class (or such folders `train` and `test`); a `.npz` with `x`
            and `y`, or `x_train`, `y_train`, `x_test` and `y_test`; `bars`, `noisy-digits`, `star`,
            `sklearn:digits` or `torchvision:NAME`. A name wins over a folder of that name; write `./bars`
            for the folder.
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
    reading = Reading(n_train, n_test, seed, image_size, unreadable, sigma, root, download)
    source = read_source(data, reading)
    hold_out_stream, train_stream, test_stream = np.random.default_rng(seed).spawn(3)
    train, test, notes = source.train, source.test, list(source.train.notes)
    if test is None:
        notes.append(f"A stratified fifth of the {len(train)} images was held out for testing.")
        kept, held_out = hold_out_fifth(_labels(data, train), hold_out_stream)
        train, test = train.take(kept), train.take(held_out)
    else:
        notes += test.notes
    classes = _classes(data, train, test)
    preprocessing = Preprocessing(
        image_size=image_size or one_size([*train.raw, *test.raw]),
        channels=max(len(picture) for picture in (*train.raw, *test.raw)),
        divide_by=train.white,
    )
    notes += [*_draw_note("train", len(train), n_train, seed), *_draw_note("test", len(test), n_test, seed)]
    train = train.take(_drawn(_labels(data, train), n_train, train_stream, "train"))
    test = test.take(np.sort(_drawn(_labels(data, test), n_test, test_stream, "test")))
    y_train, y_test = _labels(data, train), _labels(data, test)
    if absent := sorted(set(classes) - set(y_train.tolist())):
        notes.append(f"No training image has class {', '.join(map(str, absent))}.")

    x_train = preprocessing.apply(train.raw)
    if center:
        means = x_train.mean(axis=(0, 2, 3), dtype=np.float64)
        preprocessing = replace(preprocessing, center=tuple(means.tolist()))
        x_train -= means.astype(np.float32)[:, None, None]
    x_test = preprocessing.apply(test.raw)
    return ImageData(x_train, y_train, x_test, y_test, classes, train.names, test.names, preprocessing, tuple(notes))


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


def _labels(data: str | Path, pictures: Pictures) -> Shaped[np.ndarray, " n"]:
    if pictures.labels is None:
        raise InputError(f"{data} must have labels; got images alone. Add y (or y_train and y_test).")
    return pictures.labels


def _classes(data: str | Path, train: Pictures, test: Pictures) -> tuple[int | str, ...]:
    y_train, y_test = _labels(data, train), _labels(data, test)
    if y_train.dtype.kind != y_test.dtype.kind or train.white != test.white:
        raise InputError(
            f"The training and test parts of {data} must be alike; got labels of "
            f"{y_train.dtype} and {y_test.dtype}, white at {train.white:g} and {test.white:g}. "
            "Store both in one form."
        )
    classes = tuple(np.union1d(y_train, y_test).tolist())
    if len(classes) < 2:
        raise InputError(f"{data} must have at least two classes; got only {classes[0]!r}. Add another.")
    return classes

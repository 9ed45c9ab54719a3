"""Real images for networks: a data set by name, scaled as Appendix B has it, in parts to train, to stop and to test on."""

import warnings
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..datasets import ImageData, find_data_set, load
from ..datasets.catalogue import is_name
from ..datasets.preprocessing import are_of_pictures
from ..datasets.sampling import stratified_order
from ..errors import InputError
from ..networks import Labeled, Scaling, TrainingParts, paper_scaling

HELD_OUT = 10  # one of so many training images
WANTED = (
    "a folder of data sets: cifar10/, gtsrb32/ (atlases, or class folders), mnist.npz and the like; see docs/data.md."
)


class Draw(NamedTuple):
    """How many images of a data set, to train (a tenth of them to stop on) and at most to test; None for all; their size."""

    n_train: int | None
    n_test: int | None
    size: tuple[int, int] | None


class RealImages(NamedTuple):
    """Images of one data set, how many classes they have, and how they were scaled."""

    parts: TrainingParts
    n_classes: int
    scaling: Scaling

    @property
    def image_shape(self) -> tuple[int, ...]:
        """`(channels, height, width)`."""
        return tuple(self.parts.train.x.shape[1:])


def real_images(name: str, folder: str | None, draw: Draw, *, seed: int, download: bool = False) -> RealImages:
    """Images of a data set as `drawn_images` draws them, scaled and in parts."""
    return as_parts(drawn_images(name, folder, draw, seed=seed, download=download))


def drawn_images(name: str, folder: str | None, draw: Draw, *, seed: int, download: bool = False) -> ImageData:
    """Draw images of a data set; those of a validation part are among the training images.

    Args:
        name: As in the folder, or with a colon as `datasets.load` takes it: "torchvision:SVHN", "sklearn:digits".
        folder: A folder of data sets; None where the name tells all.
        draw: How many, and of which size, to which all are brought.
        seed: Of the draw.
        download: Whether torchvision may fetch data.

    Raises:
        InputError: If there is no such data set, or not as many images.
    """
    named = folder is None or is_name(name)
    data = load(
        name if folder is None or named else find_data_set(name, folder),
        n_train=draw.n_train,
        n_test=draw.n_test if named else None,
        seed=seed,
        image_size=draw.size,
        download=download,
        validation="train",
    )
    return data if named or draw.n_test is None else fewer_to_test(data, draw.n_test, seed)


def fewer_to_test(data: ImageData, n: int, seed: int) -> ImageData:
    """n of the test images, or all if there are fewer: those that `datasets.load` draws with this seed."""
    stream = np.random.default_rng(seed).spawn(3)[2]
    chosen = np.sort(stratified_order(data.y_test, stream)[:n])
    names = tuple(data.names_test[i] for i in chosen)
    return replace(data, x_test=data.x_test[chosen], y_test=data.y_test[chosen], names_test=names)


def as_parts(data: ImageData) -> RealImages:
    """Scale images, and keep the first tenth of the training images, which holds the classes in proportion, to stop on.

    Colored ones that are not from 0 to 1, for which the scale is meant, are warned of.

    Raises:
        InputError: If there are fewer than ten training images.
    """
    if len(data.y_train) < HELD_OUT:
        raise InputError(
            f"there must be {HELD_OUT} training images, of which one is held out; got {len(data.y_train)}."
        )
    scaling = paper_scaling(data.x_train.shape[1])
    least, most = float(data.x_train.min()), float(data.x_train.max())
    if any(scaling.means) and not are_of_pictures(least, most):
        warnings.warn(
            f"training images have values from {least:g} to {most:g}, and are scaled as pictures from 0 to 1 are (Appendix B): "
            "where they are pictures, store bytes as uint8, or divide the values by that of white.",
            stacklevel=2,
        )
    y, y_test = (np.searchsorted(data.classes, labels).astype(np.int64) for labels in (data.y_train, data.y_test))
    n = len(y) // HELD_OUT
    drawn = ((data.x_train[n:], y[n:]), (data.x_train[:n], y[:n]), (data.x_test, y_test))
    return RealImages(TrainingParts(*(Labeled.of(*part, scaling) for part in drawn)), len(data.classes), scaling)

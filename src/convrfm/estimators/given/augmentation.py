"""Copies of training images that show the same as they do, mirrored or moved."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import prod
from typing import Literal

import torch

from ...errors import InputError
from ...kernels.recursion.recursion import Images

Augmentation = Literal["flip", "shift"]


def _mirrored(images: Images) -> Images:
    return images.flip(-1)


def _moved(images: Images, axis: int, step: int) -> Images:
    """By so many pixels along an axis; what comes in repeats the edge."""
    places = torch.arange(images.shape[axis], device=images.device) - step
    return images.index_select(axis, places.clamp(0, images.shape[axis] - 1))


COPIES: Mapping[str, Sequence[Callable[[Images], Images]]] = {
    "flip": (_mirrored,),
    "shift": tuple(partial(_moved, axis=axis, step=step) for axis in (-2, -1) for step in (-1, 1)),
}


def with_copies(x: Images, augment: Sequence[Augmentation]) -> Iterator[Images]:
    """The images, then all of them once more for every kind of copy: of "flip" one, of "shift" four, of both nine."""
    if not augment:
        yield x
        return
    yield from with_copies(x, augment[:-1])
    for copy in COPIES[augment[-1]]:
        yield from map(copy, with_copies(x, augment[:-1]))


def check_copies(x: Images, augment: Sequence[Augmentation]) -> None:
    """Raise `InputError` where a copy of every image is the image itself."""
    for name in augment:
        if all(torch.equal(copy(x), x) for copy in COPIES[name]):
            raise InputError(
                f'augment="{name}" changes nothing here: every copy of a training image is the image itself. Leave it out.'
            )


def images_of_each(augment: Sequence[Augmentation]) -> int:
    """How many there are of every image, itself among them."""
    return prod(1 + len(COPIES[name]) for name in augment)


def check_augmentation(augment: object) -> None:
    """Raise `InputError` unless it is a sequence of names of copies, each once."""
    names = augment if isinstance(augment, list | tuple) else [None]
    wrong = [name for name in names if not isinstance(name, str) or name not in COPIES or names.count(name) > 1]
    if wrong:
        got = repr(augment) if wrong == [None] else " and ".join(map(repr, wrong))
        raise InputError(
            f'augment must be of "flip" and "shift", each at most once; got {got}.',
            in_python='Pass a sequence of them, such as ("flip",).',
        )

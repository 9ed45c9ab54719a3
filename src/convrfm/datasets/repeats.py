"""Pictures that are there more than once: with two labels, with one, or in training and in what is to judge it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import blake2b

import numpy as np
from jaxtyping import Float32, Shaped

from ..quantities import counted

Batch = Float32[np.ndarray, "_ c h w"]


def repeat_notes(
    images: Batch, labels: Shaped[np.ndarray, " _"], names: Sequence[str], judging: Mapping[str, Batch]
) -> list[str]:
    """What is to be said of training images that equal each other, and of others that equal a training image.

    Args:
        images: those to train on.
        labels: of them.
        names: of them.
        judging: other images by what they are called.
    """
    alike: dict[bytes, list[int]] = defaultdict(list)
    for number, image in enumerate(images):
        alike[_digest(image)].append(number)
    several = [numbers for numbers in alike.values() if len(set(labels[numbers].tolist())) > 1]
    notes = []
    if several:
        first = several[0][0]
        other = next(number for number in several[0] if labels[number] != labels[first])
        notes.append(
            f"{counted(sum(map(len, several)), 'training image')} equal one of another class, such as {names[first]} "
            f"({labels[first]}) and {names[other]} ({labels[other]}): nothing can tell them apart."
        )
    if copies := sum(len(numbers) - len(set(labels[numbers].tolist())) for numbers in alike.values()):
        notes.append(
            f"Training images that repeat one of the same class: {copies}. Leave-one-out and folds judge them by their copies."
        )
    for part, others in judging.items():
        if known := sum(_digest(image) in alike for image in others):
            notes.append(f"{known} of the {len(others)} {part} images equal a training image: they judge nothing new.")
    return notes


def _digest(image: Float32[np.ndarray, "c h w"]) -> bytes:
    return blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()

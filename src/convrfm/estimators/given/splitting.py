"""Which images every fold of a cross-validation holds out."""

import warnings
from numbers import Integral
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, check_cv

from ...errors import InputError


def fold_indices(
    cv: Any,
    labels: Shaped[np.ndarray, "n *k"],
    groups: Int[np.ndarray, " n"] | None,
    weights: Float[np.ndarray, " n"] | None = None,
    *,
    classify: bool,
) -> list[Int[np.ndarray, " _"]]:
    """The images that each fold holds out, numbered among those of positive weight; none without `cv`.

    A number of folds divides the images of positive weight and keeps groups together; a splitter divides the images as they
    were given.

    Raises:
        InputError: unless `cv` is a number of folds or a splitter, every image is held out once and used by all other folds,
            and all folds have images to hold out and images to learn from.
    """
    if cv is None:
        return []
    counted = np.ones(len(labels), dtype=bool) if weights is None else weights > 0
    if isinstance(cv, Integral):
        labels, groups, counted = labels[counted], None if groups is None else groups[counted], counted[counted]
        _check_number_of_folds(int(cv), labels, groups, classify=classify)
    try:
        if groups is not None and isinstance(cv, Integral):
            splitter = StratifiedGroupKFold(cv) if classify else GroupKFold(cv)
        else:
            splitter = check_cv(cv, labels, classifier=classify)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The least populated class")  # said by us in other words
            folds = [tuple(map(_numbers, fold)) for fold in splitter.split(labels, labels, groups)]
            folds = [(np.sort(part), out) for part, out in folds]
    except (ValueError, TypeError) as error:
        raise InputError(
            f"cv must be None, a number of folds, or a splitter for these labels; got {cv!r}: {error}"
        ) from error
    every = np.arange(len(labels))
    held_out_once = np.array_equal(np.sort(np.concatenate([every[:0], *(held_out for _, held_out in folds)])), every)
    if not held_out_once or not all(np.array_equal(part, np.delete(every, held_out)) for part, held_out in folds):
        raise InputError(
            f"cv must hold out every image once and learn from all others meanwhile, as KFold does; got {cv!r}."
        )
    if not all(len(held_out) for _, held_out in folds):
        raise InputError(f"cv must hold out some image in every fold; got {cv!r}: pass fewer folds.")
    numbers = np.cumsum(counted) - 1
    parts = [numbers[held_out[counted[held_out]]] for _, held_out in folds]
    parts = [part for part in parts if len(part)]
    if len(parts) < 2:
        raise InputError(f"cv must leave images of positive weight to learn from in every fold; got {cv!r}.")
    return parts


def _numbers(images: Any) -> Int[np.ndarray, " _"]:
    """Of the images of a fold; raises `TypeError` for what numbers none, such as masks."""
    numbers = np.asarray(images)
    if numbers.size and numbers.dtype.kind not in "iu":
        raise TypeError(f"folds must be integers, the numbers of images from 0 on; got {numbers.dtype}")
    return numbers.astype(np.int64)


def _check_number_of_folds(
    cv: int, labels: Shaped[np.ndarray, "n *k"], groups: Int[np.ndarray, " n"] | None, *, classify: bool
) -> None:
    """Raise `InputError` for more folds than can hold something out; warn where some hold out none of the rarest class."""
    if groups is not None:
        most, of = len(np.unique(groups)), "groups"
    elif classify:
        counts = np.unique(labels, return_counts=True)[1]
        most, of = int(counts.max()), "training images of the most frequent class"
        if counts.min() < cv <= most:
            warnings.warn(
                f"the rarest class has {counts.min()} training images: some of the {cv} folds hold out none of it.",
                stacklevel=5,
            )
    else:
        most, of = len(labels), "training images"
    if most < 2:
        raise InputError(
            f"cv needs something to learn from beside what a fold holds out; the number of {of} is {most}."
        )
    if cv > most:
        raise InputError(f"cv must be at most {most}, the number of {of}; got {cv}. Pass fewer folds.")

"""Weights of images, and groups of them that are left out together."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from ...datasets import check_known, check_unmasked
from ...errors import InputError

LEAST_WEIGHT = 1e-300  # that some image must have: less is a number of few digits
LEAST_SHARE = 1e-12  # of an image's weight, that all others must have together: less is lost in its rounding


def check_weights(sample_weight: Any, n: int) -> Float[np.ndarray, " n"] | None:
    """The weight of every image as float64, or None for 1.

    Raises:
        InputError: unless there is one weight for each image, none negative, with a sum that is finite and not all but zero.
    """
    if sample_weight is None:
        return None
    check_unmasked(sample_weight, "sample_weight")
    try:
        weights = np.asarray(sample_weight.detach().cpu() if isinstance(sample_weight, Tensor) else sample_weight)
        weights = weights.astype(float, casting="unsafe" if weights.dtype.kind in "OU" else "same_kind")
    except (TypeError, ValueError) as error:
        raise InputError(f"sample_weight must be numbers, ({n},); {error}.") from error
    if weights.ndim == 0:
        weights = np.full(n, weights)
    with np.errstate(over="ignore"):
        countable = np.isfinite(weights.sum()) and (weights >= 0).all() and weights.max(initial=0) >= LEAST_WEIGHT
    if weights.shape != (n,) or not countable:
        raise InputError(
            f"sample_weight must be ({n},), not negative, with a finite sum and not all zero or below {LEAST_WEIGHT:g}; "
            f"got shape {weights.shape}, from {weights.min() if weights.size else 'nothing'} on."
        )
    return weights


def check_balance(weights: Float[np.ndarray, " n"] | None, groups: Int[np.ndarray, " n"] | None) -> None:
    """Raise `InputError` where an image, or a group, outweighs all others so far that without it nothing is left."""
    if weights is None:
        return
    together = weights if groups is None else np.bincount(groups, weights)
    heaviest = int(together.argmax())
    others = float(np.delete(together, heaviest).sum())
    if others < LEAST_SHARE * together[heaviest]:
        raise InputError(
            f"sample_weight (times class_weight) must leave something when {'an image' if groups is None else 'a group'} is "
            f"left out: one weighs {together[heaviest]:.2g}, all others {others:.2g}, less than {LEAST_SHARE:g} of it. Pass "
            "weights nearer to each other, or leave out the images that hardly count."
        )


def check_groups(groups: Any, n: int) -> Int[np.ndarray, " n"] | None:
    """Groups of any labels as numbers, or None.

    Raises:
        InputError: unless there is one group for each image.
    """
    if groups is None:
        return None
    check_unmasked(groups, "groups")
    check_known(groups, "groups")
    labels = np.asarray(groups.detach().cpu() if isinstance(groups, Tensor) else groups)
    check_known(labels, "groups")
    try:
        numbers = np.unique(labels, return_inverse=True)[1]
    except (ValueError, TypeError) as error:
        raise InputError(f"groups must be all numbers or all strings; {error}.") from error
    if labels.shape != (n,):
        raise InputError(f"groups must be ({n},), one for each image; got {labels.shape}.")
    if (unknown := labels != labels).any():  # NaN, NaT
        raise InputError(f"groups must be known for every image; {unknown.sum()} of {n} are NaN.")
    return numbers

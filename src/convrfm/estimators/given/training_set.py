"""What `fit` is given, checked, as tensors on its device."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...datasets import check_images
from ...errors import InputError
from ...storage.digests import digest
from .arrays import Array, check_same_size, in_precision_of, to_device
from .augmentation import Augmentation, with_copies
from .codings import Coding, Values
from .splitting import fold_indices
from .weights_and_groups import check_balance, check_groups, check_weights

Weights = Float[np.ndarray, " n"] | None


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """The images that are fitted, without those of weight 0, and what belongs to each of them.

    Attributes:
        x: the images.
        y: targets of the regression.
        weights: positive; None for 1.
        groups: the number of every image's group; None for one image a group.
        coding: how labels or numbers and targets translate into each other.
        folds: the images that each fold of a cross-validation holds out; none without one.
    """

    x: Float[Tensor, "n c h w"]
    y: Float[Tensor, "n k"]
    weights: Float[Tensor, " n"] | None
    groups: Int[Tensor, " n"] | None
    coding: Coding
    folds: list[Int[np.ndarray, " _"]]

    @cached_property
    def digest(self) -> str:
        """Tells images, targets, weights and groups from others."""
        tensors = {"x": self.x, "y": self.y, "weights": self.weights, "groups": self.groups}
        return digest({}, {name: tensor for name, tensor in tensors.items() if tensor is not None})

    def with_copies(self, augment: Sequence[Augmentation]) -> "TrainingSet":
        """All images and their copies: a group together, with those of its own group where images have groups.

        Folds hold them out together; each has its image's weight.
        """
        if not augment:
            return self
        x, n = torch.cat(list(with_copies(self.x, augment))), len(self.x)
        original = torch.arange(n, device=x.device).repeat(len(x) // n)
        return replace(
            self,
            x=x,
            y=self.y[original],
            weights=None if self.weights is None else self.weights[original],
            groups=original if self.groups is None else self.groups[original],
            folds=[np.concatenate([held_out + first for first in range(0, len(x), n)]) for held_out in self.folds],
        )


def training_set(
    x: Array,
    y: Array,
    sample_weight: Array | None,
    groups: Array | None,
    *,
    coding: type[Coding],
    weigh: Callable[[Values, Weights], Weights],
    cv: Any,
    image_shape: tuple[int, int, int] | None,
    device: torch.device,
) -> TrainingSet:
    """The arguments of `fit`, checked.

    Args:
        x: images.
        y: labels or targets.
        sample_weight: of the images.
        groups: of the images.
        coding: what y is.
        weigh: from labels or targets and the images' weights to their weights in the regression.
        cv: None, a number of folds or a splitter.
        image_shape: of flattened images.
        device: where the tensors are to lie.

    Raises:
        InputError: for what cannot be learned from.
    """
    images = check_images(x, image_shape=image_shape)
    values = coding.check(y, len(images))
    weights = check_weights(sample_weight, len(images))
    numbers = check_groups(groups, len(images))
    folds = fold_indices(cv, values, numbers, weights, classify=coding.classify)
    if weights is not None:
        counted = np.flatnonzero(weights)
        images, values, weights = images[counted], values[counted], weights[counted]
        numbers = None if numbers is None else numbers[counted]
    if numbers is not None and not (numbers != numbers[0]).any():
        raise InputError("groups must be at least two, since one is left out at a time; all images are of one.")
    weights = weigh(values, weights)
    learned = coding.learned_from(values)
    data = to_device(images, device, copy=True)  # what was learned must not change with the caller's array
    if len(data) < 2 or bool((data == data[:1]).all()):
        raise InputError(
            f"fit needs images that differ; got {len(data)} sample(s), all alike. Check how they were read."
        )
    check_balance(weights, numbers)
    return TrainingSet(
        x=data,
        y=learned.targets(values).to(device),
        weights=None if weights is None else torch.from_numpy(weights).to(device),
        groups=None if numbers is None else torch.from_numpy(numbers).to(device),
        coding=learned,
        folds=folds,
    )


def selection_set(
    selection: tuple[Array, Array] | None,
    trained: TrainingSet,
    *,
    image_shape: tuple[int, int, int] | None,
    estimator: str,
) -> tuple[Float[Tensor, "s c h w"], Float[Tensor, "s k"]] | None:
    """Images and targets of their own to choose on, as those that are fitted; raises `InputError`."""
    if selection is None:
        return None
    images = check_images(selection[0], image_shape=image_shape)
    targets = trained.coding.targets(trained.coding.check(selection[1], len(images)))
    if targets.shape[1] != trained.y.shape[1]:
        raise InputError(
            f"selection must have as many targets an image as y, {trained.y.shape[1]}; it has {targets.shape[1]}."
        )
    moved = in_precision_of(trained.x, to_device(images, trained.x.device))
    check_same_size(moved, trained.x, estimator)
    return moved, targets.to(trained.x.device)

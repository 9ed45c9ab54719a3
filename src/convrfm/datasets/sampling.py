"""Drawing images by class: deterministic in the generator, without replacement."""

import numpy as np
from jaxtyping import Int64, Shaped

from ..errors import InputError

TEST_SHARE = 5


def stratified_order(labels: Shaped[np.ndarray, " n"], generator: np.random.Generator) -> Int64[np.ndarray, " n"]:
    """A random order in which every leading part holds the classes in their proportions, to within one image.

    The members of a class of size m take the quantiles (i + 1/2)/m; the order is that of the quantiles. So a
    smaller sample is always part of a larger one.

    >>> order = stratified_order(np.array([0] * 6 + [1] * 3), np.random.default_rng(0))
    >>> sorted(order[:3] < 6)
    [np.False_, np.True_, np.True_]
    """
    quantiles = np.empty(len(labels))
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        quantiles[members] = (np.arange(len(members)) + 0.5) / len(members)
    tie_breaks = generator.random(len(labels))
    return np.lexsort((tie_breaks, quantiles))


def hold_out_fifth(
    labels: Shaped[np.ndarray, " n"], generator: np.random.Generator
) -> tuple[Int64[np.ndarray, " n_train"], Int64[np.ndarray, " n_test"]]:
    """Split the positions of `labels` into those kept and a stratified fifth held out, each ascending.

    Raises:
        InputError: If there are fewer than two.
    """
    if len(labels) < 2:
        raise InputError(f"There must be two images or more to hold out some; got {len(labels)}. Add more.")
    order = stratified_order(labels, generator)
    n_test = max(1, len(labels) // TEST_SHARE)
    return np.sort(order[n_test:]), np.sort(order[:n_test])

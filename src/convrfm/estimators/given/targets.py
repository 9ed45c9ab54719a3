"""What the regression is fitted to, and how good a prediction of it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ...datasets import check_unmasked
from ...errors import InputError

LARGEST_TARGET = 1e140


@dataclass(frozen=True)
class Quality:
    """How good predictions are: `accuracy`, None for regression and estimates; `error`, the mean squared one of all outputs."""

    accuracy: float | None
    error: float

    @property
    def rank(self) -> tuple[float, float]:
        """Larger is better: accuracy, ties by squared error."""
        return (0.0 if self.accuracy is None else self.accuracy, -self.error)

    @property
    def figures(self) -> dict[str, float]:
        """As plain values."""
        return {"error": self.error} | ({} if self.accuracy is None else {"accuracy": self.accuracy})

    @classmethod
    def from_figures(cls, figures: Mapping[str, Any]) -> "Quality":
        """That of which `figures` were."""
        return cls(figures.get("accuracy"), figures["error"])


def one_hot(codes: np.ndarray, n_classes: int) -> Float[Tensor, "n k"]:
    """0/1 targets from class numbers."""
    return torch.nn.functional.one_hot(torch.as_tensor(codes), n_classes).double()


def quality(
    predictions: Float[Tensor, "n k"],
    targets: Float[Tensor, "n k"],
    weights: Float[Tensor, " n"] | None,
    *,
    classify: bool,
) -> Quality:
    """Accuracy of the largest output where `classify`, and the mean squared error; means weighted by image."""

    def mean(values: Tensor) -> float:
        # One division, at the end: equally many hits are equal accuracies to the last bit, or ties would be broken by rounding.
        return float(values.mean() if weights is None else weights @ values / weights.sum())

    hits = (predictions.argmax(1) == targets.argmax(1)).double()
    return Quality(mean(hits) if classify else None, mean((predictions - targets).square().mean(1)))


def check_targets(y: Any, n: int) -> np.ndarray:
    """Targets of a regression as float64, `(n,)` or `(n, k)`.

    Raises:
        InputError: on other shapes, on what are no finite numbers with squares, and where they are not as many as the images.
    """
    check_unmasked(y, "y")
    try:
        targets = np.asarray(y.detach().cpu() if isinstance(y, Tensor) else y)
        targets = targets.astype(np.float64) if targets.dtype == object else targets
    except (TypeError, ValueError) as error:
        raise InputError(f"targets must be one array of numbers, (n,) or (n, k); {error}.") from error
    if targets.ndim not in (1, 2) or 0 in targets.shape or targets.dtype.kind not in "biuf":
        raise InputError(f"targets must be numbers, (n,) or (n, k); got {targets.dtype} of shape {targets.shape}.")
    if len(targets) != n:
        raise InputError(f"y must have one target for each image; got {len(targets)} targets for {n} images.")
    if not np.isfinite(targets).all():
        raise InputError("targets must be finite; got NaN or infinity. Remove images without a target.")
    targets = targets.astype(np.float64)
    largest = float(np.abs(targets).max())
    if largest and not 1 / LARGEST_TARGET < largest < LARGEST_TARGET:
        raise InputError(
            f"targets must be 0 or of a size from {1 / LARGEST_TARGET:g} to {LARGEST_TARGET:g}, whose squares are numbers; the "
            f"largest is {largest:.2g}. Multiply them by a constant."
        )
    return targets

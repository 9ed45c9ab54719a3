"""How far a correlation would move with other images: resampled parts of them, or whole reports left out in turn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..maths.bootstrap import correlation_interval, resampling_weights
from ..maths.jackknife import jackknife, student_interval
from ..maths.row_space_agop import Sums, against_cnfm
from ..maths.similarity import Similarity
from ..maths.spectra import RowSpace
from .moments import PartSums

Interval = tuple[float, float]


@runtime_checkable
class Spread(Protocol):
    """Intervals of a layer's correlations from disjoint parts of its images.

    Attributes:
        fewest: How many parts it needs.
    """

    fewest: ClassVar[int]

    def intervals(self, plain: Sequence[Tensor], parts: PartSums, space: RowSpace) -> list[Interval]:
        """Of each plain correlation, cosine and Pearson; the AGOP of all images is the sum of the parts'."""


@dataclass(frozen=True)
class Bootstrap:
    """Parts are drawn with replacement.

    Attributes:
        draws: Number of resamples.
        level: Coverage of the intervals.
        generator: Where the resamples come from.
        fewest: Parts; resamples of fewer are too much alike.
    """

    fewest: ClassVar[int] = 8
    draws: int
    level: float
    generator: torch.Generator

    def intervals(self, plain: Sequence[Tensor], parts: PartSums, space: RowSpace) -> list[Interval]:
        """Centered after correction for the bias of few images."""
        weights = resampling_weights(len(parts.inner), self.draws, self.generator)
        found = resampled(parts, space, weights)
        return [correlation_interval(*pair, self.level) for pair in zip(plain, found, strict=True)]


@dataclass(frozen=True)
class LeftOut:
    """Parts of different sizes are left out one at a time: a few are enough, where resampling them would not be.

    Attributes:
        sizes: How many images each part has.
        level: Coverage of the intervals.
        fewest: Parts.
    """

    fewest: ClassVar[int] = 2
    sizes: Sequence[int]
    level: float

    def intervals(self, plain: Sequence[Tensor], parts: PartSums, space: RowSpace) -> list[Interval]:
        """Student's, centered after correction for the bias of few images."""
        sizes = torch.tensor(self.sizes, dtype=torch.float64)
        others = 1 - torch.eye(len(sizes), dtype=torch.float64)
        left_out = resampled(parts, space, others)
        estimates = [jackknife(value, each, sizes) for value, each in zip(plain, left_out, strict=True)]
        return [student_interval(estimate, len(sizes), self.level) for estimate in estimates]


def check_level(level: float) -> None:
    """Raise `InputError` unless it is a coverage."""
    if not 0 < level < 1:
        raise InputError(f"level must be strictly between 0 and 1, such as 0.95; got {level}.")


def resampled(parts: PartSums, space: RowSpace, weights: Float[Tensor, "draws n_parts"]) -> Similarity:
    """Similarity of the CNFM with weighted sums of the parts' AGOPs, one for each row of weights.

    The norm of a sum of AGOPs is a quadratic form in the weights, so that no sum is ever formed.
    """
    square = ((weights @ parts.gram) * weights).sum(-1)
    return against_cnfm(space, Sums(weights @ parts.inner, square, weights @ parts.total))

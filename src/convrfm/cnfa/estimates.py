"""Correlations between CNFM and AGOP with their errors, from a layer's moments."""

from dataclasses import asdict, dataclass, replace

import torch

from ..maths.bootstrap import clipped
from ..maths.jackknife import jackknife
from ..maths.row_space_agop import similarities
from .moments import Moments
from .spread import Interval, Spread


@dataclass(frozen=True)
class Estimate:
    """A correlation and what is known of its error.

    Attributes:
        value: Corrected for the bias of a few probes where there were probes, but not beyond -1 and 1.
        bias: What probing had added, by jackknife over probes, as far as it was taken off; None if the outputs were summed
            exactly.
        standard_error: Of probing, by jackknife over probes; for the rotation control the standard deviation of its
            draws, of which there must be two.
        interval: Over images, corrected for the bias of few images; it covers the error of probing too, and is wider at both
            ends by the bias that was taken off, which few probes tell no better. By bootstrap; of merged reports by leaving
            one out at a time.
    """

    value: float
    bias: float | None = None
    standard_error: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Comparison:
    """A CNFM against an AGOP, or against another CNFM.

    Attributes:
        cosine: Uncentered correlation of all entries.
        pearson: Centered correlation of all entries.
        cosine_half: Cosine with the AGOP to the power 1/2; None where no AGOP is compared.
        pearson_half: Pearson with the AGOP to the power 1/2.
    """

    cosine: Estimate
    pearson: Estimate
    cosine_half: Estimate | None = None
    pearson_half: Estimate | None = None

    def to_dict(self) -> dict[str, dict[str, float | None] | None]:
        """Plain data, field by field."""
        return asdict(self)


def compare(moments: Moments, spread: Spread | None, half_power: bool = True) -> Comparison:
    """The CNFM of a layer against its AGOP, with errors of probing, and an interval over images for the power 1.

    Args:
        moments: The layer as measured.
        spread: What makes intervals, of moments that keep parts of the images; None for none.
        half_power: Also with the AGOP to the power 1/2, which needs eigenvalues; not for the layer that makes the outputs.
    """
    space, half_power = moments.row_space, half_power and not moments.final
    whole = similarities(moments.agop, space, half_power)
    plain = torch.stack([value for pair in whole for value in pair])
    left_out = moments.left_out()
    if left_out is None:
        estimates = [Estimate(value) for value in plain.tolist()]
    else:
        reduced = torch.stack([value for pair in similarities(left_out, space, half_power) for value in pair], -1)
        corrected = (tensor.tolist() for tensor in jackknife(plain, reduced))
        estimates = [Estimate(*found) for found in zip(*corrected, strict=True)]
    parts = None if spread is None else moments.part_sums()
    if spread is not None and parts is not None and len(parts.inner) >= spread.fewest:
        for place, interval in enumerate(spread.intervals(plain[:2].unbind(), parts, space)):
            estimates[place] = replace(estimates[place], interval=_widened(interval, estimates[place].bias))
    return Comparison(*map(_within_bounds, estimates))


def _within_bounds(estimate: Estimate) -> Estimate:
    """Where a corrected correlation would be beyond what one can be, less is taken off."""
    value = clipped(estimate.value)
    if estimate.bias is None or value == estimate.value:
        return estimate
    return replace(estimate, value=value, bias=estimate.bias + estimate.value - value)


def _widened(interval: Interval, bias: float | None) -> Interval:
    """An interval that holds what it would be if the bias were nothing or twice as large."""
    low, high = interval
    return (low, high) if bias is None else (max(-1.0, low - abs(bias)), min(1.0, high + abs(bias)))

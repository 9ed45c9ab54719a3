"""A layer's correlations with all the controls that were asked for."""

from dataclasses import replace
from typing import NamedTuple

from ..kernels.threads import threads_for
from . import controls
from .estimates import compare
from .layer_report import Correlations
from .moments import Moments, effective_ranks
from .rotations import Rotations
from .spread import Spread

SMALL = 512
"""Eigenvectors of matrices up to this size cost several threads more time than one."""


class Figures(NamedTuple):
    """What is told of a layer in numbers: correlations, and participation ratios of CNFM, AGOP and G."""

    correlations: Correlations
    effective_ranks: dict[str, float]


def correlate(
    moments: Moments, at_start: Moments | None, rotations: Rotations, spread: Spread | None, half_power: bool
) -> Figures:
    """Of one layer, whatever the scale of its gradients; those with the initial network where its moments are given."""
    even, even_at_start = moments.normalized(), at_start and at_start.normalized()
    with threads_for(min(moments.filters.shape[1:]), SMALL):
        return Figures(_correlations(even, even_at_start, rotations, spread, half_power), effective_ranks(even))


def _correlations(
    moments: Moments, at_start: Moments | None, rotations: Rotations, spread: Spread | None, half_power: bool
) -> Correlations:
    found = Correlations(trained=compare(moments, spread, half_power))
    if rotations.draws and not moments.final:
        turned = controls.rotated(moments, rotations, half_power)
        found = replace(found, rotated=turned)
    if at_start is None:
        return found
    return replace(
        found,
        initial=compare(at_start, spread, half_power),
        initial_cnfm=controls.between_cnfms(at_start.filters, moments.filters),
        change=controls.change(moments, at_start.filters, half_power),
    )

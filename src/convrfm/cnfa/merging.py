"""Reports of one network on several sets of images, as one report."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from ..errors import InputError
from .correlating import correlate
from .estimates import Bootstrap
from .layer_report import LayerReport
from .moments import Moments, effective_ranks
from .report import Report
from .rotations import Rotations


def merge(
    reports: Sequence[Report],
    *,
    rotations: int = 8,
    half_power: bool = True,
    generator: torch.Generator | None = None,
) -> Report:
    """One report of all images, as if they had been measured together: on several machines, or in several sittings.

    G is the mean over images of all reports, and every correlation is computed from it. Intervals need the images one by
    one, which a report does not keep: the merged report has none.

    Args:
        reports: Of the same weights, with all outputs exactly. Images that are in two of them count twice.
        rotations: As in `measure`.
        half_power: Likewise.
        generator: Likewise.

    Raises:
        InputError: If there are no reports, if they are of different networks, layers, outputs or weights, or if they
            come from probes, whose correlations are corrected by what a report does not keep.

    Example:
        >>> from convrfm import cnfa
        >>> network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.Linear(16, 2))
        >>> parts = [cnfa.measure(network, torch.randn(n, 1, 4, 4)) for n in (5, 3)]
        >>> cnfa.merge(parts).n_images
        8
    """
    _check(reports)
    generator = generator if generator is not None else torch.Generator().manual_seed(0)
    counts = [report.n_images for report in reports]
    bootstrap, turns = Bootstrap(0, 0.95, generator), Rotations(rotations, generator)
    layers = tuple(
        _merged(parts, counts, bootstrap, turns, half_power)
        for parts in zip(*(report.layers for report in reports), strict=True)
    )
    skipped = dict.fromkeys(each for report in reports for each in report.skipped)
    return replace(reports[0], layers=layers, n_images=sum(counts), skipped=tuple(skipped))


def _merged(
    parts: Sequence[LayerReport], counts: Sequence[int], bootstrap: Bootstrap, rotations: Rotations, half_power: bool
) -> LayerReport:
    first = parts[0]
    moments = Moments(first.filters, _mean([part.covariance for part in parts], counts), final=first.final)
    at_start = None
    if first.initial_filters is not None:
        initial = [cast(Tensor, part.initial_covariance) for part in parts]
        at_start = Moments(first.initial_filters, _mean(initial, counts), final=first.final)
    return replace(
        first,
        covariance=moments.covariance.to(first.covariance),
        initial_covariance=None if at_start is None else at_start.covariance.to(first.covariance),
        uses=max(part.uses for part in parts),
        effective_ranks=effective_ranks(moments),
        correlations=correlate(moments, at_start, rotations, bootstrap, half_power),
    )


def _mean(covariances: Sequence[Tensor], counts: Sequence[int]) -> Tensor:
    weighted = (count * covariance.double() for count, covariance in zip(counts, covariances, strict=True))
    return torch.stack(list(weighted)).sum(0) / sum(counts)


def _check(reports: Sequence[Report]) -> None:
    if not reports:
        raise InputError("reports must hold at least one report; got none.")
    if any(report.probes is not None for report in reports):
        raise InputError(
            "reports from probes cannot be merged: the bias of few probes is corrected from each probe, which a report does "
            "not keep. Measure all images together, or without probes."
        )
    first = reports[0]
    for number, other in enumerate(reports[1:], 2):
        for what in ("network", "n_outputs", "positions"):
            mine, theirs = getattr(first, what), getattr(other, what)
            if mine != theirs:
                raise InputError(
                    f"reports must have the same {what}; report 1 has {mine}, report {number} has {theirs}."
                )
        names = [[layer.name for layer in report.layers] for report in (first, other)]
        if names[0] != names[1]:
            different = ", ".join(sorted(set(names[0]) ^ set(names[1]))) or "the order of layers"
            raise InputError(f"reports must have the same layers; reports 1 and {number} differ in {different}.")
        for mine, theirs in zip(first.layers, other.layers, strict=True):
            if not _same(mine.filters, theirs.filters) or not _same(mine.initial_filters, theirs.initial_filters):
                raise InputError(
                    f"reports must be of the same weights; layer {mine.name!r} of report {number} has others. Epochs of "
                    "training are compared, not merged: cnfa.Tracker does that."
                )


def _same(mine: Tensor | None, theirs: Tensor | None) -> bool:
    if mine is None or theirs is None:
        return mine is theirs
    return mine.shape == theirs.shape and torch.equal(mine, theirs)

"""Reports of one network on several sets of images, as one report."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..kernels.integers import natural_number
from ..maths.intervals import FEWEST_REPETITIONS
from ..maths.precision import full_precision
from .correlating import correlate
from .layer_report import LayerReport
from .moments import Moments
from .report import Report
from .rotations import Rotations
from .spread import LeftOut, check_level


def merge(
    reports: Sequence[Report],
    *,
    rotations: int = 8,
    half_power: bool = True,
    level: float = 0.95,
    generator: torch.Generator | None = None,
) -> Report:
    """One report of all images, as if they had been measured together: on several machines, or in several sittings.

    G is the mean over images of all reports, and every correlation is computed from it. The first probes of all reports are
    one probe of all images, and so on: bias and standard error come from them as in `measure`. Images are not kept one by
    one, so intervals come from leaving out one report at a time, if there are at least three: they cover probes and images,
    as far as the images of all reports are samples of one kind.

    Args:
        reports: Of the same weights, with all outputs exactly, or with as many probes, which were kept. Images that are in
            two of them count twice. Reports do not hold head, labels and loss: those of all must ask for the same.
        rotations: As in `measure`, like the arguments below.
        half_power: Likewise.
        level: Likewise.
        generator: Likewise.

    Raises:
        InputError: If there are no reports, if they are of different networks, layers, numbers of outputs or weights, if
            their probes were not kept, or if two of them drew the same probes or positions.

    Example:
        >>> from convrfm import cnfa
        >>> network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.Linear(16, 2))
        >>> parts = [cnfa.measure(network, torch.randn(n, 1, 4, 4)) for n in (5, 3)]
        >>> cnfa.merge(parts).n_images
        8
    """
    check_level(level)
    _check(reports)
    generator = generator if generator is not None else torch.Generator().manual_seed(0)
    spread, turns = (
        LeftOut([report.n_images for report in reports], level),
        Rotations(natural_number("rotations", rotations), generator),
    )
    layers = tuple(
        _merged(parts, spread, turns, half_power) for parts in zip(*(report.layers for report in reports), strict=True)
    )
    return replace(
        reports[0],
        layers=layers,
        n_images=sum(spread.sizes),
        skipped=tuple(dict.fromkeys(each for report in reports for each in report.skipped)),
        draws=tuple(each for report in reports for each in report.draws),
        resampled="reports",
        warnings=tuple(dict.fromkeys(each for report in reports for each in report.warnings)),
    )


@full_precision()
def _merged(parts: Sequence[LayerReport], spread: LeftOut, rotations: Rotations, half_power: bool) -> LayerReport:
    first = parts[0]
    moments = _moments(first.filters, parts, "", spread.sizes)
    at_start = None
    if first.initial_filters is not None:
        at_start = _moments(first.initial_filters, parts, "initial_", spread.sizes)
    figures = correlate(moments, at_start, rotations, spread, half_power)
    return replace(
        first,
        covariance=moments.covariance.to(first.covariance),
        initial_covariance=None if at_start is None else at_start.covariance.to(first.covariance),
        uses=max(part.uses for part in parts),
        effective_ranks=figures.effective_ranks,
        correlations=figures.correlations,
        probes=moments.probes,
        initial_probes=None if at_start is None else at_start.probes,
    )


def _moments(
    filters: Float[Tensor, "groups rows d"], parts: Sequence[LayerReport], prefix: str, sizes: Sequence[int]
) -> Moments:
    covariances, probes = ([getattr(part, f"{prefix}{name}") for part in parts] for name in ("covariance", "probes"))
    final = parts[0].final
    return Moments(
        filters=filters,
        covariance=_sums(covariances, sizes).sum(0) / sum(sizes),
        parts=None if final or len(parts) < FEWEST_REPETITIONS else _small_side(_sums(covariances, sizes), filters),
        probes=None if probes[0] is None else (_sums(probes, sizes).sum(0) / sum(sizes)).to(probes[0]),
        final=final,
    )


def _sums(means: Sequence[Tensor], sizes: Sequence[int]) -> Float[Tensor, "reports ..."]:
    return torch.stack([size * mean.double() for size, mean in zip(sizes, means, strict=True)])


def _small_side(
    sums: Float[Tensor, "reports groups rows rows"], filters: Tensor
) -> Float[Tensor, "reports groups r r"]:
    return filters.mT.double() @ sums @ filters.double() if filters.shape[1] > filters.shape[2] else sums


def _check(reports: Sequence[Report]) -> None:
    if not reports:
        raise InputError("reports must hold at least one report; got none.")
    first = reports[0]
    for number, other in enumerate(reports[1:], 2):
        for what in ("network", "n_outputs", "probes", "positions"):
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
    if first.probes is not None:
        _check_probes(reports)
    if first.probes is not None or first.positions is not None:
        _check_draws(reports)


def _check_probes(reports: Sequence[Report]) -> None:
    for number, report in enumerate(reports, 1):
        if any(layer.probes is None and not layer.final for layer in report.layers):
            raise InputError(
                f"reports from probes can be merged if each probe was kept, for the bias of few probes is corrected from them; "
                f"report {number} has none. Measure with keep_probes=True."
            )


def _check_draws(reports: Sequence[Report]) -> None:
    drawn: dict[str, int] = {}
    for number, report in enumerate(reports, 1):
        for each in report.draws or ("unknown",):
            if (other := drawn.setdefault(each, number)) != number:
                raise InputError(
                    f"reports must have independent probes and positions; reports {other} and {number} drew the same. Measure "
                    f"each with a seed of its own, such as generator=torch.Generator().manual_seed({number})."
                )


def _same(mine: Tensor | None, theirs: Tensor | None) -> bool:
    if mine is None or theirs is None:
        return mine is theirs
    return mine.shape == theirs.shape and torch.equal(mine, theirs)

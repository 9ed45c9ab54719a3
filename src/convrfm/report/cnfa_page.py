"""The report of one measurement of the ansatz."""

import math
from collections.abc import Mapping, Sequence
from statistics import median

from ..cnfa import LayerReport, Report
from ..cnfa.estimates import Comparison, Estimate
from ..cnfa.pictures import LARGEST_MATRIX, correlation_bars, matrix_panels
from ..cnfa.verdict import UNDEFINED, are_corrected, rotated_title
from .page import Page, Section

SHOWN_MATRICES = 3
BESIDE = " An interval is centered after correction for the bias of few images, so it can lie beside its value."


def cnfa_page(
    report: Report,
    title: str,
    *,
    command: str | None = None,
    settings: Mapping[str, object] | None = None,
    notes: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> Page:
    """Put a measurement on one page: medians first, then every layer beside its controls, then matrices.

    Args:
        report: What was measured.
        title: Usually the network's name.
        command: What to run to get the same page.
        settings: What was set, by name.
        notes: Remarks on the data.
        warnings: What must be read before any number, beside the report's own warnings; first on the page.
    """
    counted = [layer for layer in report.layers if not layer.final]
    sections = [_summary(report, counted, notes, warnings)]
    if counted:
        sections += [_bars(report, counted), _table(report, counted), *_matrices(counted)]
    if command is not None or settings:
        sections.append(_again(command, settings or {}))
    return Page(title, report.extent, sections)


def _summary(report: Report, counted: Sequence[LayerReport], notes: Sequence[str], warnings: Sequence[str]) -> Section:
    section = Section("In short")
    section.warning(*warnings, *map(_sentence, report.warnings))
    section.lead(
        "The ansatz says that in each layer the covariance of the filters (CNFM) is proportional to the average "
        "gradient outer product of patches (AGOP)."
    )
    section.highlights(_medians(counted))
    section.prose(report.verdict)
    rotated = [layer.correlations.rotated for layer in counted]
    spread = any(each is not None and each.pearson.standard_error is not None for each in rotated)
    section.prose(
        "Filters stand on both sides of the AGOP, so some correlation comes for free. The rotation control keeps the "
        "spectrum of the gradients and turns them at random: only what exceeds it"
        f"{' (here by more than two standard deviations of the rotations)' * spread} speaks for the ansatz."
    )
    final = [layer.name for layer in report.layers if layer.final]
    remarks = [f"Layer {name} makes the outputs: its AGOP is its CNFM by construction." for name in final]
    remarks += [f"{left.name} ({left.kind}) was left out: {left.reason}." for left in report.skipped]
    if all(layer.correlations.initial is None for layer in report.layers):
        remarks.append("No initial network was given: correlations at initialization could not be measured.")
    return section.note(*remarks, *notes)


def _sentence(warning: str) -> str:
    return warning[0].upper() + warning[1:]


def _medians(counted: Sequence[LayerReport]) -> list[tuple[str, str]]:
    corrected = are_corrected(counted)
    named: dict[str, list[Comparison | None]] = {
        f"Pearson correlation of CNFM and AGOP{', less the bias of few probes' * corrected}": [
            layer.correlations.trained for layer in counted
        ],
        f"the same with gradients rotated{', with that bias' * corrected}": [
            layer.correlations.rotated for layer in counted
        ],
        "the same in the initial network": [layer.correlations.initial for layer in counted],
        "between initial and trained CNFM": [layer.correlations.initial_cnfm for layer in counted],
    }
    found = {name: [each.pearson.value for each in comparisons if each] for name, comparisons in named.items()}
    defined = {name: [value for value in values if not math.isnan(value)] for name, values in found.items()}
    return [(f"{median(values):.3f}", f"{name}, median") for name, values in defined.items() if values]


def _bars(report: Report, counted: Sequence[LayerReport]) -> Section:
    having = any(layer.correlations.trained.pearson.interval for layer in counted)
    errors = f"; error bars are {_intervals(report)}" if having else ""
    if are_corrected(counted):
        errors += (
            ". The bias of few probes is taken off all but the rotation control; the verdict compares both before that"
        )
    bare = [layer.name for layer in counted if math.isnan(layer.correlations.trained.pearson.value)]
    without = f" Without a correlation ({UNDEFINED}): {', '.join(bare)}." if bare else ""
    return Section("Every layer").figure(
        correlation_bars(counted),
        f"Pearson correlation by layer, in forward order{errors}.{BESIDE * having}{without}",
        "Bars of the correlation between CNFM and AGOP and of its controls, one group for each layer.",
    )


def _intervals(report: Report) -> str:
    if report.resampled == "reports":
        return "Student's intervals over reports left out one at a time"
    probing = "" if report.probes is None else ", with the error of probing"
    return f"bootstrap intervals over {report.resampled}{probing}"


def _table(report: Report, counted: Sequence[LayerReport]) -> Section:
    controls = [layer.correlations.rotated for layer in counted]
    turned, corrected = rotated_title(counted, "rotated"), are_corrected(counted)
    columns: dict[str, list[str]] = {
        "layer": [layer.name for layer in counted],
        "kind": [layer.kind if layer.groups == 1 else f"{layer.kind}, {layer.groups} groups" for layer in counted],
        "patch": ["·".join(map(str, layer.patch_shape)) for layer in counted],
        "Pearson": [_cell(layer.correlations.trained.pearson) for layer in counted],
        turned: [_pearson(rotated, spread=True) for rotated in controls],
        "cosine": [f"{layer.correlations.trained.cosine.value:.3f}" for layer in counted],
        "power 1/2": [_half(layer.correlations.trained) for layer in counted],
        "initial": [_pearson(layer.correlations.initial) for layer in counted],
        "CNFMs": [_pearson(layer.correlations.initial_cnfm) for layer in counted],
        "rank of G": [f"{layer.effective_ranks['delta']:.1f} of {layer.filters[..., 0].numel()}" for layer in counted],
    }
    taken = {name: cells for name, cells in columns.items() if any(cells)}
    spread = all(rotated is None or rotated.pearson.standard_error is not None for rotated in controls)
    told = {
        "Pearson": f"Pearson correlation of CNFM and AGOP{_errors(report, counted)}",
        turned: (
            f"the same with gradients rotated ({'mean and standard deviation of draws' if spread else 'of one draw'})"
            f"{', without taking off the bias of few probes, as is done for the others' * corrected}"
        ),
        "cosine": "their cosine",
        "power 1/2": "Pearson with the AGOP to the power 1/2",
        "initial": "in the initial network",
        "CNFMs": "between initial and trained CNFM",
        "rank of G": "effective rank of the gradients at the layer's output",
    }
    caption = "; ".join(text for name, text in told.items() if name in taken)
    having = any(layer.correlations.trained.pearson.interval for layer in counted)
    return Section("Numbers").table(tuple(taken), zip(*taken.values(), strict=True), f"{caption}.{BESIDE * having}")


def _errors(report: Report, counted: Sequence[LayerReport]) -> str:
    """What stands behind a correlation, as `_cell` shows it."""
    trained = [layer.correlations.trained.pearson for layer in counted]
    parts = [f"in brackets {_intervals(report)}"] if any(each.interval for each in trained) else []
    if any(each.interval is None and each.standard_error is not None for each in trained):
        parts.append("after ± the standard error of probing alone")
    return f" ({', '.join(parts)})" if parts else ""


def _matrices(counted: Sequence[LayerReport]) -> list[Section]:
    drawable = [layer for layer in counted if layer.groups == 1 and layer.filters.shape[-1] <= LARGEST_MATRIX]
    if not drawable:
        return []
    section = Section("Matrices of patches")
    for layer in drawable[:SHOWN_MATRICES]:
        names = "CNFM and AGOP" if layer.initial_cnfm is None else "initial CNFM, CNFM and AGOP"
        zero = "" if layer.effective_ranks["agop"] > 0 else "; the AGOP is zero, and has none"
        section.figure(
            matrix_panels(layer),
            f"Layer {layer.name}: {names}, each scaled to trace 1{zero}.",
            f"Square matrices of layer {layer.name} side by side.",
        )
    return [section]


def _again(command: str | None, settings: Mapping[str, object]) -> Section:
    section = Section("To get this page again")
    if command is not None:
        section.code(command)
    return section.settings(settings) if settings else section


def _pearson(comparison: Comparison | None, spread: bool = False) -> str:
    if comparison is None:
        return ""
    return _cell(comparison.pearson) if spread else f"{comparison.pearson.value:.3f}"


def _half(comparison: Comparison) -> str:
    return "" if comparison.pearson_half is None else f"{comparison.pearson_half.value:.3f}"


def _cell(estimate: Estimate) -> str:
    if estimate.interval is not None:
        return f"{estimate.value:.3f} [{estimate.interval[0]:.3f}, {estimate.interval[1]:.3f}]"
    if estimate.standard_error is not None:
        return f"{estimate.value:.3f} ± {estimate.standard_error:.3f}"
    return f"{estimate.value:.3f}"

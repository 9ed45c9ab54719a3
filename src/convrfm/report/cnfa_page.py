"""The report of one measurement of the ansatz."""

import math
from collections.abc import Mapping, Sequence
from statistics import median

from convrfm.cnfa import LayerReport, Report
from convrfm.cnfa.estimates import Comparison, Estimate
from convrfm.cnfa.pictures import LARGEST_MATRIX, correlation_bars, matrix_panels
from convrfm.report.page import Page, Section

SHOWN_MATRICES = 3


def cnfa_page(
    report: Report,
    title: str,
    *,
    command: str | None = None,
    settings: Mapping[str, object] | None = None,
    notes: Sequence[str] = (),
) -> Page:
    """Put a measurement on one page: medians first, then every layer beside its controls, then matrices.

    Args:
        report: What was measured.
        title: Usually the network's name.
        command: What to run to get the same page.
        settings: What was set, by name.
        notes: Remarks on the data.
    """
    counted = [layer for layer in report.layers if not layer.final]
    sections = [_summary(report, counted, notes)]
    if counted:
        sections += [_bars(counted), _table(counted), *_matrices(counted)]
    if command is not None or settings:
        sections.append(_again(command, settings or {}))
    outputs = (
        f"{report.n_outputs} outputs" if report.probes is None else f"{report.probes} probes of {report.n_outputs}"
    )
    return Page(title, f"{report.n_images} images, {outputs}, {len(report.layers)} layers", sections)


def _summary(report: Report, counted: Sequence[LayerReport], notes: Sequence[str]) -> Section:
    section = Section("In short")
    section.lead(
        "The ansatz says that in each layer the covariance of the filters (CNFM) is proportional to the average "
        "gradient outer product of patches (AGOP)."
    )
    section.highlights(_medians(counted))
    section.prose(
        "Filters stand on both sides of the AGOP, so some correlation comes for free. The rotation control keeps the "
        "spectrum of the gradients and turns them at random: only what exceeds it speaks for the ansatz."
    )
    final = [layer.name for layer in report.layers if layer.final]
    remarks = [f"Layer {name} makes the outputs: its AGOP is its CNFM by construction." for name in final]
    if all(layer.correlations.initial is None for layer in report.layers):
        remarks.append("No initial network was given: correlations at initialisation could not be measured.")
    return section.note(*remarks, *notes) if remarks or notes else section


def _medians(counted: Sequence[LayerReport]) -> list[tuple[str, str]]:
    named: dict[str, list[Comparison | None]] = {
        "Pearson correlation of CNFM and AGOP": [layer.correlations.trained for layer in counted],
        "the same with gradients rotated": [layer.correlations.rotated for layer in counted],
        "the same in the initial network": [layer.correlations.initial for layer in counted],
        "between initial and trained CNFM": [layer.correlations.initial_cnfm for layer in counted],
    }
    found = {name: [each.pearson.value for each in comparisons if each] for name, comparisons in named.items()}
    defined = {name: [value for value in values if not math.isnan(value)] for name, values in found.items()}
    return [(f"{median(values):.3f}", f"{name}, median") for name, values in defined.items() if values]


def _bars(counted: Sequence[LayerReport]) -> Section:
    return Section("Every layer").figure(
        correlation_bars(counted),
        "Pearson correlation by layer, in forward order; error bars are bootstrap intervals over images.",
        "Bars of the correlation between CNFM and AGOP and of its controls, one group for each layer.",
    )


def _table(counted: Sequence[LayerReport]) -> Section:
    header = ("layer", "kind", "patch", "cosine", "Pearson", "rotated", "power 1/2", "initial", "CNFMs", "rank of G")
    rows = [
        (
            layer.name,
            layer.kind if layer.groups == 1 else f"{layer.kind}, {layer.groups} groups",
            " x ".join(map(str, layer.patch_shape)),
            _cell(layer.correlations.trained.cosine),
            _cell(layer.correlations.trained.pearson),
            _cell(layer.correlations.rotated.pearson if layer.correlations.rotated else None),
            _cell(layer.correlations.trained.pearson_half),
            _pearson(layer.correlations.initial),
            _pearson(layer.correlations.initial_cnfm),
            f"{layer.effective_ranks['delta']:.1f} of {layer.filters.shape[0] * layer.filters.shape[1]}",
        )
        for layer in counted
    ]
    caption = (
        "CNFM against AGOP: cosine and Pearson correlation with bootstrap intervals over images; the rotation control "
        "(mean and standard deviation of its draws); the AGOP to the power 1/2; the initial network; initial against "
        "trained CNFM; effective rank of the gradients at the layer's output."
    )
    return Section("Numbers").table(header, rows, caption)


def _matrices(counted: Sequence[LayerReport]) -> list[Section]:
    drawable = [layer for layer in counted if layer.groups == 1 and layer.filters.shape[-1] <= LARGEST_MATRIX]
    if not drawable:
        return []
    section = Section("Matrices of patches")
    for layer in drawable[:SHOWN_MATRICES]:
        names = "CNFM and AGOP" if layer.initial_cnfm is None else "initial CNFM, CNFM and AGOP"
        section.figure(
            matrix_panels(layer),
            f"Layer {layer.name}: {names}, each scaled to trace 1.",
            f"Square matrices of layer {layer.name} side by side.",
        )
    return [section]


def _again(command: str | None, settings: Mapping[str, object]) -> Section:
    section = Section("To get this page again")
    if command is not None:
        section.code(command)
    return section.settings(settings) if settings else section


def _pearson(comparison: Comparison | None) -> str:
    return "" if comparison is None else f"{comparison.pearson.value:.3f}"


def _cell(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    if estimate.interval is not None:
        return f"{estimate.value:.3f} [{estimate.interval[0]:.3f}, {estimate.interval[1]:.3f}]"
    if estimate.standard_error is not None:
        return f"{estimate.value:.3f} ± {estimate.standard_error:.3f}"
    return f"{estimate.value:.3f}"

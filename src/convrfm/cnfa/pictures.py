"""Reports as pictures: the bars and the matrices of the paper's Figure 1."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from ..errors import InputError
from ..maths.psd import unit_trace
from ..plots import plot_correlations, plot_matrices
from .estimates import Comparison
from .layer_report import LayerReport
from .verdict import rotated_title

LARGEST_MATRIX = 1024
"""Patches of more entries than this give matrices that no screen shows."""


def correlation_bars(layers: Sequence[LayerReport], measure: str = "pearson") -> Figure:
    """Bars for each layer that counts: CNFM and AGOP with its interval, the rotation control, the initial network.

    Args:
        layers: Of one report.
        measure: "pearson" (as Figure 1A) or "cosine".
    """
    layers = [layer for layer in layers if not layer.final]
    if not layers:
        raise InputError("bars need a layer beside the final one; the report has none.")
    if measure not in ("pearson", "cosine"):
        raise InputError(f'measure must be "pearson" or "cosine"; got {measure!r}.')
    named: dict[str, list[Comparison | None]] = {
        "CNFM and AGOP": [layer.correlations.trained for layer in layers],
        rotated_title(layers, "the same, G rotated"): [layer.correlations.rotated for layer in layers],
        "the same, initial network": [layer.correlations.initial for layer in layers],
        "initial and trained CNFM": [layer.correlations.initial_cnfm for layer in layers],
    }
    series = {name: _values(found, measure) for name, found in named.items() if any(found)}
    ends = np.array([getattr(layer.correlations.trained, measure).interval or (np.nan, np.nan) for layer in layers])
    intervals = None if np.isnan(ends).all() else {"CNFM and AGOP": ends}
    axes = plot_correlations([layer.name for layer in layers], series, intervals)
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure


def matrix_panels(layer: LayerReport) -> Figure:
    """Initial CNFM, trained CNFM and AGOP beside each other (as Figure 1B), each scaled to trace 1.

    Raises:
        InputError: For a grouped layer, or patches of more than 1024 entries.
    """
    d = layer.filters.shape[-1]
    if layer.groups > 1 or d > LARGEST_MATRIX:
        raise InputError(
            f"matrices are drawn for layers of one group and patches of at most {LARGEST_MATRIX} entries; layer "
            f"{layer.name!r} has {layer.groups} groups and {d}. Draw a part of them with convrfm.plots.plot_matrices."
        )
    found = {"initial CNFM": layer.initial_cnfm, "CNFM": layer.cnfm, "AGOP": layer.agop}
    shown = {name: unit_trace(matrix).double().numpy() for name, matrix in found.items() if matrix is not None}
    return plot_matrices(shown)


def _values(comparisons: list[Comparison | None], measure: str) -> Float[np.ndarray, " layers"]:
    return np.array([np.nan if each is None else getattr(each, measure).value for each in comparisons])

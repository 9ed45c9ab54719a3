"""Square matrices as pictures, side by side."""

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from .style import DIVERGING, bare, house_style


@house_style()
def plot_matrices(matrices: Mapping[str, Float[np.ndarray, "_ _"]]) -> Figure:
    """Draw matrices beside each other on one symmetric color scale: red positive, white zero, blue negative.

    The scale runs to the largest absolute entry of all of them, so bring matrices that are proportional at
    best (such as a patch-AGOP and a CNFM) to one trace first.

    Args:
        matrices: What to write above each matrix, and the matrix, (d, d); d may differ.
    """
    columns = min(4, len(matrices))
    rows = math.ceil(len(matrices) / columns)
    figure = Figure(figsize=(2.3 * columns + 0.9, 2.5 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    largest = max(np.abs(matrix).max() for matrix in matrices.values())
    reach = largest if largest > 0 else 1.0
    for ax in panels.ravel():
        bare(ax)
    for ax, (name, matrix) in zip(panels.ravel(), matrices.items(), strict=False):
        picture = ax.imshow(matrix, cmap=DIVERGING, vmin=-reach, vmax=reach)
        ax.set_title(name, parse_math=False)
    bar = figure.colorbar(picture, ax=panels, shrink=0.8, aspect=22, pad=0.02)
    bar.outline.set_visible(False)
    return figure

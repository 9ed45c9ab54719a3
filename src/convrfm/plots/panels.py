"""The same lines in several panels: layer by layer, with intervals over data sets."""

from collections.abc import Mapping
from itertools import cycle

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from .error_bars import error_bars
from .levels import LOOKS
from .style import house_style

APART = 0.12  # of two lines at one layer

Lines = Mapping[str, Float[np.ndarray, "layers samples"]]


@house_style()
def plot_layer_panels(rows: Mapping[str, Mapping[str, Lines]], ylabel: str) -> Figure:
    """Draw means over samples by layer, of three or more with 95% intervals: a row and a column of panels for every name.

    Args:
        rows: Panels by the name of their row and of their column; the lines of each panel by name, samples last.
        ylabel: What is drawn.
    """
    columns = list(next(iter(rows.values())))
    figure = Figure(figsize=(2.6 * len(columns), 2.3 * len(rows) + 0.4), layout="constrained")
    grid = figure.subplots(len(rows), len(columns), squeeze=False, sharex=True, sharey=True)
    for axes, (row, panels) in zip(grid, rows.items(), strict=True):
        for ax, column in zip(axes, columns, strict=True):
            lines = panels[column]
            for number, ((name, values), (color, marker)) in enumerate(zip(lines.items(), cycle(LOOKS[1:]))):
                layers = np.arange(1, len(values) + 1) + APART * (number - (len(lines) - 1) / 2)
                look = {"color": color, "marker": marker, "elinewidth": 1, "linewidth": 1.3}
                ax.errorbar(layers, values.mean(1), error_bars(values), capsize=2, label=name, **look)
            ax.set_title(f"{column}, {row}")
            ax.set_xticks(np.arange(1, len(values) + 1))
            ax.grid(axis="y")
    for ax in grid[:, 0]:
        ax.set_ylabel(ylabel)
    for ax in grid[-1]:
        ax.set_xlabel("layer")
    grid[0, 0].set_ylim(top=1.02)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=len(lines))
    return figure

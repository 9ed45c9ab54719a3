"""Accuracy against n, one panel a data set."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from ...plots.error_bars import FRACTIONS, error_bars
from ...plots.scales import percent_scale
from ...plots.style import AMBER, BLUE, GREEN, MUTED, PURPLE, VERMILION, house_style
from .summary import Results, measured, sizes

COLUMNS = 2
LOOKS = {  # color, marker
    "fixed kernel": (MUTED, "s"),
    "ConvRFM": (BLUE, "o"),
    "Deep ConvRFM": (PURPLE, "D"),
    "CNN": (VERMILION, "^"),
    "logistic regression": (AMBER, "v"),
    "random forest": (GREEN, "P"),
}


@house_style()
def plot_accuracies(results: Results) -> Figure:
    """Draw means over seeds, of three or more with Student's 95% intervals."""
    names = list(dict.fromkeys(trial.data for trial in results))
    rows = math.ceil(len(names) / COLUMNS)
    figure = Figure(figsize=(4.4 * COLUMNS, 3.2 * rows + 0.5), layout="constrained")
    panels = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
    for ax, name in zip(panels, names, strict=False):
        _panel(ax, name, results)
    for ax in panels[len(names) :]:
        ax.remove()
    for ax in panels[::COLUMNS]:
        ax.set_ylabel("test accuracy")
    handles = {label: handle for ax in panels for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    labels = [method for method in LOOKS if method in handles]
    figure.legend([handles[label] for label in labels], labels, loc="outside lower center", ncols=3)
    return figure


def _panel(ax: Axes, name: str, results: Results) -> None:
    shown = sizes(results, name)
    for method, (color, marker) in LOOKS.items():
        of_size = {n: np.array(list(measured(results, name, n, method, "test").values())) for n in shown}
        points = {n: found for n, found in of_size.items() if len(found)}
        if points:
            means, reach = [found.mean() for found in points.values()], error_bars(points.values(), FRACTIONS)
            ax.errorbar(
                list(points), means, yerr=reach, color=color, marker=marker, elinewidth=1.1, capsize=2.5, label=method
            )
    ax.set_title(name)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(shown))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(ScalarFormatter())
    percent_scale(ax)
    ax.grid(axis="y")
    ax.set_xlabel("training images n")

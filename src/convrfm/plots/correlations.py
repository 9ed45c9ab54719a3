"""Correlations layer by layer, as the paper's Figure 1A."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from .labels import drawn_label
from .style import INK, MUTED, SERIES, axes_or_new, house_style

_HATCHES = ("", "///", "...", "\\\\\\", "xxx", "++")
_MOST_NAMES = 60
_MOST_HATCHED = 120  # bars; narrower ones are colored alone


@house_style()
def plot_correlations(
    layers: Sequence[str],
    series: Mapping[str, Float[np.ndarray, " layers"]],
    intervals: Mapping[str, Float[np.ndarray, "layers 2"]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a group of bars for each layer, one bar for each series; NaN is a correlation that was not taken.

    Of more than sixty layers every second, third, ... is named, so that names stay apart.

    Args:
        layers: Names of the layers in forward order.
        series: Up to six named correlations, each one value for each layer.
        intervals: For some of the series, lower and upper ends, drawn as error bars; NaN where there is none.
        ax: Where to draw; a new figure if None.
    """
    ax = axes_or_new(ax, float(np.clip(2.5 + 0.32 * len(layers) * max(len(series), 2) ** 0.5, 6.4, 14)), 3.9)
    centers = np.arange(len(layers))
    width = 0.8 / len(series)
    hatched = len(layers) * len(series) <= _MOST_HATCHED
    for number, (name, values) in enumerate(series.items()):
        x = centers + (number - (len(series) - 1) / 2) * width
        color, hatch = SERIES[number % len(SERIES)], _HATCHES[number % len(_HATCHES)] * hatched
        ax.bar(x, values, 0.92 * width, color=color, hatch=hatch, edgecolor="white", linewidth=0, label=name)
        if intervals is not None and name in intervals:
            low, high = intervals[name].T  # which need not hold the value
            ax.errorbar(x, (low + high) / 2, (high - low) / 2, fmt="none", ecolor=INK, elinewidth=1.1, capsize=2.5)
    ax.axhline(0, color=MUTED, linewidth=0.8)
    lowest = min(np.nanmin(values, initial=0.0) for values in series.values())
    ax.set_ylim(-1.02 if lowest < -0.3 else min(0.0, 1.3 * lowest), 1.02)
    names = [drawn_label(layer, number, width=24) for number, layer in enumerate(layers)]
    upright = max(map(len, names)) * len(names) <= 60
    named = slice(None, None, math.ceil(len(names) / _MOST_NAMES))
    ax.set_xticks(centers[named], names[named], parse_math=False, rotation=0 if upright else 90)
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.6, len(layers) - 0.4)
    ax.set_ylabel("correlation")
    ax.grid(axis="y")
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.01), ncols=2 if len(series) == 4 else 3, columnspacing=1.6)
    return ax

"""Scores of several methods group by group, such as accuracies by data set (Figure 6A of the paper)."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from .error_bars import FRACTIONS, error_bars
from .scales import percent_scale
from .style import BLUE, INK, MUTED, PURPLE, VERMILION, axes_or_new, house_style

_COLORS = (MUTED, BLUE, PURPLE, VERMILION)


@house_style()
def plot_groups(
    groups: Sequence[str],
    scores: Mapping[str, Float[np.ndarray, "groups seeds"]],
    *,
    ylabel: str = "test accuracy",
    ax: Axes | None = None,
) -> Axes:
    """Draw a bar for each of up to four methods in every group: means over seeds, of three or more with 95% intervals.

    Args:
        groups: What to write below each group of bars.
        scores: By method, as fractions.
        ylabel: What the scores are.
        ax: Where to draw; a new figure if None.
    """
    ax = axes_or_new(ax, max(5.0, 1.6 + 1.1 * len(groups)), 3.4)
    centers, width = np.arange(len(groups)), 0.84 / len(scores)
    for number, (name, values) in enumerate(scores.items()):
        x, means = centers + (number - (len(scores) - 1) / 2) * width, values.mean(1)
        ax.bar(x, means, 0.92 * width, color=_COLORS[number], label=name)
        reach = error_bars(values, FRACTIONS)
        ax.errorbar(x, means, yerr=reach, fmt="none", ecolor=INK, elinewidth=1.1, capsize=2.5)
    ax.set_xticks(centers, groups, parse_math=False)
    ax.tick_params(axis="x", length=0)
    ax.set_ylabel(ylabel)
    percent_scale(ax)
    ax.grid(axis="y")
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.01), ncols=4, columnspacing=1.6)
    return ax

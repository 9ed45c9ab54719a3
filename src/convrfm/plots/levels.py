"""Scores of several methods along a scale, such as accuracies by noise level."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from ..maths.intervals import mean_interval
from .style import AMBER, BLUE, GREEN, MUTED, PURPLE, VERMILION, axes_or_new, house_style

LOOKS = ((MUTED, "s"), (BLUE, "o"), (PURPLE, "D"), (VERMILION, "^"), (GREEN, "P"), (AMBER, "v"))


@house_style()
def plot_levels(
    levels: Sequence[float | int],
    scores: Mapping[str, Float[np.ndarray, "levels seeds"]],
    *,
    xlabel: str,
    ylabel: str = "test accuracy",
    percent: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw means over seeds with Student's 95% intervals; the levels stand at equal distances, in their order.

    Args:
        levels: Where the scores were taken.
        scores: By method; as fractions where they are accuracies.
        xlabel: What the levels are.
        ylabel: What the scores are.
        percent: Whether scores are shown in per cent.
        ax: Where to draw; a new figure if None.
    """
    ax = axes_or_new(ax, 5.6, 3.6)
    places = np.arange(len(levels))
    for (name, values), (color, marker) in zip(scores.items(), cycle(LOOKS)):
        reach = [_half_width(of_level) for of_level in values]
        yerr = reach if any(reach) else None
        ax.errorbar(
            places,
            values.mean(1),
            yerr,
            color=color,
            marker=marker,
            elinewidth=1.2,
            capsize=3,
            clip_on=False,
            label=name,
        )
    ax.set_xticks(places, [f"{level:g}" for level in levels])
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    if percent:
        ax.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    ax.grid(axis="y")
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.01), ncols=3, columnspacing=1.6)
    return ax


def _half_width(values: Float[np.ndarray, " seeds"]) -> float:
    if len(values) < 2 or np.ptp(values) == 0:
        return 0.0
    low, high = mean_interval(values)
    return (high - low) / 2

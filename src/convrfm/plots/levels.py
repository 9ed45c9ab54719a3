"""Scores of several methods along a scale, such as accuracies by noise level."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import Literal

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from .error_bars import FRACTIONS, error_bars
from .scales import log_scale, percent_scale
from .style import AMBER, BLUE, GREEN, MUTED, PURPLE, VERMILION, axes_or_new, house_style

LOOKS = ((MUTED, "s"), (BLUE, "o"), (PURPLE, "D"), (VERMILION, "^"), (GREEN, "P"), (AMBER, "v"))
APART = 0.018  # of two methods at one level, in widths of the axes
Scale = Literal["percent", "linear", "log"]
WITHIN: dict[Scale, tuple[float, float]] = {"percent": FRACTIONS, "linear": (-np.inf, np.inf), "log": (0.0, np.inf)}


@house_style()
def plot_levels(
    levels: Sequence[float | int],
    scores: Mapping[str, Iterable[Float[np.ndarray, " _"]]],
    *,
    xlabel: str,
    ylabel: str = "test accuracy",
    scale: Scale = "percent",
    ax: Axes | None = None,
) -> Axes:
    """Draw means over seeds with Student's 95% intervals, where there are three seeds or more.

    The levels stand at equal distances, in their order; methods stand beside each other at a level.

    Args:
        levels: Where the scores were taken.
        scores: By method at every level, of any number of seeds, or none; as fractions where they are accuracies.
        xlabel: What the levels are.
        ylabel: What the scores are.
        scale: Of the scores: "percent" shows fractions in per cent.
        ax: Where to draw; a new figure if None.
    """
    ax = axes_or_new(ax, 5.6, 3.6)
    places, ends = np.arange(len(levels)), (-0.35, len(levels) - 0.65)
    apart = APART * (ends[1] - ends[0])
    for number, ((name, values), (color, marker)) in enumerate(zip(scores.items(), cycle(LOOKS))):
        taken = {place: of_level for place, of_level in zip(places, values, strict=True) if len(of_level)}
        line, _, _ = ax.errorbar(
            np.array([*taken]) + apart * (number - (len(scores) - 1) / 2),
            np.array([of_level.mean() for of_level in taken.values()]),
            error_bars(taken.values(), WITHIN[scale]),
            color=color,
            marker=marker,
            elinewidth=1.2,
            capsize=3,
            label=name,
        )
        line.set_clip_on(False)
    ax.set_xticks(places, [f"{level:g}" for level in levels])
    ax.set_xlim(*ends)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    if scale == "percent":
        percent_scale(ax)
    elif scale == "log":
        log_scale(ax)
    ax.grid(axis="y")
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.01), ncols=3, columnspacing=1.6)
    return ax

"""How well every layer of a Deep ConvRFM does, round by round."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from .rounds import Task, score_axis
from .style import BAND, GRID, MUTED, VERMILION, axes_or_new, house_style


@house_style()
def plot_layers(
    train: Sequence[Float[np.ndarray, " _"]],
    held_out: Sequence[Float[np.ndarray, " _"]],
    *,
    chosen: Sequence[int],
    judge: str = "leave-one-out",
    task: Task = "classification",
    ax: Axes | None = None,
) -> Axes:
    """Draw the scores of every layer's rounds, one layer beside the other; each starts from its own fixed kernel.

    Args:
        train: Accuracy (as a fraction) or R^2 on the training images, for each layer by round.
        held_out: The same on held-out training images, by leave-one-out or another judge; NaN if it was not taken.
        chosen: The round whose metric each layer keeps.
        judge: What held the images out.
        task: Decides between accuracy in percent and R^2.
        ax: Where to draw; a new figure if None.
    """
    rounds = [np.arange(len(scores)) for scores in train]
    starts = np.concatenate(([0], np.cumsum([len(numbers) for numbers in rounds])))[:-1]
    ax = axes_or_new(ax, 6.4, 3.9)
    for number, (start, numbers) in enumerate(zip(starts, rounds, strict=True)):
        label = number == 0  # one entry in the legend
        at = start + numbers
        kept = start + chosen[number]
        if np.isfinite(held_out[number]).any():
            ax.plot(at, held_out[number], color=VERMILION, marker="s", label=judge if label else None, clip_on=False)
        ax.plot(
            at, train[number], color=MUTED, marker="^", linestyle=":", label="training images" * label, clip_on=False
        )
        ax.axvspan(kept - 0.2, kept + 0.2, color=BAND, linewidth=0, label="kept round" * label, zorder=0)
        if number:
            ax.axvline(start - 0.5, color=GRID, linewidth=1.4, zorder=0)
    ax.set_xlim(-0.5, len(np.concatenate(rounds)) - 0.5)
    ax.set_xticks(np.arange(sum(map(len, rounds))), [str(number) for numbers in rounds for number in numbers])
    ax.set_xlabel("updates of the layer's patch metric")
    score_axis(ax, task)
    for number, (start, numbers) in enumerate(zip(starts, rounds, strict=True), 1):
        ax.annotate(
            f"layer {number}",
            (start + numbers.mean(), 1.02),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="bottom",
            color=MUTED,
        )
    ax.grid(axis="y")
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.07), ncols=3, columnspacing=1.6, handlelength=2.2)
    return ax

"""How well a ConvRFM does after each update of its patch metric."""

from typing import Literal

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from .scales import percent_scale
from .style import BAND, BLUE, GREEN, INK, MUTED, VERMILION, axes_or_new, house_style

Task = Literal["classification", "regression"]


@house_style()
def plot_rounds(
    train: Float[np.ndarray, " rounds"] | None,
    held_out: Float[np.ndarray, " rounds"],
    test: Float[np.ndarray, " rounds"] | None = None,
    test_interval: Float[np.ndarray, "rounds 2"] | None = None,
    *,
    published: Float[np.ndarray, " rounds"] | None = None,
    chosen: int | None,
    judge: str = "leave-one-out",
    task: Task = "classification",
    steps: str = "updates of the patch metric M",
    ax: Axes | None = None,
) -> Axes:
    """Draw the scores of rounds 0 to T; round 0 is the fixed kernel and is continued as a dashed line.

    The dashed line is at the test score of round 0, or at its held-out score if that is missing. NaN is a score
    that was not taken.

    Args:
        train: Accuracy (as a fraction) or R^2 on the training images; None leaves it out, so that the others fill the axes.
        held_out: The same on held-out training images, by leave-one-out or another judge.
        test: The same on test images.
        test_interval: Lower and upper end of the interval of each test score, drawn as error bars.
        published: The same in a published run.
        chosen: The round whose metric the model keeps; None to mark none.
        judge: What held the images out.
        task: Decides between accuracy in percent and R^2.
        steps: What is counted from the fixed kernel on.
        ax: Where to draw; a new figure if None.
    """
    ax = axes_or_new(ax, 6.4, 3.9)
    rounds = np.arange(len(held_out))
    reference = held_out[0]
    if test is not None and np.isfinite(test).any():
        reference = test[0] if np.isfinite(test[0]) else reference
        ax.plot(rounds, test, color=BLUE, marker="o", linewidth=2.4, label="test", zorder=3, clip_on=False)
    if test is not None and test_interval is not None:
        reach = np.abs(test_interval.T - test)
        ax.errorbar(rounds, test, yerr=reach, fmt="none", ecolor=BLUE, elinewidth=1.3, capsize=4, label="95% interval")
    if np.isfinite(held_out).any():
        ax.plot(rounds, held_out, color=VERMILION, marker="s", label=judge, clip_on=False)
    if train is not None:
        ax.plot(rounds, train, color=MUTED, marker="^", linestyle=":", label="training images", clip_on=False)
    if published is not None:
        (rings,) = ax.plot(rounds, published, "D", color=GREEN, label="published", zorder=4, clip_on=False)
        rings.set(fillstyle="none", markersize=10)
    if np.isfinite(reference):
        ax.axhline(reference, color=INK, linestyle=(0, (5, 3)), linewidth=1.1, label="fixed kernel", zorder=1)
    if chosen is not None:
        ax.axvspan(chosen - 0.2, chosen + 0.2, color=BAND, linewidth=0, label="chosen round", zorder=0)
    ax.set_xlim(-0.35, len(rounds) - 0.65)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set_xlabel(steps)
    score_axis(ax, task)
    ax.grid(axis="y")
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.01), ncols=3, columnspacing=1.6, handlelength=2.2)
    return ax


def score_axis(ax: Axes, task: Task) -> None:
    """Accuracies in percent, between 0 and 1; R^2 as it is."""
    if task == "classification":
        percent_scale(ax)
        ax.set_ylabel("accuracy")
    else:
        ax.set_ylabel("$R^2$")

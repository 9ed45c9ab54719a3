"""A training along its epochs: accuracies, and a number of every layer."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .scales import percent_scale
from .style import BLUE, MUTED, VERMILION, house_style

LOOKS = ((VERMILION, "s"), (BLUE, "o"), (MUTED, "^"))


@house_style()
def plot_training(
    accuracies: Mapping[str, Float[np.ndarray, " epochs"]],
    measured: Sequence[int],
    layers: Float[np.ndarray, "measurements layers"],
    *,
    kept: int,
    quantity: str,
) -> Figure:
    """Draw accuracies by epoch, and beside them one line for each layer, from light (first) to dark (last).

    Args:
        accuracies: By what they were taken on, as fractions, after epoch 1 and those that follow.
        measured: After how many epochs layers were measured.
        layers: What was measured.
        kept: The epoch whose weights were kept.
        quantity: What was measured of layers.
    """
    figure = Figure(figsize=(7.6, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for (name, values), (color, marker) in zip(accuracies.items(), LOOKS, strict=False):
        left.plot(np.arange(1, len(values) + 1), values, color=color, marker=marker, markersize=3.5, label=name)
    left.set_ylabel("accuracy")
    percent_scale(left)
    shades = colormaps["viridis_r"](np.linspace(0.1, 1, layers.shape[1]))
    for number, (values, shade) in enumerate(zip(layers.T, shades, strict=True), 1):
        label = f"layer {number}" if number in (1, layers.shape[1]) else None
        right.plot(measured, values, color=shade, linewidth=1.3, label=label)
    right.set_ylabel(quantity)
    for ax in (left, right):
        ax.axvline(kept, color=MUTED, linewidth=0.8, linestyle=":")
        ax.set_xlabel("epochs")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(axis="y")
        ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.01), ncols=2)
    return figure

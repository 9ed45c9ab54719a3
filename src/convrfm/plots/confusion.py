"""Which classes are taken for which."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Integer, Shaped
from matplotlib import colormaps
from matplotlib.axes import Axes

from ..errors import InputError
from .labels import drawn_label
from .scales import PercentTicks
from .style import GRID, INK, MUTED, SHARE, axes_or_new, house_style

_MOST_CLASSES_WITH_COUNTS = 20
_MOST_LABELS = 25


def confusion_counts(
    y_true: Shaped[np.ndarray, " n"], y_pred: Shaped[np.ndarray, " n"], classes: Sequence[object] | np.ndarray
) -> Integer[np.ndarray, "k k"]:
    """Count the images of class i (row) that were predicted as class j (column), in the order of `classes`.

    Raises:
        InputError: If a label is not one of the classes.

    Example:
        >>> confusion_counts(np.array(["a", "b", "b"]), np.array(["b", "b", "b"]), ["a", "b"])
        array([[0, 1],
               [0, 2]])
    """
    position = {label: i for i, label in enumerate(np.asarray(classes).tolist())}
    counts = np.zeros((len(position), len(position)), dtype=np.int64)
    try:
        for true, predicted in zip(y_true.tolist(), y_pred.tolist(), strict=True):
            counts[position[true], position[predicted]] += 1
    except KeyError as missing:
        raise InputError(
            f"every label must be one of the {len(position)} classes; got {missing}. Pass the classes_ of the model."
        ) from missing
    return counts


def row_shares(counts: Integer[np.ndarray, "k k"]) -> Float[np.ndarray, "k k"]:
    """Divide each row by its sum; a row without images is NaN."""
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)


@house_style()
def plot_confusion(
    counts: Integer[np.ndarray, "k k"], classes: Sequence[object] | np.ndarray, ax: Axes | None = None
) -> Axes:
    """Draw a confusion matrix: numbers are counts, colors are shares of the true class (of the row).

    Beyond 20 classes the counts are left out, beyond 25 only some classes are named. Classes without images
    are gray.

    Args:
        counts: Row i, column j: images of class i that were predicted as class j, as of `confusion_counts`.
        classes: The k class names, which may hold any text.
        ax: Where to draw; a new figure if None.
    """
    k = len(counts)
    side = min(3.0 + 0.22 * k, 7.0)
    ax = axes_or_new(ax, side + 0.9, side)
    shares = row_shares(counts)
    colors = colormaps[SHARE].with_extremes(bad=GRID)
    picture = ax.imshow(shares, cmap=colors, vmin=0, vmax=1)
    if k <= _MOST_CLASSES_WITH_COUNTS:
        _write_counts(ax, counts, shares)
        ax.set_xticks(np.arange(k + 1) - 0.5, minor=True)
        ax.set_yticks(np.arange(k + 1) - 0.5, minor=True)
        ax.grid(which="minor", color="white", linewidth=1.5)
    _name_classes(ax, classes)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    bar = ax.figure.colorbar(picture, ax=ax, format=PercentTicks(), shrink=0.7, aspect=24, pad=0.03)
    bar.set_label("share of the true class")
    bar.outline.set_visible(False)
    return ax


def _write_counts(ax: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    size = float(np.interp(len(counts), [4, 10, 20], [11, 9, 6.5]))
    for (row, column), count in np.ndenumerate(counts):
        on_dark = shares[row, column] > 0.55
        color = "white" if on_dark else INK if count else MUTED
        ax.text(column, row, f"{count}", ha="center", va="center", fontsize=size, color=color)


def _name_classes(ax: Axes, classes: Sequence[object] | np.ndarray) -> None:
    step = math.ceil(len(classes) / _MOST_LABELS)
    shown = range(0, len(classes), step)
    names = [drawn_label(classes[i], i) for i in shown]
    size = 9 if len(names) <= 12 else 7.5
    upright = max(map(len, names)) * len(names) <= 24
    ax.set_xticks(shown, names, parse_math=False, fontsize=size, rotation=0 if upright else 90)
    ax.set_yticks(shown, names, parse_math=False, fontsize=size)

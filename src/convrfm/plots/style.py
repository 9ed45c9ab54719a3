"""The house style: one quiet look that is safe for color-blind readers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#22262b"
MUTED = "#6a7178"
GRID = "#e6e8ea"
BAND = "#f3e7c4"

# Okabe and Ito's palette, which stays distinct under the common kinds of color blindness.
BLUE, VERMILION, GREEN, PURPLE, SKY, AMBER = "#0072B2", "#D55E00", "#009E73", "#AA5E8B", "#56B4E9", "#E69F00"
SERIES = (BLUE, VERMILION, GREEN, PURPLE, SKY, AMBER)

DIVERGING = "RdBu_r"
MAGNITUDE = "magma"
SHARE = "Blues"

_RC: Any = {
    "font.family": ["DejaVu Sans"],  # ships with matplotlib: the same picture on every machine
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": True,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "image.interpolation": "nearest",
    "figure.facecolor": "white",
    "figure.dpi": 100,
    "savefig.facecolor": "white",
}
_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def house_style() -> Iterator[None]:
    """Apply the style inside a `with` block, or to a whole function as a decorator.

    matplotlib keeps its settings in one place for the whole process, so blocks of different threads take
    turns; the settings are restored when the block ends.

    Example:
        >>> import matplotlib
        >>> before = matplotlib.rcParams["font.size"]
        >>> with house_style():
        ...     matplotlib.rcParams["font.size"]
        9.5
        >>> matplotlib.rcParams["font.size"] == before
        True
    """
    with _ONE_AT_A_TIME, matplotlib.rc_context(_RC):
        yield


def axes_or_new(ax: Axes | None, width: float, height: float) -> Axes:
    """Give back the axes that the caller brought, or those of a new figure of this size in inches."""
    if ax is not None:
        return ax
    axes: Axes = Figure(figsize=(width, height), layout="constrained").subplots()
    return axes


def bare(ax: Axes) -> None:
    """Take ticks and frame away from axes that hold a picture."""
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)

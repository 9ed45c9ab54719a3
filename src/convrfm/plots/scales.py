"""Scales of axes whose ticks can be told apart."""

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import Formatter, FuncFormatter, LogLocator, NullFormatter


class PercentTicks(Formatter):
    """Fractions in per cent, all with the decimals that the finest of them needs."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """A place of the axis alone."""
        return self.format_ticks([x])[0]

    def format_ticks(self, values: Iterable[float]) -> list[str]:
        """All ticks of the axis."""
        percents = 100 * np.array(list(values))
        decimals = next(d for d in range(9) if d == 8 or np.allclose(percents, percents.round(d), rtol=0, atol=1e-7))
        return [f"{percent:.{decimals}f}%" for percent in percents]


def percent_scale(ax: Axes) -> None:
    """An upright axis of accuracies as fractions: in per cent, and nothing below 0 or above 100%."""
    low, high = ax.get_ylim()
    ax.set_ylim(max(low, 0.0), min(high, 1.0))
    ax.yaxis.set_major_formatter(PercentTicks())


def log_scale(ax: Axes) -> None:
    """A logarithmic upright axis over what is drawn, and over a decade at least, so that what is flat looks flat."""
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    wider = max(1.0, 10 * low / high) ** 0.5
    ax.set_ylim(low / wider, high * wider)
    if high / low < 100:
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())

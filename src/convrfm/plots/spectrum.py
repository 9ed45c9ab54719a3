"""The eigenvalues of a patch metric."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes

from ..errors import InputError
from ..maths import spectra
from .scales import log_scale
from .style import BLUE, MUTED, SERIES, axes_or_new, house_style

DASHED: Mapping[str, Any] = {"color": MUTED, "linestyle": "--", "linewidth": 1.1}


def effective_rank(feature_matrix: Float[np.ndarray, "d d"]) -> float:
    """The participation ratio (tr M)^2 / tr(M^2) of a symmetric positive semi-definite matrix.

    It is d for the identity, 1 for a rank-one matrix, and k for a projection on k directions.

    Raises:
        InputError: If the trace is not positive.

    Example:
        >>> round(effective_rank(np.diag([1.0, 1.0, 0.0])), 12)
        2.0
    """
    trace = np.trace(feature_matrix)
    if not trace > 0:
        raise InputError(f"feature_matrix must have a positive trace; got {trace}. Is it a metric on patches?")
    return spectra.effective_rank(torch.tensor(feature_matrix))


@house_style()
def plot_spectrum(
    feature_matrix: Float[np.ndarray, "d d"],
    ax: Axes | None = None,
    *,
    first_metric: Float[np.ndarray, "d d"] | None = None,
) -> Axes:
    """Draw the eigenvalues of M from large to small on a log scale, with the effective rank as the title.

    The dashed line is the metric of the fixed kernel. Where that is the identity, drawn with the trace of M, directions
    above it are stretched, those below shrunk. Eigenvalues that are zero up to rounding are left out.

    Args:
        feature_matrix: M, symmetric and positive semi-definite with a positive trace, (d, d).
        ax: Where to draw; a new figure if None.
        first_metric: M at round 0, (d, d); None for the identity.
    """
    rank = effective_rank(feature_matrix)
    ax = axes_or_new(ax, 6.4, 3.4)
    d = len(feature_matrix)
    numbers = np.arange(1, d + 1)
    if first_metric is None:
        ax.axhline(np.trace(feature_matrix) / d, label="identity (fixed kernel)", **DASHED)
    else:
        ax.plot(numbers, _eigenvalues(first_metric), label="round 0 (fixed kernel)", **DASHED)
    ax.plot(
        numbers,
        _eigenvalues(feature_matrix),
        color=BLUE,
        marker="o",
        markersize=5 if d <= 40 else 2.5,
        label="learned M",
    )
    log_scale(ax)
    ax.set_xlim(1 - 0.02 * d, 1.02 * d)
    ax.set_xlabel("eigenvector")
    ax.set_ylabel("eigenvalue")
    ax.grid(axis="y")
    ax.legend(loc="lower right", bbox_to_anchor=(1.02, 0.99), ncols=2, columnspacing=1.6)
    ax.set_title(f"effective rank {rank:.1f} of {d}")
    return ax


@house_style()
def plot_spectra(feature_matrices: Sequence[Float[np.ndarray, "_ _"]], ax: Axes | None = None) -> Axes:
    """Draw the eigenvalues of every layer's metric from large to small, on log scales, divided by their mean.

    The dashed line at 1 is the identity. Eigenvalues that are zero up to rounding are left out.

    Args:
        feature_matrices: M of every layer, symmetric and positive semi-definite; d may differ.
        ax: Where to draw; a new figure if None.
    """
    ax = axes_or_new(ax, 6.4, 3.6)
    ax.axhline(1, label="identity", **DASHED)
    for number, feature_matrix in enumerate(feature_matrices):
        d = len(feature_matrix)
        relative = _eigenvalues(feature_matrix) * d / np.trace(feature_matrix)
        color, marker = SERIES[number % len(SERIES)], "os^Dv"[number % 5]
        ax.plot(
            np.arange(1, d + 1),
            relative,
            color=color,
            marker=marker,
            markersize=4 if d <= 40 else 2,
            label=f"layer {number + 1}",
        )
    ax.set_xscale("log")
    log_scale(ax)
    ax.set_xlabel("eigenvector")
    ax.set_ylabel("eigenvalue / mean")
    ax.grid(axis="y")
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.01), ncols=4, columnspacing=1.6)
    return ax


def _eigenvalues(feature_matrix: Float[np.ndarray, "d d"]) -> Float[np.ndarray, " d"]:
    """From large to small; NaN for those that are zero up to rounding."""
    eigenvalues = np.linalg.eigvalsh(feature_matrix.astype(np.float64))[::-1]
    rounding = len(feature_matrix) * np.finfo(feature_matrix.dtype).eps * eigenvalues[0]
    return np.where(eigenvalues > rounding, eigenvalues, np.nan)

"""The eigenvalues of a patch metric."""

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes

from ..errors import InputError
from ..maths import spectra
from .style import BLUE, MUTED, axes_or_new, house_style


def effective_rank(feature_matrix: Float[np.ndarray, "d d"]) -> float:
    """The participation ratio (tr M)^2 / tr(M^2) of a symmetric positive semi-definite matrix.

    It is d for the identity, 1 for a rank-one matrix, and k for a projection on k directions.

    Raises:
        InputError: If the trace is not positive.

    Example:
        >>> effective_rank(np.diag([1.0, 1.0, 0.0]))
        2.0
    """
    trace = np.trace(feature_matrix)
    if not trace > 0:
        raise InputError(f"feature_matrix must have a positive trace; got {trace}. Is it a metric on patches?")
    return spectra.effective_rank(torch.tensor(feature_matrix))


@house_style()
def plot_spectrum(feature_matrix: Float[np.ndarray, "d d"], ax: Axes | None = None) -> Axes:
    """Draw the eigenvalues of M from large to small on a log scale, with the effective rank as the title.

    The dashed line is the identity of the same trace, which is the metric of the fixed kernel: directions
    above it are stretched, those below shrunk. Eigenvalues that are zero up to rounding are left out.

    Args:
        feature_matrix: M, symmetric and positive semi-definite with a positive trace, (d, d).
        ax: Where to draw; a new figure if None.
    """
    rank = effective_rank(feature_matrix)
    ax = axes_or_new(ax, 6.4, 3.4)
    d = len(feature_matrix)
    eigenvalues = np.linalg.eigvalsh(feature_matrix)[::-1]
    rounding = d * np.finfo(feature_matrix.dtype).eps * eigenvalues[0]
    positive = np.where(eigenvalues > rounding, eigenvalues, np.nan)
    ax.axhline(
        np.trace(feature_matrix) / d,
        color=MUTED,
        linestyle="--",
        linewidth=1.1,
        label="identity (fixed kernel)",
    )
    ax.plot(
        np.arange(1, d + 1),
        positive,
        color=BLUE,
        marker="o",
        markersize=5 if d <= 40 else 2.5,
        label="learned M",
    )
    ax.set_yscale("log")
    ax.set_xlim(1 - 0.02 * d, 1.02 * d)
    ax.set_xlabel("eigenvector")
    ax.set_ylabel("eigenvalue")
    ax.grid(axis="y")
    ax.legend(loc="lower right", bbox_to_anchor=(1.02, 0.99), ncols=2, columnspacing=1.6)
    ax.set_title(f"effective rank {rank:.1f} of {d}")
    return ax

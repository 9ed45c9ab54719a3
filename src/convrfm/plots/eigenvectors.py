"""The leading eigenvectors of a patch metric, as little images."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ..errors import InputError
from .pictures import patch_picture
from .style import DIVERGING, bare, house_style


class LeadingEigenvectors(NamedTuple):
    """Eigenvectors of a patch metric in the order of falling eigenvalues."""

    patches: Float[np.ndarray, "count c q q"]
    """Unit vectors as patches, each with its largest entry in absolute value positive."""
    shares: Float[np.ndarray, " count"]
    """Eigenvalue divided by the trace of the metric."""


def leading_eigenvectors(
    feature_matrix: Float[np.ndarray, "d d"], patch_shape: tuple[int, int, int], count: int = 8
) -> LeadingEigenvectors:
    """The first `count` eigenvectors of M (all d if it has fewer), with a sign that every machine agrees on.

    Args:
        feature_matrix: M, symmetric and positive semi-definite with a positive trace, (d, d).
        patch_shape: (c, q, q) with d = c q q, flattened channel first.
        count: How many eigenvectors.

    Raises:
        InputError: If the patch shape does not match d, or the trace is not positive.
    """
    d = len(feature_matrix)
    if math.prod(patch_shape) != d:
        raise InputError(
            f"feature_matrix must be (d, d) with d = c*q*q = {math.prod(patch_shape)} for patches of shape "
            f"{patch_shape}; got {feature_matrix.shape}. Pass the patch_shape of the model."
        )
    trace = np.trace(feature_matrix)
    if not trace > 0:
        raise InputError(f"feature_matrix must have a positive trace; got {trace}. Is it a metric on patches?")
    eigenvalues, columns = np.linalg.eigh(feature_matrix.astype(np.float64))
    leading = columns.T[::-1][:count]
    largest = np.take_along_axis(leading, np.abs(leading).argmax(axis=1, keepdims=True), axis=1)
    patches = (leading * np.sign(largest)).reshape(-1, *patch_shape)
    return LeadingEigenvectors(patches, np.maximum(eigenvalues[::-1][:count], 0) / trace)


def plot_eigenvectors(
    feature_matrix: Float[np.ndarray, "d d"], patch_shape: tuple[int, int, int], count: int = 8
) -> Figure:
    """Draw the leading eigenvectors of M, titled with their share of the trace.

    Three channels are red, green and blue around mid-gray. Otherwise red is positive, blue is negative and
    white is zero, and the channels lie beside each other. Each eigenvector has its own scale, one for all
    its channels.

    Args:
        feature_matrix: M, symmetric and positive semi-definite with a positive trace, (d, d).
        patch_shape: (c, q, q) with d = c q q, flattened channel first.
        count: How many eigenvectors.
    """
    return draw_eigenvectors(leading_eigenvectors(feature_matrix, patch_shape, count))


@house_style()
def draw_eigenvectors(vectors: LeadingEigenvectors) -> Figure:
    """Draw eigenvectors that are there already, as `plot_eigenvectors` does."""
    columns = min(4, len(vectors.shares))
    rows = math.ceil(len(vectors.shares) / columns)
    pictures = [patch_picture(patch) for patch in vectors.patches]
    panel_height = 1.65 * len(pictures[0]) / pictures[0].shape[1] + 0.3
    figure = Figure(
        figsize=(0.4 + 1.65 * columns, panel_height * rows),
        layout=ConstrainedLayoutEngine(wspace=0.06, hspace=0.05),
    )
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    colors = colormaps[DIVERGING].with_extremes(bad="white")
    for ax in panels:
        bare(ax)
    for number, (ax, picture, share) in enumerate(zip(panels, pictures, vectors.shares, strict=False), start=1):
        ax.imshow(picture, cmap=colors, vmin=-1, vmax=1)
        ax.set_title(f"{number}: {_percent(share)} of trace", fontsize=9)
        for spine in ax.spines.values():
            spine.set(visible=True, color="#c9ced3", linewidth=0.8)
    return figure


def _percent(share: float) -> str:
    return "< 0.1%" if share < 0.001 else f"{share:.1%}"

"""Oriented derivative filters (odd Gabor filters), and how much of a patch metric they explain."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

ORIENTATIONS = 16
WIDTHS = (0.15, 0.25, 0.4)  # of the envelope's standard deviation, in sides of the patch
PERIODS = (0.6, 1.0, 2.0)  # of the wave, in sides of the patch


def oriented_derivatives(size: int) -> Float[Tensor, "filters size size"]:
    """Unit filters exp(-|u|^2 / 2 s^2) sin(2 pi <u, direction> / period) around the center of a patch.

    They are odd, so that they do not see constants, and the longest period is nearly a derivative of a Gaussian.
    """
    place = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    rows, columns = torch.meshgrid(place, place, indexing="ij")
    filters = []
    for number in range(ORIENTATIONS):
        angle = math.pi * number / ORIENTATIONS
        along = math.cos(angle) * columns + math.sin(angle) * rows
        for width in WIDTHS:
            envelope = torch.exp(-(rows.square() + columns.square()) / (2 * (width * size) ** 2))
            filters += [envelope * torch.sin(2 * math.pi * along / (period * size)) for period in PERIODS]
    made = torch.stack(filters)
    return made / torch.linalg.vector_norm(made, dim=(1, 2), keepdim=True)


class BestFilters(NamedTuple):
    """The oriented derivative that fits each of several unit patches best.

    Attributes:
        explained: the share of the patch's square that it explains, in the color that fits, 0 to 1.
        angles: of the direction along which it differentiates, from 0 (from left to right) to pi, counted to the lower right.
    """

    explained: Float[Tensor, " m"]
    angles: Float[Tensor, " m"]


def best_filters(patches: Float[Tensor, "m c q q"]) -> BestFilters:
    """Of each unit patch v, max over filters g of sum_c <v_c, g>^2, and the direction of that g."""
    filters = oriented_derivatives(patches.shape[-1]).flatten(1)
    products = patches.double().flatten(2) @ filters.T
    explained, best = products.square().sum(1).max(1)
    return BestFilters(
        explained, best.div(len(WIDTHS) * len(PERIODS), rounding_mode="floor") * (math.pi / ORIENTATIONS)
    )


def derivative_share(matrix: Float[Tensor, "d d"], patch_shape: tuple[int, int, int], count: int = 8) -> float:
    """How much of the leading eigenvectors of a PSD matrix on patches one oriented derivative each explains, 0 to 1.

    With unit eigenvectors v of the `count` largest eigenvalues l it is sum of l max_g sum_c <v_c, g>^2 / sum of l: every
    eigenvector has the filter g, in the color, that fits it best.

    Example:
        >>> g = oriented_derivatives(5)[3].flatten()
        >>> round(derivative_share(torch.outer(g, g), (1, 5, 5)), 6)
        1.0
    """
    values, vectors = torch.linalg.eigh(matrix.double())
    leading, weights = vectors.T[-count:], values[-count:].clamp(min=0)
    return float(weights @ best_filters(leading.unflatten(1, patch_shape)).explained / weights.sum())

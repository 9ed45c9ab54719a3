"""What a correlation between CNFM and AGOP must be read against.

W stands on both sides of `W^T G W`, so that a white gradient (G = identity) already correlates perfectly with `W^T W`.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from ..maths.row_space_agop import Agops, Cores, Grams, similarities
from ..maths.similarity import gram_similarity
from ..maths.spectra import RowSpace
from .estimates import Comparison, Estimate
from .moments import Moments

DRAWN_ENTRIES = 2**22
"""Rotations are drawn this many entries of G at a time."""


def rotated(moments: Moments, draws: int, generator: torch.Generator, half_power: bool = True) -> Comparison:
    """G replaced by `Q G Q^T`, Q random orthogonal: what the algebra gives for G's spectrum alone.

    Q respects the groups: a random permutation of them, and a rotation (Haar) within each. For a depthwise layer it
    permutes the gains of the channels.

    Args:
        moments: The layer as measured.
        draws: How many Q are drawn.
        generator: Where they come from.
        half_power: Also with the power 1/2.

    Returns:
        The mean over draws; `standard_error` is the standard deviation of the draws. A G from a few probes is taken
        as it is, with its noise: compare it with a correlation before its bias is taken off (`value + bias`).
    """
    groups, rows = moments.filters.shape[:2]
    precision = torch.promote_types(moments.filters.dtype, torch.float32)
    width, turned = _turning(moments, precision)
    found = []
    for numbers in torch.arange(draws).split(max(1, DRAWN_ENTRIES // moments.covariance.numel())):
        orders = torch.rand(len(numbers), groups, generator=generator, device=generator.device).argsort(1).cpu()
        frames = haar_frames((len(numbers), groups, rows, width), generator, precision)
        pairs = similarities(turned(frames, orders), moments.row_space, half_power)
        found.append(torch.stack([value for pair in pairs for value in pair]))
    spread, mean = torch.std_mean(torch.cat(found, 1), 1, correction=min(1, draws - 1))
    estimates = (Estimate(m, standard_error=s) for m, s in zip(mean.tolist(), spread.tolist(), strict=True))
    return Comparison(*estimates)


def _turning(moments: Moments, precision: torch.dtype) -> tuple[int, Callable[[Tensor, Tensor], Agops]]:
    """How many orthonormal columns a rotation needs, and the AGOPs with G turned by rotations.

    Those are as many as there are gradients; or, turning the filters instead, as the row space has directions.
    """
    space = moments.row_space
    if moments.gradients is not None:
        triangle = torch.linalg.qr(moments.gradients.columns.to(precision), mode="r").R
        left = space.left.to(precision)
        return triangle.shape[-1], lambda frames, orders: Grams.of(left.mT @ (frames @ triangle[orders]), space)
    gain, covariance = space.gain.to(precision), moments.covariance.to(precision)

    def turned(frames: Tensor, orders: Tensor) -> Agops:
        filters = frames @ gain
        return Cores((filters.mT @ covariance[orders] @ filters).double())

    return gain.shape[-1], turned


def haar_frames(shape: tuple[int, int, int, int], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Orthonormal columns `(draws, groups, rows, k)`, uniformly distributed (Haar): part of a random rotation."""
    if shape[-2] == 1:
        return torch.ones(shape, dtype=dtype)
    gaussian = torch.randn(shape, generator=generator, dtype=dtype, device=generator.device).cpu()
    if shape[-2] < 2 * shape[-1]:
        q, triangle = torch.linalg.qr(gaussian)
        return q * triangle.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)
    triangle = torch.linalg.cholesky(gaussian.mT @ gaussian, upper=True)  # well conditioned: twice as tall as wide
    return torch.linalg.solve_triangular(triangle, gaussian, upper=True, left=False)


def change(moments: Moments, initial_filters: Float[Tensor, "groups rows d"], half_power: bool = True) -> Comparison:
    """`W - W0` in the place of W, on both sides of both matrices, with the trained network's G."""
    space = RowSpace.of(moments.filters.double() - initial_filters.double())
    pairs = similarities(moments.agop_with(space), space, half_power)
    return Comparison(*(Estimate(float(value)) for pair in pairs for value in pair))


def between_cnfms(first: Float[Tensor, "groups rows d"], second: Float[Tensor, "groups rows d"]) -> Comparison:
    """The CNFM at initialization against the trained one: how far the filters have moved."""
    return Comparison(*(Estimate(float(value)) for value in gram_similarity(first, second)))

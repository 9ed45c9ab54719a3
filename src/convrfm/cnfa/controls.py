"""What a correlation between CNFM and AGOP must be read against.

W stands on both sides of `W^T G W`, so that a white gradient (G = identity) already correlates perfectly with `W^T W`.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..maths.agops import Agops, Columns, Cores, similarities
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
    space = moments.row_space
    groups, rows = space.left.shape[:2]
    width = space.ones.shape[-1] if moments.gradients is None else moments.gradients.columns.shape[-1]
    precision = torch.promote_types(moments.filters.dtype, torch.float32)
    found = []
    for numbers in torch.arange(draws).split(max(1, DRAWN_ENTRIES // moments.covariance.numel())):
        count = len(numbers)
        orders = torch.rand(count, groups, generator=generator, device=generator.device).argsort(1)
        frames = haar_frames((count, groups, rows, width), generator, precision)
        pairs = similarities(_turned(moments, frames, orders.cpu()), space, half_power)
        found.append(torch.stack([value for pair in pairs for value in pair]))
    spread, mean = torch.std_mean(torch.cat(found, 1), 1, correction=min(1, draws - 1))
    estimates = (Estimate(m, standard_error=s) for m, s in zip(mean.tolist(), spread.tolist(), strict=True))
    return Comparison(*estimates)


def _turned(
    moments: Moments, frames: Float[Tensor, "draws groups rows k"], orders: Int[Tensor, "draws groups"]
) -> Agops:
    """AGOPs with G turned by orthogonal matrices, of which as many columns are needed as G or W has directions."""
    space = moments.row_space
    if moments.gradients is not None:
        triangle = torch.linalg.qr(moments.gradients.columns, mode="r").R
        return Columns((space.left.to(frames).mT @ (frames @ triangle.to(frames)[orders])).double())
    filters = frames @ space.gain.to(frames)
    return Cores((filters.mT @ moments.covariance.to(frames)[orders] @ filters).double())


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

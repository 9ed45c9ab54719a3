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
from .rotations import Rotations

DRAWN_ENTRIES = 2**22
"""Rotations are drawn this many entries of G at a time."""


def rotated(moments: Moments, rotations: Rotations, half_power: bool = True) -> Comparison:
    """G replaced by `Q G Q^T`, Q random orthogonal: what the algebra gives for G's spectrum alone.

    Q respects the groups: a random permutation of them, and a rotation (Haar) within each. For a depthwise layer it
    permutes the gains of the channels.

    Args:
        moments: The layer as measured.
        rotations: Where the draws of Q come from.
        half_power: Also with the power 1/2.

    Returns:
        The mean over draws; `standard_error` is the standard deviation of the draws, None of one. A G from a few probes is
        taken as it is, with its noise: compare it with a correlation before its bias is taken off (`value + bias`).
    """
    turned = _turning(moments, rotations)
    found = []
    for numbers in torch.arange(rotations.draws).split(max(1, DRAWN_ENTRIES // moments.covariance.numel())):
        pairs = similarities(turned(numbers), moments.row_space, half_power)
        found.append(torch.stack([value for pair in pairs for value in pair]))
    drawn = torch.cat(found, 1)
    if rotations.draws == 1:
        return Comparison(*map(Estimate, drawn[:, 0].tolist()))
    spread, mean = torch.std_mean(drawn, 1)
    estimates = (Estimate(m, standard_error=s) for m, s in zip(mean.tolist(), spread.tolist(), strict=True))
    return Comparison(*estimates)


def _turning(moments: Moments, rotations: Rotations) -> Callable[[Tensor], Agops]:
    """From numbers of draws to AGOPs with G turned within each group.

    The columns of a rotation that matter are as many as there are gradients; or, turning the filters instead, as the row
    space has directions.
    """
    space = moments.row_space
    groups, rows, r = space.left.shape
    precision = torch.promote_types(moments.filters.dtype, torch.float32)
    gain = space.gain.to(precision)
    if moments.gradients is not None:
        triangle = torch.linalg.qr(moments.gradients.columns.to(precision), mode="r").R

        def of_gradients(numbers: Tensor) -> Agops:
            orders = rotations.orders(numbers, groups)
            blocks = rotations.blocks(numbers, (groups, r, triangle.shape[-1]), rows, precision)
            return Grams.of(gain.mT @ (blocks @ triangle[orders]), space)

        return of_gradients
    covariance = moments.covariance.to(precision)

    def of_covariance(numbers: Tensor) -> Agops:
        orders = rotations.orders(numbers, groups)
        frames = rotations.frames(numbers, (groups, rows, r), precision)
        permuted = covariance if groups == 1 else covariance[orders]
        if rows < 2 * r:
            turned = frames @ gain
            return Cores(turned.mT @ (permuted @ turned))
        return Cores(gain.mT @ (frames.mT @ (permuted @ frames)) @ gain)

    return of_covariance


def change(moments: Moments, initial_filters: Float[Tensor, "groups rows d"], half_power: bool = True) -> Comparison:
    """`W - W0` in the place of W, on both sides of both matrices, with the trained network's G."""
    space = RowSpace.of(moments.filters.double() - initial_filters.double())
    pairs = similarities(moments.agop_with(space), space, half_power)
    return Comparison(*(Estimate(float(value)) for pair in pairs for value in pair))


def between_cnfms(first: Float[Tensor, "groups rows d"], second: Float[Tensor, "groups rows d"]) -> Comparison:
    """The CNFM at initialization against the trained one: how far the filters have moved."""
    return Comparison(*(Estimate(float(value)) for value in gram_similarity(first, second)))

"""What a correlation between CNFM and AGOP must be read against.

W stands on both sides of `W^T G W`, so that a white gradient (G = identity) already correlates perfectly with `W^T W`.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ..maths.similarity import gram_similarity
from ..maths.spectra import RowSpace
from .estimates import Comparison, CoreComparison, Estimate
from .moments import Moments


def rotated(moments: Moments, draws: int, generator: torch.Generator) -> Comparison:
    """G replaced by `Q G Q^T`, Q random orthogonal: what the algebra gives for G's spectrum alone.

    Q respects the groups: a random permutation of them, and a rotation (Haar) within each. For a depthwise layer it
    permutes the gains of the channels.

    Returns:
        The mean over draws; `standard_error` is the standard deviation of the draws. A G from a few probes is taken
        as it is, with its noise: compare it with a correlation before its bias is taken off (`value + bias`).
    """
    comparison = CoreComparison(moments.row_space)
    groups, rows, r = moments.row_space.left.shape
    gain = moments.row_space.gain
    found = []
    for _ in range(draws):
        gaussian = torch.randn(groups, rows, r, generator=generator, dtype=torch.float64, device=generator.device)
        order = torch.randperm(groups, generator=generator, device=generator.device).cpu()
        filters = _haar_frame(gaussian.cpu()) @ gain
        core = filters.mT @ moments.covariance[order] @ filters
        found.append(torch.stack((*comparison.similarity(core), *comparison.similarity_half(core))))
    spread, mean = torch.std_mean(torch.stack(found), 0, correction=min(1, draws - 1))
    estimates = (Estimate(m, standard_error=s) for m, s in zip(mean.tolist(), spread.tolist(), strict=True))
    return Comparison(*estimates)


def _haar_frame(gaussian: Float[Tensor, "groups rows r"]) -> Float[Tensor, "groups rows r"]:
    """r orthonormal columns, uniformly distributed (Haar): with them for U, `U T` is `Q^T L` for a Haar Q."""
    q, triangle = torch.linalg.qr(gaussian)
    return q * triangle.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)


def change(moments: Moments, initial_filters: Float[Tensor, "groups rows d"]) -> Comparison:
    """`W - W0` in the place of W, on both sides of both matrices, with the trained network's G."""
    row_space = RowSpace.of(moments.filters.double() - initial_filters.double())
    comparison = CoreComparison(row_space)
    core = row_space.core(moments.covariance)
    whole, half = comparison.similarity(core), comparison.similarity_half(core)
    return Comparison(*(Estimate(float(value)) for value in (*whole, *half)))


def between_cnfms(first: Float[Tensor, "groups rows d"], second: Float[Tensor, "groups rows d"]) -> Comparison:
    """The CNFM at initialization against the trained one: how far the filters have moved."""
    return Comparison(*(Estimate(float(value)) for value in gram_similarity(first, second)))

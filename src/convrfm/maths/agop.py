"""The average gradient outer product over patches (Eq. 2 of the paper), and its random-sign estimate."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

PANEL = 192  # columns: narrower products run slower than what they save


def sum_of_outer_products(gradients: Float[Tensor, "positions n k r"]) -> Float[Tensor, "r r"]:
    """The sum over positions, images and outputs of g g^T, of which only the upper half is multiplied out."""
    flat = gradients.flatten(0, 2)
    upper = flat.new_empty(flat.shape[1], flat.shape[1])
    for start in range(0, len(upper), PANEL):
        upper[start : start + PANEL, start:] = flat[:, start : start + PANEL].T @ flat[:, start:]
    return upper.triu() + upper.triu(1).T


def random_sign_outputs(
    dual_coef: Float[Tensor, "n k"], probes: int, generator: torch.Generator
) -> Float[Tensor, "n probes"]:
    """Outputs mixed by random signs: the AGOP of the mixtures is an unbiased estimate of that of all k outputs.

    For signs v, E[(J^T v)(J^T v)^T] = J^T J; the mixtures carry 1 / sqrt(probes), so that the sum over them is the mean
    over probes.
    """
    shape = (dual_coef.shape[1], probes)
    signs = torch.randint(2, shape, generator=generator, device=generator.device) * 2 - 1
    return dual_coef @ signs.to(dual_coef) / math.sqrt(probes)

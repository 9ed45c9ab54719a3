"""The average gradient outer product over patches (Eq. 2 of the paper), and its random-sign estimate."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from .symmetric import symmetric_product


def sum_of_outer_products(gradients: Float[Tensor, "positions n k r"]) -> Float[Tensor, "r r"]:
    """The sum over positions, images and outputs of g g^T."""
    columns = gradients.flatten(0, 2).T
    return symmetric_product(columns, columns)


def partners_share(
    adjoints: Float[Tensor, "positions n m"], partners: Float[Tensor, "positions m r"], gram: Float[Tensor, "m m"]
) -> Float[Tensor, "r r"]:
    """The sum of g g^T for gradients g[u, x, o] = sum_i C[i, o] adjoints[u, x, i] partners[u, i], without the gradients.

    At every position it is Z^T (C C^T * A^T A) Z, with * entry by entry, whatever the number of outputs.

    Args:
        adjoints: A.
        partners: Z.
        gram: C C^T.
    """
    products = torch.bmm(adjoints.mT, adjoints).mul_(gram)
    return symmetric_product(partners.flatten(0, 1).T, torch.bmm(products, partners).flatten(0, 1).T)


def own_share(
    own: Float[Tensor, "positions n k"],
    patches: Float[Tensor, "positions n r"],
    adjoints: Float[Tensor, "positions n m"],
    partners: Float[Tensor, "positions m r"],
    coef: Float[Tensor, "m k"],
) -> Float[Tensor, "r r"]:
    """What g g^T gains in sum where own[u, x, o] patches[u, x] is added to the gradients of `partners_share`.

    Args:
        own: the weight of each image's own patch in its gradients.
        patches: each image's own.
        adjoints, partners: as there.
        coef: C.
    """
    met = torch.bmm((own @ coef.T).mul_(adjoints), partners)
    met.addcmul_(patches, own.square().sum(2, keepdim=True), value=0.5)
    half = patches.flatten(0, 1).T @ met.flatten(0, 1)
    return half + half.T


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

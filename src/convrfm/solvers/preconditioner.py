"""A kernel matrix of low rank near K, by randomly pivoted Cholesky, and the solver of its regression: what CG starts from.

Chen, Epperly, Tropp and Webber, *Randomly pivoted Cholesky* (arXiv 2207.06503), with pivots in blocks; as a preconditioner:
Diaz, Epperly, Frangella, Tropp and Webber, *Robust, randomized preconditioning for kernel ridge regression* (2304.12465).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from .tiled import TiledKernel

BLOCKS = 8  # of pivots: each reads the tiles once
LEAST = 1e-14  # of the largest eigenvalue: what is below is rounding


def pivoted_factor(kernel: TiledKernel, rank: int, generator: torch.Generator) -> Float[Tensor, "n r"]:
    """F with K / scale >= F F^T, equal on the pivots: columns of K that are drawn by the diagonal of what remains.

    Args:
        kernel: K.
        rank: columns at most; there are fewer where less than K's rounding remains.
        generator: draws the pivots.
    """
    remaining, factor = kernel.diagonal.clone(), kernel.diagonal.new_zeros(kernel.n, rank)
    filled, at_once = 0, -(-rank // BLOCKS)
    while filled < rank and float(remaining.sum()) > kernel.n * kernel.floor:
        drawn = torch.multinomial(remaining, min(at_once, rank - filled), replacement=True, generator=generator)
        pivots = drawn.unique()
        columns = kernel.columns(pivots) - factor[:, :filled] @ factor[pivots, :filled].T
        values, vectors = torch.linalg.eigh((columns[pivots] + columns[pivots].T) / 2)
        known = values > kernel.floor
        part = columns @ (vectors[:, known] / values[known].sqrt())
        factor[:, filled : filled + part.shape[1]] = part
        filled += part.shape[1]
        remaining = (remaining - part.square().sum(1)).clamp_min(0)
        remaining[pivots] = 0
    return factor[:, :filled]


class Preconditioner:
    """(R F F^T R + shift)^-1 for any number of shifts, R = diag(root), from one decomposition.

    Args:
        factor: F.
        root: of the images' weights, `(n,)`.
    """

    def __init__(self, factor: Float[Tensor, "n r"], root: Float[Tensor, " n"]) -> None:
        weighted = root[:, None] * factor
        values, vectors = torch.linalg.eigh(weighted.T @ weighted)
        known = values > LEAST * values.max() if len(values) else values > 0
        self._values = values[known]
        self._vectors = weighted @ (vectors[:, known] / self._values.sqrt())

    @property
    def rank(self) -> int:
        """How many eigenvalues are known."""
        return len(self._values)

    def solve(self, vectors: Float[Tensor, "n c"], shifts: Float[Tensor, " c"]) -> Float[Tensor, "n c"]:
        """Each column by its own shift."""
        within = self._vectors.T @ vectors
        corrected = within * (1 / (self._values[:, None] + shifts) - 1 / shifts)
        return vectors / shifts + self._vectors @ corrected

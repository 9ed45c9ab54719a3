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
    """(R F F^T R + diag(shifts))^-1 for any shifts, R = diag(root).

    One decomposition serves all shifts that are the same for every image. For others, as images of unequal weights have at
    ridges below K's rounding, the r x r matrix of Woodbury's identity is decomposed, once for each.

    Args:
        factor: F.
        root: of the images' weights, `(n,)`.
    """

    def __init__(self, factor: Float[Tensor, "n r"], root: Float[Tensor, " n"]) -> None:
        self._weighted = root[:, None] * factor
        values, vectors = torch.linalg.eigh(self._weighted.T @ self._weighted)
        known = values > LEAST * values.max() if len(values) else values > 0
        self._values = values[known]
        self._vectors = self._weighted @ (vectors[:, known] / self._values.sqrt())
        self._roots: dict[float, Tensor] = {}

    @property
    def rank(self) -> int:
        """How many eigenvalues are known."""
        return len(self._values)

    def solve(self, vectors: Float[Tensor, "n c"], shifts: Float[Tensor, "*rows c"]) -> Float[Tensor, "n c"]:
        """Each column by its own shifts, `(n, c)`, or `(c,)` or `(1, c)` where they are the same for every image."""
        shifts = torch.atleast_2d(shifts)
        even, sums = shifts.amin(0) == shifts.amax(0), shifts.sum(0)
        out = torch.empty_like(vectors)
        out[:, even] = self._by_eigenvalues(vectors[:, even], shifts[0, even])
        for which in sums[~even].unique():
            columns = (sums == which).nonzero()[:, 0]
            out[:, columns] = self._by_woodbury(vectors[:, columns], shifts[:, columns[:1]], float(which))
        return out

    def _by_eigenvalues(self, vectors: Tensor, shifts: Tensor) -> Tensor:
        within = self._vectors.T @ vectors
        corrected = within * (1 / (self._values[:, None] + shifts) - 1 / shifts)
        return vectors / shifts + self._vectors @ corrected

    def _by_woodbury(self, vectors: Tensor, shift: Float[Tensor, "n 1"], which: float) -> Tensor:
        if which not in self._roots:
            inner = self._weighted.T @ (self._weighted / shift)
            inner.diagonal().add_(1)
            self._roots[which] = torch.linalg.cholesky(inner)
        scaled = vectors / shift
        return scaled - self._weighted @ torch.cholesky_solve(self._weighted.T @ scaled, self._roots[which]) / shift

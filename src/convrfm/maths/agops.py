"""AGOPs in the coordinates of a row space, as matrices or as their columns, whichever are smaller; and how they compare.

With A the core of an AGOP and C that of the CNFM, similarities need `<C, A>`, `|A|^2` and the sum of all entries: traces
and a quadratic form. The power 1/2 needs eigenpairs besides, `A^(1/2) = sum of sqrt(value) u u^T`. Where A = H H^T with few
columns, the eigenpairs are those of the small Gram matrix `H^T H`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from .similarity import Similarity, similarity_from_sums
from .spectra import RowSpace, effective_rank, eigenpairs


class Sums(NamedTuple):
    """What a similarity with the CNFM needs of a matrix A, over all its groups.

    Attributes:
        inner: `<C, A>`.
        square: `|A|^2`.
        total: The sum of all entries of A as a matrix of patches.
    """

    inner: Float[Tensor, "*batch"]
    square: Float[Tensor, "*batch"]
    total: Float[Tensor, "*batch"]


@dataclass(frozen=True)
class Cores:
    """AGOPs as matrices.

    Attributes:
        matrices: A, float64.
    """

    matrices: Float[Tensor, "*batch groups r r"]

    def sums(self, space: RowSpace) -> Sums:
        """Of A."""
        matrices = self.matrices
        inner = (space.cnfm_core * matrices).sum((-3, -2, -1))
        total = torch.einsum("gr,...grs,gs->...", space.ones, matrices, space.ones)
        return Sums(inner, matrices.square().sum((-3, -2, -1)), total)

    @property
    def effective_rank(self) -> float:
        """Participation ratio of the spectrum of A."""
        return effective_rank(self.matrices)

    def root_sums(self, space: RowSpace) -> Sums:
        """Of `A^(1/2)`."""
        values, vectors = eigenpairs(self.matrices)
        return _weighted(values.sqrt(), vectors, space.cnfm_core @ vectors, space.ones)


@dataclass(frozen=True)
class Columns:
    """AGOPs as columns: `A = H H^T`.

    Attributes:
        columns: H, float64.
    """

    columns: Float[Tensor, "*batch groups r m"]

    def sums(self, space: RowSpace) -> Sums:
        """Of A."""
        columns = self.columns
        inner = (columns * (space.cnfm_core @ columns)).sum((-3, -2, -1))
        total = (space.ones.unsqueeze(-2) @ columns).square().sum((-3, -2, -1))
        return Sums(inner, self._gram.square().sum((-3, -2, -1)), total)

    @property
    def effective_rank(self) -> float:
        """Participation ratio of the spectrum of A."""
        return effective_rank(self._gram)

    def root_sums(self, space: RowSpace) -> Sums:
        """Of `A^(1/2)`: with `H^T H = U S U^T` it is `(H U) S^(-1/2) (H U)^T`."""
        values, vectors = eigenpairs(self._gram)
        directions = self.columns @ vectors
        weights = values.rsqrt().where(values > 0, 0)
        return _weighted(weights, directions, space.cnfm_core @ directions, space.ones)

    @cached_property
    def _gram(self) -> Float[Tensor, "*batch groups m m"]:
        return self.columns.mT @ self.columns


Agops = Cores | Columns


def similarities(agops: Agops, space: RowSpace, half_power: bool) -> list[Similarity]:
    """Of the CNFM with A, and with its square root if that is asked for; nan where the CNFM or A is zero."""
    whole = against_cnfm(space, agops.sums(space))
    return [whole, against_cnfm(space, agops.root_sums(space))] if half_power else [whole]


def against_cnfm(space: RowSpace, sums: Sums) -> Similarity:
    """The similarity of the CNFM with a matrix of which the sums are known."""
    of_cnfm = Cores(space.cnfm_core).sums(space)
    squares, totals = (of_cnfm.square, sums.square), (of_cnfm.total, sums.total)
    return similarity_from_sums(sums.inner, squares, totals, space.n_entries)


def _weighted(
    weights: Float[Tensor, "*batch groups k"],
    vectors: Float[Tensor, "*batch groups r k"],
    by_cnfm: Float[Tensor, "*batch groups r k"],
    ones: Float[Tensor, "groups r"],
) -> Sums:
    """Sums of `V diag(weights) V^T`, the columns of V orthogonal."""
    lengths = vectors.square().sum(-2)
    totals = (ones.unsqueeze(-2) @ vectors).squeeze(-2).square()
    inner = (vectors * by_cnfm).sum(-2)
    axes = (-2, -1)
    return Sums(
        (weights * inner).sum(axes),
        (weights * lengths).square().sum(axes),
        (weights * totals).sum(axes),
    )

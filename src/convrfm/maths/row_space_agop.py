"""AGOPs in the coordinates of a row space, as matrices or as inner products of their columns; and how they compare.

With A the core of an AGOP and C that of the CNFM, similarities need `<C, A>`, `|A|^2` and the sum of all entries: traces
and a quadratic form. The power 1/2 needs eigenpairs besides, `A^(1/2) = sum of sqrt(value) u u^T`. Where `A = H H^T` with
few columns, all of that follows from the small matrices `H^T H` and `H^T C H`, for
`A^(1/2) = H (H^T H)^(-1/2) H^T`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .similarity import Similarity, similarity_from_sums
from .spectra import RowSpace, effective_rank, eigenpairs

BLOCK = (-3, -2, -1)
"""The axes of a block-diagonal matrix: groups, and the rows and columns of each block."""


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
        matrices: A, at least float32: eigenvectors are taken in its precision, and sums in float64.
    """

    matrices: Float[Tensor, "*batch groups r r"]

    def sums(self, space: RowSpace) -> Sums:
        """Of A."""
        inner = (space.cnfm_core.to(self.matrices) * self.matrices).sum(BLOCK, dtype=torch.float64)
        ones = space.ones.to(self.matrices)
        total = torch.einsum("gr,...grs,gs->...", ones, self.matrices, ones)
        length = torch.linalg.vector_norm(self.matrices, dim=BLOCK, dtype=torch.float64)
        return Sums(inner, length.square(), total.double())

    def root_sums(self, space: RowSpace) -> Sums:
        """Of `A^(1/2)`."""
        values, vectors = eigenpairs(self.matrices)
        cnfm, ones = space.cnfm_core.to(vectors), space.ones.to(vectors)
        return _weighted(values.sqrt(), vectors, cnfm, ones, square=values.sum((-2, -1)))

    @property
    def effective_rank(self) -> float:
        """Participation ratio of the spectrum of A."""
        return effective_rank(self.matrices)


@dataclass(frozen=True)
class Grams:
    """AGOPs `A = H H^T` as inner products of the columns of H.

    Attributes:
        gram: `H^T H`, at least float32, like the attributes below.
        by_cnfm: `H^T C H`.
        totals: The sum of each column's entries, as a patch.
    """

    gram: Float[Tensor, "*batch groups m m"]
    by_cnfm: Float[Tensor, "*batch groups m m"]
    totals: Float[Tensor, "*batch groups m"]

    @classmethod
    def of(cls, columns: Float[Tensor, "*batch groups r m"], space: RowSpace) -> "Grams":
        """Of H, in the coordinates of this row space."""
        by_cnfm = columns.mT @ (space.cnfm_core.to(columns) @ columns)
        return cls(columns.mT @ columns, by_cnfm, (space.ones.to(columns).unsqueeze(-2) @ columns).squeeze(-2))

    def subsets(self, chosen: Int[Tensor, "subsets k"]) -> "Grams":
        """With some of the columns only, scaled to keep the trace in expectation; one AGOP for each subset."""
        scale = self.totals.shape[-1] / chosen.shape[-1]
        gram, by_cnfm = (
            torch.stack([matrix[..., each, :][..., each] for each in chosen]) * scale
            for matrix in (self.gram, self.by_cnfm)
        )
        return Grams(gram, by_cnfm, torch.stack([self.totals[..., each] for each in chosen]) * scale**0.5)

    def sums(self, space: RowSpace) -> Sums:
        """Of A."""
        inner = self.by_cnfm.diagonal(dim1=-2, dim2=-1).sum((-2, -1), dtype=torch.float64)
        square = self.gram.square().sum(BLOCK, dtype=torch.float64)
        return Sums(inner, square, self.totals.square().sum((-2, -1), dtype=torch.float64))

    def root_sums(self, space: RowSpace) -> Sums:
        """Of `A^(1/2)`."""
        values, vectors = eigenpairs(self.gram)
        weights = values.rsqrt().where(values > 0, 0)
        return _weighted(weights, vectors, self.by_cnfm, self.totals, square=values.sum((-2, -1)))

    @property
    def effective_rank(self) -> float:
        """Participation ratio of the spectrum of A."""
        return effective_rank(self.gram)


Agops = Cores | Grams


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
    vectors: Float[Tensor, "*batch groups k k"],
    by_cnfm: Float[Tensor, "*#batch groups k k"],
    totals: Float[Tensor, "*#batch groups k"],
    square: Float[Tensor, "*batch"],
) -> Sums:
    """Sums of a weighted sum of outer products of eigenvectors."""
    inner = (vectors * (by_cnfm @ vectors)).sum(-2)
    total = (totals.unsqueeze(-2) @ vectors).squeeze(-2).square()
    return Sums((weights * inner).sum((-2, -1)).double(), square.double(), (weights * total).sum((-2, -1)).double())

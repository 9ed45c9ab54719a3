"""Orthonormal columns that are uniformly distributed (Haar): parts of a random rotation, from few random numbers.

Of Gaussian columns `Z = F T`, T upper triangular with a positive diagonal, F is such a frame (Eaton 1983, chapter 7).
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

Shape = tuple[int, ...]


class Frames(NamedTuple):
    """Orthonormal columns F.

    Attributes:
        columns: Z, with `F = Z T^-1`.
        triangle: T; None for the identity.
    """

    columns: Float[Tensor, "*batch rows k"]
    triangle: Float[Tensor, "*batch k k"] | None

    def coefficients(self, matrix: Float[Tensor, "*#batch k m"]) -> Float[Tensor, "*#batch k m"]:
        """X, with `Z X` the frames times a matrix."""
        return matrix if self.triangle is None else torch.linalg.solve_triangular(self.triangle, matrix, upper=True)


def haar_frames(shape: Shape, generator: torch.Generator, dtype: torch.dtype) -> Frames:
    """Uniformly distributed frames.

    Args:
        shape: `(*batch, rows, k)`, k at most the rows.
        generator: Where the numbers come from.
        dtype: At least float32.
    """
    if shape[-2] == 1:
        return Frames(torch.ones(shape, dtype=dtype), None)
    return _frames(_gaussian(shape, generator, dtype), shape[-2])


def haar_blocks(shape: Shape, rows: int, generator: torch.Generator, dtype: torch.dtype) -> Frames:
    """The first r rows of frames with more rows; of the rest only its inner products matter, which are drawn as such.

    Args:
        shape: `(*batch, r, k)`.
        rows: Of the whole frames: at least r and at least k.
        generator: Where the numbers come from.
        dtype: At least float32.
    """
    *batch, r, k = shape
    rest = (*batch, min(rows - r, k), k)
    first = _gaussian(shape, generator, dtype)
    others = _gaussian(rest, generator, dtype) if rows - r <= k else _triangles(rest, rows - r, generator, dtype)
    whole = _frames(torch.cat([first, others], -2), rows)
    return Frames(whole.columns[..., :r, :], whole.triangle)


def _frames(columns: Float[Tensor, "*batch m k"], rows: int) -> Frames:
    if rows >= 2 * columns.shape[-1]:  # well conditioned
        return Frames(columns, torch.linalg.cholesky(columns.mT @ columns, upper=True))
    q, triangle = torch.linalg.qr(columns)
    return Frames(q * triangle.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2), None)


def _triangles(shape: Shape, rows: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """T with the distribution that the triangular factor of so many Gaussian rows has (Bartlett 1933)."""
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    lengths = np.random.default_rng(seed).chisquare(rows - np.arange(shape[-1]), shape[:-1]) ** 0.5
    return _gaussian(shape, generator, dtype).triu(1) + torch.from_numpy(lengths).to(dtype).diag_embed()


def _gaussian(shape: Shape, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=dtype, device=generator.device).cpu()

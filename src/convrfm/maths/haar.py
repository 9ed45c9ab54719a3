"""Orthonormal columns that are uniformly distributed (Haar): parts of a random rotation, from few random numbers.

Of Gaussian columns `Z = F T`, T upper triangular with a positive diagonal, F is such a frame (Eaton 1983, chapter 7).
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

Shape = tuple[int, ...]


def haar_frames(shape: Shape, generator: torch.Generator, dtype: torch.dtype) -> Float[Tensor, "*batch rows k"]:
    """Uniformly distributed frames.

    Args:
        shape: `(*batch, rows, k)`, k at most the rows.
        generator: Where the numbers come from.
        dtype: At least float32.
    """
    if shape[-2] == 1:
        return torch.ones(shape, dtype=dtype)
    return _frames(_gaussian(shape, generator, dtype), shape[-2])


def haar_blocks(shape: Shape, rows: int, generator: torch.Generator, dtype: torch.dtype) -> Float[Tensor, "*batch r k"]:
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
    return _frames(torch.cat([first, others], -2), rows)[..., :r, :]


def _frames(columns: Float[Tensor, "*batch m k"], rows: int) -> Float[Tensor, "*batch m k"]:
    if rows >= 2 * columns.shape[-1]:  # well conditioned
        triangle = torch.linalg.cholesky(columns.mT @ columns, upper=True)
        return torch.linalg.solve_triangular(triangle, columns, upper=True, left=False)
    q, triangle = torch.linalg.qr(columns)
    return q * triangle.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)


def _triangles(shape: Shape, rows: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """T with the distribution that the triangular factor of so many Gaussian rows has (Bartlett 1933)."""
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    lengths = np.random.default_rng(seed).chisquare(rows - np.arange(shape[-1]), shape[:-1]) ** 0.5
    return _gaussian(shape, generator, dtype).triu(1) + torch.from_numpy(lengths).to(dtype).diag_embed()


def _gaussian(shape: Shape, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=dtype, device=generator.device).cpu()

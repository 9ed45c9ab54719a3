"""A kernel matrix tile by tile, for contestants that hold one array for all pairs at once."""

from collections.abc import Callable

import torch
from torch import Tensor

TILE = 20
"""Images on a side. Arrays of 400 pairs stay in cache: tiles of 100 x 100 take up to six times as long a pair."""


def kernel_matrix(of_tile: Callable[[slice, slice], Tensor], n: int, m: int | None) -> Tensor:
    """Every pair of n images and m others, or (m is None) of n with themselves, which takes the upper triangle only.

    `of_tile` is called with the rows and columns of a tile.
    """
    columns = n if m is None else m
    out = torch.empty(n, columns)
    for i in range(0, n, TILE):
        for j in range(0 if m else i, columns, TILE):
            rows, cols = slice(i, i + TILE), slice(j, j + TILE)
            out[rows, cols] = tile = of_tile(rows, cols)
            if m is None and i != j:
                out[cols, rows] = tile.T
    return out

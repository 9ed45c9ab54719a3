"""A symmetric matrix of which one tile is in memory at a time, and the products that solvers need of it."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..kernels.kernel_tiles import Place, TileLayout, Tiles, product
from .exact import largest_entry


class InMemory:
    """The tiles of a matrix in memory."""

    def __init__(self, matrix: Float[Tensor, "n n"], side: int | None = None) -> None:
        self.matrix, self.eps = matrix, torch.finfo(matrix.dtype).eps
        self.layout = TileLayout(len(matrix), len(matrix), side or len(matrix), symmetric=True)

    def tile(self, place: Place) -> Float[Tensor, "rows columns"]:
        """One tile."""
        down, across = self.layout.of(place)
        return self.matrix[down, across]

    def product(self, vectors: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """The matrix times vectors."""
        return product(self, vectors)


def gathered(tiles: Tiles, progress: Callable[[int, int], None] | None = None) -> InMemory:
    """All tiles in the memory of the CPU, each computed or read once; below the diagonal is nothing that anyone reads.

    Args:
        tiles: of the matrix.
        progress: called with the number of tiles done and of all tiles.
    """
    n, places = tiles.layout.rows, tiles.layout.places
    matrix: Tensor | None = None
    for done, place in enumerate(places, 1):
        tile = tiles.tile(place).cpu()
        matrix = tile.new_empty(n, n) if matrix is None else matrix
        matrix[tiles.layout.of(place)] = tile
        if progress:
            progress(done, len(places))
    assert matrix is not None
    return InMemory(matrix, tiles.layout.side)


def is_diagonal(tiles: Tiles) -> bool:
    """Whether the entries off the diagonal are 0, and none on it; it ends at the first tile that tells otherwise."""
    for place in tiles.layout.places:
        down, across = tiles.layout.of(place)
        tile = tiles.tile(place)
        own = len(tile) if down == across else 0
        if tile.count_nonzero() != own or tile.diagonal().count_nonzero() != own:
            return False
    return True


class TiledKernel:
    """A kernel matrix K over its largest entry, in double precision.

    A product with k vectors takes 2 n^2 k operations, and reads or computes every kept tile once.

    Attributes:
        n: its side.
        scale: K's largest entry, by which it is divided.
        diagonal: of K / scale, `(n,)`.
        floor: 8 sqrt(n) eps: what eigenvalues of K / scale are uncertain by, for the precision eps of K.

    Raises:
        InputError: if the largest entry is not positive and finite.
    """

    def __init__(self, tiles: Tiles) -> None:
        self._tiles = tiles
        self.n = tiles.layout.rows
        own = [(i, i) for i in range(tiles.layout.tiles[0])]
        diagonal = torch.cat([self._tile(place).diagonal() for place in own])
        self.scale = largest_entry(diagonal)  # no entry off the diagonal of a kernel matrix is larger
        self.diagonal = diagonal / self.scale
        self.floor = 8 * self.n**0.5 * tiles.eps

    def __matmul__(self, vectors: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        return self._tiles.product(vectors) / self.scale

    def columns(self, indices: Int[Tensor, " s"]) -> Float[Tensor, "n s"]:
        """Some columns of K / scale."""
        out = self.diagonal.new_empty(self.n, len(indices))
        for place in self._tiles.layout.places:
            down, across = self._tiles.layout.of(place)
            of_columns, of_rows = (_inside(indices, covered) for covered in (across, down))
            if of_columns.any() or (of_rows.any() and down != across):
                tile = self._tile(place)
                out[down, of_columns] = tile[:, indices[of_columns] - across.start]
                out[across, of_rows] = tile[indices[of_rows] - down.start].T
        return out / self.scale

    def _tile(self, place: Place) -> Tensor:
        return self._tiles.tile(place).cpu().double()


def _inside(indices: Tensor, covered: slice) -> Tensor:
    return (indices >= covered.start) & (indices < covered.stop)

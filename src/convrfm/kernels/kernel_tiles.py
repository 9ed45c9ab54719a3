"""A kernel matrix as square tiles, each of which can be computed alone, and computed again to the same bits."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from .forecast import sample_size
from .growth import ROUGHLY, measured_pairs
from .integers import positive_integer

Place = tuple[int, int]
"""Of a tile: its row and its column among tiles, from 0."""
UP_TO, SMALL, LARGE = 1 << 16, 1 << 10, 1 << 12


@dataclass(frozen=True)
class TileLayout:
    """How a matrix is cut into square tiles; those of the last row and column may be smaller.

    Attributes:
        rows: of the matrix.
        columns: of the matrix.
        side: of a tile.
        symmetric: whether only tiles on and above the diagonal are kept.
    """

    rows: int
    columns: int
    side: int
    symmetric: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "side", positive_integer("the side of tiles", self.side))

    @property
    def tiles(self) -> tuple[int, int]:
        """How many there are down and across."""
        return -(-self.rows // self.side), -(-self.columns // self.side)

    @cached_property
    def places(self) -> list[Place]:
        """Of all tiles that are kept, row by row."""
        down, across = self.tiles
        return [(i, j) for i in range(down) for j in range(across) if not self.symmetric or j >= i]

    def of(self, place: Place) -> tuple[slice, slice]:
        """The rows and columns of the matrix that a tile covers."""
        (i, j), side = place, self.side
        return slice(i * side, min((i + 1) * side, self.rows)), slice(j * side, min((j + 1) * side, self.columns))


def default_side(images: int) -> int:
    """The side of tiles for so many images: 1024, which is 4 MB in float32; of more than 65,536 images 4096.

    Half the matrix of a million images is then 30 thousand files of 64 MB.
    """
    return SMALL if images <= UP_TO else LARGE


@runtime_checkable
class Tiles(Protocol):
    """Where the tiles of a symmetric matrix come from: one in memory, one on disk, or the images (`KernelTiles`)."""

    @property
    def layout(self) -> TileLayout:
        """Where they lie."""

    @property
    def eps(self) -> float:
        """The precision of entries, in units of the largest."""

    def tile(self, place: Place) -> Float[Tensor, "rows columns"]:
        """One tile, on or above the diagonal."""

    def product(self, vectors: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """The matrix times vectors in double precision, as `product` adds it up."""


def product(tiles: Tiles, vectors: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """A symmetric matrix times vectors of double precision: every row of tiles is added up from left to right.

    Each kept tile is read or computed once.
    """
    out = torch.zeros_like(vectors)
    for place in tiles.layout.places:
        down, across = tiles.layout.of(place)
        tile = tiles.tile(place).cpu().double()
        out[down] += tile @ vectors[across]
        if down != across:
            out[across] += tile.T @ vectors[down]
    return out


@dataclass(frozen=True, eq=False)
class KernelTiles:
    """What every tile of a kernel matrix is computed from.

    Attributes:
        kernel: the kernel: images, images or None, and `feature_matrix` to a matrix.
        x: images `(n, c, h, w)`, the rows.
        z: images `(m, c, h, w)`, the columns; None for x itself.
        feature_matrix: the metric M on patches, `(d, d)`; None for the identity.
        side: of a tile.
    """

    kernel: Callable[..., Tensor]
    x: Float[Tensor, "n c h w"]
    z: Float[Tensor, "m c h w"] | None
    feature_matrix: Float[Tensor, "d d"] | None
    side: int

    @cached_property
    def layout(self) -> TileLayout:
        """Where the tiles lie."""
        columns = self.x if self.z is None else self.z
        return TileLayout(len(self.x), len(columns), self.side, symmetric=self.z is None)

    @property
    def eps(self) -> float:
        """The precision of the entries, in units of the largest."""
        return torch.finfo(self.x.dtype).eps

    def tile(self, place: Place) -> Float[Tensor, "rows columns"]:
        """Compute one tile, in the precision and on the device of the images.

        Raises:
            InputError: where the kernel refuses the images.
        """
        down, across = self.layout.of(place)
        alike = self.z is None and down == across
        right = None if alike else (self.x if self.z is None else self.z)[across]
        return self.kernel(self.x[down], right, feature_matrix=self.feature_matrix)

    def seconds(self, places: Collection[Place]) -> float:
        """What these tiles will take in this process, from small runs on the images."""
        if not places:
            return 0.0
        columns = self.x if self.z is None else self.z
        rows, across = min(len(self.x), self.side), min(len(columns), self.side)

        def matrix(left: int, right: int) -> Tensor:
            return self.kernel(self.x[:left], columns[:right], feature_matrix=self.feature_matrix)

        timed = sample_size(self.x[0].nbytes, min(rows, across))
        law = measured_pairs(matrix, rows, across, alike=True, timed=timed, patience=ROUGHLY)
        sides = [[part.stop - part.start for part in self.layout.of(place)] for place in places]
        mirrored = [self.z is None and i == j for i, j in places]
        return sum(
            law.symmetric_seconds(n) if half else law.seconds(n, m)
            for (n, m), half in zip(sides, mirrored, strict=True)
        )

    def product(self, vectors: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """The matrix times vectors, whose tiles are computed for it."""
        return product(self, vectors)

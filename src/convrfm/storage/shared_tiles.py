"""What workers do with a store of tiles: compute them, and multiply with them; nothing but places goes to a worker and back."""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..kernels.kernel_tiles import KernelTiles, Place
from ..workers import Workers
from .locations import Location
from .shared_arrays import SharedArrays, shared_arrays
from .tile_store import TileStore

INGREDIENTS, PRODUCT = "ingredients", "product"


@dataclass(frozen=True)
class TileWork:
    """Computes a tile of a store and writes it, in any process that reaches the store.

    Attributes:
        location: of the store.
        fingerprint: of the matrix.
        kernel: of it.
        device: where it is computed.
        ingredients: images and metric.
    """

    location: Location
    fingerprint: str
    kernel: Callable[..., Tensor]
    device: str
    ingredients: SharedArrays

    def __call__(self, place: Place) -> None:
        """Compute the tile at a place, unless it is there.

        Raises:
            InputError: if the store is not within reach, or of another version or matrix, and where `KernelTiles.tile` does.
        """
        store = opened(self.location, self.fingerprint)
        if place in store:
            return
        down, across = store.layout.of(place)
        alike = store.layout.symmetric and down == across
        x = self._read("x", down)
        z = None if alike else self._read("x" if store.layout.symmetric else "z", across)
        metric = self._read("feature_matrix") if "feature_matrix" in self.ingredients else None
        store.write(place, KernelTiles(self.kernel, x, z, metric, store.layout.side).tile((0, 0)))

    def _read(self, name: str, rows: slice = slice(None)) -> Tensor:
        return self.ingredients.read(name, rows).to(self.device)


@dataclass(frozen=True)
class StripWork:
    """Multiplies the rows of one row of tiles with vectors, in any process that reaches the store of a symmetric matrix.

    Attributes:
        location: of the store.
        fingerprint: of the matrix.
        arrays: the vectors, and what comes of them.
    """

    location: Location
    fingerprint: str
    arrays: SharedArrays

    def __call__(self, strip: int) -> None:
        """Add up tiles times vectors in the order of `kernel_tiles.product`."""
        store = opened(self.location, self.fingerprint)
        total: Tensor | None = None
        for other in range(store.layout.tiles[0]):
            across = store.layout.of((other, other))[0]
            tile = store.tile((min(strip, other), max(strip, other))).double()
            part = (tile if strip <= other else tile.T) @ self.arrays.read("vectors", across)
            total = torch.zeros_like(part) + part if total is None else total + part
        assert total is not None
        self.arrays.write("product", store.layout.of((strip, strip))[0], total)


def shared(recipe: KernelTiles, store: TileStore) -> AbstractContextManager[SharedArrays]:
    """Within it, what workers need to compute tiles lies in their store; each reads twice the side of a tile in images.

    Raises:
        InputError: if it cannot be written.
    """
    tensors = {"x": recipe.x, "z": recipe.z, "feature_matrix": recipe.feature_matrix}
    return shared_arrays(store.location.within(INGREDIENTS), tensors, recipe.side)


def shared_product(store: TileStore, vectors: Float[Tensor, "n k"], workers: Workers) -> Float[Tensor, "n k"]:
    """A symmetric matrix times vectors; vectors and product go through where the store lies.

    Raises:
        InputError: if it cannot be written.
        DamagedTileError: if a tile is missing or damaged.
    """
    tensors = {"vectors": vectors, "product": torch.full_like(vectors, torch.nan)}
    with shared_arrays(store.location.within(PRODUCT), tensors, store.layout.side) as arrays:
        work = StripWork(store.location, store.attributes["fingerprint"], arrays)
        for _ in workers.results(work, range(store.layout.tiles[0])):
            pass
        return arrays.read("product")


@functools.lru_cache(maxsize=1)
def opened(location: Location, fingerprint: str) -> TileStore:
    """The store of this matrix.

    Raises:
        InputError: if it is of another one, or of another version of convrfm.
    """
    store = TileStore.at(location)
    if (wrote := store.attributes["library_version"]) != version("convrfm"):
        raise InputError(
            f"a worker has convrfm {version('convrfm')}, and {location} is of {wrote}. Install the same everywhere."
        )
    if store.attributes["fingerprint"] != fingerprint:
        raise InputError(
            f"a worker finds another matrix at {location} than is computed. Pass a folder or an address that all machines "
            "share."
        )
    return store

"""A kernel matrix whose tiles are kept: what is missing or damaged there is computed, and what is stale refused."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from ..errors import DamagedTileError, InputError
from ..kernels.description import describe
from ..kernels.kernel_tiles import KernelTiles, Place, TileLayout, product
from ..workers import Workers
from .digests import digest
from .locations import Location, located
from .shared_tiles import TileWork, shared, shared_product
from .tile_store import Precision, TileStore


class StoredKernel:
    """Tiles that are read where they are kept, and else computed and kept.

    Args:
        recipe: what they are computed from.
        store: where they are kept.
        workers: compute them and multiply with them, where the store is one that they reach too; None for this process.
        check: called before each write; raises `InputError` once another process may write there.
    """

    def __init__(
        self,
        recipe: KernelTiles,
        store: TileStore,
        workers: Workers | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.recipe, self.store, self.workers, self._check = recipe, store, workers, check

    @property
    def layout(self) -> TileLayout:
        """Where the tiles lie."""
        return self.store.layout

    @property
    def eps(self) -> float:
        """The precision of the entries, in units of the largest."""
        return self.store.eps

    def tile(self, place: Place) -> Float[Tensor, "rows columns"]:
        """One tile as it is kept; a damaged one is computed again, with a warning.

        Raises:
            InputError: if a tile that was computed cannot be written, or another process may write there.
        """
        if place in self.store:
            try:
                return self.store.tile(place)
            except DamagedTileError:
                warnings.warn(f"tile {place} of {self.store.location} was damaged and is computed again.", stacklevel=2)
        self._write(place)
        return self.store.tile(place)

    def _write(self, place: Place) -> None:
        tile = self.recipe.tile(place)
        self._check()
        self.store.write(place, tile)

    def product(self, vectors: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """The matrix times vectors; a damaged tile is computed again, with a warning."""
        if self.workers is None:
            return product(self, vectors)
        try:
            return shared_product(self.store, vectors, self.workers)
        except DamagedTileError:
            self.verify()
            return shared_product(self.store, vectors, self.workers)

    def complete(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Compute the tiles that are missing; `progress` is called with the number of tiles done and of all tiles."""
        total = len(self.layout.places)
        missing = self.store.missing
        for done, _ in enumerate(self._written(missing), total - len(missing) + 1):
            if progress:
                progress(done, total)

    def _written(self, places: Sequence[Place]) -> Iterator[Place]:
        """Compute and write tiles, one after the other or shared between workers."""
        if self.workers is None or not places:
            for place in places:
                self._write(place)
                yield place
            return
        location, of, device = self.store.location, self.store.attributes["fingerprint"], self.recipe.x.device.type
        with shared(self.recipe, self.store) as ingredients:
            work = TileWork(location, of, self.recipe.kernel, device, ingredients)
            for place, _ in self.workers.results(work, places):
                self._check()
                yield place

    def verify(self) -> None:
        """Read every tile, so that damaged ones are computed again."""
        for place in self.layout.places:
            self.tile(place)


@contextmanager
def kept_kernel(
    where: str | Path | Location,
    recipe: KernelTiles,
    precision: Precision = "float32",
    origin: dict[str, Any] | None = None,
    workers: Workers | None = None,
) -> Iterator[StoredKernel]:
    """Hold a folder or an address with the tiles of a kernel matrix: new ones, or those of the same images and settings.

    Args:
        where: they are kept.
        recipe: what they are computed from.
        precision: of what is kept.
        origin: what the store says of its data, for people.
        workers: as `StoredKernel` has them.

    Raises:
        InputError: if there is another matrix or something else, another process writes there, or the disk has no room for
            what is missing.
        MissingDependencyError: without Zarr.
    """
    location = located(where)
    with location.held() as check:
        location.drop_half_written(below=False)  # all there is where the group was being begun
        store = _opened(location, recipe, precision, origin)
        location.drop_half_written(below=True)
        store.check_room()
        yield StoredKernel(recipe, store, workers, check)


def fingerprint(recipe: KernelTiles, precision: Precision) -> str:
    """A digest of all that decides the matrix but for its rounding: images, kernel, metric, tiles and convrfm's version."""
    kernel = {name: value for name, value in describe(recipe.kernel).items() if name != "memory_budget"}
    values = {"kernel": kernel, "side": recipe.side, "precision": precision, "version": version("convrfm")}
    tensors = {"x": recipe.x, "z": recipe.z, "feature_matrix": recipe.feature_matrix}
    return digest(values, {name: tensor for name, tensor in tensors.items() if tensor is not None})


def _opened(location: Location, recipe: KernelTiles, precision: Precision, origin: dict[str, Any] | None) -> TileStore:
    """The store of this matrix where it is held."""
    is_of = fingerprint(recipe, precision)
    if not location.is_used:
        attributes = {"fingerprint": is_of, "kernel": describe(recipe.kernel), "library_version": version("convrfm")}
        TileStore.begin(location, recipe.layout, precision, attributes | {"origin": origin or {}})
    store = TileStore.at(location)
    if store.attributes.get("fingerprint") != is_of:
        raise InputError(
            f"{location} holds the kernel matrix of other images, another kernel or metric, tiles of another size or "
            f"precision, or of another convrfm ({store.attributes.get('library_version')}). Choose another folder, or remove "
            "it."
        )
    return store

"""Tiles that workers compute: images and metric lie in the store of the tiles, so that nothing but places goes to a worker."""

import functools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..kernels.kernel_tiles import KernelTiles, Place
from ..optional import imported
from .tile_store import TileStore

INGREDIENTS = "ingredients"


@dataclass(frozen=True)
class TileWork:
    """Computes a tile of a store and writes it, in any process that reaches the store.

    Attributes:
        folder: of the store.
        fingerprint: of the matrix.
        kernel: of it.
        device: where it is computed.
    """

    folder: Path
    fingerprint: str
    kernel: Callable[..., Tensor]
    device: str

    def __call__(self, place: Place) -> None:
        """Compute the tile at a place, unless it is there.

        Raises:
            InputError: if the store is not within reach, or of another version or matrix, and where `KernelTiles.tile` does.
        """
        store, ingredients = _opened(self.folder, self.fingerprint)
        if place in store:
            return
        down, across = store.layout.of(place)

        def read(name: str, *rows: slice) -> Tensor:
            return torch.from_numpy(ingredients[name][rows or ...]).to(self.device)

        columns = "x" if store.layout.symmetric else "z"
        z = None if store.layout.symmetric and down == across else read(columns, across)
        metric = read("feature_matrix") if "feature_matrix" in ingredients else None
        store.write(place, KernelTiles(self.kernel, read("x", down), z, metric, store.layout.side).tile((0, 0)))


@contextmanager
def shared(recipe: KernelTiles, store: TileStore) -> Iterator[TileWork]:
    """Within it, what workers need to compute tiles lies in their store: twice the side of a tile in images for each.

    Raises:
        InputError: if it cannot be written.
    """
    tensors = {"x": recipe.x, "z": recipe.z, "feature_matrix": recipe.feature_matrix}
    zarr, folder = imported("zarr", "large"), store.folder / INGREDIENTS
    try:
        group = zarr.open_group(folder, mode="w")
        for name, tensor in tensors.items():
            if tensor is not None:
                chunks = (min(recipe.side, len(tensor)), *tensor.shape[1:])
                values, checksums = tensor.detach().cpu().numpy(), [zarr.codecs.Crc32cCodec()]
                group.create_array(name, data=values, chunks=chunks, compressors=checksums)
        yield TileWork(store.folder, store.attributes["fingerprint"], recipe.kernel, recipe.x.device.type)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error}. Make room, or choose another folder.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@functools.lru_cache(maxsize=1)
def _opened(folder: Path, fingerprint: str) -> tuple[TileStore, Any]:
    store = TileStore.at(folder)
    if (wrote := store.attributes["library_version"]) != version("convrfm"):
        raise InputError(
            f"a worker has convrfm {version('convrfm')}, and {folder} is of {wrote}. Install the same everywhere."
        )
    if store.attributes["fingerprint"] != fingerprint:
        raise InputError(
            f"a worker finds another matrix at {folder} than is computed. Pass a folder that all machines share."
        )
    return store, imported("zarr", "large").open_group(folder / INGREDIENTS, mode="r")

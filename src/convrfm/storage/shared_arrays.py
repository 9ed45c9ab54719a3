"""Arrays in a folder that several processes reach, which read and write some rows at a time."""

import functools
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor

from ..errors import InputError
from ..optional import imported


@dataclass(frozen=True)
class SharedArrays:
    """Where they lie: all that another process has to be told.

    Attributes:
        folder: of the arrays, a Zarr group with checksums.
    """

    folder: Path

    def __contains__(self, name: str) -> bool:
        return name in _group(self.folder)

    def read(self, name: str, rows: slice = slice(None)) -> Shaped[Tensor, "rows *shape"]:
        """Some rows of an array, which come from the disk each time."""
        try:
            return torch.from_numpy(_group(self.folder)[name][rows])
        except (OSError, LookupError, ValueError, RuntimeError) as error:
            raise InputError(f"{self.folder} cannot be read ({error!r}). Run the command again.") from error

    def write(self, name: str, rows: slice, values: Shaped[Tensor, "rows *shape"]) -> None:
        """Some rows of an array: those of one `rows_at_once` are written whole or not at all."""
        try:
            _group(self.folder)[name][rows] = values.numpy()
        except OSError as error:
            raise InputError(f"cannot write {self.folder}: {error}. Make room, or choose another folder.") from error


@contextmanager
def shared_arrays(
    folder: Path, tensors: Mapping[str, Shaped[Tensor, "..."] | None], rows_at_once: int
) -> Iterator[SharedArrays]:
    """Have tensors in a folder of their own, which vanishes afterwards; those that are None are left out.

    Raises:
        InputError: if it cannot be written.
        MissingDependencyError: without Zarr.
    """
    zarr = imported("zarr", "large")
    try:
        group = zarr.open_group(folder, mode="w")
        for name, tensor in tensors.items():
            if tensor is not None:
                chunks = (min(rows_at_once, len(tensor)), *tensor.shape[1:])
                values, checksums = tensor.detach().cpu().numpy(), [zarr.codecs.Crc32cCodec()]
                group.create_array(name, data=values, chunks=chunks, compressors=checksums)
        yield SharedArrays(folder)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error}. Make room, or choose another folder.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@functools.lru_cache(maxsize=4)
def _group(folder: Path) -> Any:
    return imported("zarr", "large").open_group(folder, mode="r+")

"""Arrays in a folder, or at an address, that several processes reach, which read and write some rows at a time."""

import functools
import math
import warnings
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
from .locations import Location, located


@dataclass(frozen=True)
class SharedArrays:
    """Where they lie: all that another process has to be told.

    Attributes:
        location: of the arrays, a Zarr group with checksums.
    """

    location: Location

    def __contains__(self, name: str) -> bool:
        return name in _group(self.location)

    def read(self, name: str, rows: slice = slice(None)) -> Shaped[Tensor, "rows *shape"]:
        """Some rows of an array, which come from the disk each time; raises `InputError` where they are not there."""
        try:
            values = torch.from_numpy(_group(self.location)[name][rows])
        except (*self.location.failures, LookupError, ValueError, RuntimeError) as error:
            raise InputError(f"{self.location} cannot be read ({error!r}). Run the command again.") from error
        if values.isnan().any():
            raise InputError(f"{self.location} cannot be read (rows of {name} are missing). Run the command again.")
        return values

    def write(self, name: str, rows: slice, values: Shaped[Tensor, "rows *shape"]) -> None:
        """Some rows of an array: those of one `rows_at_once` are written whole or not at all."""
        try:
            _group(self.location)[name][rows] = values.numpy()
        except self.location.failures as error:
            raise InputError(f"cannot write {self.location}: {error}. Make room, or choose another folder.") from error


@contextmanager
def shared_arrays(
    where: Path | Location, tensors: Mapping[str, Shaped[Tensor, "..."] | None], rows_at_once: int
) -> Iterator[SharedArrays]:
    """Have tensors at a place of their own, which vanishes afterwards; those that are None are left out.

    Raises:
        InputError: if it cannot be written.
        MissingDependencyError: without Zarr.
    """
    location = located(where)
    try:
        _make(location, tensors, rows_at_once)
        yield SharedArrays(location)
    finally:
        try:
            location.remove()
        except InputError as error:
            warnings.warn(f"{location} is needed no longer and could not be removed: {error}", stacklevel=3)


def _make(location: Location, tensors: Mapping[str, Shaped[Tensor, "..."] | None], rows_at_once: int) -> None:
    zarr, opened = imported("zarr", "large"), location.zarr
    try:
        group = zarr.open_group(opened, mode="w")
        for name, tensor in tensors.items():
            if tensor is not None:
                chunks = (min(rows_at_once, len(tensor)), *tensor.shape[1:])
                values, checksums = tensor.detach().cpu().numpy(), [zarr.codecs.Crc32cCodec()]
                group.create_array(name, data=values, chunks=chunks, compressors=checksums, fill_value=math.nan)
    except location.failures as error:
        raise InputError(f"cannot write {location}: {error}. Make room, or choose another folder.") from error


@functools.lru_cache(maxsize=4)
def _group(location: Location) -> Any:
    return imported("zarr", "large").open_group(location.zarr, mode="r+")

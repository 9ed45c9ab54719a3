"""A matrix as Zarr arrays of tiles with checksums: tiles appear whole or not at all, and say when they are damaged."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import DamagedTileError, InputError
from ..kernels.kernel_tiles import Place, TileLayout
from ..optional import imported
from ..quantities import size
from .locations import Location, located

FORMAT, FORMAT_VERSION = "convrfm-kernel", 1
LARGEST = 32767  # of 16 bits with a sign; the one below its negative stands for what is missing
Precision = Literal["float64", "float32", "int16"]
EPS: dict[Precision, float] = {
    "float64": float(np.finfo(np.float64).eps),
    "float32": float(np.finfo(np.float32).eps),
    "int16": 1 / (8 * LARGEST),
}
MISSING: dict[Precision, Any] = {"float64": math.nan, "float32": math.nan, "int16": -LARGEST - 1}


def precision_of(images: Float[Tensor, "n c h w"]) -> Precision:
    """In which tiles are kept as they are computed."""
    return "float64" if images.dtype == torch.float64 else "float32"


class TileStore:
    """The tiles of a matrix at a location, which is a Zarr group (format 3).

    Its array `kernel` has a chunk for each tile, without compression and with a CRC32C checksum; entries of tiles that are not
    there, below the diagonal of a symmetric matrix for instance, read as NaN. With 16 bits `kernel` holds integers from -32767
    to 32767, and the array `scales` for each tile what they are multiplied by: an entry is right to 1/65534 of the largest of
    its tile. What the matrix is of stands in the group's attributes.

    Args:
        location: of the group.
        group: an open Zarr group.
        layout: how the matrix is cut.
        precision: of its entries.
    """

    def __init__(self, location: Location, group: Any, layout: TileLayout, precision: Precision) -> None:
        self.location, self.layout, self.precision = location, layout, precision
        self.attributes = dict(group.attrs)
        sides = (layout.side, layout.side)
        self._kernel = self._array(group, "kernel", (layout.rows, layout.columns), sides, precision, MISSING[precision])
        self._scales = None
        if precision == "int16":
            self._scales = self._array(group, "scales", layout.tiles, (1, 1), "float32", math.nan)

    def _array(
        self, group: Any, name: str, shape: tuple[int, int], chunks: tuple[int, int], dtype: str, missing: Any
    ) -> Any:
        """The array of this name as it must be; made where it is missing."""
        if name not in group:
            checksums = [imported("zarr", "large").codecs.Crc32cCodec()]
            group.create_array(name, shape=shape, chunks=chunks, dtype=dtype, fill_value=missing, compressors=checksums)
        array = group[name]
        codecs = [codec["name"] for codec in array.metadata.to_dict()["codecs"]]
        if (array.shape, array.chunks, str(array.dtype), codecs) != (shape, chunks, dtype, ["bytes", "crc32c"]):
            raise InputError(
                f"{self.location} is damaged: {name} is not as it was made. Remove it, and compute it again."
            )
        return array

    @classmethod
    def begin(
        cls, where: str | Path | Location, layout: TileLayout, precision: Precision, attributes: dict[str, Any]
    ) -> "TileStore":
        """A new store where there is nothing.

        Raises:
            InputError: if it cannot be written.
            MissingDependencyError: without Zarr.
        """
        if precision not in get_args(Precision):
            raise InputError(f"the precision of tiles must be one of {get_args(Precision)}; got {precision!r}.")
        says = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            **asdict(layout),
            "precision": precision,
            **attributes,
        }
        zarr, location = imported("zarr", "large"), located(where)
        opened = location.zarr
        try:
            zarr.open_group(opened, mode="a", attributes=says)
        except location.failures as error:
            raise _unwritten(location, error) from error
        return cls.at(location)

    @classmethod
    def at(cls, where: str | Path | Location) -> "TileStore":
        """The store in a folder or at an address; arrays that a process was killed before it made are made.

        Raises:
            InputError: if there is none, or it is damaged or of another format.
            MissingDependencyError: without Zarr.
        """
        zarr, location = imported("zarr", "large"), located(where)
        if not location.exists:
            raise InputError(f"there is no kernel matrix {location}. Compute it: convrfm kernel DATA --out {location}.")
        opened = location.zarr
        foreign = f"{location} holds something else than a kernel matrix of convrfm. Choose another folder."
        try:
            group = zarr.open_group(opened, mode="r+")
            says = dict(group.attrs)
        except (FileNotFoundError, LookupError, ValueError, TypeError, AttributeError) as error:
            raise InputError(foreign) from error
        except location.failures as error:
            raise _unread(location, error) from error
        if says.get("format") != FORMAT:
            raise InputError(foreign)
        if says.get("format_version") != FORMAT_VERSION:
            raise InputError(
                f"{location} has version {says.get('format_version')} of its format; this convrfm reads {FORMAT_VERSION}. "
                "Choose another folder, and compute it again."
            )
        try:
            layout = TileLayout(says["rows"], says["columns"], says["side"], says["symmetric"])
            return cls(location, group, layout, says["precision"])
        except InputError:
            raise
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"{location} is a damaged kernel matrix of convrfm. Remove it, or choose another folder."
            ) from error
        except location.failures as error:
            raise _unread(location, error) from error

    @property
    def eps(self) -> float:
        """The precision of the entries, in units of the largest."""
        return EPS[self.precision]

    @property
    def dtype(self) -> torch.dtype:
        """Of tiles as they are read: float64 of that precision, otherwise float32."""
        return torch.float64 if self.precision == "float64" else torch.float32

    def __contains__(self, place: Place) -> bool:
        """Whether a tile was written."""
        return self.location.has(f"kernel/{self._name(place)}")

    @property
    def missing(self) -> list[Place]:
        """Of tiles that are still to be written, by listing those that are there."""
        there = self.location.names("kernel")
        return [place for place in self.layout.places if self._name(place) not in there]

    def _name(self, place: Place) -> str:
        name: str = self._kernel.metadata.encode_chunk_key(place)
        return name

    def write(self, place: Place, tile: Float[Tensor, "rows columns"]) -> None:
        """Keep a tile, whole or not at all.

        Raises:
            InputError: if it cannot be written: the disk is full, the folder refuses, or another matrix has taken the place.
        """
        values, name = tile.detach().cpu().to(self.dtype).numpy(), str(self.dtype).removeprefix("torch.")
        if not np.isfinite(values).all():
            raise InputError(
                f"a kernel matrix on disk must be finite in {name}; this one is not. Rescale very large or small images."
            )
        try:
            self._check_place()
            if self._scales is not None:
                scale = np.float32(np.abs(values).max() / LARGEST) or np.float32(1)
                self._scales[place] = scale  # before the tile, which is there once its own chunk is
                values = np.clip(np.rint(values / scale), -LARGEST, LARGEST).astype(np.int16)
            self._kernel[self.layout.of(place)] = values
        except InputError:
            raise
        except self.location.failures as error:
            raise _unwritten(self.location, error) from error

    def _check_place(self) -> None:
        """Raise `InputError` where the location is no longer this matrix's, which another process may have begun anew."""
        group = imported("zarr", "large").open_group(self.location.zarr, mode="r", zarr_format=3)
        if group.attrs.get("fingerprint") != self.attributes.get("fingerprint"):
            raise InputError(f"{self.location} holds another matrix by now. Choose another place for this one.")

    def tile(self, place: Place) -> Float[Tensor, "rows columns"]:
        """Read a tile, in `dtype`.

        Raises:
            DamagedTileError: if it is missing or is not what was written.
            InputError: if it cannot be read.
        """
        if place not in self:
            raise DamagedTileError(
                f"tile {place} of {self.location} is missing. Run the command that wrote the others."
            )
        try:
            stored = self._kernel[self.layout.of(place)]
            scale = None if self._scales is None else float(self._scales[place])
        except ValueError as error:
            raise _damaged(self.location, place, error) from error
        except self.location.failures as error:
            raise _unread(self.location, error) from error
        values = torch.from_numpy(stored if scale is None else stored.astype(np.float32) * np.float32(scale))
        if not torch.isfinite(values).all() or (scale is not None and (stored == MISSING["int16"]).any()):
            raise _damaged(self.location, place, "entries are missing")
        return values

    def rows(self, wanted: slice) -> Float[Tensor, "rows columns"]:
        """Some rows of the matrix, in `dtype`; of a symmetric one both halves.

        Raises:
            DamagedTileError: if a tile that they need is missing or damaged.
        """
        start, stop, step = wanted.indices(self.layout.rows)
        if step != 1 or stop <= start:
            raise InputError(f"rows must be some rows in their order, such as slice(0, 100); got {wanted}.")
        out = torch.empty(stop - start, self.layout.columns, dtype=self.dtype)
        for place in self.layout.places:
            down, across = self.layout.of(place)
            mirrored = self.layout.symmetric and down != across
            if _meet(down, start, stop) or (mirrored and _meet(across, start, stop)):
                tile = self.tile(place)
                _put(out, start, down, across, tile)
                if mirrored:
                    _put(out, start, across, down, tile.T)
        return out

    @property
    def bytes_missing(self) -> int:
        """How much disk the tiles that are still to be written take."""
        of_a_number = np.dtype(self.precision).itemsize
        return len(self.missing) * self.layout.side**2 * of_a_number

    def check_room(self) -> None:
        """Raise `InputError` where it is known that there is no room for the missing tiles."""
        if (free := self.location.free) is None:
            return
        if (needed := self.bytes_missing) > free:
            raise InputError(
                f"{self.location} needs {size(needed)} more, and its disk has {size(free)}. Make room, "
                'choose another folder, or pass precision="int16", which takes half of float32.'
            )


def _meet(covered: slice, start: int, stop: int) -> bool:
    return covered.start < stop and start < covered.stop


def _put(out: Tensor, start: int, down: slice, across: slice, tile: Tensor) -> None:
    """The rows of a tile that belong to out, of which the first is row `start` of the matrix."""
    first, last = max(down.start, start), min(down.stop, start + len(out))
    if first < last:
        out[first - start : last - start, across] = tile[first - down.start : last - down.start]


def _damaged(location: Location, place: Place, what: object) -> DamagedTileError:
    return DamagedTileError(f"tile {place} of {location} is damaged: {what}. Run the command that wrote it.")


def _unread(location: Location, error: Exception) -> InputError:
    return InputError(f"cannot read {location}: {error}. Look at its rights, or choose another folder.")


def _unwritten(location: Location, error: Exception) -> InputError:
    return InputError(f"cannot write {location}: {error}. Make room, or choose another folder; finished tiles stay.")

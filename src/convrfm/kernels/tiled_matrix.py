"""A kernel matrix as it is written tile by tile: where its images lie, or from a GPU without room for it on the CPU."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from ..errors import InputError
from ..quantities import size
from . import devices

Wait = Callable[[], None]
Send = Callable[[Tensor, Tensor], Wait]
"""Sends a tile to where it lands, and gives what waits until it has."""


@dataclass(frozen=True)
class MatrixPlan:
    """Where a kernel matrix lies.

    Attributes:
        bytes: of the matrix.
        temporaries: bytes that are taken beside it, by the images' device.
        unused: bytes that this has left; None for the CPU, where its matrices lie in any case.
    """

    bytes: int
    temporaries: int
    unused: int | None

    @property
    def streams(self) -> bool:
        """Whether tiles leave the device as soon as they are computed."""
        return self.unused is not None and self.bytes + self.temporaries > self.unused


class TiledMatrix(ABC):
    """A matrix on its way."""

    @abstractmethod
    def put(self, rows: slice, cols: slice, tile: Float[Tensor, "n_x n_z"]) -> None:
        """Write one tile."""

    @abstractmethod
    def finished(self) -> Float[Tensor, "n m"]:
        """The matrix, once all tiles are put."""


class InPlace(TiledMatrix):
    """Where the tiles are computed."""

    def __init__(self, whole: Float[Tensor, "n m"]) -> None:
        self._whole = whole

    @override
    def put(self, rows: slice, cols: slice, tile: Float[Tensor, "n_x n_z"]) -> None:
        self._whole[rows, cols] = tile

    @override
    def finished(self) -> Float[Tensor, "n m"]:
        return self._whole


class Streamed(TiledMatrix):
    """Elsewhere: two tiles at most are under way while the next one is computed.

    Args:
        whole: where they end.
        send: sends them.
        pinned: whether they land in page-locked memory, which a GPU writes to by itself.
    """

    def __init__(self, whole: Float[Tensor, "n m"], send: Send, *, pinned: bool) -> None:
        self._whole, self._send, self._pinned = whole, send, pinned
        self._free: list[Tensor] = []
        self._under_way: deque[tuple[slice, slice, Tensor, Wait]] = deque()

    @override
    def put(self, rows: slice, cols: slice, tile: Float[Tensor, "n_x n_z"]) -> None:
        """The first tile must be the largest."""
        if not self._free and not self._under_way:
            self._free = [torch.empty(tile.numel(), dtype=tile.dtype, pin_memory=self._pinned) for _ in range(2)]
        if not self._free:
            self._land()
        buffer = self._free.pop()
        wait = self._send(tile, buffer[: tile.numel()].view(tile.shape))
        self._under_way.append((rows, cols, buffer, wait))

    @override
    def finished(self) -> Float[Tensor, "n m"]:
        while self._under_way:
            self._land()
        return self._whole

    def _land(self) -> None:
        """The tile that was sent first takes its place."""
        rows, cols, buffer, wait = self._under_way.popleft()
        wait()
        place = self._whole[rows, cols]
        place.copy_(buffer[: place.numel()].view(place.shape))
        self._free.append(buffer)


def beside_computing(device: torch.device) -> Send:
    """On a stream of its own, as soon as what the device has been asked for so far is done."""
    stream = torch.cuda.Stream(device)

    def send(tile: Tensor, landing: Tensor) -> Wait:
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            landing.copy_(tile, non_blocking=True)
        tile.record_stream(stream)
        return stream.record_event().synchronize

    return send


def at_once(tile: Tensor, landing: Tensor) -> Wait:
    """Between places in the memory of the CPU."""
    landing.copy_(tile)
    return lambda: None


def tiled_matrix(x: Float[Tensor, "n c h w"], columns: int, temporaries: int) -> TiledMatrix:
    """Where a kernel matrix of x's images is written.

    Args:
        x: the images.
        columns: of the matrix.
        temporaries: bytes that x's device needs beside it.

    Raises:
        InputError: if the CPU has no room for it either.
    """
    bytes_of_all = len(x) * columns * x.element_size()
    streams = MatrixPlan(bytes_of_all, temporaries, devices.unused_memory(x.device)).streams
    if x.is_cuda and not streams:
        with suppress(torch.OutOfMemoryError):  # what is left may lie in pieces
            return InPlace(x.new_empty(len(x), columns))
    try:
        whole = torch.empty(len(x), columns, dtype=x.dtype, device="cpu" if x.is_cuda else x.device)
    except RuntimeError as error:
        raise InputError(
            f"a kernel matrix of {len(x)} x {columns} takes {size(bytes_of_all)}, and this machine has no room for "
            "it. Compute some rows at a time, kernel(x[rows], z), and keep them on disk."
        ) from error
    if x.is_cuda:
        return Streamed(whole, beside_computing(x.device), pinned=True)
    return Streamed(whole, at_once, pinned=False) if streams else InPlace(whole)

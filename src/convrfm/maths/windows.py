"""A window that slides along the positions of an image."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import InputError

Padding = Literal["valid", "same", "circular"]


@dataclass(frozen=True)
class Window:
    """A square window, and what is seen through it.

    Attributes:
        size: its side.
        stride: its step.
        padding: what lies outside the image ("same": zeros, "circular": wrap).
        contrast: None for patches as they are; or a variance c: every patch is seen less its mean and over the root of c plus
            its variance, over all channels.
    """

    size: int
    stride: int = 1
    padding: Padding = "valid"
    contrast: float | None = None

    def output_length(self, length: int) -> int:
        """How many positions the window takes along an axis; raises `InputError` where it does not fit."""
        if self.padding != "valid":
            return -(-length // self.stride)
        if length < self.size:
            raise InputError(
                f"a window of side {self.size} needs at least {self.size} positions along each axis; got {length}. "
                "Pass larger images, or use a smaller patch_size."
            )
        return (length - self.size) // self.stride + 1

    def least_length(self, positions: int) -> int:
        """The shortest axis along which the window takes so many positions."""
        return (positions - 1) * self.stride + (self.size if self.padding == "valid" else 1)

    def margins(self, length: int) -> tuple[int, int]:
        """How many positions are added before and after, as XLA's SAME: the odd one goes after."""
        if self.padding == "valid":
            return 0, 0
        total = max((self.output_length(length) - 1) * self.stride + self.size - length, 0)
        return total // 2, total - total // 2

    def offsets(self, group: Sequence[int], ndim: int, length: int) -> Iterator[tuple[slice, ...]]:
        """For every place inside the window, the index of the positions it meets along the axes of `group`."""
        axes = {axis % ndim for axis in group}
        span = self.stride * (self.output_length(length) - 1) + 1
        for start in range(self.size):
            place = slice(start, start + span, self.stride)
            yield tuple(place if axis in axes else slice(None) for axis in range(ndim))

"""Means over sliding windows of a field of positions, and their transposes.

A field keeps positions in its last axes: `(..., rows, cols)` for one position per entry, or
`(..., rows, cols, rows', cols')` for a pair of positions. A window slides along *axis groups*: the axes of one
group move together (both positions of a pair shift by the same offset under a convolution), different groups move
independently (the two positions of a pair are pooled each on its own).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ..errors import InputError

Padding = Literal["valid", "same", "circular"]
AxisGroups = Sequence[tuple[int, ...]]

POSITIONS: AxisGroups = ((-2,), (-1,))
POSITION_PAIRS: AxisGroups = ((-4, -2), (-3, -1))
EACH_OF_A_PAIR: AxisGroups = ((-4,), (-3,), (-2,), (-1,))


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
                "Use a smaller patch_size, fewer layers, or larger images.",
                in_python='Or padding="same".',
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


def window_mean(field: Float[Tensor, "..."], window: Window, groups: AxisGroups) -> Float[Tensor, "..."]:
    """The mean of `field` over the window at every position; zeros outside the image count as values."""
    for group in groups:
        length = field.shape[group[0]]
        padded = pad(field, window, group)
        total = None
        for index in window.offsets(group, field.ndim, length):
            total = padded[index].clone() if total is None else total.add_(padded[index])
        assert total is not None
        field = total.div_(window.size)
    return field


def window_mean_transpose(
    field: Float[Tensor, "..."], window: Window, groups: AxisGroups, lengths: Sequence[int]
) -> Float[Tensor, "..."]:
    """The transpose of `window_mean`: spreads each position's value over the window it was taken from.

    Args:
        field: values at the output positions of `window_mean`.
        window: the same window.
        groups: the same axis groups.
        lengths: the input's length along each group.
    """
    for group, length in zip(reversed(groups), reversed(lengths), strict=True):
        before, after = window.margins(length)
        shape = list(field.shape)
        for axis in group:
            shape[axis] = before + length + after
        spread = field.new_zeros(shape)
        if window.stride == window.size and len(group) == 1:  # windows do not overlap: a copy of each value is all
            axis, count = group[0] % field.ndim, field.shape[group[0]]
            met = spread.narrow(axis, 0, count * window.size).unflatten(axis, (count, window.size))
            met.copy_((field / window.size).unsqueeze(axis + 1))
        else:
            for index in window.offsets(group, field.ndim, length):
                spread[index] += field
            spread.div_(window.size)
        field = unpad(spread, window, group, length)
    return field


def pad(field: Shaped[Tensor, "..."], window: Window, axes: Sequence[int]) -> Shaped[Tensor, "..."]:
    """`field` with the window's margins around it along each of `axes`: zeros, or the far side of the image."""
    for axis in axes:
        length = field.shape[axis]
        before, after = window.margins(length)
        if before + after == 0:
            continue
        if window.padding == "circular":
            places = torch.arange(-before, length + after, device=field.device) % length
            field = field.index_select(axis, places)
        else:
            left, right = list(field.shape), list(field.shape)
            left[axis], right[axis] = before, after
            field = torch.cat([field.new_zeros(left), field, field.new_zeros(right)], dim=axis)
    return field


def unpad(field: Float[Tensor, "..."], window: Window, axes: Sequence[int], length: int) -> Float[Tensor, "..."]:
    """The transpose of `pad`, along axes of this length."""
    before, after = window.margins(length)
    if before + after == 0:
        return field
    for axis in axes:
        if window.padding == "circular":
            places = torch.arange(-before, length + after, device=field.device) % length
            shape = list(field.shape)
            shape[axis] = length
            field = field.new_zeros(shape).index_add_(axis % field.ndim, places, field)
        else:
            field = field.narrow(axis, before, length)
    return field if window.padding == "circular" else field.clone()

"""Means over sliding windows of a field of positions, and their transposes.

A field keeps positions in its last axes: `(..., rows, cols)` for one position per entry, or
`(..., rows, cols, rows', cols')` for a pair of positions. A window slides along *axis groups*: the axes of one
group move together (both positions of a pair shift by the same offset under a convolution), different groups move
independently (the two positions of a pair are pooled each on its own).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from .windows import Window

AxisGroups = Sequence[tuple[int, ...]]

POSITIONS: AxisGroups = ((-2,), (-1,))
POSITION_PAIRS: AxisGroups = ((-4, -2), (-3, -1))
EACH_OF_A_PAIR: AxisGroups = ((-4,), (-3,), (-2,), (-1,))


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

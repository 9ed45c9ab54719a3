"""Windows of the output of a transposed convolution: what each input position reaches."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def output_windows(
    delta: Float[Tensor, "n channels ..."],
    counts: Sequence[int],
    sizes: Sequence[int],
    strides: Sequence[int],
    paddings: Sequence[int],
    dilations: Sequence[int],
) -> Float[Tensor, "n channels_window positions"]:
    """The window of the output that each input position reaches; what padding cut off has gradient zero.

    Input position u reaches outputs `stride u - padding + dilation k`, k in the window.

    Args:
        delta: Shaped as the output, one or more axes of positions.
        counts: How many input positions there are along each axis; likewise the arguments below.
        sizes: Of the window.
        strides: Between windows.
        paddings: Cut off on each side.
        dilations: Between entries of a window.
    """
    axes = len(counts)
    windows = delta
    for axis, (count, size, stride, padding, dilation) in enumerate(
        zip(counts, sizes, strides, paddings, dilations, strict=True)
    ):
        windows = _windows(windows, 2 + axis, count, size, stride, padding, dilation)
    order = (0, 1, *range(2 + axes, 2 + 2 * axes), *range(2, 2 + axes))
    return windows.permute(order).flatten(2 + axes).flatten(1, 1 + axes)


def _windows(values: Tensor, axis: int, count: int, size: int, stride: int, padding: int, dilation: int) -> Tensor:
    """`count` windows along one axis of the values padded with zeros; the axis of windows comes last."""
    reach = dilation * (size - 1) + 1
    after = max(0, stride * (count - 1) + reach - padding - values.shape[axis])
    zeros = [values.new_zeros(*values.shape[:axis], pad, *values.shape[axis + 1 :]) for pad in (padding, after)]
    padded = torch.cat([zeros[0], values, zeros[1]], axis)
    return padded.unfold(axis, reach, stride).narrow(axis, 0, count)[..., ::dilation]

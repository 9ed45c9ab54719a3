"""Every kind of layer in one layout: filters and output gradients as blocks, one block per group.

A layer computes `z = W x[u] + b` at every position u. Here W is `(groups, rows, d)` and the gradient delta with respect
to z is `(n, groups, rows, positions)`, so that nothing downstream knows what a convolution is.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
MEASURED = (*CONVOLUTIONS, *TRANSPOSED, nn.Linear)
Layer = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d | nn.Linear


def kind_of(layer: Layer) -> str:
    """The layer's kind in the report: its torch class, whatever subclass it is."""
    return next(kind.__name__ for kind in MEASURED if isinstance(layer, kind))


def patch_shape(layer: Layer) -> tuple[int, ...]:
    """The shape that one group's patch has before flattening: `(channels, *window)`, or channels alone."""
    if isinstance(layer, nn.Linear):
        return (layer.in_features,)
    channels = layer.in_channels // layer.groups
    return (channels,) if isinstance(layer, TRANSPOSED) else (channels, *layer.kernel_size)


def filter_blocks(layer: Layer, weight: Tensor) -> Float[Tensor, "groups rows d"]:
    """W of each group: columns are the patch, rows output channels (transposed: with a place in the window)."""
    if isinstance(layer, nn.Linear):
        return weight.unsqueeze(0)
    if isinstance(layer, TRANSPOSED):
        return weight.reshape(layer.groups, layer.in_channels // layer.groups, -1).mT
    return weight.reshape(layer.groups, layer.out_channels // layer.groups, -1)


def delta_blocks(layer: Layer, delta: Tensor, input_shape: Sequence[int]) -> Float[Tensor, "n groups rows positions"]:
    """The gradient with respect to the layer's output, as `filter_blocks` orders its rows.

    Args:
        layer: Where it was taken.
        delta: Shaped as the layer's output.
        input_shape: Shape of the layer's input; for a transposed convolution it says how many windows there are.
    """
    if isinstance(layer, nn.Linear):
        return delta.reshape(delta.shape[0], -1, 1, delta.shape[-1]).permute(0, 2, 3, 1)
    if delta.ndim == len(layer.kernel_size) + 1:
        delta = delta.unsqueeze(0)
    if isinstance(layer, TRANSPOSED):
        delta = output_windows(layer, delta, input_shape)
    return delta.reshape(delta.shape[0], layer.groups, -1, delta[0, 0].numel())


def output_windows(
    layer: nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d,
    delta: Tensor,
    input_shape: Sequence[int],
) -> Float[Tensor, "n channels positions"]:
    """The window of the output that each input position reaches; what padding cut off has gradient zero.

    Input position u reaches outputs `stride u - padding + dilation k`, k in the window.
    """
    axes = len(layer.kernel_size)
    windows = delta
    for axis in range(axes):
        windows = _windows(
            windows,
            axis=2 + axis,
            count=input_shape[axis - axes],
            padding=int(layer.padding[axis]),
            size=layer.kernel_size[axis],
            stride=layer.stride[axis],
            dilation=layer.dilation[axis],
        )
    order = (0, 1, *range(2 + axes, 2 + 2 * axes), *range(2, 2 + axes))
    return windows.permute(order).flatten(2 + axes).flatten(1, 1 + axes)


def _windows(values: Tensor, *, axis: int, count: int, padding: int, size: int, stride: int, dilation: int) -> Tensor:
    """`count` windows along one axis of the values padded with zeros; the axis of windows comes last."""
    reach = dilation * (size - 1) + 1
    after = max(0, stride * (count - 1) + reach - padding - values.shape[axis])
    zeros = [values.new_zeros(*values.shape[:axis], pad, *values.shape[axis + 1 :]) for pad in (padding, after)]
    padded = torch.cat([zeros[0], values, zeros[1]], axis)
    return padded.unfold(axis, reach, stride).narrow(axis, 0, count)[..., ::dilation]


def merge_groups(filters: Float[Tensor, "groups rows d"]) -> Float[Tensor, "one all_rows whole_d"]:
    """One block for all groups: the patch of the whole layer, W block-diagonal."""
    return torch.block_diag(*filters).unsqueeze(0)

"""Patches of images: unfolded, and met with filters without unfolding."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from .windows import Window, pad


def unfold_patches(images: Float[Tensor, "n c h w"], window: Window) -> Float[Tensor, "n d rows cols"]:
    """Every patch as a vector of d = c q q entries, channel first, as `Conv2d.weight.reshape(k, -1)` orders them."""
    q, s = window.size, window.stride
    rows, cols = (window.output_length(length) for length in images.shape[-2:])
    columns = functional.unfold(pad(images, window, (-2, -1)), q, stride=s)
    return columns.reshape(len(images), -1, rows, cols)


def filter_patches(
    images: Float[Tensor, "n c h w"], filters: Float[Tensor, "r d"], window: Window
) -> Float[Tensor, "n r rows cols"]:
    """The inner product of every patch with each of r filters: a convolution, so that no patch is ever unfolded."""
    kernels = filters.reshape(len(filters), images.shape[1], window.size, window.size)
    return functional.conv2d(pad(images, window, (-2, -1)), kernels, stride=window.stride)

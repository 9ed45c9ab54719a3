"""Brightness and its changes within windows of gray images, to compare feature maps with."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def window_brightness(gray: Float[Tensor, "n h w"], size: int) -> Float[Tensor, "n rows cols"]:
    """The mean over the window of `size` x `size` pixels at every position."""
    return functional.avg_pool2d(gray.unsqueeze(1), size, stride=1).squeeze(1)


def window_gradient(gray: Float[Tensor, "n h w"], size: int) -> Float[Tensor, "2 n rows cols"]:
    """The mean change a pixel from left to right, and from top to bottom, over the window at every position.

    >>> ramp = torch.arange(6.0).expand(1, 5, 6)  # brighter by 1 from each pixel to its right neighbor
    >>> window_gradient(ramp, 3).mean((1, 2, 3))
    tensor([1., 0.])
    """
    down, right = torch.gradient(gray, dim=(1, 2))
    return torch.stack([window_brightness(change, size) for change in (right, down)])


def window_change(gray: Float[Tensor, "n h w"], size: int) -> Float[Tensor, "n rows cols"]:
    """The root mean square of the gradient's length over the window at every position: edges of any direction."""
    down, right = torch.gradient(gray, dim=(1, 2))
    return window_brightness(down.square() + right.square(), size).sqrt()

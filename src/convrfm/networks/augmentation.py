"""Random changes of training images that keep their classes."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

REACH = 4  # pixels of a shift


def augmented(
    x: Float[Tensor, "n c h w"], changes: Sequence[str], generator: torch.Generator
) -> Float[Tensor, "n c h w"]:
    """Images after the changes of these names: "flip" (left to right, each with probability 1/2), "shift" (zeros come in)."""
    if "flip" in changes:
        chosen = torch.rand(len(x), generator=generator) < 0.5
        x = torch.where(chosen[:, None, None, None].to(x.device), x.flip(3), x)
    return shifted(x, generator) if "shift" in changes else x


def shifted(x: Float[Tensor, "n c h w"], generator: torch.Generator) -> Float[Tensor, "n c h w"]:
    """Every image moved by up to four pixels along each axis, each move as likely as the others."""
    n, _, height, width = x.shape
    starts = torch.randint(2 * REACH + 1, (2, n, 1), generator=generator)
    rows, columns = (starts[axis] + torch.arange(length) for axis, length in enumerate((height, width)))
    last = functional.pad(x, (REACH,) * 4).permute(0, 2, 3, 1)  # channels last
    moved = last[torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)

"""Which positions of a grid a window meets at each of its places, as tables of indices."""

import torch
from jaxtyping import Int
from torch import Tensor

from ....maths.window_means import pad
from ....maths.windows import Window

OUTSIDE = -1


def window_taps(window: Window, rows: int, cols: int) -> Int[Tensor, "places taps"]:
    """For every place of the window the positions it meets, in the window's order; `OUTSIDE` beyond the border."""
    numbered = torch.arange(1, rows * cols + 1).reshape(rows, cols)
    met = pad(numbered, window, (-2, -1)).unfold(0, window.size, window.stride).unfold(1, window.size, window.stride)
    return (met.reshape(-1, window.size**2) - 1).int()


def transposed_taps(taps: Int[Tensor, "places taps"], positions: int) -> Int[Tensor, "positions taps"]:
    """For every position and every tap the place of the window that meets it with that tap; there is one at most."""
    table = torch.full((positions, taps.shape[1]), OUTSIDE, dtype=torch.int32)
    places, numbers = torch.nonzero(taps != OUTSIDE, as_tuple=True)
    table[taps[places, numbers].long(), numbers] = places.int()
    return table

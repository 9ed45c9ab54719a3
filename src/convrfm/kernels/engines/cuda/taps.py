"""Which positions of a grid a window meets at each of its places, as tables of indices, and the transposed tables."""

import torch
from jaxtyping import Int
from torch import Tensor

from ....maths.windows import Window, pad

OUTSIDE = -1


def window_taps(window: Window, rows: int, cols: int) -> Int[Tensor, "places taps"]:
    """For every place of the window, the positions it meets, `OUTSIDE` where it hangs over the border."""
    numbered = torch.arange(1, rows * cols + 1).reshape(rows, cols)
    padded = pad(numbered, window, (-2, -1))
    met = padded.unfold(0, window.size, window.stride).unfold(1, window.size, window.stride)
    return (met.reshape(-1, window.size**2) - 1).int()


def transposed_taps(taps: Int[Tensor, "places taps"], positions: int) -> Int[Tensor, "positions taps_t"]:
    """For every position, the places of the window that meet it, once for each time; then `OUTSIDE`."""
    places = torch.arange(len(taps)).repeat_interleave(taps.shape[1])
    met = taps.flatten().long()
    places, met = places[met != OUTSIDE], met[met != OUTSIDE]
    order = torch.argsort(met, stable=True)
    counts = torch.bincount(met, minlength=positions)
    rank = torch.arange(len(met)) - (counts.cumsum(0) - counts).repeat_interleave(counts)
    table = torch.full((positions, int(counts.max())), OUTSIDE, dtype=torch.int32)
    table[met[order], rank] = places[order].int()
    return table

"""Each image's own variances in a pooled network, from the few offsets between positions that reach them.

A pooling by p takes the covariance at equal positions from offsets below p before it, so the variances in front of
every activation need far fewer offsets than the covariance has.
"""

import itertools

from jaxtyping import Float
from torch import Tensor

from ...maths.windows import POSITIONS, window_mean
from ..layers import AvgPool, Conv
from ..recursion import Recursion, patch_entries

Offset = tuple[int, int]
Picture = Float[Tensor, "n _ _"]
Grid = tuple[int, int]


def own_variances(
    recursion: Recursion, images: Float[Tensor, "n c h w"], patches: Float[Tensor, "n r rows cols"] | None
) -> list[Picture]:
    """For every activation, the covariance of each position with itself in front of it."""
    architecture = recursion.architecture
    first, hidden = architecture.first, list(architecture.hidden)
    last = max((i for i, layer in enumerate(hidden) if not isinstance(layer, Conv | AvgPool)), default=-1)
    radii = [0]
    for layer in reversed(hidden[: last + 1]):
        radii.append(layer.size * (radii[-1] + 1) - 1 if isinstance(layer, AvgPool) else radii[-1])
    radius = radii.pop()
    channels = images if patches is None else patches
    grid: Grid = (channels.shape[2], channels.shape[3])
    pictures = {offset: _products(channels, offset) for offset in _offsets(radius, grid)}
    if patches is None:
        scaled = {offset: picture / images.shape[1] for offset, picture in pictures.items()}
        pictures, grid = _convolved(scaled, first, grid)
    else:
        scale = first.weight_std**2 / patch_entries(recursion, images)
        pictures = {offset: picture * scale + first.bias_std**2 for offset, picture in pictures.items()}
    found = []
    for layer in hidden[: last + 1]:
        radius = radii.pop()
        if isinstance(layer, Conv):
            pictures, grid = _convolved(pictures, layer, grid)
        elif isinstance(layer, AvgPool):
            pictures, grid = _pooled(pictures, layer.size, radius, grid)
        else:
            q = pictures[0, 0]
            found.append(q)
            pictures = {
                offset: layer.dual(picture, *_facing(q, offset))[0] if any(offset) else layer.on_diagonal(q)[0]
                for offset, picture in pictures.items()
            }
    return found


def _offsets(radius: int, grid: Grid) -> list[Offset]:
    down, across = (min(radius, length - 1) for length in grid)
    return list(itertools.product(range(-down, down + 1), range(-across, across + 1)))


def _facing(field: Tensor, offset: Offset) -> tuple[Tensor, Tensor]:
    """A field at both positions u and u + offset of every pair."""
    rows, cols = field.shape[-2:]
    down, across = offset
    u = field[..., max(0, -down) : rows - max(0, down), max(0, -across) : cols - max(0, across)]
    v = field[..., max(0, down) : rows - max(0, -down), max(0, across) : cols - max(0, -across)]
    return u, v


def _products(channels: Tensor, offset: Offset) -> Picture:
    u, v = _facing(channels, offset)
    return (u * v).sum(1)


def _convolved(pictures: dict[Offset, Picture], conv: Conv, grid: Grid) -> tuple[dict[Offset, Picture], Grid]:
    window = conv.window
    after = (window.output_length(grid[0]), window.output_length(grid[1]))
    kept = {o: p for o, p in pictures.items() if abs(o[0]) < after[0] and abs(o[1]) < after[1]}
    convolved = {
        offset: window_mean(picture, window, POSITIONS) * conv.weight_std**2 + conv.bias_std**2
        for offset, picture in kept.items()
    }
    return convolved, after


def _pooled(pictures: dict[Offset, Picture], size: int, radius: int, grid: Grid) -> tuple[dict[Offset, Picture], Grid]:
    after = (grid[0] // size, grid[1] // size)
    pooled = {}
    for offset in _offsets(radius, after):
        rows, cols = (length - abs(shift) for length, shift in zip(after, offset, strict=True))
        total: Tensor | None = None
        for a, b, c, d in itertools.product(range(size), repeat=4):
            before = (size * offset[0] + b - a, size * offset[1] + d - c)
            top = size * max(0, -offset[0]) + a - max(0, -before[0])
            left = size * max(0, -offset[1]) + c - max(0, -before[1])
            part = pictures[before][:, top : top + size * rows : size, left : left + size * cols : size]
            total = part.clone() if total is None else total.add_(part)
        assert total is not None
        pooled[offset] = total / size**4
    return pooled, after

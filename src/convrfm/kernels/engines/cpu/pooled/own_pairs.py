"""Each image's own variances in a pooled network, and their adjoint, from the few pairs of positions that reach them.

A pooling by p takes the covariance at equal positions from those less than p apart before it, so the variances in front
of every activation need far fewer pairs than the covariance has. A field is `(n, row pairs, column pairs)`; windows
and poolings are matrices on either side of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ....layers import Activation, AvgPool, Conv, HiddenLayer
from ....recursion.recursion import Embedding, Recursion, patch_entries
from ...protocol import Gradient
from .axis_pairs import Moved, equal_pairs, lengths_before, met_pairs, needed_pairs

Variances = Float[Tensor, "n _ _"]
Own = Float[Tensor, "*batch _ _"]  # row pairs by column pairs
Grid = tuple[int, int]


@dataclass(frozen=True, eq=False)
class _AxisPairs:
    """The pairs along one axis in front of a layer.

    Attributes:
        u, v: their places.
        equal: the pairs of each place with itself.
        window: which pairs each pair after the layer sums; None behind the last layer.
    """

    u: Int[Tensor, " pairs"]
    v: Int[Tensor, " pairs"]
    equal: Int[Tensor, " places"]
    window: Float[Tensor, "after pairs"] | None


@dataclass(frozen=True, eq=False)
class _Level:
    """The pairs of both axes in front of a layer."""

    rows: _AxisPairs
    cols: _AxisPairs

    def products(self, channels: Float[Tensor, "n c rows cols"]) -> Own:
        """Inner products over channels."""
        total = channels.new_zeros(len(channels), len(self.rows.u), len(self.cols.u))
        for channel in channels.unbind(1):
            total.addcmul_(*self.facing(channel))
        return total

    def facing(self, q: Float[Tensor, "*batch rows cols"]) -> tuple[Own, Own]:
        """Variances at both positions of every pair."""
        return q[..., self.rows.u[:, None], self.cols.u], q[..., self.rows.v[:, None], self.cols.v]

    def equal(self, own: Own) -> Float[Tensor, "*batch rows cols"]:
        """The field at equal positions, as a copy."""
        return own[..., self.rows.equal[:, None], self.cols.equal]

    def put_equal(self, own: Own, variances: Float[Tensor, "*batch rows cols"]) -> None:
        """Write variances to equal positions."""
        own[..., self.rows.equal[:, None], self.cols.equal] = variances

    def sum_over_partner(self, own: Own) -> Float[Tensor, "*batch rows cols"]:
        """The sum over the second position."""
        grid = len(self.rows.equal), len(self.cols.equal)
        by_row = own.new_zeros(*own.shape[:-2], grid[0], own.shape[-1]).index_add_(-2, self.rows.u, own)
        return by_row.new_zeros(*own.shape[:-2], *grid).index_add_(-1, self.cols.u, by_row)

    def gather(self, own: Own) -> Own:
        """The sums over the layer's window, one for every pair after it."""
        assert self.rows.window is not None
        assert self.cols.window is not None
        return self.rows.window.to(own) @ own @ self.cols.window.to(own).T

    def spread(self, bar: Own) -> Own:
        """The transpose of `gather`."""
        assert self.rows.window is not None
        assert self.cols.window is not None
        return self.rows.window.to(bar).T @ bar @ self.cols.window.to(bar)


def own_variances(
    recursion: Recursion, images: Float[Tensor, "n c h w"], patches: Float[Tensor, "n r rows cols"] | None
) -> list[Variances]:
    """For every activation, the covariance of each position with itself in front of it.

    Args:
        recursion: the network.
        images: the images.
        patches: their embedded patches; None where the metric is the identity, and pixels serve.
    """
    met = _met(recursion, images, patches)
    return [level.equal(own) for layer, level, own in met if not isinstance(layer, Conv | AvgPool)]


def pull_back_own_variances(
    recursion: Recursion, x: Embedding, patches: Float[Tensor, "n r rows cols"] | None, total: Gradient
) -> None:
    """Add the gradient that flows through `x.variances` to `total.patches`; `patches` as for `own_variances`."""
    assert x.patches is not None
    behind_pixels = slice(1 if patches is None else 0, None)
    waiting = list(total.variances)
    bar: Tensor | None = None
    for layer, level, own in reversed(_met(recursion, x.images, patches)[behind_pixels]):
        if isinstance(layer, Conv | AvgPool):
            assert bar is not None
            bar = level.spread(bar).mul_(_weight(layer))
        else:
            seed, own = waiting.pop(), own[:, None]
            before = own.new_zeros(*seed.shape[:2], *own.shape[2:])
            bar = before if bar is None else _pulled_back(layer, level, own, bar)
            level.put_equal(bar, level.equal(bar) + seed)
        first = level
    if bar is not None:
        _add_contraction(2 * bar, first, x.patches, total.patches)


def own_entries(recursion: Recursion, grid: Grid, outputs: int) -> int:
    """How many numbers one image's fields take, and the adjoints of some outputs."""
    levels = _levels(_layers(recursion, from_pixels=True), grid)
    return (len(levels) + 4 * outputs) * max(len(level.rows.u) * len(level.cols.u) for level in levels)


def _layers(recursion: Recursion, *, from_pixels: bool) -> tuple[HiddenLayer, ...]:
    """The layers up to the last activation; behind it, no variance is asked for."""
    hidden = list(recursion.architecture.hidden)
    while hidden and isinstance(hidden[-1], Conv | AvgPool):
        hidden.pop()
    return (recursion.architecture.first, *hidden) if from_pixels else tuple(hidden)


@lru_cache
def _levels(layers: tuple[HiddenLayer, ...], grid: Grid) -> list[_Level]:
    """The pairs in front of every layer, and behind the last."""
    rows, cols = (_axis(layers, length) for length in grid)
    return [_Level(*axes) for axes in zip(rows, cols, strict=True)]


def _axis(layers: Sequence[HiddenLayer], length: int) -> list[_AxisPairs]:
    moves: list[Moved] = [layer if isinstance(layer, Conv | AvgPool) else None for layer in layers]
    lengths = lengths_before(moves, length)
    needed = [sorted(pairs) for pairs in needed_pairs(moves, length, equal_pairs(lengths[-1]), equal=True)]
    numbers = [{pair: number for number, pair in enumerate(pairs)} for pairs in needed]
    axes = []
    for i, pairs in enumerate(needed):
        window = None
        if i < len(moves) and moves[i] is not None:
            window = torch.zeros(len(needed[i + 1]), len(pairs), dtype=torch.float64)
            for number, after in enumerate(needed[i + 1]):
                for met in met_pairs(moves[i], after, lengths[i]):
                    window[number, numbers[i][met]] += 1
        u, v = torch.tensor(pairs).T
        axes.append(_AxisPairs(u, v, torch.tensor([numbers[i][j, j] for j in range(lengths[i])]), window))
    return axes


def _weight(layer: Conv | AvgPool) -> float:
    """The factor on a sum over a window; a pooling averages each position of a pair on its own."""
    return (layer.weight_std / layer.size) ** 2 if isinstance(layer, Conv) else 1 / layer.size**4


def _met(
    recursion: Recursion, images: Float[Tensor, "n c h w"], patches: Float[Tensor, "n r rows cols"] | None
) -> list[tuple[HiddenLayer, _Level, Own]]:
    """Every layer up to the last activation, with the pairs and each image's covariance with itself in front of it."""
    first = recursion.architecture.first
    layers = _layers(recursion, from_pixels=patches is None)
    channels = images if patches is None else patches
    levels = _levels(layers, (channels.shape[2], channels.shape[3]))
    own = levels[0].products(channels)
    if patches is None:
        own /= images.shape[1]
    else:
        own = own * (first.weight_std**2 / patch_entries(recursion, images)) + first.bias_std**2
    met: list[tuple[HiddenLayer, _Level, Own]] = []
    for layer, level in zip(layers, levels, strict=False):
        met.append((layer, level, own))
        if isinstance(layer, Conv | AvgPool):
            own = level.gather(own) * _weight(layer)
            own += layer.bias_std**2 if isinstance(layer, Conv) else 0.0
        else:
            q = level.equal(own)
            own = layer.dual(own, *level.facing(q))[0]
            level.put_equal(own, layer.on_diagonal(q)[0])
    return met


def _pulled_back(
    activation: Activation, level: _Level, own: Float[Tensor, "n 1 _ _"], K_bar: Float[Tensor, "n k _ _"]
) -> Own:
    """The adjoint of an own field from that of its K, its variances included; exact at equal positions."""
    q = level.equal(own)
    own_bar, q_bar = activation.pullback(own, *level.facing(q), K_bar, None)
    level.put_equal(q_bar, torch.zeros_like(level.equal(q_bar)))
    at_equal = level.equal(K_bar) * activation.diagonal_slope(q)
    level.put_equal(own_bar, at_equal + 2 * level.sum_over_partner(q_bar))
    return own_bar


def _add_contraction(
    weights: Float[Tensor, "n k row_pairs col_pairs"],
    level: _Level,
    patches: Float[Tensor, "n r rows cols"],
    total: Float[Tensor, "positions n k r"],
) -> None:
    """Add the sum over v of weights[u, v] patches[v] to `total`, image by image."""
    rows, cols = patches.shape[2:]
    for i, of_image in enumerate(weights):
        facing = of_image.new_zeros(*of_image.shape[:2], cols, cols)
        facing[:, :, level.cols.u, level.cols.v] = of_image
        met = torch.einsum("kauv,rav->aukr", facing, patches[i][:, level.rows.v])
        by_row = met.new_zeros(rows, *met.shape[1:]).index_add_(0, level.rows.u, met)
        total[:, i] += by_row.flatten(0, 1)

"""Which pairs of places along one axis a pooled recursion meets in front of every layer.

A pair (u, v) is a place u of one image and a place v of another. Rows and columns never mix, so a covariance of
positions is a section of row pairs by column pairs, and it needs no more pairs than the readout can be reached from:
all of them under a `GlobalAvgPool`, those near the diagonal under a `Flatten` with poolings before it.

A convolution moves both places of a pair together. So between poolings pairs fall into *lines*: diagonals v - u =
constant, which circular windows close into rings. No window joins two lines; only pooling moves each place on its own.
"""

import itertools
from collections.abc import Iterable, Sequence

from ....layers import AvgPool, Conv

Pair = tuple[int, int]
Moved = Conv | AvgPool | None  # None: an activation, which leaves every pair where it is


def equal_pairs(length: int) -> set[Pair]:
    """Every place with itself."""
    return {(u, u) for u in range(length)}


def all_pairs(length: int) -> set[Pair]:
    """Every place with every other."""
    return {(u, v) for u in range(length) for v in range(length)}


def lengths_before(layers: Sequence[Moved], length: int) -> list[int]:
    """The length of the axis in front of every layer, and after the last."""
    lengths = [length]
    for layer in layers:
        lengths.append(lengths[-1] if layer is None else layer.window.output_length(lengths[-1]))
    return lengths


def met_pairs(layer: Moved, pair: Pair, length: int) -> list[Pair]:
    """The pairs before a layer that it sums into one after it; `length` is the axis' before the layer."""
    if layer is None:
        return [pair]
    if isinstance(layer, AvgPool):
        u, v = (range(place * layer.size, (place + 1) * layer.size) for place in pair)
        return list(itertools.product(u, v))
    before, _ = layer.window.margins(length)
    u, v = (range(start := place * layer.stride - before, start + layer.size) for place in pair)
    if layer.padding == "circular":
        return [(a % length, b % length) for a, b in zip(u, v, strict=True)]
    return [met for met in zip(u, v, strict=True) if min(met) >= 0 and max(met) < length]


def needed_pairs(layers: Sequence[Moved], length: int, last: set[Pair], *, equal: bool) -> list[set[Pair]]:
    """The pairs in front of every layer, and after the last, from which the pairs `last` can be reached.

    Args:
        layers: what moves the pairs.
        length: the axis' before the first layer.
        last: the pairs after the last layer.
        equal: whether every place with itself is needed as well.
    """
    lengths = lengths_before(layers, length)
    needed = [last]
    for layer, before in zip(reversed(layers), reversed(lengths[:-1]), strict=True):
        met = {pair for after in needed[-1] for pair in met_pairs(layer, after, before)}
        needed.append(met | equal_pairs(before) if equal else met)
    return needed[::-1]


def split_into_lines(
    levels: Sequence[Iterable[Pair]], layers: Sequence[Moved], lengths: Sequence[int]
) -> list[list[list[Pair]]]:
    """Levels between two poolings, split so that no layer joins two lines: for each level, the pairs of every line."""
    above: dict[Pair, Pair] = {}  # a level and an offset v - u, and another that belongs to the same line

    def name(level: int, pair: Pair) -> Pair:
        node = (level, pair[1] - pair[0])
        while above.setdefault(node, node) != node:
            node = above[node]
        return node

    for level, layer in enumerate(layers):
        for pair in levels[level + 1]:
            for met in met_pairs(layer, pair, lengths[level]):
                above[name(level, met)] = name(level + 1, pair)
    names = sorted({name(0, pair) for pair in levels[0]})
    split: list[list[list[Pair]]] = []
    for level, pairs in enumerate(levels):
        lines: dict[Pair, list[Pair]] = {line: [] for line in names}
        for pair in sorted(pairs):
            lines[name(level, pair)].append(pair)
        split.append(list(lines.values()))
    return split

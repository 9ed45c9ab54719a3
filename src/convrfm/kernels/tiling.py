"""Cutting a matrix of pairs into blocks and tiles that fit a memory budget."""

import math
from collections.abc import Iterator

LINE = 128  # numbers; rows that begin elsewhere are slower to read and write


def blocks(n: int, size: int) -> list[slice]:
    """0..n in consecutive slices of at most `size`, and of at least one."""
    step = max(1, size)
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def tiles(
    rows: int, cols: int, pairs: int, *, symmetric: bool, height: int | None = None
) -> Iterator[tuple[slice, slice]]:
    """A (rows, cols) matrix in tiles of at most `pairs` entries, square unless their height is given.

    Symmetric: only those that reach the upper half.
    """
    height = _part(rows, math.isqrt(pairs) if height is None else height)
    width = _part(cols, pairs // height)
    for down in blocks(rows, height):
        for across in blocks(cols, width):
            if not symmetric or across.stop > down.start:
                yield down, across


def _part(length: int, most: int) -> int:
    """The whole length, or where that is too much a part of it that ends with a line of memory."""
    if most >= length:
        return length
    return max(1, most - most % LINE if most > LINE else most)

"""What pairs of images give at some rows of positions: sums of values, slopes, and gradients."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from ..tiling import blocks
from .patches import Patches, PatchesOfImages, Squares
from .portions import Portions

Function = Callable[[Squares], Squares]


def sum_of_values(
    portions: Portions, value: Function, left: PatchesOfImages, right: PatchesOfImages, some_rows: slice
) -> Float[Tensor, "n m"]:
    """Over some rows of positions; of the same images the upper half at least, but for the diagonal."""
    n, m, alike = len(left.images), len(right.images), left is right
    sums = left.images.new_zeros(n, m)
    for rows in portions.rows_of(some_rows):
        mine = left.strip(rows)
        theirs = mine if alike else right.strip(rows)
        for cols in portions.cols_of(n, m):
            f = mine.at(cols)
            g = f if alike else theirs.at(cols)
            for some in portions.images_together(n):
                partners = slice(some.start if alike else 0, m)
                squares = f.of(some).squared_distances(g.of(partners), but_first=alike)
                sums[some, partners].add_(value(squares).sum(0))
    return sums


def slopes(portions: Portions, slope: Function, f: Patches, g: Patches) -> Float[Tensor, "positions n m"]:
    """The slopes of all pairs."""
    some_by_some = portions.images_together(f.norms.shape[1])
    return torch.cat([slope(f.of(some).squared_distances(g)) for some in some_by_some], 1)


def gradients(
    portions: Portions,
    slope: Function,
    left: PatchesOfImages,
    right: PatchesOfImages,
    coef: Float[Tensor, "m k"],
    rows: slice,
) -> Float[Tensor, "positions n k r"]:
    """At some rows of positions, the sum over the images on the right of s (g - f) times their coefficients."""
    n, k, mine = len(left.images), coef.shape[1], left.strip(rows)
    sums = coef.new_zeros(rows.stop - rows.start, portions.cols, n, k, left.length)
    for partners in blocks(len(coef), portions.side):
        theirs, weights = right.of(partners).strip(rows), coef[partners]
        for cols in portions.cols_of(n, len(weights), k):
            f, g = mine.at(cols), theirs.at(cols)
            for some in portions.images_together(n):
                here = f.of(some)
                of_pairs = slope(here.squared_distances(g))
                of_an_image = len(of_pairs) * k * max(len(weights), left.length)
                for few in portions.at_once(of_pairs.shape[1], of_an_image):
                    products = of_pairs[:, few, None] * weights.T
                    met = (products.flatten(1, 2) @ g.entries.mT).view(*products.shape[:3], -1)
                    met -= products.sum(3)[..., None] * here.entries.mT[:, few, None]
                    sums[:, cols, some][:, :, few].add_(met.view(len(sums), -1, *met.shape[1:]))
    return sums.flatten(0, 1)

"""Radial kernels of patches: Laplace and Gaussian, averaged over positions, with the metric M on patches.

    K(x, z) = mean over u of k(|x[u] - z[u]|_M),    |p|_M^2 = p^T M p = |L p|^2.

The Laplace kernel is that of "Laplace-ConvRFM" in the paper. Gradients are closed-form: with f = L x[u], g = L z[u] and the
*slope* s = -k'(d) / d, the gradient of K with respect to f is the mean over u of s (g - f). So `value` and `slope` are all
that a radial kernel needs.
"""

import warnings
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from ..errors import InputError
from ..maths.singular import root
from ..maths.windows import Window
from .integers import positive_integer
from .patch_distances import Patches, PatchesOfImages, Squares
from .patch_gradients import PatchGradients
from .patch_kernel import PatchKernel, Progress, settle_numerics
from .recording import is_recorded
from .scales import is_finite
from .threads import MOST_PARTS, parts, share, sum_in_order
from .tiled_matrix import tiled_matrix
from .tiling import blocks

UNFOLDED = 2  # copies of each patch, while distances are formed
MIRRORED_AT_ONCE = 64  # rows
WIDEST = 1e18  # bandwidth
UNRELATED = (
    "the kernel of every two images is 0: all of their patches lie hundreds of bandwidths apart, and the bandwidth is "
    "{bandwidth:g}. A bandwidth of about the distance of two patches tells images apart."
)
ROWS_TOGETHER = 1  # of positions, in one part of the work that threads share
PAIRS_TOGETHER = 2**18  # whose distances stay in caches
WEIGHTS_TOGETHER = 2**18  # of pairs by outputs, likewise
SHARE_AT_ONCE = 64  # of the budget, for what is alive of either


@dataclass(frozen=True)
class RadialKernel(PatchKernel):
    """A function of the distance between patches at equal positions, averaged over positions.

    Args:
        patch_size: side q of the patches; no padding, stride 1.
        bandwidth: scale of the distance, in units of |x[u]|_M, from 1e-18 to 1e18.
        memory_budget: bytes that temporaries may take beyond the result; None for 512 MiB, on a GPU a quarter of what is free.
        rank_tolerance: eigenvectors of M whose share of the trace is below it are dropped, which saves time in proportion;
            0 keeps all that rounding can tell from zero.

    Cost: n m pairs times positions times the rank of M.
    """

    patch_size: int
    bandwidth: float = 10.0
    _: KW_ONLY
    memory_budget: int | None = None
    rank_tolerance: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "patch_size", positive_integer("patch_size", self.patch_size))
        if not is_finite(self.bandwidth) or not 1 / WIDEST <= float(self.bandwidth) <= WIDEST:
            raise InputError(
                f"bandwidth must be a number from {1 / WIDEST:g} to {WIDEST:g}, whose square float32 can hold; got "
                f"{self.bandwidth!r}. Rescale the images instead."
            )
        object.__setattr__(self, "bandwidth", float(self.bandwidth))
        settle_numerics(self)

    @abstractmethod
    def value(self, squares: Squares) -> Squares:
        """k(d) from d^2; k(0) is 1."""

    @abstractmethod
    def slope(self, squares: Squares) -> Squares:
        """-k'(d) / d from d^2; finite where patches coincide, and there without effect."""

    @property
    @override
    def window(self) -> Window:
        return Window(self.patch_size)

    @override
    def matrix(
        self, x: Tensor, z: Tensor | None, factor: Float[Tensor, "r d"] | None, progress: Progress | None
    ) -> Float[Tensor, "n m"]:
        others, center = x if z is None else z, center_of(x)
        out = tiled_matrix(x, len(others), self.budget_on(x.device))
        height, width = self._tile(x, entries=0)
        tiles = [
            (rows, [cols for cols in blocks(len(others), width) if z is not None or cols.stop > rows.start])
            for rows in blocks(len(x), height)
        ]
        total, done = sum(len(across) for _, across in tiles), 0
        for rows, across in tiles:
            left = self._patches(x[rows], factor, center)
            for cols in across:
                right = left if z is None and rows == cols else self._patches(others[cols], factor, center)
                values = sum_in_order(partial(self._sum_of_values, left, right), left.rows, x.device)
                out.put(rows, cols, values / self._positions(x))
                done += 1
                if progress:
                    progress(done, total)
        whole = out.finished()
        if z is None:
            whole.diagonal().fill_(1)
            mirror_upper_half(whole)
        if len(whole) > 1 and whole.count_nonzero() == (len(whole) if z is None else 0):
            warnings.warn(UNRELATED.format(bandwidth=self.bandwidth), stacklevel=5)
        return whole

    @override
    def own(self, x: Tensor, factor: Float[Tensor, "r d"] | None) -> Float[Tensor, " n"]:
        ones = x.new_ones(len(x))
        if not is_recorded(x, factor):
            return ones
        all_of_them = self._patches(x, factor, center_of(x))
        patches = all_of_them.at(slice(0, all_of_them.rows)).entries
        return ones + (patches - patches).sum((0, 2))

    @override
    def gradients(
        self,
        x: Tensor,
        z: Tensor,
        dual_coef: Tensor,
        factor: Float[Tensor, "r d"] | None,
        progress: Progress | None,
    ) -> PatchGradients:
        blocks_of_x = partial(self._gradient_blocks, x, z, dual_coef, factor, progress)
        return PatchGradients(blocks_of_x, factor, scale=1 / self._positions(x))

    def _gradient_blocks(
        self, x: Tensor, z: Tensor, dual_coef: Tensor, factor: Float[Tensor, "r d"] | None, progress: Progress | None
    ) -> Iterator[Float[Tensor, "positions n k r"]]:
        k, r = dual_coef.shape[1], self._entries(x) if factor is None else len(factor)
        center = center_of(x)
        height, width = self._tile(x, entries=2 * k * r)
        down, across = blocks(len(x), height), blocks(len(z), width)
        for number, rows in enumerate(down):
            left = self._patches(x[rows], factor, center)
            gradients = x.new_zeros(self._positions(x), len(x[rows]), k, r)
            for done, cols in enumerate(across, number * len(across) + 1):
                right, coef = self._patches(z[cols], factor, center), dual_coef[cols]
                share(
                    partial(self._add_gradients, left, right, coef, gradients),
                    parts(left.rows, ROWS_TOGETHER, x.device),
                )
                if progress:
                    progress(done, len(down) * len(across))
            yield gradients

    def _sum_of_values(self, left: PatchesOfImages, right: PatchesOfImages, at: slice) -> Float[Tensor, "n m"]:
        """Over some rows of positions; of the same images the upper half at least."""
        n, m = len(left.images), len(right.images)
        sums = left.images.new_zeros(n, m)
        for f, g, _ in self._met(left, right, at):
            for rows in blocks(n, self._numbers_at_once(sums, PAIRS_TOGETHER) // m):
                columns = slice(rows.start if left is right else 0, m)
                for here in self._together(f, sums[rows, columns]):
                    sums[rows, columns] += self.value(f.at(here, rows).squared_distances(g.at(here, columns))).sum(0)
        return sums

    def _add_gradients(
        self,
        left: PatchesOfImages,
        right: PatchesOfImages,
        coef: Float[Tensor, "m k"],
        gradients: Float[Tensor, "positions n k r"],
        some_rows: Iterator[slice],
    ) -> None:
        rows_together = self._numbers_at_once(coef, WEIGHTS_TOGETHER) // coef.numel()
        for at in some_rows:
            for f, g, rows_of_positions in self._met(left, right, at):
                first = rows_of_positions.start * (len(gradients) // left.rows)
                for here in self._together(f, coef.expand(f.norms.shape[1], *coef.shape)):
                    there = slice(first + here.start, first + here.stop)
                    slopes = self.slope(f.at(here).squared_distances(g.at(here)))
                    for rows in blocks(slopes.shape[1], rows_together):
                        weights = slopes[:, rows, None] * coef.T
                        met = weights.flatten(1, 2) @ g.entries[here]
                        gradients[there, rows] += met.unflatten(1, weights.shape[1:3])
                    gradients[there].sub_((slopes @ coef)[..., None] * f.entries[here, :, None])

    @override
    def check_image_size(self, height: int, width: int) -> None:
        for length in (height, width):
            self.window.output_length(length)

    def _patches(self, x: Tensor, factor: Tensor | None, center: Float[Tensor, "c h w"]) -> PatchesOfImages:
        return PatchesOfImages(x - center, factor, self.window)

    def _met(
        self, left: PatchesOfImages, right: PatchesOfImages, at: slice
    ) -> Iterator[tuple[Patches, Patches, slice]]:
        """The patches of both sides at some rows of positions: row by row on the CPU, where those stay in caches."""
        for some in parts(at.stop - at.start, ROWS_TOGETHER, left.images.device):
            rows = slice(at.start + some.start, at.start + some.stop)
            f = left.at(rows)
            yield f, f if left is right else right.at(rows), rows

    def _together(self, f: Patches, each: Tensor) -> list[slice]:
        """As many positions at once as memory holds, like `each` at one."""
        return blocks(len(f.norms), self._numbers_at_once(each, PAIRS_TOGETHER) // each.numel())

    def _numbers_at_once(self, like: Tensor, cached: int) -> int:
        """That may be alive in an array at work: a share of the budget holds them, and a core's cache."""
        fitting = self.budget_on(like.device) // SHARE_AT_ONCE // like.element_size()
        return min(fitting, cached) if like.device.type == "cpu" else fitting

    def _positions(self, x: Tensor) -> int:
        rows, cols = (self.window.output_length(length) for length in x.shape[-2:])
        return rows * cols

    def _entries(self, x: Tensor) -> int:
        return x.shape[1] * self.patch_size**2

    def _tile(self, x: Tensor, *, entries: int) -> tuple[int, int]:
        """How many images on either side fit the budget; `entries`: what one of x takes at a position beside its patch.

        A tile is as high as half the budget allows: the patches of its other side are made again for each row of tiles.
        """
        positions, patch = self._positions(x), UNFOLDED * self._entries(x)
        numbers = self.budget_on(x.device) // 2 // (positions * x.element_size())
        height = max(1, min(len(x), numbers // (patch + entries)))
        sums = height * min(MOST_PARTS, positions) / positions
        return height, max(1, int(numbers / (patch + sums)))


@dataclass(frozen=True)
class Laplace(RadialKernel):
    """The mean over positions of exp(-|x[u] - z[u]|_M / bandwidth).

    Example:
        >>> images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> Laplace(patch_size=7, bandwidth=10.0)(images).shape
        torch.Size([2, 2])
    """

    @override
    def value(self, squares: Squares) -> Squares:
        return (root(squares) / -self.bandwidth).exp_()

    @override
    def slope(self, squares: Squares) -> Squares:
        lengths = squares.sqrt()
        slopes = (lengths / -self.bandwidth).exp_() / (self.bandwidth * lengths)
        return torch.where(lengths > 0, slopes, 0)


@dataclass(frozen=True)
class Gaussian(RadialKernel):
    """The mean over positions of exp(-|x[u] - z[u]|_M^2 / (2 bandwidth^2))."""

    @override
    def value(self, squares: Squares) -> Squares:
        return (squares / (-2 * self.bandwidth**2)).exp_()

    @override
    def slope(self, squares: Squares) -> Squares:
        return self.value(squares) / self.bandwidth**2


def center_of(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "c h w"]:
    """What all images are taken less of: distances stay, and are not lost beside what images have in common."""
    return x.detach().mean(0, dtype=torch.float64).to(x)


def mirror_upper_half(matrix: Float[Tensor, "n n"]) -> None:
    """Make a matrix symmetric in place, some rows at a time."""
    for rows in blocks(len(matrix), MIRRORED_AT_ONCE):
        square = matrix[rows, rows]
        matrix[rows, rows] = square.triu() + square.triu(1).T
        matrix[rows.stop :, rows] = matrix[rows, rows.stop :].T

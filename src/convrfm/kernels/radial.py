"""Radial kernels of patches: Laplace and Gaussian, averaged over positions, with the metric M on patches.

    K(x, z) = mean over u of k(|x[u] - z[u]|_M),    |p|_M^2 = p^T M p = |L p|^2.

The Laplace kernel is that of "Laplace-ConvRFM" in the paper. Gradients are closed-form: with f = L x[u], g = L z[u] and the
*slope* s = -k'(d) / d, the gradient of K with respect to f is the mean over u of s (g - f).
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..maths.patches import filter_patches, unfold_patches
from ..maths.windows import Window
from .arrays import accepts_numpy
from .patch_kernel import PatchKernel, Progress, check_numerics
from .tiling import blocks, tiles

PatchesFirst = Float[Tensor, "positions n r"]
Squares = Float[Tensor, "positions n m"]
ARRAYS = 4  # temporaries of a tile's size that are alive at once


@dataclass(frozen=True)
class RadialKernel(PatchKernel):
    """A function of the distance between patches at equal positions, averaged over positions.

    Args:
        patch_size: side q of the patches; no padding, stride 1.
        bandwidth: scale of the distance, in units of |x[u]|_M.
        memory_budget: bytes that temporaries may take beyond the result; None for 512 MiB.
        rank_tolerance: eigenvectors of M whose share of the trace is below it are dropped, which saves time in proportion;
            0 keeps all that rounding can tell from zero.

    Cost: n m pairs times positions times the rank of M.
    """

    patch_size: int
    bandwidth: float = 10.0
    memory_budget: int | None = None
    rank_tolerance: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.patch_size, bool) or not isinstance(self.patch_size, int) or self.patch_size < 1:
            raise InputError(f"patch_size must be a positive integer; got {self.patch_size!r}.")
        if not isinstance(self.bandwidth, int | float) or not 0 < self.bandwidth < float("inf"):
            raise InputError(f"bandwidth must be a positive, finite number; got {self.bandwidth!r}.")
        check_numerics(self.memory_budget, self.rank_tolerance)

    @property
    def window(self) -> Window:
        """The window that cuts an image into patches."""
        return Window(self.patch_size)

    @accepts_numpy
    def __call__(
        self,
        x: Tensor,
        z: Tensor | None = None,
        *,
        feature_matrix: Tensor | None = None,
        progress: Progress | None = None,
    ) -> Float[Tensor, "n m"]:
        """The kernel matrix `(n, m)`; see `NTK` for the arguments. K(x, x) is 1."""
        factor = self._check(x, z, feature_matrix)
        left = self._patches(x, factor)
        right = left if z is None else self._patches(z, factor)
        out = x.new_empty(left.shape[1], right.shape[1])
        parts = list(tiles(left.shape[1], right.shape[1], self._pairs(left), symmetric=z is None))
        for done, (rows, cols) in enumerate(parts, 1):
            tile = self._value(squared_distances(left[:, rows], right[:, cols])).mean(0)
            if z is None:
                out[cols, rows] = tile.T
            out[rows, cols] = tile
            if progress:
                progress(done, len(parts))
        if z is None:
            out = out.triu(1) + out.triu(1).T
            out.diagonal().fill_(1)
        return out

    @accepts_numpy
    def diagonal(self, x: Tensor, *, feature_matrix: Tensor | None = None) -> Float[Tensor, " n"]:
        """K(x, x) of every image: 1."""
        self._check(x, None, feature_matrix)
        return x.new_ones(len(x))

    @abstractmethod
    def _value(self, squares: Squares) -> Squares:
        """k(d) from d^2."""

    @abstractmethod
    def _slope(self, squares: Squares) -> Squares:
        """-k'(d) / d from d^2; where patches coincide, the midpoint of the one-sided gradients is zero anyway."""

    def _patch_bars(
        self, x: Tensor, z: Tensor, dual_coef: Tensor, factor: Tensor | None, progress: Progress | None
    ) -> Iterator[Float[Tensor, "positions n k r"]]:
        left, right = self._patches(x, factor), self._patches(z, factor)
        positions, _, r = left.shape
        k = dual_coef.shape[1]
        image_entries = positions * (ARRAYS * len(z) + 2 * k * r)
        parts = blocks(len(x), self._budget // (image_entries * x.element_size()))
        for done, rows in enumerate(parts, 1):
            f = left[:, rows]
            slopes = self._slope(squared_distances(f, right))
            towards = torch.stack([slopes @ (right * coef[:, None]) for coef in dual_coef.T], 2)
            yield towards.sub_((slopes @ dual_coef)[..., None] * f[:, :, None])
            if progress:
                progress(done, len(parts))

    def _scale(self, x: Tensor) -> float:
        rows, cols = (self.window.output_length(length) for length in x.shape[-2:])
        return 1 / (rows * cols)

    def check_image_size(self, height: int, width: int) -> None:
        """Raise `InputError` for images too small for the kernel."""
        for length in (height, width):
            self.window.output_length(length)

    def _patches(self, x: Tensor, factor: Tensor | None) -> PatchesFirst:
        """L x[u], positions first."""
        window = self.window
        patches = unfold_patches(x, window) if factor is None else filter_patches(x, factor, window)
        return patches.flatten(2).permute(2, 0, 1).contiguous()

    def _pairs(self, patches: PatchesFirst) -> int:
        return max(1, self._budget // (ARRAYS * len(patches) * patches.element_size()))


@dataclass(frozen=True)
class Laplace(RadialKernel):
    """The mean over positions of exp(-|x[u] - z[u]|_M / bandwidth).

    Example:
        >>> images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> Laplace(patch_size=7, bandwidth=10.0)(images).shape
        torch.Size([2, 2])
    """

    def _value(self, squares: Squares) -> Squares:
        return squares.sqrt().div_(-self.bandwidth).exp_()

    def _slope(self, squares: Squares) -> Squares:
        distances = squares.sqrt()
        slopes = (distances / -self.bandwidth).exp_() / (self.bandwidth * distances)
        return torch.where(distances > 0, slopes, 0)


@dataclass(frozen=True)
class Gaussian(RadialKernel):
    """The mean over positions of exp(-|x[u] - z[u]|_M^2 / (2 bandwidth^2))."""

    def _value(self, squares: Squares) -> Squares:
        return (squares / (-2 * self.bandwidth**2)).exp_()

    def _slope(self, squares: Squares) -> Squares:
        return self._value(squares).div_(self.bandwidth**2)


def squared_distances(f: PatchesFirst, g: Float[Tensor, "positions m r"]) -> Squares:
    """|f - g|^2 at every position; what is zero but for rounding is zero."""
    norms = f.square().sum(2)[:, :, None] + g.square().sum(2)[:, None, :]
    squares = torch.baddbmm(norms, f, g.transpose(1, 2), alpha=-2)
    return torch.where(squares > 8 * torch.finfo(f.dtype).eps * norms, squares, 0)

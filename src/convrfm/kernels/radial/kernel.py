"""What radial kernels have in common: the matrix, gradients and outer products, from `value` and `slope` of squared distances.

    K(x, z) = mean over u of k(|x[u] - z[u]|_M),    |p|_M^2 = p^T M p = |L p|^2.

Gradients are closed-form: with f = L x[u], g = L z[u] and the *slope* s = -k'(d) / d, the gradient of K with respect to f is
the mean over u of s (g - f).
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

from ...errors import InputError
from ...maths.windows import Window
from ..integers import positive_integer
from ..patch_gradients import PatchGradients
from ..patch_kernel import PatchKernel, Progress, settle_numerics
from ..recording import is_recorded
from ..scales import is_finite
from ..threads import in_order, sum_in_order
from ..tiled_matrix import tiled_matrix
from ..tiling import blocks
from .outer_products import OuterProducts
from .pairs import gradients, sum_of_values
from .patches import PatchesOfImages, Squares
from .portions import Portions

MIRRORED_AT_ONCE = 64  # rows
TOGETHER_AND_APART = 2  # copies of gradients, as they are put together
WIDEST = 1e18  # bandwidth
UNRELATED = (
    "the kernel of every two images is 0: all of their patches lie hundreds of bandwidths apart, and the bandwidth is "
    "{bandwidth:g}. A bandwidth of about the distance of two patches tells images apart."
)


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
        """k(d) from d^2."""

    @abstractmethod
    def slope(self, squares: Squares) -> Squares:
        """-k'(d) / d from d^2; finite where patches coincide, and there without effect."""

    @property
    @override
    def window(self) -> Window:
        return Window(self.patch_size)

    @override
    def check_image_size(self, height: int, width: int) -> None:
        for length in (height, width):
            self.window.output_length(length)

    @override
    def matrix(
        self, x: Tensor, z: Tensor | None, factor: Float[Tensor, "r d"] | None, progress: Progress | None
    ) -> Float[Tensor, "n m"]:
        others = x if z is None else z
        left_of_all, right_of_all = self._patches(x, others, factor)
        out, portions = tiled_matrix(x, len(others), self.budget_on(x.device)), self._portions(left_of_all)
        tiles = [
            (rows, [cols for cols in blocks(len(others), portions.side) if z is not None or cols.stop > rows.start])
            for rows in blocks(len(x), portions.side)
        ]
        total, done = sum(len(across) for _, across in tiles), 0
        for rows, across in tiles:
            left = left_of_all.of(rows)
            for cols in across:
                right = left if z is None and rows == cols else right_of_all.of(cols)
                work = partial(sum_of_values, portions, self.value, left, right)
                out.put(rows, cols, sum_in_order(work, portions.rows, x.device) / portions.positions)
                done += 1
                if progress:
                    progress(done, total)
        whole = out.finished()
        if z is None:
            whole.diagonal().fill_(self._at_rest(x))
            mirror_upper_half(whole)
        if len(whole) > 1 and whole.count_nonzero() == (len(whole) if z is None else 0):
            warnings.warn(UNRELATED.format(bandwidth=self.bandwidth), stacklevel=5)
        return whole

    @override
    def own(self, x: Tensor, factor: Float[Tensor, "r d"] | None) -> Float[Tensor, " n"]:
        own = x.new_full((len(x),), self._at_rest(x))
        if not is_recorded(x, factor):
            return own
        nothing = own + (x - x).sum((1, 2, 3))
        return nothing if factor is None else nothing + (factor - factor).sum()

    @override
    def gradients(
        self,
        x: Tensor,
        z: Tensor,
        dual_coef: Tensor,
        factor: Float[Tensor, "r d"] | None,
        progress: Progress | None,
    ) -> PatchGradients:
        images, partners = self._patches(x, z, factor)
        portions = self._portions(images)

        def blocks_of_gradients() -> Iterator[Float[Tensor, "positions n k s"]]:
            of_an_image = TOGETHER_AND_APART * portions.positions * dual_coef.shape[1] * images.length
            parts = blocks(len(x), portions.numbers // 4 // of_an_image)
            for done, some in enumerate(parts, 1):
                work = partial(gradients, portions, self.slope, images.of(some), partners, dual_coef)
                yield torch.cat(in_order(work, portions.rows_of(slice(0, portions.rows))))
                if progress:
                    progress(done, len(parts))

        outer_products = OuterProducts(portions, self.slope, images, partners, dual_coef, progress)
        quicker = None if is_recorded(x, z, dual_coef, factor) else outer_products
        return PatchGradients(blocks_of_gradients, factor, scale=1 / portions.positions, outer_products=quicker)

    def _patches(
        self, x: Tensor, z: Tensor, factor: Float[Tensor, "r d"] | None
    ) -> tuple[PatchesOfImages, PatchesOfImages]:
        """Those of both, less the mean of x."""
        center = x.detach().mean(0, dtype=torch.float64).to(x)
        left, right = (PatchesOfImages(images, center, factor, self.window) for images in (x, z))
        return left, right

    def _at_rest(self, x: Tensor) -> float:
        """k(0)."""
        return float(self.value(x.new_zeros(1, 1, 1)))

    def _portions(self, patches: PatchesOfImages) -> Portions:
        return Portions.within(self.budget_on(patches.images.device), patches)


def mirror_upper_half(matrix: Float[Tensor, "n n"]) -> None:
    """Make a matrix symmetric in place, some rows at a time."""
    for rows in blocks(len(matrix), MIRRORED_AT_ONCE):
        square = matrix[rows, rows]
        matrix[rows, rows] = square.triu() + square.triu(1).T
        matrix[rows.stop :, rows] = matrix[rows, rows.stop :].T

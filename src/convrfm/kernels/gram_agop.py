"""The sum of gradient outer products from Gram matrices of adjoints, without the gradients.

With a_i[u] = dK(x, z_i) / dS1[u] the gradient of output o at the patch u of an image x is the sum over i of
C[i, o] a_i[u] z_i[u], and s_o[u] x[u] for what flows through x's own variances. Summed over outputs, its outer product needs
C only as C C^T: of each image's k gradients, d numbers each, the sum over images of the a_i[u] a_j[u] is left.

Of nearly parallel patches the adjoints are large and what they add up to is not: squared, that takes twice the digits.
So images in single precision are multiplied out in double, and images in double are left to the gradients.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..maths.agop import own_share, partners_share
from .engines.embedded_blocks import EmbeddedBlocks, largest_block
from .engines.protocol import AdjointEngine
from .recursion.recursion import Images, own_weights
from .threads import sum_in_order
from .tiling import blocks


class GramSum:
    """The sum over images x, outputs and positions, within a memory budget.

    A quarter of it holds the images z, a quarter some images x, a quarter the adjoints of a part of x with all z, and a
    quarter the products at some rows of positions.
    """

    def __init__(
        self,
        engine: AdjointEngine[Any],
        x: Images,
        z: Float[Tensor, "m c h w"],
        dual_coef: Float[Tensor, "m k"],
        factor: Float[Tensor, "r d"] | None,
        budget: int,
    ) -> None:
        self._engine, self._x, self._factor = engine.within(budget // 4), x, factor
        self._dual_coef, self._budget = dual_coef, budget
        self._z = EmbeddedBlocks(engine, z, factor, budget // 2, with_patches=True)
        self._grid = engine.recursion.architecture.grids(*x.shape[-2:])[0]
        rows, cols = self._grid
        n_z, rank, quarter = len(z), self._z.patch_entries, budget // 4
        self._together = min(len(x), quarter // (rows * cols * n_z * x.element_size()))
        # The adjoints of an image's variances, here, in the engine and on their way back to its patches.
        self._beside = dual_coef.shape[1] * (3 * self._z.variances + 4 * rows * cols)
        self._fits = self._beside * x.element_size() <= quarter
        block = min(self._together, largest_block(x))
        by_partners = n_z * (n_z + 3 * rank) + self._together * n_z  # numbers at one position
        by_own = 2 * n_z * rank + block * (2 * n_z + 3 * rank)
        self._grid_rows = min(rows, quarter // (cols * max(by_partners, by_own) * torch.float64.itemsize))

    @property
    def pays(self) -> bool:
        """Whether memory suffices and the gradients would cost more.

        At each position the gradients of n images with respect to m partners take n m k r products, and their outer products
        n k r^2 / 2. The Gram matrix of b images together takes m^2 (b + r) and m r^2 / 2, and the images' own patches n times
        m (k + r) and r^2; products in double precision count twice.
        """
        fits = self._fits and self._z.all_are_kept and self._together and self._grid_rows
        if self._x.dtype != torch.float32 or not fits:
            return False
        n, (m, k), r = len(self._x), self._dual_coef.shape, self._z.patch_entries
        parts = -(-n // self._together)
        gradients = n * k * (m * r + r**2 / 2)
        grams = parts * (m**2 * r + m * r**2 / 2) + n * (m * (m + k + r) + r**2)
        return 2 * grams < gradients

    def __call__(
        self, roots: Float[Tensor, " n"] | None, progress: Callable[[int, int], None] | None
    ) -> Float[Tensor, "s s"]:
        """The sum, the gradients of every image of x times its root; `progress` counts images."""
        total = torch.zeros(2 * (self._z.patch_entries,), dtype=torch.float64, device=self._x.device)
        for part in blocks(len(self._x), self._together):
            self._add_part(part, roots, progress, total)
        return total.to(self._x)

    def _add_part(
        self,
        part: slice,
        roots: Float[Tensor, " n"] | None,
        progress: Callable[[int, int], None] | None,
        total: Float[Tensor, "s s"],
    ) -> None:
        engine, coef = self._engine, self._dual_coef
        x = self._x[part]
        left = EmbeddedBlocks(engine, x, self._factor, self._budget // 2, with_patches=True, beside=self._beside)
        adjoints = x.new_empty(self._grid[0] * self._grid[1], len(x), len(coef))
        for rows in left.blocks:
            images = left.embed(rows)
            variances = [q.new_zeros(len(q), coef.shape[1], *q.shape[1:]) for q in images.variances]
            for cols in self._z.blocks:
                tiles = engine.adjoints(images, self._z[cols], coef[cols], variances)
                for some, tile in tiles:
                    adjoints[:, rows.start + some.start : rows.start + some.stop, cols] = tile
            own = own_weights(engine.recursion, images, variances)
            root = None if roots is None else roots[part][rows]
            if root is not None:
                adjoints[:, rows] *= root[:, None]
            if own is not None:
                if root is not None:
                    own *= root[:, None, None, None]
                for grid_rows, positions in self._positions():
                    patches, partners = images.patches_of(grid_rows).double(), self._partners(grid_rows)
                    met, weights = adjoints[positions, rows], own[:, :, grid_rows].flatten(2).permute(2, 0, 1).double()
                    total += sum_in_order(partial(_own, weights, patches, met, partners, coef), len(met), met.device)
            if progress:
                progress(part.start + rows.stop, len(self._x))
        gram = coef.double() @ coef.double().T
        for grid_rows, positions in self._positions():
            met, partners = adjoints[positions], self._partners(grid_rows)
            total += sum_in_order(partial(_of_partners, met, partners, gram), len(met), met.device)

    def _positions(self) -> list[tuple[slice, slice]]:
        """Rows of positions that are multiplied out at once, and all their positions."""
        rows, cols = self._grid
        return [(some, slice(some.start * cols, some.stop * cols)) for some in blocks(rows, self._grid_rows)]

    def _partners(self, grid_rows: slice) -> Float[Tensor, "positions m r"]:
        return torch.cat([self._z[cols].patches_of(grid_rows) for cols in self._z.blocks], 1).double()


def _own(weights: Tensor, patches: Tensor, adjoints: Tensor, partners: Tensor, coef: Tensor, at: slice) -> Tensor:
    """`own_share` of some positions, in double precision."""
    return own_share(weights[at], patches[at], adjoints[at].double(), partners[at], coef.double())


def _of_partners(adjoints: Tensor, partners: Tensor, gram: Tensor, at: slice) -> Tensor:
    """`partners_share` of some positions, in double precision."""
    return partners_share(adjoints[at].double(), partners[at], gram)

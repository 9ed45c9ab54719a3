"""The sum of gradient outer products from Gram matrices of adjoints, without the gradients.

With a_i[u] = dK(x, z_i) / dS1[u] the gradient of output o at the patch u of an image x is the sum over i of
C[i, o] a_i[u] z_i[u], and s_o[u] x[u] for what flows through x's own variances. Summed over outputs, its outer product needs
C only as C C^T: of each image's k gradients, d numbers each, the sum over images of the a_i[u] a_j[u] is left.

Of nearly parallel patches the adjoints are large and what they add up to is not: squared, that takes twice the digits.
So images in single precision are multiplied out in double, and images in double are left to the gradients.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..maths.agop import own_share, partners_share
from .engines import memory_plan
from .engines.embedded_blocks import EmbeddedBlocks
from .engines.protocol import AdjointEngine
from .gram_plan import GramPlan
from .growth import whole_of
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
        self._engine, self._x, self._factor, self._dual_coef = engine, x, factor, dual_coef
        self._budget, self._quarter = budget, budget // 4
        plan = memory_plan.plan(engine, z, factor, budget // 2, with_patches=True)
        self._z = EmbeddedBlocks(engine, z, factor, plan, with_patches=True)
        rows, cols = engine.recursion.architecture.grids(*x.shape[-2:])[0]
        self.plan = GramPlan(
            images=len(x),
            partners=len(z),
            outputs=dual_coef.shape[1],
            entries=memory_plan.contracted_entries(engine, x, factor),
            variances=memory_plan.variances_of(engine, x),
            rows=rows,
            cols=cols,
            block=memory_plan.largest_block(x),
            quarter=self._quarter // torch.float64.itemsize,
            quarter_of_adjoints=self._quarter // x.element_size(),
        )
        self._keeps_all = plan.keeps_all

    @property
    def pays(self) -> bool:
        """Whether memory suffices and the gradients would cost more; of a part that is timed, and of the whole."""
        return self.pays_for_whole and self.plan.fits and self.plan.costs_less

    @property
    def pays_for_whole(self) -> bool:
        """The same of all images, where a part is timed to tell of them."""
        n, m = whole_of(self.plan.images, self.plan.partners)
        whole = replace(self.plan, images=n, partners=m)
        return self._x.dtype == torch.float32 and self._keeps_all and whole.fits and whole.costs_less

    def __call__(
        self, roots: Float[Tensor, " n"] | None, progress: Callable[[int, int], None] | None
    ) -> Float[Tensor, "s s"]:
        """The sum, the gradients of every image of x times its root; `progress` counts images."""
        total = torch.zeros(2 * (self.plan.entries,), dtype=torch.float64, device=self._x.device)
        for part in blocks(len(self._x), self.plan.together):
            self._add_part(part, roots, progress, total)
        return total.to(self._x)

    def _add_part(
        self,
        part: slice,
        roots: Float[Tensor, " n"] | None,
        progress: Callable[[int, int], None] | None,
        total: Float[Tensor, "s s"],
    ) -> None:
        engine, coef = self._engine.within(self._quarter), self._dual_coef
        x = self._x[part]
        plan = memory_plan.plan(engine, x, self._factor, self._budget // 2, with_patches=True, beside=self.plan.beside)
        left = EmbeddedBlocks(engine, x, self._factor, plan, with_patches=True)
        adjoints = x.new_empty(self.plan.rows * self.plan.cols, len(x), len(coef))
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
        rows, cols = self.plan.rows, self.plan.cols
        return [(some, slice(some.start * cols, some.stop * cols)) for some in blocks(rows, self.plan.grid_rows)]

    def _partners(self, grid_rows: slice) -> Float[Tensor, "positions m r"]:
        return torch.cat([self._z[cols].patches_of(grid_rows) for cols in self._z.blocks], 1).double()


def _own(weights: Tensor, patches: Tensor, adjoints: Tensor, partners: Tensor, coef: Tensor, at: slice) -> Tensor:
    """`own_share` of some positions, in double precision."""
    return own_share(weights[at], patches[at], adjoints[at].double(), partners[at], coef.double())


def _of_partners(adjoints: Tensor, partners: Tensor, gram: Tensor, at: slice) -> Tensor:
    """`partners_share` of some positions, in double precision."""
    return partners_share(adjoints[at].double(), partners[at], gram)

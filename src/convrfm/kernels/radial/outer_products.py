"""The sum of gradient outer products of a radial kernel's predictor, row by row of positions.

With slopes s_ij[u] of images i and partners j, the gradient of output o is the sum over j of C[j, o] s_ij g_j, less the sum
over j of C[j, o] s_ij times f_i. So slopes are what adjoints are to the kernels of networks, and where outputs are many their
outer products follow without gradients as there (`gram_agop`).
"""

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from ...maths.agop import own_share, partners_share, sum_of_outer_products
from ..gram_plan import OF_A_PARTNER, OF_AN_OWN_PATCH, gram_matrices_cost_less
from ..patch_gradients import Roots
from ..patch_kernel import Progress
from ..threads import MOST_PARTS, sum_in_order
from ..tiling import blocks
from .pairs import Function, gradients, slopes
from .patches import PatchesOfImages
from .portions import MOST_IMAGES, MOVED, UNFOLDED, Portions

DOUBLE = 2  # numbers in single precision that one in double takes
OF_AN_OUTPUT = 3  # what an image's own patch is weighed by, as it is added up and turned, and its square
SUMS = 3  # of outer products, while one is added
OF_A_PAIR = 4  # its slope as it is made and put together, in double, and what its own patch is weighed by


@dataclass(frozen=True)
class OuterProducts:
    """The sum over images, outputs and positions.

    Attributes:
        portions: what is done at a time.
        slope: of the kernel.
        images: at which gradients are taken.
        partners: the training images.
        coef: their coefficients C.
        progress: called with the number of blocks of images that are done, and of all.
    """

    portions: Portions
    slope: Function
    images: PatchesOfImages
    partners: PatchesOfImages
    coef: Float[Tensor, "m k"]
    progress: Progress | None

    def __call__(self, roots: Roots | None) -> Float[Tensor, "r r"]:
        """The sum, the gradients of every image times its root."""
        x, r = self.images.images, self.images.length
        if self.without_gradients:
            coef = self.coef.double()
            summed, height = partial(self._by_slopes, coef, coef @ coef.T), MOST_IMAGES
            most = self._threads_by_slopes
        else:
            summed = partial(self._by_gradients)
            height, most = min(self.portions.side, self.portions.images_with(self.coef.shape[1] * r)), MOST_PARTS
        total, parts = x.new_zeros(r, r), blocks(len(x), height)
        for done, some in enumerate(parts, 1):
            work = partial(summed, self.images.of(some), None if roots is None else roots[some, None])
            total += sum_in_order(work, self.images.grid[0], x.device, most).to(x)
            if self.progress:
                self.progress(done, len(parts))
        return total

    @property
    def without_gradients(self) -> bool:
        """Whether memory suffices for that, it costs less, and double precision holds twice the digits."""
        n, (m, k), r = len(self.images.images), self.coef.shape, self.images.length
        if self.coef.dtype != torch.float32 or self._threads_by_slopes == 0:
            return False
        return gram_matrices_cost_less(n, m, k, r, parts=len(blocks(n, MOST_IMAGES)))

    @property
    def _threads_by_slopes(self) -> int:
        """For how many half of the budget has room: each holds the patches of some columns, and products at some of those."""
        n, (m, k), r = min(len(self.images.images), MOST_IMAGES), self.coef.shape, self.images.length
        portions = self.portions
        positions = portions.rows_held * portions.cols_of(n, m)[0].stop
        patches = (n + m) * (MOVED * portions.strip * portions.rows_held + UNFOLDED * portions.entries * positions)
        products = m * (m + OF_A_PARTNER * r) + n * (OF_A_PAIR * m + OF_AN_OWN_PATCH * r + OF_AN_OUTPUT * k)
        together = portions.at_once(positions, m**2)[0].stop
        of_all_threads = m * (m + k) + min(MOST_PARTS, portions.rows) * r**2  # C, C C^T, and the sum of every part
        of_a_thread = products * together + SUMS * r**2
        return max(0, portions.numbers // 2 - DOUBLE * of_all_threads) // (patches + DOUBLE * of_a_thread)

    def _by_gradients(self, left: PatchesOfImages, roots: Tensor | None, some_rows: slice) -> Float[Tensor, "r r"]:
        total = self.coef.new_zeros(2 * (left.length,))
        for rows in self.portions.rows_of(some_rows):
            found = gradients(self.portions, self.slope, left, self.partners, self.coef, rows)
            total += sum_of_outer_products(found if roots is None else found.mul_(roots[..., None]))
        return total

    def _by_slopes(
        self,
        coef: Float[Tensor, "m k"],
        gram: Float[Tensor, "m m"],
        left: PatchesOfImages,
        roots: Tensor | None,
        some_rows: slice,
    ) -> Float[Tensor, "r r"]:
        total = coef.new_zeros(2 * (left.length,))
        for rows in self.portions.rows_of(some_rows):
            mine, theirs = left.strip(rows), self.partners.strip(rows)
            for cols in self.portions.cols_of(len(left.images), len(coef)):
                f, g = mine.at(cols), theirs.at(cols)
                for at in self.portions.at_once(len(f.norms), len(coef) ** 2):
                    adjoints = slopes(self.portions, self.slope, f.at(at), g.at(at)).double()
                    if roots is not None:
                        adjoints *= roots
                    patches, partners = (side.entries[at].mT.double() for side in (f, g))
                    total += own_share(-(adjoints @ coef), patches, adjoints, partners, coef)
                    total += partners_share(adjoints, partners, gram)
        return total

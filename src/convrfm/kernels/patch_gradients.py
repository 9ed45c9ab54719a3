"""The gradient of a kernel's predictor with respect to patches, block by block of images, and its outer products."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor

from ..maths.agop import sum_of_outer_products
from ..maths.precision import full_precision
from .recording import is_recorded
from .threads import sum_in_order

Blocks = Iterator[Float[Tensor, "positions n k s"]]
Roots = Float[Tensor, " n"]


@dataclass(frozen=True)
class PatchGradients:
    """Gradients `scale * block @ factor` of k outputs with respect to patches.

    Attributes:
        blocks: makes them, `(positions, n, k, s)`, some images at a time; memory may be reused, unless torch records them.
        factor: what they are still to be multiplied by, `(s, d)`: L where they are with respect to L x[u]; None for nothing.
        scale: the number that they leave out.
        outer_products: a quicker way to the sum of g g^T over all blocks g, every image times its root; None for none.
    """

    blocks: Callable[[], Blocks]
    factor: Float[Tensor, "s d"] | None
    scale: float
    outer_products: Callable[[Roots | None], Float[Tensor, "s s"]] | None = None

    @full_precision()
    def whole(self) -> Float[Tensor, "n k positions d"]:
        """All of them at once."""
        gradients = torch.cat([block.clone() for block in self.blocks()], 1).permute(1, 2, 0, 3)
        return self.scale * (gradients if self.factor is None else gradients @ self.factor)

    @full_precision()
    def sum_of_outer_products(self, roots: Roots | None) -> Float[Tensor, "d d"]:
        """The sum over positions, images and outputs of g g^T, every image times its root squared."""
        if self.outer_products is not None and not is_recorded(roots):
            inner = self.outer_products(roots)
        else:
            blocks = self.blocks() if roots is None else _weighted(self.blocks(), roots)
            inner = reduce(torch.add, map(_sum_of_outer_products, blocks))
        inner = inner * self.scale**2
        return inner if self.factor is None else self.factor.T @ inner @ self.factor


def _sum_of_outer_products(gradients: Float[Tensor, "positions n k s"]) -> Float[Tensor, "s s"]:
    return sum_in_order(lambda at: sum_of_outer_products(gradients[at]), len(gradients), gradients.device)


def _weighted(blocks: Blocks, roots: Roots) -> Blocks:
    """The blocks, every image times its root."""
    done = 0
    for block in blocks:
        of_block = roots[done : done + block.shape[1], None, None]
        yield block * of_block if is_recorded(block, roots) else block.mul_(of_block)
        done += block.shape[1]

"""Images as an engine reads them, block by block, within a memory budget."""

from dataclasses import replace
from typing import Generic

from torch import Tensor

from ..layers import AvgPool, Conv
from ..recursion.recursion import patch_entries
from ..tiling import blocks
from .protocol import BoundEngine, EmbeddingT, Patches

LARGEST_BLOCK = 128  # images; small enough that progress is seen, large enough that embedding them costs nothing
LARGEST_GRADIENT = 64  # images; their gradients are the largest temporary
TIMES_ON_A_GPU = 16  # which many pairs keep busy


class EmbeddedBlocks(Generic[EmbeddingT]):
    """Images embedded block by block: as many are kept as fit half the budget, the others are embedded when asked for.

    What costs the most and takes the least, each image's variances, is kept first; then what a side of a pair is read from.

    Args:
        engine: embeds the images.
        x: the images.
        factor: of the metric; None for the identity.
        budget: bytes; half of it bounds a block with all that it takes, and half what is kept of all blocks.
        with_patches: whether adjoints are contracted with their patches.
        outputs: how many have gradients at a block's images; 0 for none.
        beside: numbers that an image of a block takes besides.

    Attributes:
        blocks: the images of every block.
        all_are_kept: whether every block is embedded but once.
        patch_entries: r, of a patch as adjoints are contracted with it.
        variances: how many an image has, over all activations.
    """

    def __init__(
        self,
        engine: BoundEngine[EmbeddingT],
        x: Tensor,
        factor: Tensor | None,
        budget: int,
        *,
        with_patches: bool = False,
        outputs: int = 0,
        beside: int = 0,
    ) -> None:
        self._engine, self._x, self._factor = engine, x, factor
        recursion = engine.recursion
        grids = recursion.architecture.grids(*x.shape[-2:])
        first = grids[0][0] * grids[0][1]
        embeds, used = engine.embeds_patches(factor), with_patches or factor is not None
        rank = patch_entries(recursion, x) if factor is None or not embeds else len(factor)
        patches = rank * first if used else first
        hidden = zip(recursion.architecture.hidden, grids, strict=False)  # the grid in front of each
        self.variances = sum(rows * cols for layer, (rows, cols) in hidden if not isinstance(layer, Conv | AvgPool))
        kept = first + 5 * self.variances
        side = (3 if with_patches else 2) * x[0].numel()
        if embeds:
            kept += patches
            side = patches + (side if rank == patch_entries(recursion, x) else 3 * first)  # pixels, or lanes filled up
        entries = kept + side + patches * (2 + 3 * outputs) + beside
        entries += engine.own_entries((x.shape[2], x.shape[3]), outputs)
        half = budget // 2 // x.element_size()
        self.blocks = blocks(len(x), min(largest_block(x, gradients=outputs > 0), half // entries))
        self._kept: dict[int, EmbeddingT] = {}
        self._may_keep = half // kept  # images, the last ones: a symmetric kernel meets them most often
        self._keeps_sides = (kept + side) * len(x) <= half
        self.all_are_kept = self._keeps_sides and self._may_keep >= len(x)
        self.patch_entries = rank
        fits = embeds or (kept + side + patches) * len(x) <= half
        self._patches: Patches = ("kept" if fits else "on demand") if with_patches else "unused"

    def embed(self, rows: slice) -> EmbeddingT:
        """For one row of tiles."""
        return self._embedded(rows, "unused" if self._patches == "unused" else "kept")

    def __getitem__(self, rows: slice) -> EmbeddingT:
        images = self._kept.get(rows.start)
        if images is None:
            images = self._embedded(rows, self._patches)
            if len(self._x) - rows.start <= self._may_keep:
                self._kept[rows.start] = images
        return images if self._keeps_sides else replace(images)  # sides are made when first read, and go with the copy

    def _embedded(self, rows: slice, patches: Patches) -> EmbeddingT:
        return self._engine.embed(self._x[rows], self._factor, patches=patches)


def largest_block(x: Tensor, *, gradients: bool = False) -> int:
    """How many images at once are enough, whatever the budget."""
    return (LARGEST_GRADIENT if gradients else LARGEST_BLOCK) * (TIMES_ON_A_GPU if x.is_cuda else 1)

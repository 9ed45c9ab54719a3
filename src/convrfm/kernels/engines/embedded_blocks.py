"""Images as an engine reads them, block by block, within a memory plan."""

from dataclasses import replace
from typing import Generic

from torch import Tensor

from ..tiling import blocks
from .memory_plan import MemoryPlan
from .protocol import BoundEngine, EmbeddingT, Patches


class EmbeddedBlocks(Generic[EmbeddingT]):
    """Images embedded block by block: as many are kept as the plan allows, the others are embedded when asked for.

    Args:
        engine: embeds the images.
        x: the images.
        factor: of the metric; None for the identity.
        plan: what fits.
        with_patches: whether adjoints are contracted with their patches.

    Attributes:
        blocks: the images of every block.
    """

    def __init__(
        self,
        engine: BoundEngine[EmbeddingT],
        x: Tensor,
        factor: Tensor | None,
        plan: MemoryPlan,
        *,
        with_patches: bool = False,
    ) -> None:
        self._engine, self._x, self._factor, self._plan = engine, x, factor, plan
        self.blocks = blocks(len(x), plan.block)
        self._kept: dict[int, EmbeddingT] = {}
        self._with_patches = with_patches

    def embed(self, rows: slice) -> EmbeddingT:
        """For one row of tiles."""
        return self._embedded(rows, "kept")

    def __getitem__(self, rows: slice) -> EmbeddingT:
        images = self._kept.get(rows.start)
        if images is None:
            images = self._embedded(rows, "kept" if self._plan.keeps_patches else "on demand")
            # Of the last images first: a symmetric kernel meets them most often.
            if len(self._x) - rows.start <= self._plan.kept:
                self._kept[rows.start] = images
        # Sides are made when first read, and go with the copy.
        return images if self._plan.keeps_sides else replace(images)

    def _embedded(self, rows: slice, patches: Patches) -> EmbeddingT:
        wanted: Patches = patches if self._with_patches else "unused"
        embedded = self._engine.embed(self._x[rows], self._factor, patches=wanted)
        for activation, variances in zip(
            self._engine.recursion.architecture.activations, embedded.variances, strict=True
        ):
            activation.check_digits(variances.detach())
        return embedded

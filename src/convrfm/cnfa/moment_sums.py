"""What is kept of a layer while the images pass: its gradients, until they outgrow the matrices that they make."""

from collections import defaultdict
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .moments import Gradients, Moments
from .outer_products import ProductSums


@dataclass(frozen=True)
class Block:
    """Gradients of one backward pass at the output of one use of a layer.

    Attributes:
        deltas: At least float32.
        first_direction: The number of the first direction.
        first_image: The number of the first image; None if the layer mixes images (then n is 1).
    """

    deltas: Float[Tensor, "directions n groups rows positions"]
    first_direction: int
    first_image: int | None

    @property
    def count(self) -> int:
        """How many gradients there are in each group."""
        return self.deltas[:, :, 0, 0].numel()

    @property
    def columns(self) -> Float[Tensor, "groups rows m"]:
        """All of them side by side."""
        return self.deltas.permute(2, 3, 0, 1, 4).flatten(2)

    @property
    def by_image(self) -> Float[Tensor, "n groups rows m"]:
        """Those of each image side by side."""
        return self.deltas.permute(1, 2, 3, 0, 4).flatten(3)

    @property
    def direction_of(self) -> Int[Tensor, " m"]:
        """The direction of each column."""
        directions = self.first_direction + torch.arange(len(self.deltas))
        return directions.repeat_interleave(self.count // len(directions))

    @property
    def images(self) -> Int[Tensor, " n"]:
        """The numbers of the images."""
        return (self.first_image or 0) + torch.arange(self.deltas.shape[1])

    @property
    def image_of(self) -> Int[Tensor, " m"]:
        """The image of each column."""
        return self.images.repeat_interleave(self.deltas.shape[-1]).repeat(len(self.deltas))


class MomentSums:
    """One layer, on the device of its gradients.

    As long as the gradients are fewer than the rows and the columns of the filters, they are kept as they are: every
    figure then follows from their inner products. Beyond that, products are summed, many gradients at a time.

    Attributes:
        uses: How often the layer ran in one forward pass.
    """

    def __init__(self, filters: Float[Tensor, "groups rows d"], n_probes: int, n_parts: int, summed_parts: int) -> None:
        """Start with no images.

        Args:
            filters: W.
            n_probes: How many probes the directions are; 0 if they are outputs.
            n_parts: Parts of the images that are told apart for intervals; 0 for none.
            summed_parts: As many at most once products are summed: then each part is a matrix.
        """
        self.filters = filters
        self.uses = 0
        self._n_probes, self._n_parts, self._summed_parts = n_probes, n_parts, min(n_parts, summed_parts)
        self._mixed = False
        self._waiting: list[Block] = []
        self._products: ProductSums | None = None

    def add(
        self,
        deltas: Float[Tensor, "directions n groups rows positions"],
        first_direction: int,
        first_image: int | None,
    ) -> None:
        """Add the gradients of one backward pass at the output of one use.

        Args:
            deltas: At least float32.
            first_direction: The number of the first direction.
            first_image: The number of the first image; None if the layer mixes images: then n is 1, and the layer has
                no intervals.
        """
        self._mixed |= first_image is None
        self._waiting.append(Block(deltas, first_direction, first_image))
        if sum(block.count for block in self._waiting) >= min(self.filters.shape[1:]):
            self._multiply()

    def finish(self, n_images: int) -> Moments:
        """The means over all images that were added."""
        scale = 1 / (n_images * max(1, self._n_probes))
        if self._products is None:
            return self._of_gradients(scale)
        self._multiply()
        probes, parts = self._products.probes, self._products.parts
        return Moments(
            filters=self.filters.cpu(),
            covariance=(self._products.covariance * scale).cpu(),
            parts=None if parts is None or self._mixed else parts[:n_images].cpu(),
            probes=None if probes is None else probes.cpu(),
            uses=self.uses,
        )

    def _of_gradients(self, scale: float) -> Moments:
        blocks = self._waiting
        if not blocks:
            groups, rows, _ = self.filters.shape
            nothing = torch.zeros(groups, rows, rows, dtype=torch.float64)
            return Moments(self.filters.cpu(), nothing, uses=self.uses)
        columns = torch.cat([block.columns for block in blocks], -1).cpu() * scale**0.5
        part_of = torch.cat([block.image_of for block in blocks]) % max(1, self._n_parts)
        probe_of = torch.cat([block.direction_of for block in blocks])
        doubled = columns.double()
        return Moments(
            filters=self.filters.cpu(),
            covariance=doubled @ doubled.mT,
            gradients=Gradients(columns, None if self._mixed else part_of, probe_of if self._n_probes else None),
            uses=self.uses,
        )

    def _multiply(self) -> None:
        if self._products is None:
            self._products = ProductSums(self.filters, self._n_probes, self._summed_parts)
        waiting, self._waiting = self._waiting, []
        if self._n_probes:
            for block in waiting:
                for probe, deltas in enumerate(block.deltas, block.first_direction):
                    self._products.add(deltas, probe, self._parts_of(block))
            return
        same_images: dict[tuple[int | None, int], list[Block]] = defaultdict(list)
        for block in waiting:
            same_images[block.first_image, len(block.images)].append(block)
        for blocks in same_images.values():
            together = torch.cat([block.by_image for block in blocks], -1)
            self._products.add(together, None, self._parts_of(blocks[0]))

    def _parts_of(self, block: Block) -> Int[Tensor, " n"]:
        return block.images % max(1, self._summed_parts)

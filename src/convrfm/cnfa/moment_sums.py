"""What is kept of a layer while the images pass: its gradients, until they outgrow the matrices that they make."""

from collections import defaultdict

import torch
from jaxtyping import Float
from torch import Tensor

from ..maths.symmetric import symmetric_product
from .moments import Gradients, Moments
from .outer_products import Block, ProductSums


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
        self._waiting: list[Block] = []
        self._products: ProductSums | None = None

    def add(
        self, deltas: Float[Tensor, "directions n groups rows positions"], first_direction: int, first_image: int
    ) -> None:
        """Add the gradients of one backward pass at the output of one use.

        Args:
            deltas: At least float32.
            first_direction: The number of the first direction.
            first_image: The number of the first image; images that are resampled together have one number.
        """
        self._waiting.append(Block(deltas, first_direction, first_image))
        if self._n_waiting >= self.filters.shape[1]:
            self._multiply()

    def finish(self, n_images: int, n_resampled: int) -> Moments:
        """The means over all images that were added, under as many numbers."""
        scale = 1 / (n_images * max(1, self._n_probes))
        if self._products is None and self._n_waiting < min(self.filters.shape[1:]):
            return self._of_gradients(scale, min(self._n_parts, n_resampled))
        self._multiply()
        assert self._products is not None
        probes, parts = self._products.probes, self._products.parts
        return Moments(
            filters=self.filters.cpu(),
            covariance=(self._products.covariance * scale).cpu(),
            parts=None if parts is None else parts[:n_resampled].cpu(),
            probes=None if probes is None else (probes / n_images).cpu(),
            uses=self.uses,
        )

    def _of_gradients(self, scale: float, n_parts: int) -> Moments:
        blocks = self._waiting
        if not blocks:
            groups, rows, _ = self.filters.shape
            nothing = torch.zeros(groups, rows, rows, dtype=torch.float64)
            return Moments(self.filters.cpu(), nothing, uses=self.uses)
        columns = torch.cat([block.columns for block in blocks], -1).cpu() * scale**0.5
        part_of = torch.cat([block.image_of for block in blocks]) % max(1, self._n_parts)
        probe_of = torch.cat([block.direction_of for block in blocks])
        return Moments(
            filters=self.filters.cpu(),
            covariance=symmetric_product(columns),
            gradients=Gradients(columns, part_of, n_parts, probe_of if self._n_probes else None),
            uses=self.uses,
        )

    def _multiply(self) -> None:
        if self._products is None:
            self._products = ProductSums(self.filters, self._n_probes, self._summed_parts)
        of_images: dict[tuple[int, int], list[Block]] = defaultdict(list)
        for block in self._waiting:
            of_images[block.first_image, len(block.images)].append(block)
        for blocks in of_images.values():
            self._products.add(blocks, blocks[0].images % max(1, self._summed_parts))
        self._waiting = []

    @property
    def _n_waiting(self) -> int:
        return sum(block.count for block in self._waiting)

"""Sums of `delta delta^T` over images, outputs and positions: of all, of each probe, of each part of the images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..maths.symmetric import symmetric_product


@dataclass(frozen=True)
class Block:
    """Gradients of one backward pass at the output of one use of a layer.

    Attributes:
        deltas: At least float32.
        first_direction: The number of the first direction.
        first_image: The number of the first image.
    """

    deltas: Float[Tensor, "directions n groups rows positions"]
    first_direction: int
    first_image: int

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

    def mapped(self, maps: Float[Tensor, "groups r rows"]) -> "Block":
        """Every gradient multiplied by its group's matrix."""
        columns = maps.to(self.deltas) @ self.columns
        directions, n, _, _, positions = self.deltas.shape
        deltas = columns.unflatten(-1, (directions, n, positions)).permute(2, 3, 0, 1, 4)
        return replace(self, deltas=deltas)

    @property
    def direction_of(self) -> Int[Tensor, " m"]:
        """The direction of each column."""
        directions = self.first_direction + torch.arange(len(self.deltas))
        return directions.repeat_interleave(self.count // len(directions))

    @property
    def images(self) -> Int[Tensor, " n"]:
        """The numbers of the images."""
        return self.first_image + torch.arange(self.deltas.shape[1])

    @property
    def image_of(self) -> Int[Tensor, " m"]:
        """The image of each column."""
        return self.images.repeat_interleave(self.deltas.shape[-1]).repeat(len(self.deltas))


class ProductSums:
    """Running sums of one layer, on the device of its gradients.

    Attributes:
        covariance: Of everything, float64.
        probes: Of each probe, None if there are none; for tall filters W between them, `W^T (...) W`.
        parts: Of each part of the images, likewise; as many as had images.
    """

    def __init__(self, filters: Float[Tensor, "groups rows d"], n_probes: int, n_parts: int) -> None:
        groups, rows, d = filters.shape
        r = min(rows, d)
        single = torch.promote_types(filters.dtype, torch.float32)
        self._tall_filters = filters.to(single) if rows > d else None
        self.covariance = filters.new_zeros(groups, rows, rows, dtype=torch.float64)
        self.probes = filters.new_zeros(n_probes, groups, r, r, dtype=single) if n_probes else None
        self.parts = filters.new_zeros(0, groups, r, r, dtype=single) if n_parts else None
        self._n_parts = n_parts

    def add(self, blocks: Sequence[Block], part_of: Int[Tensor, " n"]) -> None:
        """Add gradients of the same images, and say to which part each image belongs."""
        if self._tall_filters is None:
            for probe, gradients in self._told_apart(blocks):
                self.covariance += self._add(gradients, probe, part_of)
            return
        self.covariance += _product(_side_by_side(blocks))
        if self.probes is not None or self.parts is not None:
            mapped = [block.mapped(self._tall_filters.mT) for block in blocks]
            for probe, gradients in self._told_apart(mapped):
                self._add(gradients, probe, part_of)

    def _told_apart(self, blocks: Sequence[Block]) -> Iterator[tuple[int, Float[Tensor, "n groups rows m"]]]:
        """The gradients of each probe; all of them where probes are not told apart."""
        if self.probes is None:
            yield 0, _side_by_side(blocks)
            return
        for block in blocks:
            yield from enumerate(block.deltas, block.first_direction)

    def _add(
        self, gradients: Float[Tensor, "n groups r m"], probe: int, part_of: Int[Tensor, " n"]
    ) -> Float[Tensor, "groups r r"]:
        if self.parts is None:
            total = _product(gradients)
        else:
            by_image = gradients @ gradients.mT
            self.parts = self._grown(self.parts, int(part_of.max()) + 1)
            self.parts.index_add_(0, part_of.to(self.parts.device), by_image.to(self.parts))
            total = by_image.sum(0)
        if self.probes is not None:
            self.probes[probe] += total
        return total

    def _grown(self, parts: Float[Tensor, "n groups r r"], count: int) -> Float[Tensor, "more groups r r"]:
        """With room for so many, and for more to come."""
        if count <= len(parts):
            return parts
        room = min(max(count, 2 * len(parts)), self._n_parts)
        grown = parts.new_zeros(room, *parts.shape[1:])
        grown[: len(parts)] = parts
        return grown


def _side_by_side(blocks: Sequence[Block]) -> Float[Tensor, "n groups rows m"]:
    return blocks[0].by_image if len(blocks) == 1 else torch.cat([block.by_image for block in blocks], -1)


def _product(gradients: Float[Tensor, "n groups rows m"]) -> Float[Tensor, "groups rows rows"]:
    """Summed over images: image by image where that moves less memory, otherwise side by side."""
    n, _, rows, m = gradients.shape
    if n > 1 and m > rows:
        return (gradients @ gradients.mT).sum(0)
    return symmetric_product(gradients.permute(1, 2, 0, 3).flatten(2))

"""Sums of `delta delta^T` over images, outputs and positions: of all, of each probe, of each part of the images."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


class ProductSums:
    """Running sums of one layer, on the device of its gradients.

    Attributes:
        covariance: Of everything, float64.
        probes: Of each probe, None if there are none; for tall filters W between them, `W^T (...) W`.
        parts: Of each part of the images, likewise.
    """

    def __init__(self, filters: Float[Tensor, "groups rows d"], n_probes: int, n_parts: int) -> None:
        groups, rows, d = filters.shape
        r = min(rows, d)
        single = torch.promote_types(filters.dtype, torch.float32)
        self._tall_filters = filters if rows > d else None
        self.covariance = filters.new_zeros(groups, rows, rows, dtype=torch.float64)
        self.probes = filters.new_zeros(n_probes, groups, r, r, dtype=single) if n_probes else None
        self.parts = filters.new_zeros(n_parts, groups, r, r, dtype=single) if n_parts else None

    def add(self, gradients: Float[Tensor, "n groups rows m"], probe: int | None, part_of: Int[Tensor, " n"]) -> None:
        """Add the products of m gradients for each of n images.

        Args:
            gradients: At the layer's output.
            probe: Which probe they are of, if there are probes.
            part_of: To which part each image belongs, if there are parts.
        """
        if self._tall_filters is None:
            total = self._add_small(gradients, probe, part_of)
        else:
            total = _product(gradients)
            if self.probes is not None or self.parts is not None:
                self._add_small(self._tall_filters.mT.to(gradients) @ gradients, probe, part_of)
        self.covariance += total

    def _add_small(
        self, gradients: Float[Tensor, "n groups r m"], probe: int | None, part_of: Int[Tensor, " n"]
    ) -> Float[Tensor, "groups r r"]:
        if self.parts is None:
            total = _product(gradients)
        else:
            by_image = gradients @ gradients.mT
            self.parts.index_add_(0, part_of.to(self.parts.device), by_image.to(self.parts))
            total = by_image.sum(0)
        if self.probes is not None and probe is not None:
            self.probes[probe] += total
        return total


def _product(gradients: Float[Tensor, "n groups rows m"]) -> Float[Tensor, "groups rows rows"]:
    """Summed over images: image by image where that moves less memory, otherwise side by side."""
    n, _, rows, m = gradients.shape
    if n == 1 or m > rows:
        return (gradients @ gradients.mT).sum(0)
    columns = gradients.permute(1, 2, 0, 3).flatten(2)
    return columns @ columns.mT

"""What one pass over the data leaves of a layer: W, and the second moment G of the gradients at its output."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..maths.spectra import RowSpace, core


@dataclass(frozen=True)
class Moments:
    """A layer as measured. All tensors are on the CPU.

    Attributes:
        filters: W, one block a group.
        covariance: G, the mean over images of the sum over outputs, positions and uses of `delta delta^T`, in float64.
        parts: `core(G)` of disjoint parts of the images, each a sum over its images; None if not kept.
        probes: `core(G)` of each probe, each a sum over images; None if the outputs were summed exactly.
        uses: how often the layer runs in one forward pass.
        final: True for the linear layer that makes the outputs, whose AGOP is its CNFM.
    """

    filters: Float[Tensor, "groups rows d"]
    covariance: Float[Tensor, "groups rows rows"]
    parts: Float[Tensor, "n_parts groups r r"] | None
    probes: Float[Tensor, "s groups r r"] | None
    uses: int
    final: bool

    @cached_property
    def row_space(self) -> RowSpace:
        """The filters' row space."""
        return RowSpace.of(self.filters)


class MomentSums:
    """Running sums of one layer, on the device of its gradients."""

    def __init__(self, filters: Float[Tensor, "groups rows d"], n_parts: int, n_probes: int) -> None:
        groups, rows, d = filters.shape
        self.filters = filters
        self.n_parts = n_parts
        self.covariance = torch.zeros(groups, rows, rows, dtype=torch.float64, device=filters.device)
        self.uses = 0
        self._left = RowSpace.of(filters).left if n_parts or n_probes else None
        kept = (groups, min(rows, d), min(rows, d))
        empty = filters.new_zeros(0, *kept, dtype=torch.promote_types(filters.dtype, torch.float32))
        self._parts = empty.new_zeros(n_parts, *kept) if n_parts else None
        self._probes = empty.new_zeros(n_probes, *kept) if n_probes else None

    def add(
        self,
        per_image: Float[Tensor, "n groups rows rows"] | Float[Tensor, "groups rows rows"],
        part_of: Int[Tensor, " n"],
    ) -> None:
        """Add the images of one batch.

        Args:
            per_image: The sum over outputs, positions and uses for each image; for all images together where the layer
                mixes them (then no parts are kept).
            part_of: To which part each image belongs.
        """
        if per_image.ndim == 3:
            self.covariance += per_image
            self._parts = None
            return
        self.covariance += per_image.sum(0, dtype=torch.float64)
        if self._parts is not None and self._left is not None:
            cores = core(self._left, per_image)
            self._parts.index_add_(0, part_of.to(self._parts.device), cores.to(self._parts))

    def add_probes(self, first: int, per_probe: Float[Tensor, "m groups rows rows"]) -> None:
        """Add the sums over images of some probes, the first of which has this number."""
        if self._probes is not None and self._left is not None:
            self._probes[first : first + len(per_probe)] += core(self._left, per_probe)

    def finish(self, n_images: int) -> Moments:
        """The means over all images that were added."""
        n_parts = min(self.n_parts, n_images)
        return Moments(
            filters=self.filters.cpu(),
            covariance=(self.covariance / n_images).cpu(),
            parts=None if self._parts is None or n_parts < 2 else self._parts[:n_parts].cpu(),
            probes=None if self._probes is None else (self._probes / n_images).cpu(),
            uses=self.uses,
            final=False,
        )


def final_moments(weight: Float[Tensor, "k d"]) -> Moments:
    """The linear layer that makes the outputs: delta of output o is the unit vector o, so G is the identity."""
    identity = torch.eye(weight.shape[0], dtype=torch.float64)
    return Moments(weight.unsqueeze(0).cpu(), identity.unsqueeze(0), None, None, uses=1, final=True)

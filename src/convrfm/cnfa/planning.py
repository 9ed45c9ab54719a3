"""How many images and directions go through the network at a time, so that memory stays within the budget."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .batches import Batch
from .capture import Pass, forward
from .target import Target

CPU_CHUNK_BYTES = 2**22
"""Gradients taken in one vectorised backward pass on a CPU. Beyond the size of its caches, one direction at a time is
faster (docs/cnfa_cost.md has a measured ratio)."""


@dataclass(frozen=True)
class Plan:
    """Bytes that one image takes, known from one forward pass.

    Attributes:
        graph: what autograd keeps for the backward pass.
        deltas: gradients at all measured outputs, for one direction.
        products: `delta delta^T` of all layers, for one direction.
        cores: The cores of all layers, once.
        numel: size of the image that was looked at; others are taken in proportion.
        budget: the whole budget.
    """

    graph: int
    deltas: int
    products: int
    cores: int
    numel: int
    budget: int

    def images_at_a_time(self, numel: int) -> int:
        """How many images of this size one forward pass takes: at least one, whatever the budget."""
        size = (self.graph + 2 * self.deltas) * numel / self.numel + 3 * self.products
        return max(1, int(self.budget / 2 / size))

    def parts(self, wanted: int) -> int:
        """Into how many parts of the images a quarter of the budget lets them be kept; below eight, none."""
        affordable = min(wanted, self.budget // 4 // self.cores)
        return affordable if affordable >= min(wanted, 8) else 0

    def directions_at_a_time(self, numel: int, n_images: int, device: torch.device) -> int:
        """How many directions one backward pass takes."""
        size = n_images * (self.deltas * numel / self.numel + self.products)
        limit = CPU_CHUNK_BYTES if device.type == "cpu" else self.budget / 4
        return max(1, int(limit / size))


def plan(network: nn.Module, image: Batch, target: Target, budget: int) -> tuple[Plan, Pass]:
    """Look at one image: what its forward pass takes, and the pass itself."""
    saved: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter):
            saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        run = forward(network, image, target)
    deltas = sum(use.output_bytes for use in run.uses)
    products = cores = 0
    for use in {use.name: use for use in run.uses}.values():
        groups, rows, d = use.product.filters(use.weight).shape
        products += groups * rows**2 * max(4, use.weight.element_size())
        cores += groups * min(rows, d) ** 2 * max(4, use.weight.element_size())
    return Plan(sum(saved.values()), deltas, products, max(1, cores), image.numel, budget), run

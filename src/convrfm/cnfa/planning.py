"""How many images and directions go through the network at a time, so that memory stays within the budget."""

from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor, nn

from ..errors import InputError
from .batches import Batch
from .capture import Pass, forward
from .cutting import Cut
from .provenance import has_storage
from .target import Target
from .values import copies, holding
from .watching import Use

CPU_CHUNK_BYTES = 2**22
"""Gradients taken in one vectorised backward pass on a CPU. Beyond the size of its caches, one direction at a time is
faster (docs/benchmarks.md has a measured ratio)."""


UNCOUNTED = 8
"""What autograd keeps, in outputs of the products, where it cannot be counted."""


@dataclass(frozen=True)
class Plan:
    """Bytes that one image takes, known from one forward pass.

    Attributes:
        graph: what autograd keeps for the backward pass.
        deltas: gradients at all measured outputs, for one direction.
        core: The largest core of a layer; each image has one, while its part of the images is added to.
        cores: The cores of all layers, once.
        numel: size of the image that was looked at; others are taken in proportion.
        budget: the whole budget.
    """

    graph: int
    deltas: int
    core: int
    cores: int
    numel: int
    budget: int

    def images_at_a_time(self, numel: int) -> int:
        """How many images of this size one forward pass takes: at least one, whatever the budget."""
        size = (self.graph + 2 * self.deltas) * numel / self.numel + 3 * self.core
        return max(1, int(self.budget / 2 / size))

    def parts(self, wanted: int) -> int:
        """Into how many parts of the images a quarter of the budget lets them be kept; below eight, none."""
        affordable = min(wanted, self.budget // 4 // self.cores)
        return affordable if affordable >= min(wanted, 8) else 0

    def directions_at_a_time(self, numel: int, n_images: int, device: torch.device) -> int:
        """How many directions one backward pass takes."""
        size = n_images * (self.deltas * numel / self.numel + self.core)
        limit = min(self.budget / 4, CPU_CHUNK_BYTES if device.type == "cpu" else inf)
        return max(1, int(limit / size))


def plan(network: nn.Module, image: Batch, target: Target, cut: Cut, budget: int) -> tuple[Plan, Pass]:
    """Look at one image: what its forward pass takes, and the pass itself."""
    with holding(copies(network)):
        run, saved = _weighed(network, image, target)
    deltas = sum(use.output_bytes for use in run.uses)
    cores = [_core_bytes(use, cut) for use in {use.name: use for use in run.uses}.values()]
    return Plan(saved or UNCOUNTED * deltas, deltas, max(cores), max(1, sum(cores)), image.numel, budget), run


def _weighed(network: nn.Module, image: Batch, target: Target) -> tuple[Pass, int]:
    """A forward pass, and how many bytes autograd keeps of it beside the weights; 0 where they cannot be counted."""
    weights = {parameter.untyped_storage()._cdata for parameter in network.parameters()}
    saved: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        if has_storage(tensor) and (storage := tensor.untyped_storage())._cdata not in weights:
            saved[storage._cdata] = storage.nbytes()
        return tensor.detach()  # a result that is kept as it is would keep its own graph, forever

    try:
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            return forward(network, image, target), sum(saved.values())
    except InputError as error:
        if "saved tensor hooks" not in str(error):  # as torch.func says within a network that differentiates
            raise
    return forward(network, image, target), 0


def _core_bytes(use: Use, cut: Cut) -> int:
    return cut.core_entries(use.name, *use.product.filters(use.weight).shape) * max(4, use.weight.element_size())

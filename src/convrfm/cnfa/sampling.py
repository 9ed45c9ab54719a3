"""Some of the positions in the place of all: an unbiased estimate of a sum of outer products over positions."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Positions:
    """Draws so many positions for every image, direction and use, uniformly and without replacement.

    Args:
        count: How many; where there are no more, all are taken.
        seed: Of the draws, which come in the order of the passes, so that they change with the size of batches.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self._generator = torch.Generator().manual_seed(seed)

    def sampled(self, blocks: Float[Tensor, "*lead groups rows positions"]) -> Float[Tensor, "*lead groups rows m"]:
        """Gradients at the positions drawn, each leading index with its own."""
        *lead, _, _, positions = blocks.shape
        if positions <= self.count:
            return blocks
        keys = torch.rand(*lead, positions, generator=self._generator)
        return at_positions(blocks, keys.topk(self.count).indices.to(blocks.device))


def at_positions(
    blocks: Float[Tensor, "*lead groups rows positions"], chosen: Int[Tensor, "*lead m"]
) -> Float[Tensor, "*lead groups rows m"]:
    """Gradients at chosen positions, scaled so that the mean of `D D^T` over all choices of m is the whole sum."""
    index = chosen[..., None, None, :].expand(*blocks.shape[:-1], chosen.shape[-1])
    return blocks.gather(-1, index) * (blocks.shape[-1] / chosen.shape[-1]) ** 0.5

"""Random rotations for the layers of a network: layers of one shape share them, for most of their cost is to make them."""

from collections.abc import Callable, Hashable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..maths.haar import haar_blocks, haar_frames

KEPT_ENTRIES = 2**24
"""Of frames that are kept for layers to come; those used longest ago are given up."""


class Rotations:
    """Independent draws of random rotations and permutations of groups.

    Args:
        draws: How many.
        generator: Where they come from.
    """

    def __init__(self, draws: int, generator: torch.Generator) -> None:
        self.draws = draws
        self._generator = generator
        self._kept: dict[Hashable, Tensor] = {}

    def orders(self, numbers: Tensor, groups: int) -> Int[Tensor, "draws groups"]:
        """A permutation of the groups for each draw."""
        shape = (len(numbers), groups)
        return torch.rand(shape, generator=self._generator, device=self._generator.device).argsort(1).cpu()

    def frames(
        self, numbers: Tensor, shape: tuple[int, int, int], dtype: torch.dtype
    ) -> Float[Tensor, "draws groups rows k"]:
        """Columns of the rotations of these numbers, `(draws, groups, rows, k)`."""
        key = ("frames", int(numbers[0]), len(numbers), shape, dtype)
        return self._once(key, lambda: haar_frames((len(numbers), *shape), self._generator, dtype))

    def blocks(
        self, numbers: Tensor, shape: tuple[int, int, int], rows: int, dtype: torch.dtype
    ) -> Float[Tensor, "draws groups r k"]:
        """The same, of as many rows, without those that do not matter."""
        key = ("blocks", int(numbers[0]), len(numbers), shape, rows, dtype)
        return self._once(key, lambda: haar_blocks((len(numbers), *shape), rows, self._generator, dtype))

    def _once(self, key: Hashable, draw: Callable[[], Tensor]) -> Tensor:
        frames = self._kept.pop(key) if key in self._kept else draw()
        self._kept[key] = frames
        while sum(kept.numel() for kept in self._kept.values()) > KEPT_ENTRIES:
            del self._kept[next(iter(self._kept))]
        return frames
